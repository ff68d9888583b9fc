//! The Prometheus figures of one operator process: names and labels of docs/resources.md, «Names that dashboards and
//! scripts use».
//!
//! Counters and histograms live as long as the process. What tells the *state* of an object is kept with the object's
//! key, so that [`Metrics::forget`] makes all of it vanish.

mod families;
mod objects;

use std::{
    fmt,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::Resource as _;
use prometheus::{Registry, TextEncoder};

pub use self::families::Family;
use self::{
    families::{Api, Catalogue, Outbox, State, Work},
    objects::{Key, Objects},
};
use crate::{
    api::CognigyWebhook,
    cognigy::{CallObserver, CircuitState, Code, Route, TokenOutcome},
};

const PREFIX: &str = "cognigy_operator";

/// All metric families of the operator; cheap to clone, every clone is the same set.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Registry,
    families: Arc<[Family]>,
    api: Api,
    work: Work,
    outbox: Outbox,
    state: State,
    stands_by: Arc<AtomicBool>,
    objects: Objects,
    look: Look,
}

/// What looks at the process each time that somebody asks for its figures.
#[derive(Clone, Default)]
struct Look(Arc<OnceLock<LookAt>>);

type LookAt = Box<dyn Fn(&Metrics) + Send + Sync>;

impl fmt::Debug for Look {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Look")
    }
}

impl Metrics {
    /// A fresh set in a registry of its own, with `build_info` and `leader` already there. The error is that of two
    /// families with one name, which is a fault of this file.
    pub fn new() -> prometheus::Result<Self> {
        let registry = Registry::new_custom(Some(PREFIX.to_owned()), None)?;
        let mut catalogue = Catalogue { registry, families: Vec::new() };
        families::build_info(&mut catalogue)?;
        Ok(Self {
            api: Api::new(&mut catalogue)?,
            work: Work::new(&mut catalogue)?,
            outbox: Outbox::new(&mut catalogue)?,
            state: State::new(&mut catalogue)?,
            stands_by: Arc::default(),
            objects: Objects::default(),
            look: Look::default(),
            families: catalogue.families.into_iter().chain(objects::families()).collect(),
            registry: catalogue.registry,
        })
    }

    /// Every family, also those of which nothing is exposed yet.
    pub fn families(&self) -> &[Family] {
        &self.families
    }

    /// The Prometheus text form (version 0.0.4) of everything. Of a standby only what tells of its process: it sees the same objects
    /// as the leader, and whoever adds up all replicas would count them twice.
    pub fn render(&self) -> prometheus::Result<String> {
        if let Some(look) = self.look.0.get() {
            look(self);
        }
        let mut families = self.registry.gather();
        let stands_by = self.stands_by.load(Ordering::Relaxed);
        if stands_by {
            families.retain(|family| families::OF_THE_PROCESS.iter().any(|name| family.name().ends_with(name)));
        }
        let mut text = TextEncoder::new().encode_to_string(&families)?;
        if !stands_by {
            self.objects.render(&mut text);
        }
        Ok(text)
    }

    /// Has `look` set the figures that nobody is told of, from now on, each time before they are shown. Only the first one counts: there
    /// is one process.
    pub fn before_each_look(&self, look: impl Fn(&Self) + Send + Sync + 'static) {
        let _ = self.look.0.set(Box::new(look));
    }

    /// The rate that holds for `host` (with its port) now; `None` when no tenant uses it any more.
    pub fn rate_limit(&self, host: &str, per_minute: Option<f64>) {
        match per_minute {
            Some(rate) => {
                self.api.rate_limit.with_label_values(&[host]).set(rate);
                self.api.throttled.with_label_values(&[host]);
            }
            None => drop(self.api.rate_limit.remove_label_values(&[host])),
        }
    }

    /// How many calls the limit of `host` (with its port) holds back now; `None` when no tenant uses it any more.
    pub fn requests_waiting(&self, host: &str, count: Option<usize>) {
        match count {
            Some(count) => self.api.waiting.with_label_values(&[host]).set(figure(count)),
            None => drop(self.api.waiting.remove_label_values(&[host])),
        }
    }

