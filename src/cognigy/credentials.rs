//! What calls are authenticated with, and where it comes from (cognigy-api.md §1).

use std::sync::Arc;
use std::time::Duration;

use http::header::AUTHORIZATION;
use http::{HeaderName, HeaderValue};
use oauth2::{HttpRequest, TokenUrl};
use secrecy::ExposeSecret as _;
use tokio::time::Instant;
use tracing::Instrument as _;
use url::Url;
use uuid::Uuid;

use super::config::check_url;
use super::gate::Host;
use super::problem::Problem;
use super::session::{Inner, REQUEST_ID};
use super::token::{Grant, NoToken, Token, TokenSource};
use super::wire::{self, Failure, RawAnswer};
use super::{Auth, ConfigError, Error, ErrorKind, Hosts, Route, TokenOutcome, trace};
use crate::{redact::Redactor, traces};

/// The time limit of a token request (cognigy-api.md §1).
const TOKEN_TIMEOUT: Duration = Duration::from_secs(10);

/// The tenant's credentials, ready for use.
pub(super) enum Credentials {
    /// The same header for ever.
    Static(HeaderName, HeaderValue),
    /// A token that is fetched and refreshed.
    OAuth2(Box<OAuth2>),
}

/// Where tokens come from.
pub(super) struct OAuth2 {
    pub source: TokenSource,
    url: Url,
    host: Arc<Host>,
}

/// What a request is authenticated with.
pub(super) struct Authentication {
    pub name: HeaderName,
    pub value: HeaderValue,
    pub token: Option<Token>,
}

impl Credentials {
    /// The credentials, and the texts among them that no message may show.
    pub fn new(auth: Auth, hosts: &Hosts) -> Result<(Self, Redactor), ConfigError> {
        let sensitive = |what, text: &str| {
            let mut value = HeaderValue::from_str(text).map_err(|_| ConfigError::Credential(what))?;
            value.set_sensitive(true);
            Ok(value)
        };
        Ok(match auth {
            Auth::ApiKey { header, key } => {
                let value = sensitive("the API key", key.expose_secret())?;
                (Self::Static(header, value), Redactor::new([key]))
            }
            Auth::Bearer(token) => {
                let value = sensitive("the bearer token", &format!("Bearer {}", token.expose_secret()))?;
                (Self::Static(AUTHORIZATION, value), Redactor::new([token]))
            }
            Auth::OAuth2 { client_id, client_secret, token_url, client_authentication, scopes } => {
                check_url("token URL", &token_url)?;
                let source = TokenSource::new(
                    &client_id,
                    &client_secret,
                    TokenUrl::from_url(token_url.clone()),
                    client_authentication,
                    scopes,
                );
                let host = hosts.host(&token_url);
                let oauth2 = OAuth2 { source, url: token_url, host };
                (Self::OAuth2(Box::new(oauth2)), Redactor::new([client_secret, client_id]))
            }
        })
    }

    /// The token that is sent now, which no message may show either.
    pub fn token(&self) -> Redactor {
        match self {
            Self::OAuth2(oauth2) => oauth2.source.known(),
            Self::Static(..) => Redactor::default(),
        }
    }

    /// Forgets a token that was answered 401.
    pub async fn forget(&self, token: &Token) {
        if let Self::OAuth2(oauth2) = self {
            oauth2.source.forget(token.generation).await;
        }
    }
}

impl Inner {
    /// What the next request is authenticated with; fetches a token where none is valid.
    pub(super) async fn authenticate(&self) -> Result<Authentication, NoToken> {
        match &self.credentials {
            Credentials::Static(name, value) => {
                Ok(Authentication { name: name.clone(), value: value.clone(), token: None })
            }
            Credentials::OAuth2(oauth2) => {
                let token = oauth2.source.token(async |request| self.fetch_token(request, oauth2).await).await?;
                Ok(Authentication { name: AUTHORIZATION, value: token.header.clone(), token: Some(token) })
            }
        }
    }

    /// One token request, unless the endpoint's host is paused.
    async fn fetch_token(&self, request: HttpRequest, oauth2: &OAuth2) -> Result<Grant, Error> {
        let began = Instant::now();
        if let Some(until) = oauth2.host.paused(began) {
            return Err(Error::paused(until, Route::Token));
        }
        let span = trace::token_request(&oauth2.url, &self.tenant);
        let outcome = self.exchange_token(request, oauth2).instrument(span.clone()).await.map_err(|mut error| {
            error.latency = began.elapsed();
            error.redacted(&self.secrets)
        });
        let told = match &outcome {
            Ok(_) => TokenOutcome::Fetched,
            Err(error) if matches!(error.kind, ErrorKind::Unauthorized | ErrorKind::Forbidden { .. }) => {
                TokenOutcome::Refused
            }
            Err(_) => TokenOutcome::Failed,
        };
        if let Err(error) = &outcome {
            traces::fail(&span, error.kind.as_str(), error);
        }
        self.observer.token(&self.tenant, told, began.elapsed());
        outcome
    }

    async fn exchange_token(&self, request: HttpRequest, oauth2: &OAuth2) -> Result<Grant, Error> {
        let (mut parts, body) = request.into_parts();
        if let Some(value) = parts.headers.get_mut(AUTHORIZATION) {
            value.set_sensitive(true);
        }
        let request = self
            .client
            .post(oauth2.url.clone())
            .headers(parts.headers)
            .header(REQUEST_ID, Uuid::new_v4().to_string())
            .timeout(TOKEN_TIMEOUT)
            .body(body)
            .build()
            .map_err(|error| Failure::from_build(&error).of_route(Route::Token))?;
        let raw = wire::exchange(&self.client, request).await.map_err(|failure| failure.of_route(Route::Token))?;
        traces::answered(raw.status.as_u16());
        self.judge_grant(&raw, oauth2)
    }

    fn judge_grant(&self, raw: &RawAnswer, oauth2: &OAuth2) -> Result<Grant, Error> {
        if raw.status.is_success() {
            return Grant::read(&raw.body).map_err(|why| Error::new(ErrorKind::Malformed, Route::Token).detail(why));
        }
        let mut error = self.refusal(Route::Token, raw, &oauth2.host, &self.secrets);
        let oauth_error = Problem::read(&raw.headers, &raw.body, &self.secrets).oauth_error;
        error.kind = match (error.kind, oauth_error.as_deref()) {
            (ErrorKind::Forbidden { .. }, _) | (ErrorKind::Rejected { .. }, Some("invalid_scope")) => {
                error.detail = Some(format!(
                    "{}(requested: {})",
                    error.detail.map(|words| words + " ").unwrap_or_default(),
                    oauth2.source.scopes()
                ));
                ErrorKind::Forbidden { scope: Route::Token.scope(), role: Route::Token.role() }
            }
            (ErrorKind::NotFound | ErrorKind::NotSupported, _) => {
                error.detail =
                    Some(format!("the token URL answered {}; check spec.auth.oauth2.tokenUrl", raw.status.as_u16()));
                ErrorKind::Unauthorized
            }
            // RFC 6749 §5.2 refuses credentials with 400 as well.
            (ErrorKind::Rejected { .. } | ErrorKind::Conflict, _) => ErrorKind::Unauthorized,
            (kind, _) => kind,
        };
        Err(error)
    }
}
