//! What a session needs to know about an installation.

use std::time::Duration;

use http::HeaderName;
use secrecy::SecretString;
use thiserror::Error;
use url::Url;

use crate::net::{NeverCalled, judge_literal};

/// A connection to one Cognigy installation (`docs/resources.md`, `CognigyTenant`).
#[derive(Clone, Debug)]
pub struct SessionConfig {
    /// `namespace/name`; only a label in metrics, spans and messages.
    pub tenant: String,
    /// Where the API is; a path prefix is kept in front of every path (cognigy-api.md §8).
    pub base_url: Url,
    /// How calls are authenticated (cognigy-api.md §1).
    pub auth: Auth,
    /// PEM certificates that are trusted besides the system's roots.
    pub ca_pem: Option<Vec<u8>>,
    /// Sustained rate; sessions with the same host and port share the smallest of theirs.
    pub requests_per_minute: u32,
    /// How many calls may go at once before the sustained rate holds.
    pub burst: u32,
    /// Calls of this session under way at the same time.
    pub max_concurrent_requests: usize,
    /// From the first byte sent to the last byte read; a pause after a 429 that lasts longer is told instead of waited for.
    pub request_timeout: Duration,
    /// When to stop calling a failing installation.
    pub breaker: BreakerConfig,
    /// What protects a policy write where the installation gives no entity tag.
    pub concurrency: Concurrency,
}

/// How calls are authenticated (cognigy-api.md §1).
#[derive(Clone, Debug)]
pub enum Auth {
    /// OAuth2 client credentials.
    OAuth2 {
        /// The client's id.
        client_id: SecretString,
        /// The client's secret.
        client_secret: SecretString,
        /// Where tokens are fetched (absolute).
        token_url: Url,
        /// Where the credentials stand in the token request.
        client_authentication: ClientAuthentication,
        /// The scopes asked for; see [`Surface::scopes`].
        scopes: Vec<String>,
    },
    /// A key in a header.
    ApiKey {
        /// The header's name, by default `X-API-Key`.
        header: HeaderName,
        /// The key.
        key: SecretString,
    },
    /// A static bearer token.
    Bearer(SecretString),
}

/// Where the client's credentials stand in a token request (cognigy-api.md §1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientAuthentication {
    /// HTTP Basic.
    Basic,
    /// Form fields `client_id` and `client_secret`.
    RequestBody,
}

/// The circuit breaker's limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerConfig {
    /// Consecutive failures (5xx, network, time-out) that open the circuit.
    pub failure_threshold: u32,
    /// How long it stays open before one probe may pass.
    pub open: Duration,
}

/// What protects a policy write from overwriting somebody else's (cognigy-api.md §4, §8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Concurrency {
    /// `If-Match`; an object without entity tag and `_version` is not written.
    IfMatch,
    /// `If-Match` where there is a tag, otherwise `lastChanged` is compared just before the write.
    CompareAndWrite,
}

/// A part of the API that has its own scopes (cognigy-api.md §1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Surface {
    /// Registration (§2).
    Integrations,
    /// Webhooks with interval policies (§4).
    Webhooks,
    /// Bot webhooks with window policies (§3).
    BotWebhooks,
}

impl Surface {
    /// The scopes that this part of the API needs.
    pub const fn scopes(self) -> &'static [&'static str] {
        match self {
            Self::Integrations => &["integrations:read", "integrations:write", "webhooks:manage"],
            Self::Webhooks => &["webhook:manage", "integration:read"],
            Self::BotWebhooks => &["bot:webhooks:read", "bot:webhooks:manage"],
        }
    }
}

/// Why a session cannot be made; the user must change the tenant.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ConfigError {
    /// The base or token URL cannot carry requests.
    #[error(
        "{what} {url} cannot be used: {why}; give an absolute http(s) URL with a host, without user info, query or fragment"
    )]
    Url {
        /// Which URL.
        what: &'static str,
        /// As given (user info removed).
        url: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The base or token URL is at an address that is never called.
    #[error("{0} cannot be used: {1}")]
    NeverCalled(&'static str, NeverCalled),
    /// The CA bundle is not PEM certificates.
    #[error("the CA bundle cannot be read: {0}; give one or more PEM certificates")]
    CaBundle(String),
    /// A key or token that cannot stand in a header.
    #[error("{0} holds characters that cannot be sent in an HTTP header (a line break at its end?)")]
    Credential(&'static str),
    /// A limit of zero.
    #[error("{0} must be at least 1")]
    Zero(&'static str),
    /// The HTTP client could not be made.
    #[error("the HTTP client cannot be made: {0}")]
    Client(String),
}

/// Refuses a URL that requests cannot be built on, or must not be sent to.
pub(super) fn check_url(what: &'static str, url: &Url) -> Result<(), ConfigError> {
    let why = if !matches!(url.scheme(), "http" | "https") {
        "its scheme is neither https nor http"
    } else if url.host_str().is_none_or(str::is_empty) {
        "it has no host"
    } else if !url.username().is_empty() || url.password().is_some() {
        "it holds user info"
    } else if url.query().is_some() || url.fragment().is_some() {
        "it has a query or a fragment"
    } else {
        return judge_literal(url).map_err(|never| ConfigError::NeverCalled(what, never));
    };
    let mut shown = url.clone();
    // Both fail only for URLs that cannot have user info.
    let _ = shown.set_username("");
    let _ = shown.set_password(None);
    shown.set_query(None);
    Err(ConfigError::Url { what, url: shown.into(), why })
}