    /// The share (0 to 1) of a tenant's calls that succeeded lately; `None` when the tenant is gone.
    pub fn success_ratio(&self, tenant: &str, ratio: Option<f64>) {
        match ratio {
            Some(ratio) => self.api.success_ratio.with_label_values(&[tenant]).set(ratio),
            None => drop(self.api.success_ratio.remove_label_values(&[tenant])),
        }
    }

    /// A tenant is there: what is counted for it stands at 0 before the first time, since Prometheus sees no increase in a
    /// counter that appears with its first count.
    pub fn tenant(&self, tenant: &str) {
        for counter in [&self.work.drift, &self.api.conflicts, &self.outbox.exhausted] {
            counter.with_label_values(&[tenant]);
        }
    }

    /// A difference between spec and Cognigy was found.
    pub fn drift(&self, tenant: &str) {
        self.work.drift.with_label_values(&[tenant]).inc();
    }

    /// How many tasks of the runtime are alive.
    pub fn runtime_tasks(&self, count: usize) {
        self.work.runtime_tasks.set(figure(count));
    }

    /// How many Events wait to be written.
    pub fn events_pending(&self, count: usize) {
        self.work.events_pending.set(figure(count));
    }

    /// Of how many objects something is remembered between passes.
    pub fn objects_remembered(&self, count: usize) {
        self.work.objects_remembered.set(figure(count));
    }

    /// A reconcile pass ended, with a verdict or by a failure of Kubernetes. No text of an error becomes a label.
    pub fn reconcile(&self, kind: &str, told: bool, elapsed: Duration) {
        let [ok, error] = ["ok", "error"].map(|outcome| self.work.reconciles.with_label_values(&[kind, outcome]));
        if told { ok } else { error }.inc();
        self.work.reconcile_duration.with_label_values(&[kind]).observe(elapsed.as_secs_f64());
    }

    /// An object became Ready for the first time, `elapsed` after its creation.
    pub fn time_to_ready(&self, kind: &str, elapsed: Duration) {
        self.work.time_to_ready.with_label_values(&[kind]).observe(elapsed.as_secs_f64());
    }

    /// The conditions that an object has now; those of before that are not among them vanish.
    pub fn conditions(&self, kind: &str, namespace: &str, name: &str, conditions: &[Condition]) {
        self.objects.lock().entry(Key::new(kind, namespace, name)).or_default().tell(conditions);
    }

    /// The state in Cognigy of a webhook; `None` while nothing is registered.
    pub fn webhook(&self, namespace: &str, name: &str, tenant: &str, state: Option<&str>) {
        let now = (tenant.to_owned(), state.unwrap_or("Unregistered").to_owned());
        let mut objects = self.objects.lock();
        let before = &mut objects.entry(webhook(namespace, name)).or_default().counted;
        if before.as_ref() != Some(&now) {
            self.count_webhook(before.as_ref(), Some(&now));
            *before = Some(now);
        }
    }

    /// A health check of a webhook's URL: its result, and how long the answer took where there was one.
    pub fn health(&self, namespace: &str, name: &str, passing: bool, latency: Option<Duration>) {
        {
            let mut objects = self.objects.lock();
            let shown = objects.entry(webhook(namespace, name)).or_default();
            (shown.passing, shown.checked) = (Some(passing), true);
        }
        if let Some(latency) = latency {
            self.state.webhook_health_latency.observe(latency.as_secs_f64());
        }
    }

    /// What a webhook's status tells of its health, until a check of this process is newer: a status does not tell of each
    /// check. `None` where none is told (any more).
    pub fn health_as_told(
        &self,
        namespace: &str,
        name: &str,
        passing: Option<bool>,
        certificate_expires: Option<jiff::Timestamp>,
    ) {
        let mut objects = self.objects.lock();
        let shown = objects.entry(webhook(namespace, name)).or_default();
        if passing.is_none() {
            (shown.passing, shown.checked, shown.expires) = (None, false, None);
        } else if !shown.checked {
            shown.passing = passing;
            shown.expires = certificate_expires.map(jiff::Timestamp::as_second).or(shown.expires);
        }
    }

