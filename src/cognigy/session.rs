//! The one place that sends: breaker → turn at the host's gate → token → request → classify → tell.

use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, Method, StatusCode};
use tokio::sync::Semaphore;
use tokio::time::Instant;
use url::Url;
use uuid::Uuid;

use super::breaker::Breaker;
use super::call::{self, Call, Reply};
use super::catalogue::Catalogue;
use super::config::check_url;
use super::credentials::{Authentication, Credentials};
use super::gate::{Host, Membership, NoTurn, Rate, Slot};
use super::problem::{self, Problem};
use super::refused::Refused;
use super::token::{NoToken, Token};
use super::trace::CallTrace;
use super::wire::{self, Failure, RawAnswer};
use super::{
    Answer, CallObserver, Caller, CircuitState, Code, Concurrency, ConfigError, Error, ErrorKind, Hosts, Route,
    SessionConfig, TraceContext,
};
use crate::{net::JudgedNames, redact::Redactor};

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
    caller: Caller,
    /// What no message about its calls may show, besides the tenant's own.
    hidden: Redactor,
}

/// What all clones of a session share.
pub(super) struct Inner {
    pub(super) tenant: String,
    base_url: Url,
    timeout: Duration,
    concurrency: Concurrency,
    pub(super) credentials: Credentials,
    /// The tenant's own, which no message may show.
    pub(super) secrets: Redactor,
    pub(super) client: reqwest::Client,
    membership: Arc<Membership>,
    /// Calls to others than Cognigy that are made for this tenant.
    elsewhere: Semaphore,
    breaker: Breaker,
    refused: Refused,
    pub(super) observer: Arc<dyn CallObserver>,
    catalogue: Catalogue,
}

impl Session {
    /// A session that has sent nothing yet.
    pub fn new(config: SessionConfig, hosts: &Hosts, observer: Arc<dyn CallObserver>) -> Result<Self, ConfigError> {
        Self::with_names(config, hosts, observer, JudgedNames::default())
    }

    /// The same with names that are resolved by the caller's own means.
    pub fn with_names(
        config: SessionConfig,
        hosts: &Hosts,
        observer: Arc<dyn CallObserver>,
        names: JudgedNames,
    ) -> Result<Self, ConfigError> {
        check_url("base URL", &config.base_url)?;
        let rate = Rate {
            per_minute: NonZeroU32::new(config.requests_per_minute).ok_or(ConfigError::Zero("requestsPerMinute"))?,
            burst: NonZeroU32::new(config.burst).ok_or(ConfigError::Zero("burst"))?,
        };
        if config.max_concurrent_requests == 0 {
            return Err(ConfigError::Zero("maxConcurrentRequests"));
        }
        let (credentials, secrets) = Credentials::new(config.auth, hosts)?;
        let client = wire::client(config.ca_pem.as_deref(), config.request_timeout, names)?;
        let elsewhere = Semaphore::new(config.max_concurrent_requests.min(Semaphore::MAX_PERMITS));
        let membership = Arc::new(hosts.host(&config.base_url).join(rate, config.max_concurrent_requests));
        let listener = {
            let (tenant, observer) = (config.tenant.clone(), Arc::clone(&observer));
            let membership = Arc::clone(&membership);
            Box::new(move |state| {
                if state == CircuitState::Open {
                    membership.send_away();
                }
                observer.circuit(&tenant, state);
            })
        };
        Ok(Self {
            trace: None,
            caller: Caller::default(),
            hidden: Redactor::default(),
            inner: Arc::new(Inner {
                membership,
                elsewhere,
                tenant: config.tenant,
                base_url: config.base_url,
                timeout: config.request_timeout,
                concurrency: config.concurrency,
                credentials,
                secrets,
                client,
                breaker: Breaker::new(config.breaker, listener),
                refused: Refused::default(),
                observer,
                catalogue: Catalogue::default(),
            }),
        })
    }

    /// The same session; its calls belong to this trace.
    #[must_use]
    pub fn traced(&self, trace: TraceContext) -> Self {
        Self { trace: Some(trace), ..self.clone() }
    }

    /// The same session; its calls are made for this caller.
    #[must_use]
    pub fn on_behalf_of(&self, caller: Caller) -> Self {
        Self { caller, ..self.clone() }
    }

