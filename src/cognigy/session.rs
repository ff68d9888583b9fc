//! The one place that sends: breaker → host's gate and limit → own concurrency → token → request → classify → tell.

use std::borrow::Cow;
use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, ETAG, LOCATION};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use oauth2::{HttpRequest, TokenUrl};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tracing::{Instrument as _, Span, field};
use url::Url;
use uuid::Uuid;

use super::breaker::Breaker;
use super::limit::{HeldBack, Host, Membership, Rate};
use super::problem::{self, Problem, Secrets};
use super::token::{Grant, NoToken, Token, TokenSource};
use super::wire::{self, Failure, RawAnswer};
use super::{
    Answer, Auth, CallObserver, CircuitState, Code, Concurrency, ConfigError, ETag, Error, ErrorKind, Hosts, Route,
    SessionConfig, TokenOutcome, TraceContext,
};

/// The longest JSON body that installations take (cognigy-api.md §8).
const MAX_SENT: usize = 60_000;
/// The time limit of a token request (cognigy-api.md §1).
const TOKEN_TIMEOUT: Duration = Duration::from_secs(10);
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// One connection to one installation; cheap to clone, all clones share limits, token and circuit.
#[derive(Clone)]
pub struct Session {
    inner: Arc<Inner>,
    trace: Option<TraceContext>,
}

struct Inner {
    tenant: String,
    base_url: Url,
    timeout: Duration,
    concurrency: Concurrency,
    credentials: Credentials,
    /// The tenant's own, which no message may show.
    secrets: Secrets,
    client: reqwest::Client,
    membership: Membership,
    slots: Semaphore,
    breaker: Breaker,
    observer: Arc<dyn CallObserver>,
}

enum Credentials {
    Static(HeaderName, HeaderValue),
    OAuth2 { source: TokenSource, url: Url, host: Arc<Host> },
}

/// What a request is authenticated with.
struct Authentication {
    name: HeaderName,
    value: HeaderValue,
    token: Option<Token>,
}

/// One API call, before it is sent.
#[derive(Clone)]
pub(super) struct Call<'a> {
    pub route: Route,
    method: Method,
    path: Vec<&'a str>,
    query: Vec<(&'static str, String)>,
    headers: HeaderMap,
    body: Option<Cow<'a, [u8]>>,
    secrets: Vec<SecretString>,
}

/// A successful answer, parsed.
pub(super) struct Reply {
    pub status: StatusCode,
    /// The id in the `Location` header, if there is one.
    pub location: Option<String>,
    pub etag: Option<ETag>,
    body: Option<Value>,
}

impl Reply {
    pub fn body(&self) -> Option<&Value> {
        self.body.as_ref()
    }

    pub fn required_body(&self) -> Result<&Value, String> {
        self.body.as_ref().ok_or_else(|| "the answer has no body".into())
    }
}

impl<'a> Call<'a> {
    pub fn new(route: Route, method: Method, path: Vec<&'a str>) -> Self {
        Self { route, method, path, query: Vec::new(), headers: HeaderMap::new(), body: None, secrets: Vec::new() }
    }

    pub fn query(mut self, name: &'static str, value: &str) -> Self {
        self.query.push((name, value.to_owned()));
        self
    }

    /// A header whose value is known to be valid; an invalid one is left out.
    pub fn header(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(name, value);
        }
        self
    }

    /// A JSON body.
    pub fn json(mut self, body: &impl Serialize) -> Result<Self, Error> {
        let bytes = serde_json::to_vec(body)
            .map_err(|error| Error::new(ErrorKind::Rejected { status: 0 }, self.route).detail(error.to_string()))?;
        self.body = Some(Cow::Owned(bytes));
        Ok(self)
    }

    /// Texts of the body that no message may show.
    pub fn secrets(mut self, secrets: impl IntoIterator<Item = SecretString>) -> Self {
        self.secrets.extend(secrets);
        self
    }
}

