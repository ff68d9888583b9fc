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

use self::families::{Api, Outbox, State, Work};
use crate::{
    api::CognigyWebhook,
    cognigy::{CallObserver, CircuitState, Code, Route, TokenOutcome},
};

const PREFIX: &str = "cognigy_operator";

/// All metric families of the operator; cheap to clone, every clone is the same set.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Registry,
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
        families::build_info(&registry)?;
        Ok(Self {
            api: Api::new(&registry)?,
            work: Work::new(&registry)?,
            outbox: Outbox::new(&registry)?,
            state: State::new(&registry)?,
            stands_by: Arc::default(),
            objects: Arc::default(),
            registry,
        })
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
            Some(rate) => self.api.rate_limit.with_label_values(&[host]).set(rate),
            None => drop(self.api.rate_limit.remove_label_values(&[host])),
        }
    }

    /// The share (0 to 1) of a tenant's calls that succeeded lately; `None` when the tenant is gone.
    pub fn success_ratio(&self, tenant: &str, ratio: Option<f64>) {
        match ratio {
            Some(ratio) => self.api.success_ratio.with_label_values(&[tenant]).set(ratio),
            None => drop(self.api.success_ratio.remove_label_values(&[tenant])),
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

    /// A reconcile pass ended. The outcomes are a closed set, hence `'static`: no text of an error may become a label.
    pub fn reconcile(&self, kind: &str, outcome: &'static str, elapsed: Duration) {
        self.work.reconciles.with_label_values(&[kind, outcome]).inc();
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

    /// How many messages wait for sinks of this kind now.
    pub fn outbox_pending(&self, sink: &str, count: usize) {
        self.outbox.pending.with_label_values(&[sink]).set(i64::try_from(count).unwrap_or(i64::MAX));
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
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

    use super::*;

    fn condition(type_: &str, status: &str) -> Condition {
        Condition {
            type_: type_.into(),
            status: status.into(),
            reason: "Because".into(),
            message: String::new(),
            observed_generation: Some(1),
            last_transition_time: Time(jiff::Timestamp::UNIX_EPOCH),
        }
    }

    fn all_used() -> Metrics {
        let metrics = Metrics::new().unwrap();
        let second = Duration::from_secs(1);
        metrics.call("cx/production", Route::CreateIntegration, Code::Status(201), second);
        metrics.token("cx/production", TokenOutcome::Fetched, second);
        metrics.success_ratio("cx/production", Some(0.5));
        metrics.throttled("api.example.com:443");
        metrics.rate_limit("api.example.com:443", Some(180.0));
        metrics.circuit("cx/production", CircuitState::HalfOpen);
        metrics.conflict("cx/production");
        metrics.drift("cx/production");
        metrics.reconcile("CognigyWebhook", "ok", second);
        metrics.time_to_ready("CognigyWebhook", second);
        metrics.conditions("CognigyWebhook", "cx", "orders", &[condition("Ready", "True")]);
        metrics.webhook("cx", "orders", "cx/production", Some("Active"));
        metrics.health("cx", "orders", true, Some(second));
        metrics.certificate("cx", "orders", jiff::Timestamp::UNIX_EPOCH);
        metrics.outbox_pending("alerts", 2);
        metrics.outbox_delivery("deadLetter", "failed");
        metrics.outbox_dropped("monitoring");
        metrics.retries_exhausted("cx/production");
        metrics.leader(true);
        metrics.runtime_tasks(7);
        metrics.events_pending(8);
        metrics.objects_remembered(9);
        metrics
    }

    #[test]
    fn all_documented_names_and_labels_exist() {
        let text = all_used().render().unwrap();
        for series in [
            r#"api_requests_total{code="201",route="create_integration",tenant="cx/production"} 1"#,
            r#"api_request_duration_seconds_count{route="create_integration"} 1"#,
            r#"api_throttled_total{host="api.example.com:443"} 1"#,
            r#"api_rate_limit_per_minute{host="api.example.com:443"} 180"#,
            r#"api_circuit_state{tenant="cx/production"} 1"#,
            r#"api_success_ratio{tenant="cx/production"} 0.5"#,
            r#"token_requests_total{outcome="fetched",tenant="cx/production"} 1"#,
            r#"reconciles_total{kind="CognigyWebhook",outcome="ok"} 1"#,
            r#"reconcile_duration_seconds_count{kind="CognigyWebhook"} 1"#,
            r#"time_to_ready_seconds_count{kind="CognigyWebhook"} 1"#,
            r#"resource_condition{kind="CognigyWebhook",name="orders",namespace="cx",status="True",type="Ready"} 1"#,
            r#"webhooks{state="Active",tenant="cx/production"} 1"#,
            r#"webhook_health{name="orders",namespace="cx"} 1"#,
            "webhook_health_latency_seconds_count 1",
            r#"webhook_certificate_expiry_timestamp_seconds{name="orders",namespace="cx"} 0"#,
            r#"conflicts_total{tenant="cx/production"} 1"#,
            r#"drift_total{tenant="cx/production"} 1"#,
            r#"outbox_pending{sink="alerts"} 2"#,
            r#"outbox_deliveries_total{outcome="failed",sink="deadLetter"} 1"#,
            r#"outbox_dropped_total{sink="monitoring"} 1"#,
            r#"retries_exhausted_total{tenant="cx/production"} 1"#,
            "leader 1",
            "runtime_tasks 7",
            "events_pending 8",
            "objects_remembered 9",
            concat!(r#"build_info{version=""#, env!("CARGO_PKG_VERSION"), r#""} 1"#),
        ] {
            assert!(text.lines().any(|line| line == format!("cognigy_operator_{series}")), "{series}\n{text}");
        }
    }

    #[test]
    fn counters_end_with_total_histograms_with_their_unit_and_every_family_explains_itself() {
        for family in all_used().registry.gather() {
            let (name, type_) = (family.name(), format!("{:?}", family.get_field_type()));
            assert!(family.help().len() > 20, "{name}: {}", family.help());
            match type_.to_lowercase().as_str() {
                "counter" => assert!(name.ends_with("_total"), "{name}"),
                "histogram" => assert!(name.ends_with("_seconds"), "{name}"),
                "gauge" => assert!(!name.ends_with("_total"), "{name}"),
                other => panic!("{name} is a {other}"),
            }
        }
    }

    #[test]
    fn a_standby_tells_of_its_process_only() {
        let metrics = all_used();
        metrics.leader(false);
        let text = metrics.render().unwrap();
        let names: BTreeSet<_> = text
            .lines()
            .filter(|line| !line.starts_with('#'))
            .filter_map(|line| line.split(['{', ' ']).next())
            .collect();
        let process = ["build_info", "events_pending", "leader", "objects_remembered", "runtime_tasks"];
        assert_eq!(
            names,
            process
                .iter()
                .map(|name| format!("{PREFIX}_{name}"))
                .collect::<Vec<_>>()
                .iter()
                .map(String::as_str)
                .collect()
        );
        metrics.leader(true);
        assert!(metrics.render().unwrap().contains("resource_condition{"));
    }

    #[test]
    fn a_condition_that_changed_is_shown_once_with_its_new_status() {
        let metrics = all_used();
        metrics.conditions(
            "CognigyWebhook",
            "cx",
            "orders",
            &[condition("Ready", "False"), condition("Stalled", "True")],
        );
        metrics.conditions("CognigyWebhook", "cx", "orders", &[condition("Ready", "False")]);
        let text = metrics.render().unwrap();
        let shown: Vec<_> = text.lines().filter(|l| l.starts_with("cognigy_operator_resource_condition{")).collect();
        assert_eq!(shown.len(), 1, "{shown:?}");
        assert!(shown[0].contains(r#"status="False",type="Ready""#), "{shown:?}");
    }

    #[test]
    fn state_metrics_vanish_with_their_object_and_leave_others_alone() {
        let metrics = all_used();
        metrics.webhook("cx", "refunds", "cx/production", Some("Active"));
        metrics.conditions("CognigyTenant", "cx", "orders", &[condition("Ready", "True")]);
        metrics.forget("CognigyWebhook", "cx", "orders");
        metrics.forget("CognigyWebhook", "cx", "never-seen");
        let text = metrics.render().unwrap();
        assert!(!text.contains(r#"name="orders",namespace="cx"} "#), "{text}");
        assert!(text.contains(r#"webhooks{state="Active",tenant="cx/production"} 1"#), "{text}");
        assert!(text.contains(r#"resource_condition{kind="CognigyTenant""#), "{text}");
        assert!(!text.contains(r#"resource_condition{kind="CognigyWebhook""#), "{text}");
    }

    #[test]
    fn a_status_does_not_hide_the_last_check_and_takes_back_what_it_no_longer_tells() {
        let metrics = Metrics::new().unwrap();
        let health = |metrics: &Metrics| {
            let text = metrics.render().unwrap();
            let line = text.lines().find(|line| line.starts_with("cognigy_operator_webhook_health{"));
            line.and_then(|line| line.rsplit_once(' ')).map(|(_, value)| value.to_owned())
        };
        metrics.health_as_told("cx", "orders", Some(true), None);
        assert_eq!(health(&metrics).as_deref(), Some("1"), "a restart shows what was told");
        metrics.health("cx", "orders", false, None);
        metrics.health_as_told("cx", "orders", Some(true), None);
        assert_eq!(health(&metrics).as_deref(), Some("0"));
        metrics.health_as_told("cx", "orders", None, None);
        assert_eq!(health(&metrics), None);
    }

    #[test]
    fn webhooks_are_counted_by_the_state_they_have_now() {
        let metrics = Metrics::new().unwrap();
        metrics.webhook("cx", "orders", "cx/production", None);
        assert!(metrics.render().unwrap().contains(r#"webhooks{state="Unregistered",tenant="cx/production"} 1"#));
        metrics.webhook("cx", "orders", "cx/production", Some("Inactive"));
        metrics.webhook("cx", "orders", "cx/production", Some("Inactive"));
        let text = metrics.render().unwrap();
        assert!(text.contains(r#"webhooks{state="Inactive",tenant="cx/production"} 1"#), "{text}");
        assert!(!text.contains("Unregistered\""), "{text}");
    }
}