    /// The same session; no message about its calls shows these either, wherever Cognigy repeats them.
    #[must_use]
    pub fn hiding(&self, secrets: &Redactor) -> Self {
        Self { hidden: self.hidden.and(secrets), ..self.clone() }
    }

    /// All that no text of Cognigy's may show: the tenant's credentials, its token of now, and what the session hides.
    pub fn redactor(&self) -> Redactor {
        self.inner.secrets.and(&self.inner.credentials.token()).and(&self.hidden)
    }

    /// For whom its calls are made.
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    /// Waits for somebody else than Cognigy on the caller's behalf, which holds no place at work either. A session has as many
    /// of these under way at the same time as calls, and neither takes room from the other.
    pub async fn meanwhile<T>(&self, wait: impl Future<Output = T>) -> T {
        self.caller.place.free_while(self.elsewhere(wait)).await
    }

    /// The same for who holds no place, or gives it back itself.
    pub async fn elsewhere<T>(&self, wait: impl Future<Output = T>) -> T {
        // A closed semaphore bounds nobody any more.
        let _permit = self.inner.elsewhere.acquire().await;
        wait.await
    }

    /// Whether both are clones of one session.
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner)
    }

    /// The rate that is in force for its host, in requests per minute: the smallest of all sessions', less what 429 answers
    /// have taught.
    pub fn requests_per_minute(&self) -> u32 {
        self.inner.membership.host().requests_per_minute().unwrap_or_default()
    }

    /// Why a call would not be sent now: the circuit is open.
    pub fn held(&self) -> Option<Error> {
        self.inner.circuit_open(Route::ListIntegrations)
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

    /// Where the installation is.
    pub fn base_url(&self) -> &Url {
        &self.inner.base_url
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
        // Neither waiting for a turn nor for an answer holds a place at work.
        let call = call.secrets(&self.hidden);
        let trace = CallTrace::begin(&call, &self.inner.tenant, &self.inner.base_url, self.trace);
        let sent = trace.over(self.inner.send(call, &trace, &self.caller, read));
        let result = self.caller.place.free_while(sent).await;
        trace.ended(&result);
        result
    }
}