impl Session {
    /// A session that has sent nothing yet.
    pub fn new(config: SessionConfig, hosts: &Hosts, observer: Arc<dyn CallObserver>) -> Result<Self, ConfigError> {
        check_url("base URL", &config.base_url)?;
        let rate = Rate {
            per_minute: NonZeroU32::new(config.requests_per_minute).ok_or(ConfigError::Zero("requestsPerMinute"))?,
            burst: NonZeroU32::new(config.burst).ok_or(ConfigError::Zero("burst"))?,
        };
        if config.max_concurrent_requests == 0 {
            return Err(ConfigError::Zero("maxConcurrentRequests"));
        }
        let (credentials, secrets) = credentials(config.auth, hosts)?;
        let client = wire::client(config.ca_pem.as_deref(), config.request_timeout)?;
        let listener = {
            let (tenant, observer) = (config.tenant.clone(), Arc::clone(&observer));
            Box::new(move |state| observer.circuit(&tenant, state))
        };
        Ok(Self {
            trace: None,
            inner: Arc::new(Inner {
                membership: hosts.host(&config.base_url).join(rate),
                tenant: config.tenant,
                base_url: config.base_url,
                timeout: config.request_timeout,
                concurrency: config.concurrency,
                credentials,
                secrets,
                client,
                slots: Semaphore::new(config.max_concurrent_requests.min(Semaphore::MAX_PERMITS)),
                breaker: Breaker::new(config.breaker, listener),
                observer,
            }),
        })
    }

    /// The same session; its calls belong to this trace.
    #[must_use]
    pub fn traced(&self, trace: TraceContext) -> Self {
        Self { inner: Arc::clone(&self.inner), trace: Some(trace) }
    }

    /// Fetches a token where needed and makes one cheap read. An installation without that assumed route (404, 405, 501)
    /// counts as connected.
    pub async fn probe(&self) -> Result<Answer<()>, Error> {
        let call = Call::new(Route::ListIntegrations, Method::GET, vec!["api", "v1", "integrations"]);
        match self.send(call.query("pageSize", "1"), |_| Ok(())).await {
            Err(error) if matches!(error.kind, ErrorKind::NotFound | ErrorKind::NotSupported) => {
                Ok(Answer { value: (), etag: None, latency: error.latency, trace_id: error.trace_id })
            }
            other => other,
        }
    }

    /// The circuit's state now.
    pub fn circuit(&self) -> CircuitState {
        self.inner.breaker.shown()
    }

    pub(super) fn concurrency(&self) -> Concurrency {
        self.inner.concurrency
    }

    pub(super) fn observe_conflict(&self) {
        self.inner.observer.conflict(&self.inner.tenant);
    }

    /// Sends a call and reads its answer with `read`, whose refusal is a malformed answer. Repeats it once with a new token
    /// after a 401, and nothing else.
    pub(super) async fn send<T>(
        &self,
        call: Call<'_>,
        read: impl Fn(&Reply) -> Result<T, String>,
    ) -> Result<Answer<T>, Error> {
        let trace = self.trace.unwrap_or_else(TraceContext::fresh);
        let span = tracing::info_span!(
            "cognigy_call",
            tenant = self.inner.tenant,
            route = call.route.as_str(),
            trace_id = trace.trace_id(),
            status = field::Empty,
            latency_ms = field::Empty,
            cognigy_trace_id = field::Empty,
        );
        self.inner.send(call, trace, read).instrument(span).await
    }
}

impl Inner {
    async fn send<T>(
        &self,
        mut call: Call<'_>,
        trace: TraceContext,
        read: impl Fn(&Reply) -> Result<T, String>,
    ) -> Result<Answer<T>, Error> {
        if let Some(bytes) = call.body.as_ref().map(|body| body.len()).filter(|len| *len > MAX_SENT) {
            return Err(Error::new(ErrorKind::TooLarge { bytes }, call.route));
        }
        if !call.headers.contains_key(REQUEST_ID) {
            call = call.header(REQUEST_ID, &Uuid::new_v4().to_string());
        }
        let mut spent = Duration::ZERO;
        let mut repeated = false;
        loop {
            let (result, token) = self.send_once(&call, trace, &read).await;
            match (result, token) {
                (Err(error), Some(token)) if error.kind == ErrorKind::Unauthorized && !repeated => {
                    if let Credentials::OAuth2 { source, .. } = &self.credentials {
                        source.forget(token.generation).await;
                    }
                    spent += error.latency;
                    repeated = true;
                }
                (Err(mut error), _) => {
                    error.latency += spent;
                    return Err(error);
                }
                (Ok(mut answer), _) => {
                    answer.latency += spent;
                    return Ok(answer);
                }
            }
        }
    }