    /// When the certificate that a webhook's URL showed expires.
    pub fn certificate(&self, namespace: &str, name: &str, expires: jiff::Timestamp) {
        self.objects.lock().entry(webhook(namespace, name)).or_default().expires = Some(expires.as_second());
    }

    /// There are sinks of this kind, and tries to deliver end in one of these ways: all of it stands at 0 before the first
    /// message. A dashboard tells nothing from not known.
    pub fn outbox_sink(&self, sink: &str, outcomes: &[&'static str]) {
        self.outbox_pending(sink, 0);
        self.outbox.dropped.with_label_values(&[sink]);
        for outcome in outcomes {
            self.outbox.deliveries.with_label_values(&[sink, outcome]);
        }
    }

    /// How many messages wait for sinks of this kind now.
    pub fn outbox_pending(&self, sink: &str, count: usize) {
        self.outbox.pending.with_label_values(&[sink]).set(figure(count));
    }

    /// A try to deliver a message ended.
    pub fn outbox_delivery(&self, sink: &str, outcome: &'static str) {
        self.outbox.deliveries.with_label_values(&[sink, outcome]).inc();
    }

    /// A best-effort message was given up.
    pub fn outbox_dropped(&self, sink: &str) {
        self.outbox.dropped.with_label_values(&[sink]).inc();
    }

    /// A change of one of the tenant's webhooks used up its attempts.
    pub fn retries_exhausted(&self, tenant: &str) {
        self.outbox.exhausted.with_label_values(&[tenant]).inc();
    }

    /// Whether this replica does the work.
    pub fn leader(&self, leads: bool) {
        self.work.leader.set(leads.into());
        self.stands_by.store(!leads, Ordering::Relaxed);
    }

    /// The object is gone: so are its state metrics.
    pub fn forget(&self, kind: &str, namespace: &str, name: &str) {
        if let Some(shown) = self.objects.lock().remove(&Key::new(kind, namespace, name)) {
            self.count_webhook(shown.counted.as_ref(), None);
        }
    }

    /// The tenant is gone: so is the state of its connection (its counters stay, as counters must).
    pub fn forget_tenant(&self, tenant: &str) {
        let _ = self.api.circuit.remove_label_values(&[tenant]);
    }

    fn count_webhook(&self, before: Option<&(String, String)>, now: Option<&(String, String)>) {
        if let Some((tenant, state)) = now {
            self.state.webhooks.with_label_values(&[tenant, state]).inc();
        }
        if let Some((tenant, state)) = before {
            let count = self.state.webhooks.with_label_values(&[tenant, state]);
            count.dec();
            if count.get() == 0 {
                let _ = self.state.webhooks.remove_label_values(&[tenant, state]);
            }
        }
    }
}

fn webhook(namespace: &str, name: &str) -> Key {
    Key::new(&CognigyWebhook::kind(&()), namespace, name)
}

fn figure(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

impl CallObserver for Metrics {
    fn call(&self, tenant: &str, route: Route, code: Code, elapsed: Duration) {
        self.api.requests.with_label_values(&[tenant, route.as_str(), &code.to_string()]).inc();
        self.api.request_duration.with_label_values(&[route.as_str()]).observe(elapsed.as_secs_f64());
    }

    fn token(&self, tenant: &str, outcome: TokenOutcome, _: Duration) {
        self.api.token_requests.with_label_values(&[tenant, outcome.as_str()]).inc();
    }

    fn throttled(&self, host: &str) {
        self.api.throttled.with_label_values(&[host]).inc();
    }

    fn circuit(&self, tenant: &str, state: CircuitState) {
        let figure = match state {
            CircuitState::Closed => 0,
            CircuitState::HalfOpen => 1,
            CircuitState::Open => 2,
        };
        self.api.circuit.with_label_values(&[tenant]).set(figure);
    }

    fn conflict(&self, tenant: &str) {
        self.api.conflicts.with_label_values(&[tenant]).inc();
    }
}

#[cfg(test)]
mod tests;
