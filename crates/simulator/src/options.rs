//! What a simulated installation is like: every variant of cognigy-api.md §8 is one field here.

use std::{
    net::{IpAddr, Ipv4Addr},
    path::PathBuf,
    time::Duration,
};

use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::{
    faults::RetryAfter,
    state::BotWebhook,
    tls::{Certificate, TlsVersions},
};

/// All scopes of cognigy-api.md §1.
pub const ALL_SCOPES: [&str; 7] = [
    "integrations:read",
    "integrations:write",
    "webhooks:manage",
    "bot:webhooks:read",
    "bot:webhooks:manage",
    "webhook:manage",
    "integration:read",
];

/// The secrets that a simulator accepts; tests may replace them while it runs to rehearse a rotation.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// OAuth2 client id.
    pub client_id: String,
    /// OAuth2 client secret.
    pub client_secret: String,
    /// Key for the header [`Options::api_key_header`].
    pub api_key: String,
    /// A bearer token that is accepted without the token endpoint.
    pub bearer_token: String,
}

impl Default for Credentials {
    fn default() -> Self {
        Self {
            client_id: "sim-client".into(),
            client_secret: "sim-secret-5f1c".into(),
            api_key: "sim-api-key-77ab".into(),
            bearer_token: "sim-bearer-token-90de".into(),
        }
    }
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("client_id", &self.client_id).finish_non_exhaustive()
    }
}

/// Where the token endpoint takes the client's credentials from (cognigy-api.md §1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum ClientAuthentication {
    /// HTTP Basic or form fields.
    #[default]
    Both,
    /// HTTP Basic only.
    Basic,
    /// Form fields only.
    RequestBody,
}

/// How a route that not every installation has answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Support {
    /// The route works.
    #[default]
    Yes,
    /// 404, as if nothing were there.
    NotFound,
    /// 405.
    MethodNotAllowed,
    /// 501.
    NotImplemented,
}

/// Where a page says how to go on (cognigy-api.md §8).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum CursorStyle {
    /// `pagination.nextCursor`, null on the last page.
    #[default]
    Pagination,
    /// A top-level `nextCursor`, missing on the last page.
    TopLevel,
    /// `next`, an empty string on the last page.
    Next,
}

/// The name of an object's id in answers (cognigy-api.md §8).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum IdField {
    /// `id`.
    #[default]
    Id,
    /// `_id`.
    UnderscoreId,
}

/// What new ids look like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum IdStyle {
    /// `wh_000000001`.
    #[default]
    Prefixed,
    /// 24 hexadecimal digits.
    Hex,
}

/// What optimistic locking an installation offers (cognigy-api.md §4 and §8).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Locking {
    /// `ETag` header and `_version` in the body; `If-Match` is compulsory.
    #[default]
    EtagAndVersion,
    /// `ETag` header only; `If-Match` is compulsory.
    EtagOnly,
    /// `_version` in the body only; `If-Match` with the quoted `_version` is compulsory.
    VersionOnly,
    /// Only `lastChanged` in the body (milliseconds since 1970); writes are unconditional.
    LastChanged,
    /// Nothing at all; writes are unconditional.
    None,
}

impl Locking {
    /// Whether a write needs `If-Match`.
    pub fn needs_if_match(self) -> bool {
        matches!(self, Self::EtagAndVersion | Self::EtagOnly | Self::VersionOnly)
    }

    /// Whether answers carry an `ETag` header.
    pub fn has_etag(self) -> bool {
        matches!(self, Self::EtagAndVersion | Self::EtagOnly)
    }

    /// Whether bodies carry `_version`.
    pub fn has_version(self) -> bool {
        matches!(self, Self::EtagAndVersion | Self::VersionOnly)
    }
}

/// The status of a write under a stale `If-Match`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum StaleStatus {
    /// 409.
    #[default]
    Conflict,
    /// 412.
    PreconditionFailed,
}