    /// One try; also tells the token that was sent.
    async fn send_once<T>(
        &self,
        call: &Call<'_>,
        trace: TraceContext,
        read: impl Fn(&Reply) -> Result<T, String>,
    ) -> (Result<Answer<T>, Error>, Option<Token>) {
        let open = |retry_after| Error::new(ErrorKind::CircuitOpen { retry_after }, call.route);
        // Asked first, so that a dead installation costs no place in the limit of its host.
        if let Some(wait) = self.breaker.closed_to_calls(Instant::now()) {
            return (Err(open(wait)), None);
        }
        let _slot = match self.place(call.route).await {
            Ok(slot) => slot,
            Err(error) => return (Err(error), None),
        };
        let admission = match self.breaker.admit(Instant::now()) {
            Ok(admission) => admission,
            Err(wait) => return (Err(open(wait)), None),
        };
        let authentication = match self.authenticate().await {
            Ok(authentication) => authentication,
            Err(NoToken { error, shared }) => {
                if error.kind.is_trouble() && !shared {
                    admission.failed(Instant::now());
                } else if !shared && error.retry_after().is_none() {
                    admission.answered();
                }
                return (Err(error), None);
            }
        };
        let result = self.exchange(call, trace, &authentication, read).await;
        match &result {
            Err(error) if error.kind.is_trouble() => admission.failed(Instant::now()),
            _ => admission.answered(),
        }
        (result, authentication.token)
    }

