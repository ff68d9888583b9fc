//! The Prometheus figures of one operator process: names and labels of docs/resources.md, «Names that dashboards and
//! scripts use».
//!
//! Counters and histograms live as long as the process. What tells the *state* of an object is kept with the object's
//! key, so that [`Metrics::forget`] makes all of it vanish.

mod families;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::Resource as _;
use prometheus::{Registry, TextEncoder};

pub use self::families::Family;
use self::families::{Api, Catalogue, Outbox, State, Work};
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
    objects: Arc<Mutex<BTreeMap<Key, Shown>>>,
}

/// The object that a state metric speaks of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    kind: String,
    namespace: String,
    name: String,
}

/// What is exposed for one object now and has to be taken back when it changes or goes.
#[derive(Clone, Debug, Default)]
struct Shown {
    conditions: BTreeSet<(String, String)>,
    webhook: Option<(String, String)>,
    /// A check of this process is shown, which is newer than what the status tells.
    checked: bool,
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
            objects: Arc::default(),
            families: catalogue.families.into(),
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
        let mut families = self.registry.gather();
        if self.stands_by.load(Ordering::Relaxed) {
            families.retain(|family| families::OF_THE_PROCESS.iter().any(|name| family.name().ends_with(name)));
        }
        TextEncoder::new().encode_to_string(&families)
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
        let now: BTreeSet<_> = conditions.iter().map(|c| (c.type_.clone(), c.status.clone())).collect();
        let mut objects = self.objects();
        let shown = &mut objects.entry(Key::new(kind, namespace, name)).or_default().conditions;
        for (type_, status) in shown.difference(&now) {
            // What is not there need not be removed; nothing else can be wrong with a fixed set of labels.
            let _ = self.state.resource_condition.remove_label_values(&[kind, namespace, name, type_, status]);
        }
        for (type_, status) in &now {
            self.state.resource_condition.with_label_values(&[kind, namespace, name, type_, status]).set(1);
        }
        *shown = now;
    }

    /// The state in Cognigy of a webhook; `None` while nothing is registered.
    pub fn webhook(&self, namespace: &str, name: &str, tenant: &str, state: Option<&str>) {
        let now = (tenant.to_owned(), state.unwrap_or("Unregistered").to_owned());
        let mut objects = self.objects();
        let before = &mut objects.entry(Key::new(&CognigyWebhook::kind(&()), namespace, name)).or_default().webhook;
        if before.as_ref() != Some(&now) {
            self.count_webhook(before.as_ref(), Some(&now));
            *before = Some(now);
        }
    }

    /// A health check of a webhook's URL: its result, and how long the answer took where there was one.
    pub fn health(&self, namespace: &str, name: &str, passing: bool, latency: Option<Duration>) {
        self.state.webhook_health.with_label_values(&[namespace, name]).set(passing.into());
        self.objects().entry(Key::new(&CognigyWebhook::kind(&()), namespace, name)).or_default().checked = true;
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
        let mut objects = self.objects();
        let shown = objects.entry(Key::new(&CognigyWebhook::kind(&()), namespace, name)).or_default();
        let Some(passing) = passing else {
            shown.checked = false;
            self.forget_health(namespace, name);
            return;
        };
        if shown.checked {
            return;
        }
        self.state.webhook_health.with_label_values(&[namespace, name]).set(passing.into());
        if let Some(expires) = certificate_expires {
            self.certificate(namespace, name, expires);
        }
    }

    fn forget_health(&self, namespace: &str, name: &str) {
        let _ = self.state.webhook_health.remove_label_values(&[namespace, name]);
        let _ = self.state.webhook_certificate_expiry.remove_label_values(&[namespace, name]);
    }

    /// When the certificate that a webhook's URL showed expires.
    pub fn certificate(&self, namespace: &str, name: &str, expires: jiff::Timestamp) {
        self.state.webhook_certificate_expiry.with_label_values(&[namespace, name]).set(expires.as_second());
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
        let mut objects = self.objects();
        if let Some(shown) = objects.remove(&Key::new(kind, namespace, name)) {
            for (type_, status) in &shown.conditions {
                let _ = self.state.resource_condition.remove_label_values(&[kind, namespace, name, type_, status]);
            }
            self.count_webhook(shown.webhook.as_ref(), None);
        }
        if kind == CognigyWebhook::kind(&()) {
            self.forget_health(namespace, name);
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

    fn objects(&self) -> MutexGuard<'_, BTreeMap<Key, Shown>> {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }
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

impl Key {
    fn new(kind: &str, namespace: &str, name: &str) -> Self {
        Self { kind: kind.to_owned(), namespace: namespace.to_owned(), name: name.to_owned() }
    }
}

#[cfg(test)]
mod tests;
