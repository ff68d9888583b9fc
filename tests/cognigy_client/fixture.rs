//! A simulator, a session to it, and what the session told.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, Once};
use std::time::Duration;

use cognigy_operator::cognigy::{
    Auth, BackoffType, BreakerConfig, CallObserver, CircuitState, ClientAuthentication, Code, Concurrency,
    HeaderValueText, Hosts, IntervalPolicy, Method, Read, Registration, Route, Session, SessionConfig, Status, Surface,
    TokenOutcome, Webhook, WebhookId,
};
use cognigy_simulator::{Options, Simulator};
use url::Url;

pub const TENANT: &str = "cx/production";

/// Everything that a session told, in order of each kind.
#[derive(Default)]
pub struct Told {
    pub calls: Mutex<Vec<(Route, Code)>>,
    pub tokens: Mutex<Vec<TokenOutcome>>,
    pub throttled: Mutex<Vec<String>>,
    pub circuit: Mutex<Vec<CircuitState>>,
    pub conflicts: Mutex<usize>,
}

impl CallObserver for Told {
    fn call(&self, tenant: &str, route: Route, code: Code, _: Duration) {
        assert_eq!(tenant, TENANT);
        self.calls.lock().unwrap().push((route, code));
    }

    fn token(&self, tenant: &str, outcome: TokenOutcome, _: Duration) {
        assert_eq!(tenant, TENANT);
        self.tokens.lock().unwrap().push(outcome);
    }

    fn throttled(&self, host: &str) {
        self.throttled.lock().unwrap().push(host.to_owned());
    }

    fn circuit(&self, _: &str, state: CircuitState) {
        self.circuit.lock().unwrap().push(state);
    }

    fn conflict(&self, _: &str) {
        *self.conflicts.lock().unwrap() += 1;
    }
}

/// A running simulator and what is needed to talk to it.
pub struct Fixture {
    pub sim: Simulator,
    pub hosts: Hosts,
    pub told: Arc<Told>,
}

impl Fixture {
    /// The documented installation.
    pub fn new() -> Self {
        Self::with(|_| {})
    }

    /// An installation with peculiarities.
    pub fn with(change: impl FnOnce(&mut Options)) -> Self {
        keep_tracing_awake();
        let mut options = Options::default();
        change(&mut options);
        Self { sim: Simulator::start(options).unwrap(), hosts: Hosts::new(), told: Arc::default() }
    }

    /// Where tokens are fetched.
    pub fn token_url(&self) -> Url {
        let base = self.sim.base_url();
        let prefix = base.path().trim_end_matches('/');
        base.join(&format!("{prefix}/oauth/token")).unwrap()
    }

    pub fn oauth2(&self, client_authentication: ClientAuthentication) -> Auth {
        let credentials = self.sim.credentials();
        Auth::OAuth2 {
            client_id: credentials.client_id.into(),
            client_secret: credentials.client_secret.into(),
            token_url: self.token_url(),
            client_authentication,
            scopes: [Surface::Integrations, Surface::Webhooks, Surface::BotWebhooks]
                .into_iter()
                .flat_map(Surface::scopes)
                .map(ToString::to_string)
                .collect(),
        }
    }

    pub fn config(&self) -> SessionConfig {
        SessionConfig {
            tenant: TENANT.into(),
            base_url: self.sim.base_url(),
            auth: self.oauth2(ClientAuthentication::Basic),
            ca_pem: None,
            requests_per_minute: 600_000,
            burst: 1000,
            max_concurrent_requests: 64,
            request_timeout: Duration::from_secs(20),
            breaker: BreakerConfig { failure_threshold: 100, open: Duration::from_mins(10) },
            concurrency: Concurrency::IfMatch,
        }
    }

    pub fn session(&self) -> Session {
        self.session_with(|_| {})
    }

    pub fn session_with(&self, change: impl FnOnce(&mut SessionConfig)) -> Session {
        let mut config = self.config();
        change(&mut config);
        Session::new(config, &self.hosts, self.told.clone()).unwrap()
    }

    /// A session that gives up soon: for servers that never answer.
    pub fn hasty_session(&self) -> Session {
        self.session_with(|config| config.request_timeout = Duration::from_millis(300))
    }

    pub fn calls(&self) -> Vec<(Route, Code)> {
        self.told.calls.lock().unwrap().clone()
    }

    pub fn tokens(&self) -> Vec<TokenOutcome> {
        self.told.tokens.lock().unwrap().clone()
    }

    /// Registers a webhook and reads it.
    pub async fn webhook(&self, session: &Session) -> (WebhookId, Webhook) {
        let id = session.register(&registration("orders", 1)).await.unwrap().value.integration.id;
        let webhook = read(session, &id).await;
        (id, webhook)
    }
}

pub async fn read(session: &Session, id: &WebhookId) -> Webhook {
    match session.get_webhook(id, None).await.unwrap().value {
        Read::Found(webhook) => webhook,
        Read::NotModified => panic!("an unconditional read found nothing new"),
    }
}

pub fn registration(name: &str, version: i64) -> Registration {
    Registration {
        name: name.into(),
        url: Url::parse("https://api.example.com/hooks/orders").unwrap(),
        method: Method::Post,
        headers: BTreeMap::from([("X-Environment".into(), HeaderValueText::plain("production").unwrap())]),
        payload_format: "application/json".into(),
        version,
        status: Status::Inactive,
    }
}

pub fn policy(id: &WebhookId) -> IntervalPolicy {
    IntervalPolicy {
        webhook_id: id.clone(),
        max_retries: 4,
        backoff_type: BackoffType::Exponential,
        intervals_ms: vec![1000, 2500, 6250, 15625],
        failure_threshold_percent: 15.0,
    }
}

/// Gives the process a subscriber that writes nowhere. Without one, a span that another test's thread meets first is cached as
/// "nobody listens", also for a test that does listen.
fn keep_tracing_awake() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(std::io::sink).init();
    });
}