    /// Waits for the host's gate, the limit and a slot of this session.
    async fn place(&self, route: Route) -> Result<tokio::sync::SemaphorePermit<'_>, Error> {
        let deadline = Instant::now() + self.timeout;
        let host = self.membership.host();
        loop {
            host.pass(deadline).await.map_err(|held| held_back(held, route))?;
            // The semaphore is never closed; were it, the call would simply not be sent.
            let slot = self
                .slots
                .acquire()
                .await
                .map_err(|_| Error::new(ErrorKind::Unreachable, route).detail("the session has ended"))?;
            // A 429 may have come while this call waited for its slot.
            if host.paused(Instant::now()).is_none() {
                return Ok(slot);
            }
        }
    }

    async fn authenticate(&self) -> Result<Authentication, NoToken> {
        match &self.credentials {
            Credentials::Static(name, value) => {
                Ok(Authentication { name: name.clone(), value: value.clone(), token: None })
            }
            Credentials::OAuth2 { source, url, host } => {
                let token = source.token(async |request| self.fetch_token(request, url, host, source).await).await?;
                Ok(Authentication { name: AUTHORIZATION, value: token.header.clone(), token: Some(token) })
            }
        }
    }

    /// One token request.
    async fn fetch_token(
        &self,
        request: HttpRequest,
        url: &Url,
        host: &Host,
        source: &TokenSource,
    ) -> Result<Grant, Error> {
        let began = Instant::now();
        if let Some(held) = host.paused(began) {
            return Err(held_back(held, Route::Token));
        }
        let (parts, body) = request.into_parts();
        let mut headers = parts.headers;
        if let Some(value) = headers.get_mut(AUTHORIZATION) {
            value.set_sensitive(true);
        }
        let request = self
            .client
            .post(url.clone())
            .headers(headers)
            .header(REQUEST_ID, Uuid::new_v4().to_string())
            .timeout(TOKEN_TIMEOUT)
            .body(body)
            .build()
            .map_err(|error| Failure::from_build(&error))
            .map_err(|failure| failed(failure, Route::Token));
        let outcome = match request {
            Err(error) => Err(error),
            Ok(request) => match wire::exchange(&self.client, request).await {
                Err(failure) => Err(failed(failure, Route::Token)),
                Ok(raw) => self.judge_grant(&raw, host, source),
            },
        };
        let outcome = outcome.map_err(|mut error| {
            error.latency = began.elapsed();
            error
        });
        self.observer.token(
            &self.tenant,
            match &outcome {
                Ok(_) => TokenOutcome::Fetched,
                Err(error) => match error.kind {
                    ErrorKind::Unauthorized | ErrorKind::Forbidden { .. } => TokenOutcome::Refused,
                    _ => TokenOutcome::Failed,
                },
            },
        );
        outcome
    }

    fn judge_grant(&self, raw: &RawAnswer, host: &Host, source: &TokenSource) -> Result<Grant, Error> {
        if raw.status.is_success() {
            return Grant::read(&raw.body).map_err(|why| Error::new(ErrorKind::Malformed, Route::Token).detail(why));
        }
        let mut error = self.refusal(Route::Token, raw, host, &self.secrets);
        let oauth_error = Problem::read(&raw.headers, &raw.body, &self.secrets).oauth_error;
        error.kind = match (error.kind, oauth_error.as_deref()) {
            (ErrorKind::Forbidden { .. }, _) | (ErrorKind::Rejected { .. }, Some("invalid_scope")) => {
                error.detail = Some(format!(
                    "{}(requested: {})",
                    error.detail.map(|words| words + " ").unwrap_or_default(),
                    source.scopes()
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

    /// One API request.
    async fn exchange<T>(
        &self,
        call: &Call<'_>,
        trace: TraceContext,
        authentication: &Authentication,
        read: impl Fn(&Reply) -> Result<T, String>,
    ) -> Result<Answer<T>, Error> {
        let began = Instant::now();
        let sent = match self.request(call, trace, authentication) {
            Ok(request) => wire::exchange(&self.client, request).await,
            Err(error) => Err(Failure::from_build(&error)),
        };
        let latency = began.elapsed();
        let (code, result) = match sent {
            Err(failure) => (failure.code, Err(failed(failure, call.route))),
            Ok(raw) => {
                let code = Code::Status(raw.status.as_u16());
                if raw.status.is_success() || raw.status == StatusCode::NOT_MODIFIED {
                    match understand(&raw, read) {
                        Ok(answer) => (code, Ok(answer)),
                        Err(why) => {
                            let mut error = Error::new(ErrorKind::Malformed, call.route).detail(why);
                            error.trace_id = problem::trace_id(&raw.headers);
                            (Code::Malformed, Err(error))
                        }
                    }
                } else {
                    let secrets = self.all_secrets(call, authentication);
                    (code, Err(self.refusal(call.route, &raw, self.membership.host(), &secrets)))
                }
            }
        };
        self.observer.call(&self.tenant, call.route, code, latency);
        let span = Span::current();
        span.record("status", field::display(code));
        span.record("latency_ms", latency.as_secs_f64() * 1000.0);
        let trace_id = match &result {
            Ok(answer) => &answer.trace_id,
            Err(error) => &error.trace_id,
        };
        if let Some(trace_id) = trace_id {
            span.record("cognigy_trace_id", trace_id);
        }
        match result {
            Ok(mut answer) => {
                answer.latency = latency;
                Ok(answer)
            }
            Err(mut error) => {
                error.latency = latency;
                if error.kind == ErrorKind::Conflict {
                    self.observer.conflict(&self.tenant);
                }
                Err(error)
            }
        }
    }

    fn request(
        &self,
        call: &Call<'_>,
        trace: TraceContext,
        authentication: &Authentication,
    ) -> reqwest::Result<reqwest::Request> {
        let mut url = self.base_url.clone();
        // The base URL was checked to have a path.
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(&call.path);
        }
        let mut request = self
            .client
            .request(call.method.clone(), url)
            .headers(call.headers.clone())
            .header(ACCEPT, JSON)
            .header(TRACEPARENT, trace.traceparent())
            .header(authentication.name.clone(), authentication.value.clone());
        if !call.query.is_empty() {
            request = request.query(&call.query);
        }
        if let Some(body) = &call.body {
            request = request.header(CONTENT_TYPE, JSON).body(body.to_vec());
        }
        request.build()
    }

    fn all_secrets(&self, call: &Call<'_>, authentication: &Authentication) -> Secrets {
        let mut secrets = self.secrets.clone();
        secrets.0.extend(call.secrets.iter().cloned());
        secrets.0.extend(authentication.token.iter().map(|token| token.secret.clone()));
        secrets
    }

    /// An answer that refuses; a 429 closes the gate of its host.
    fn refusal(&self, route: Route, raw: &RawAnswer, host: &Host, secrets: &Secrets) -> Error {
        let kind = problem::classify(route, raw.status, &raw.headers);
        let problem = Problem::read(&raw.headers, &raw.body, secrets);
        let mut error = Error::new(kind, route);
        error.trace_id = problem.trace_id;
        error.detail = problem.detail;
        match &error.kind {
            ErrorKind::RateLimited { retry_after, .. } => {
                host.pause(Instant::now() + *retry_after);
                self.observer.throttled(host.name());
            }
            ErrorKind::Server { status } => {
                tracing::warn!(
                    tenant = self.tenant,
                    route = route.as_str(),
                    status,
                    cognigy_trace_id = error.trace_id,
                    body = problem::excerpt(&raw.body, secrets),
                    "Cognigy is in trouble; quote this in a support ticket"
                );
            }
            _ if raw.status.is_redirection() => error.detail = Some(redirection(raw)),
            _ => {}
        }
        error
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("tenant", &self.inner.tenant)
            .field("base_url", &self.inner.base_url.as_str())
            .field("circuit", &self.circuit())
            .finish_non_exhaustive()
    }
}

fn check_url(what: &'static str, url: &Url) -> Result<(), ConfigError> {
    let why = if !matches!(url.scheme(), "http" | "https") {
        "its scheme is neither https nor http"
    } else if url.host_str().is_none_or(str::is_empty) {
        "it has no host"
    } else if !url.username().is_empty() || url.password().is_some() {
        "it holds user info"
    } else if url.query().is_some() || url.fragment().is_some() {
        "it has a query or a fragment"
    } else {
        return Ok(());
    };
    let mut shown = url.clone();
    // Both fail only for URLs that cannot have user info.
    let _ = shown.set_username("");
    let _ = shown.set_password(None);
    shown.set_query(None);
    Err(ConfigError::Url { what, url: shown.into(), why })
}

fn credentials(auth: Auth, hosts: &Hosts) -> Result<(Credentials, Secrets), ConfigError> {
    let sensitive = |what, text: &str| {
        let mut value = HeaderValue::from_str(text).map_err(|_| ConfigError::Credential(what))?;
        value.set_sensitive(true);
        Ok(value)
    };
    Ok(match auth {
        Auth::ApiKey { header, key } => {
            let value = sensitive("the API key", key.expose_secret())?;
            (Credentials::Static(header, value), Secrets(vec![key]))
        }
        Auth::Bearer(token) => {
            let value = sensitive("the bearer token", &format!("Bearer {}", token.expose_secret()))?;
            (Credentials::Static(AUTHORIZATION, value), Secrets(vec![token]))
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
            let credentials = Credentials::OAuth2 { source, url: token_url, host };
            (credentials, Secrets(vec![client_secret, client_id]))
        }
    })
}

fn held_back(held: HeldBack, route: Route) -> Error {
    let HeldBack { until, by } = held;
    let retry_after = until.saturating_duration_since(Instant::now());
    Error::new(ErrorKind::RateLimited { retry_after, by }, route)
}

fn failed(failure: Failure, route: Route) -> Error {
    Error::new(failure.kind, route).detail(failure.detail)
}

/// Where a redirection leads, without what may be secret in it.
fn redirection(raw: &RawAnswer) -> String {
    let target = raw
        .headers
        .get(LOCATION)
        .and_then(|value| Url::parse(value.to_str().ok()?).ok())
        .map(|url| format!(" to {}", url.origin().ascii_serialization()))
        .unwrap_or_default();
    format!(
        "the installation redirects{target} (status {}) and redirects are not followed; set the tenant's baseUrl to the final address",
        raw.status.as_u16()
    )
}

/// Reads a success: an empty body is no body, anything else must be JSON.
fn understand<T>(raw: &RawAnswer, read: impl Fn(&Reply) -> Result<T, String>) -> Result<Answer<T>, String> {
    let body: Option<Value> = if raw.body.trim_ascii().is_empty() {
        None
    } else {
        // Where it breaks is said; what stands there is not: it may be a secret.
        Some(
            serde_json::from_slice(&raw.body)
                .map_err(|error| format!("the body is not JSON (line {} column {})", error.line(), error.column()))?,
        )
    };
    let header = |name| raw.headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let reply = Reply {
        status: raw.status,
        location: header(LOCATION).and_then(last_segment),
        etag: header(ETAG).and_then(ETag::from_header).or_else(|| body.as_ref().and_then(super::model::version_tag)),
        body,
    };
    Ok(Answer {
        value: read(&reply)?,
        etag: reply.etag,
        latency: Duration::ZERO,
        trace_id: problem::trace_id(&raw.headers),
    })
}

fn last_segment(location: &str) -> Option<String> {
    let path = location.split(['?', '#']).next()?.trim_end_matches('/');
    let last = path.rsplit('/').next()?;
    (!last.is_empty()).then(|| last.to_owned())
}
