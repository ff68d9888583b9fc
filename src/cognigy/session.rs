//! The one place that sends: breaker → host's gate and limit → own concurrency → token → request → classify → tell.

use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use http::header::{ACCEPT, CONTENT_TYPE, LOCATION};
use http::{HeaderName, HeaderValue, Method, StatusCode};
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tracing::{Instrument as _, Span, field};
use url::Url;
use uuid::Uuid;

use super::breaker::Breaker;
use super::call::{self, Call, Reply};
use super::catalogue::Catalogue;
use super::config::check_url;
use super::credentials::{Authentication, Credentials};
use super::limit::{HeldBack, Host, Membership, Rate};
use super::problem::{self, Problem, Secrets};
use super::token::{NoToken, Token};
use super::wire::{self, Failure, RawAnswer};
use super::{
    Answer, CallObserver, CircuitState, Code, Concurrency, ConfigError, Error, ErrorKind, Hosts, Route, SessionConfig,
    TraceContext,
};

/// The longest JSON body that installations take (cognigy-api.md §8).
const MAX_SENT: usize = 60_000;
pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// One connection to one installation; cheap to clone, all clones share limits, token and circuit.
#[derive(Clone)]
pub struct Session {
    inner: Arc<Inner>,
    trace: Option<TraceContext>,
}

/// What all clones of a session share.
pub(super) struct Inner {
    pub(super) tenant: String,
    base_url: Url,
    timeout: Duration,
    concurrency: Concurrency,
    pub(super) credentials: Credentials,
    /// The tenant's own, which no message may show.
    pub(super) secrets: Secrets,
    pub(super) client: reqwest::Client,
    membership: Membership,
    slots: Semaphore,
    breaker: Breaker,
    pub(super) observer: Arc<dyn CallObserver>,
    catalogue: Catalogue,
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
        let (credentials, secrets) = Credentials::new(config.auth, hosts)?;
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
                catalogue: Catalogue::default(),
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

    pub(super) fn catalogue(&self) -> &Catalogue {
        &self.inner.catalogue
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
        let bytes = call.size();
        if bytes > MAX_SENT {
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
                    self.credentials.forget(&token).await;
                    spent += error.latency;
                    repeated = true;
                }
                (Err(mut error), token) => {
                    // A scope that is granted later is only in a token that is fetched later.
                    if let (ErrorKind::Forbidden { .. }, Some(token)) = (&error.kind, token) {
                        self.credentials.forget(&token).await;
                    }
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
                let unchanged = raw.status == StatusCode::NOT_MODIFIED && call.is_conditional_read();
                if raw.status.is_success() || unchanged {
                    match call::understand(&raw, read) {
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
            request = request.header(CONTENT_TYPE, JSON).body(body.clone());
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
    pub(super) fn refusal(&self, route: Route, raw: &RawAnswer, host: &Host, secrets: &Secrets) -> Error {
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

pub(super) fn held_back(held: HeldBack, route: Route) -> Error {
    let HeldBack { until, by } = held;
    let retry_after = until.saturating_duration_since(Instant::now());
    Error::new(ErrorKind::RateLimited { retry_after, by }, route)
}

pub(super) fn failed(failure: Failure, route: Route) -> Error {
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