/// The shape of error bodies (cognigy-api.md §8). The token endpoint always answers OAuth errors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorFormat {
    /// `application/problem+json` with a number as `code`.
    #[default]
    Problem,
    /// The same with a text as `code`.
    ProblemTextCode,
    /// `{"error", "error_description"}`.
    Oauth,
    /// `text/plain`.
    Plain,
}

/// What the log keeps of API requests and of requests to callbacks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum LogDetail {
    /// Everything.
    #[default]
    Full,
    /// All but headers and bodies, so that it stays small however many requests there are.
    Line,
}

/// A limit on requests per source address in fixed windows (cognigy-api.md §8).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Requests that a source address may make in one window.
    pub requests: u32,
    /// Length of a window; it begins with the first request.
    pub window: Duration,
    /// Whether `Retry-After` is written in seconds or as an HTTP date.
    pub as_http_date: bool,
}

/// Everything about TLS.
#[derive(Clone, Debug)]
pub struct TlsOptions {
    /// Whether the simulator listens with TLS at all.
    pub enabled: bool,
    /// Protocol versions offered on the main TLS listener.
    pub versions: TlsVersions,
    /// The certificate of the main TLS listener.
    pub certificate: Certificate,
    /// DNS names in the certificates besides `localhost`; addresses are those of [`Options::host`], 127.0.0.1 and `::1`.
    pub extra_names: Vec<String>,
    /// Where the authority's certificate is written (PEM); a temporary file when absent.
    pub ca_file: Option<PathBuf>,
    /// Whether HTTP/2 is offered by ALPN.
    pub http2: bool,
}

impl Default for TlsOptions {
    fn default() -> Self {
        Self {
            enabled: true,
            versions: TlsVersions::default(),
            certificate: Certificate::Valid,
            extra_names: Vec::new(),
            ca_file: None,
            http2: true,
        }
    }
}

/// The simulated installation. The default is what cognigy-api.md documents, as strict as it can be.
///
/// Everything but the addresses, ports and TLS may be changed while it runs: [`crate::Handle::configure`].
#[derive(Clone, Debug)]
#[allow(clippy::struct_excessive_bools, reason = "each is one independent habit of an installation")]
pub struct Options {
    /// Address to listen on.
    pub listen: IpAddr,
    /// Host in the URLs that the simulator hands out.
    pub host: String,
    /// Port for plain HTTP; 0 takes a free one.
    pub http_port: u16,
    /// Port for HTTPS; 0 takes a free one.
    pub https_port: u16,
    /// TLS.
    pub tls: TlsOptions,
    /// Path in front of every API route, such as `/new`; empty for none.
    pub path_prefix: String,

    /// What is accepted.
    pub credentials: Credentials,
    /// Header of the API key.
    pub api_key_header: String,
    /// A token endpoint besides `/oauth/token` and `/api/v2/auth/token`, with and without the prefix.
    pub extra_token_path: Option<String>,
    /// Where client credentials may be.
    pub client_authentication: ClientAuthentication,
    /// Life of a token.
    pub token_lifetime: Duration,
    /// Whether token answers carry `expires_in`.
    pub expires_in: bool,
    /// Scopes that the client (and the API key and the bearer token) may have; more are left out of a token silently.
    pub granted_scopes: Vec<String>,
    /// Answer a token request for more than [`Options::granted_scopes`] with 400 `invalid_scope` instead.
    pub refuse_excess_scopes: bool,