impl Inner {
    async fn send<T>(
        &self,
        mut call: Call<'_>,
        trace: &CallTrace,
        caller: &Caller,
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
        let mut repeated = 0;
        loop {
            let (result, token) = self.send_once(&call, (trace, repeated), caller, &read).await;
            match (result, token) {
                (Err(error), Some(token)) if error.kind == ErrorKind::Unauthorized && repeated == 0 => {
                    self.credentials.forget(&token).await;
                    spent += error.latency;
                    repeated += 1;
                }
                (Err(mut error), token) => {
                    // A scope that is granted later is only in a token that is fetched later.
                    if let (ErrorKind::Forbidden { .. }, Some(token)) = (&error.kind, token)
                        && token.is_worn(Instant::now())
                    {
                        self.credentials.forget(&token).await;
                    }
                    error.latency += spent;
                    self.refused.failed(&error, Instant::now());
                    return Err(error);
                }
                (Ok(mut answer), _) => {
                    self.refused.over();
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
        (trace, repeated): (&CallTrace, i64),
        caller: &Caller,
        read: impl Fn(&Reply) -> Result<T, String>,
    ) -> (Result<Answer<T>, Error>, Option<Token>) {
        let _slot = match self.turn(call.route, caller).await {
            Ok(slot) => slot,
            Err(error) => return (Err(error), None),
        };
        if let Some(refusal) = self.refused.standing(Instant::now()) {
            return (Err(refusal), None);
        }
        let admission = match self.breaker.admit(Instant::now()) {
            Ok(admission) => admission,
            Err(retry_after) => return (Err(Error::new(ErrorKind::CircuitOpen { retry_after }, call.route)), None),
        };
        // Thousands may wait for their turn, few have it: what a call needs is on the heap for those alone.
        let authentication = match Box::pin(self.authenticate()).await {
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
        trace.sent(repeated);
        let result = Box::pin(self.exchange(call, trace, &authentication, read)).await;
        match &result {
            Err(error) if error.kind.is_trouble() => admission.failed(Instant::now()),
            _ => admission.answered(),
        }
        (result, authentication.token)
    }

    /// Waits for the caller's turn.
    async fn turn(&self, route: Route, caller: &Caller) -> Result<Slot, Error> {
        loop {
            // Asked first, so that a dead installation costs no turn at the gate of its host.
            if let Some(open) = self.circuit_open(route) {
                return Err(open);
            }
            match self.membership.turn(caller, self.timeout).await {
                Ok(slot) => return Ok(slot),
                Err(NoTurn::Paused(until)) => return Err(Error::paused(until, route)),
                Err(NoTurn::Unwanted) => return Err(Error::new(ErrorKind::Abandoned, route)),
                // The circuit opened, and may have closed again.
                Err(NoTurn::SentAway) => {}
            }
        }
    }

    fn circuit_open(&self, route: Route) -> Option<Error> {
        let retry_after = self.breaker.closed_to_calls(Instant::now())?;
        Some(Error::new(ErrorKind::CircuitOpen { retry_after }, route))
    }

    /// One API request.
    async fn exchange<T>(
        &self,
        call: &Call<'_>,
        trace: &CallTrace,
        authentication: &Authentication,
        read: impl Fn(&Reply) -> Result<T, String>,
    ) -> Result<Answer<T>, Error> {
        let began = Instant::now();
        let sent = match self.request(call, trace, authentication) {
            Ok(request) => wire::exchange(&self.client, request).await,
            Err(error) => Err(Failure::from_build(&error)),
        };
        let latency = began.elapsed();
        let secrets = self.all_secrets(call, authentication);
        let (code, result) = match sent {
            Err(failure) => (failure.code, Err(failure.of_route(call.route))),
            Ok(raw) => {
                let code = Code::Status(raw.status.as_u16());
                let unchanged = raw.status == StatusCode::NOT_MODIFIED && call.is_conditional_read();
                if raw.status.is_success() || unchanged {
                    match call::understand(&raw, &secrets, read) {
                        Ok(answer) => (code, Ok(answer)),
                        Err(why) => {
                            let mut error = Error::new(ErrorKind::Malformed, call.route).detail(why);
                            error.trace_id = problem::trace_id(&raw.headers, &secrets);
                            (Code::Malformed, Err(error))
                        }
                    }
                } else {
                    (code, Err(self.refusal(call.route, &raw, self.membership.host(), &secrets)))
                }
            }
        };
        // Whatever an error quotes: the answer, a certificate, a library's words.
        let result = result.map_err(|error| error.redacted(&secrets));
        self.observer.call(&self.tenant, call.route, code, latency);
        trace.answered(code, latency, &result);
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
        trace: &CallTrace,
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
            .header(TRACEPARENT, trace.context.traceparent())
            .header(authentication.name.clone(), authentication.value.clone());
        if !call.query.is_empty() {
            request = request.query(&call.query);
        }
        if let Some(body) = &call.body {
            request = request.header(CONTENT_TYPE, JSON).body(body.clone());
        }
        request.build()
    }

    fn all_secrets(&self, call: &Call<'_>, authentication: &Authentication) -> Redactor {
        let secrets = self.secrets.and(&call.secrets);
        authentication.token.iter().fold(secrets, |secrets, token| secrets.and(&token.secret))
    }

    /// An answer that refuses; a 429 closes the gate of its host.
    pub(super) fn refusal(&self, route: Route, raw: &RawAnswer, host: &Host, secrets: &Redactor) -> Error {
        let kind = problem::classify(route, raw.status, &raw.headers);
        let problem = Problem::read(&raw.headers, &raw.body, secrets);
        let mut error = Error::new(kind, route);
        error.trace_id = problem.trace_id;
        error.detail = problem.detail;
        match &error.kind {
            ErrorKind::RateLimited { retry_after, .. } => {
                let now = Instant::now();
                host.throttled(now, now + *retry_after);
                self.observer.throttled(host.name());
            }
            ErrorKind::Server { status } => {
                tracing::warn!(
                    tenant = self.tenant,
                    route = route.as_str(),
                    status,
                    cognigy_trace_id = error.trace_id,
                    // A token endpoint's may hold a token that nobody knows yet.
                    body = (route != Route::Token).then(|| problem::excerpt(&raw.body, secrets)).flatten(),
                    "Cognigy is in trouble; quote this in a support ticket"
                );
            }
            _ if raw.status.is_redirection() => error.detail = Some(problem::redirection(raw, secrets)),
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