    /// Name of the id in answers.
    pub id_field: IdField,
    /// Look of new ids.
    pub id_style: IdStyle,
    /// Where the next cursor is.
    pub cursor_style: CursorStyle,
    /// Largest page.
    pub page_limit: usize,
    /// Status of a POST that created something.
    pub create_status: u16,
    /// Answer every write with this status and without a body (202, 204 …).
    pub bodyless_writes: Option<u16>,
    /// POST answers with an `ETag`.
    pub post_carries_etag: bool,
    /// POST answers with `_version` in the body.
    pub post_carries_version: bool,
    /// Other answers of §2, listings included, carry `_version`.
    pub integrations_carry_version: bool,
    /// PUT of a webhook answers with the new `ETag`.
    pub put_carries_etag: bool,
    /// What locking there is.
    pub locking: Locking,
    /// Status of a stale write.
    pub stale_status: StaleStatus,
    /// Answer `If-None-Match` with 200 always.
    pub ignore_if_none_match: bool,
    /// `DELETE /api/v1/integrations/{id}`.
    pub delete_integration: Support,
    /// `GET /api/v1/integrations/{id}`.
    pub get_integration: Support,
    /// `GET /api/v1/integrations`.
    pub list_integrations: Support,
    /// Every page names the same next cursor: the server fault of §3.
    pub repeat_cursor: bool,
    /// Fields of a new webhook's §4 view that no guide mentions; a PUT that does not send them back loses them.
    pub unknown_webhook_fields: Map<String, Value>,

    /// Accept `http://` webhook URLs.
    pub allow_http_urls: bool,
    /// Refuse a POST without `X-Request-Id: webhook-reg-<name>-<version>` (400).
    pub require_request_id: bool,
    /// Refuse API calls without `Accept: application/json` (406).
    pub require_accept: bool,
    /// Every API answer, tokens included, takes at least so long. Callbacks and sinks are not slowed down, and faults come on top.
    pub latency: Duration,
    /// What is kept of each request.
    pub log_detail: LogDetail,
    /// Largest request body in bytes; more is 413.
    pub max_body_bytes: usize,
    /// Shape of error bodies.
    pub error_format: ErrorFormat,
    /// Requests per source address.
    pub quota: Option<Quota>,
    /// `Retry-After` of answers that refuse because a fixed budget is used up ([`crate::Handle::set_budget`]).
    pub budget_retry_after: RetryAfter,

    /// Webhooks of bots that exist from the start (§3).
    pub bot_webhooks: Vec<BotWebhook>,
}

impl Default for Options {
    fn default() -> Self {
        let mut unknown_webhook_fields = Map::new();
        unknown_webhook_fields.insert("deliveryRegion".into(), json!("eu-1"));
        Self {
            listen: Ipv4Addr::LOCALHOST.into(),
            host: Ipv4Addr::LOCALHOST.to_string(),
            http_port: 0,
            https_port: 0,
            tls: TlsOptions::default(),
            path_prefix: String::new(),
            credentials: Credentials::default(),
            api_key_header: "X-API-Key".into(),
            extra_token_path: Some("/auth/oauth2/token".into()),
            client_authentication: ClientAuthentication::Both,
            token_lifetime: Duration::from_hours(1),
            expires_in: true,
            granted_scopes: ALL_SCOPES.map(String::from).to_vec(),
            refuse_excess_scopes: false,
            id_field: IdField::Id,
            id_style: IdStyle::Prefixed,
            cursor_style: CursorStyle::Pagination,
            page_limit: 100,
            create_status: 201,
            bodyless_writes: None,
            post_carries_etag: false,
            post_carries_version: false,
            integrations_carry_version: false,
            put_carries_etag: true,
            locking: Locking::EtagAndVersion,
            stale_status: StaleStatus::Conflict,
            ignore_if_none_match: false,
            delete_integration: Support::Yes,
            get_integration: Support::Yes,
            list_integrations: Support::Yes,
            repeat_cursor: false,
            unknown_webhook_fields,
            allow_http_urls: false,
            require_request_id: true,
            require_accept: true,
            latency: Duration::ZERO,
            log_detail: LogDetail::Full,
            max_body_bytes: 60_000,
            error_format: ErrorFormat::Problem,
            quota: None,
            budget_retry_after: RetryAfter::Seconds(1),
            bot_webhooks: Vec::new(),
        }
    }
}
