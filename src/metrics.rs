//! The Prometheus figures of one operator process: names and labels of docs/resources.md, «Names that dashboards and
//! scripts use».
//!
//! Counters and histograms live as long as the process. What tells the *state* of an object is kept with the object's
//! key, so that [`Metrics::forget`] makes all of it vanish.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use prometheus::{
    GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    TextEncoder, core::Collector,
};

const PREFIX: &str = "cognigy_operator";
/// Calls to an outside API on the internet; the default time limit is 15 s, the longest 120 s.
const CALL_SECONDS: &[f64] = &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0];
/// A quiet pass takes milliseconds, one that registers a webhook a few calls.
const PASS_SECONDS: &[f64] = &[0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0];
/// From `kubectl apply` to Ready: seconds when all is well, up to a day for an endpoint that comes later.
const READY_SECONDS: &[f64] =
    &[0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 21600.0, 86400.0];
/// A health check is cut off after 30 s at the latest.
const CHECK_SECONDS: &[f64] = &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// All metric families of the operator; cheap to clone, every clone is the same set.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Registry,
    api_requests: IntCounterVec,
    api_request_duration: HistogramVec,
    api_throttled: IntCounterVec,
    api_rate_limit: GaugeVec,
    api_circuit: IntGaugeVec,
    token_requests: IntCounterVec,
    reconciles: IntCounterVec,
    reconcile_duration: HistogramVec,
    time_to_ready: HistogramVec,
    resource_condition: IntGaugeVec,
    webhooks: IntGaugeVec,
    webhook_health: IntGaugeVec,
    webhook_health_latency: Histogram,
    webhook_certificate_expiry: IntGaugeVec,
    conflicts: IntCounterVec,
    drift: IntCounterVec,
    leader: IntGauge,
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
}

impl Metrics {
    /// A fresh set in a registry of its own, with `build_info` and `leader` already there. The error is that of two
    /// families with one name, which is a fault of this file.
    pub fn new() -> prometheus::Result<Self> {
        let registry = Registry::new_custom(Some(PREFIX.to_owned()), None)?;
        let r = &registry;
        let build_info = register(
            r,
            IntGaugeVec::new(
                Opts::new("build_info", "Always 1; the labels say which build of the operator runs"),
                &["version"],
            )?,
        )?;
        build_info.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        Ok(Self {
            api_requests: counter(
                r,
                "api_requests_total",
                "Calls sent to the Cognigy API, by tenant, route and answer (the HTTP status, or the kind of failure where there was no answer)",
                &["tenant", "route", "code"],
            )?,
            api_request_duration: histogram(
                r,
                "api_request_duration_seconds",
                "Time from sending a call to the Cognigy API until its answer was read, in seconds",
                CALL_SECONDS,
                &["route"],
            )?,
            api_throttled: counter(
                r,
                "api_throttled_total",
                "Answers 429 (too many requests) of the Cognigy API, by host and port",
                &["host"],
            )?,
            api_rate_limit: register(
                r,
                GaugeVec::new(
                    Opts::new(
                        "api_rate_limit_per_minute",
                        "Requests per minute that the operator allows itself towards a host: the smallest limit of the tenants that share it",
                    ),
                    &["host"],
                )?,
            )?,
            api_circuit: gauge(
                r,
                "api_circuit_state",
                "Circuit breaker of a tenant: 0 closed, 1 half-open, 2 open",
                &["tenant"],
            )?,
            token_requests: counter(
                r,
                "token_requests_total",
                "OAuth2 token requests, by tenant and outcome",
                &["tenant", "outcome"],
            )?,
            reconciles: counter(r, "reconciles_total", "Reconcile passes, by kind and outcome", &["kind", "outcome"])?,
            reconcile_duration: histogram(
                r,
                "reconcile_duration_seconds",
                "Duration of a reconcile pass, in seconds",
                PASS_SECONDS,
                &["kind"],
            )?,
            time_to_ready: histogram(
                r,
                "time_to_ready_seconds",
                "Time from the creation of an object until it was Ready for the first time, in seconds",
                READY_SECONDS,
                &["kind"],
            )?,
            resource_condition: gauge(
                r,
                "resource_condition",
                "1 for each condition of an object and the status that it has now",
                &["kind", "namespace", "name", "type", "status"],
            )?,
            webhooks: gauge(
                r,
                "webhooks",
                "Webhooks of a tenant, by their state in Cognigy; Unregistered where there is none yet",
                &["tenant", "state"],
            )?,
            webhook_health: gauge(
                r,
                "webhook_health",
                "Result of the last health check of a webhook's URL: 1 passing, 0 failing",
                &["namespace", "name"],
            )?,
            webhook_health_latency: register(
                r,
                Histogram::with_opts(
                    HistogramOpts::new(
                        "webhook_health_latency_seconds",
                        "Latency of the health checks of all webhooks' URLs, in seconds",
                    )
                    .buckets(CHECK_SECONDS.to_vec()),
                )?,
            )?,
            webhook_certificate_expiry: gauge(
                r,
                "webhook_certificate_expiry_timestamp_seconds",
                "When the certificate of a webhook's URL expires, in seconds since the Unix epoch",
                &["namespace", "name"],
            )?,
            conflicts: counter(
                r,
                "conflicts_total",
                "Writes that Cognigy refused because the object had changed (409 or 412)",
                &["tenant"],
            )?,
            drift: counter(r, "drift_total", "Differences found between a spec and what Cognigy holds", &["tenant"])?,
            leader: register(
                r,
                IntGauge::new(
                    "leader",
                    "1 if this replica does the work, 0 if it stands by; without leader election always 1",
                )?,
            )?,
            objects: Arc::default(),
            registry,
        })
    }

    /// The Prometheus text form (version 0.0.4) of everything.
    pub fn render(&self) -> prometheus::Result<String> {
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }

    /// One call to the Cognigy API: `tenant` is `namespace/name`, `route` the path's template, `code` the HTTP status or
    /// the kind of failure.
    pub fn call(&self, tenant: &str, route: &str, code: &str, elapsed: Duration) {
        self.api_requests.with_label_values(&[tenant, route, code]).inc();
        self.api_request_duration.with_label_values(&[route]).observe(elapsed.as_secs_f64());
    }

    /// One token request of a tenant.
    pub fn token(&self, tenant: &str, outcome: &str) {
        self.token_requests.with_label_values(&[tenant, outcome]).inc();
    }

    /// An answer 429 from `host` (with its port).
    pub fn throttled(&self, host: &str) {
        self.api_throttled.with_label_values(&[host]).inc();
    }

    /// The rate that holds for `host` (with its port) now; `None` when no tenant uses it any more.
    pub fn rate_limit(&self, host: &str, per_minute: Option<f64>) {
        match per_minute {
            Some(rate) => self.api_rate_limit.with_label_values(&[host]).set(rate),
            None => drop(self.api_rate_limit.remove_label_values(&[host])),
        }
    }

    /// The circuit breaker of a tenant has the state `state` now.
    pub fn circuit(&self, tenant: &str, state: CircuitState) {
        self.api_circuit.with_label_values(&[tenant]).set(state as i64);
    }

    /// A write was refused with 409 or 412.
    pub fn conflict(&self, tenant: &str) {
        self.conflicts.with_label_values(&[tenant]).inc();
    }

    /// A difference between spec and Cognigy was found.
    pub fn drift(&self, tenant: &str) {
        self.drift.with_label_values(&[tenant]).inc();
    }

    /// A reconcile pass ended. The outcomes are a closed set, hence `'static`: no text of an error may become a label.
    pub fn reconcile(&self, kind: &str, outcome: &'static str, elapsed: Duration) {
        self.reconciles.with_label_values(&[kind, outcome]).inc();
        self.reconcile_duration.with_label_values(&[kind]).observe(elapsed.as_secs_f64());
    }

    /// An object became Ready for the first time, `elapsed` after its creation.
    pub fn time_to_ready(&self, kind: &str, elapsed: Duration) {
        self.time_to_ready.with_label_values(&[kind]).observe(elapsed.as_secs_f64());
    }

    /// The conditions that an object has now; those of before that are not among them vanish.
    pub fn conditions(&self, kind: &str, namespace: &str, name: &str, conditions: &[Condition]) {
        let now: BTreeSet<_> = conditions.iter().map(|c| (c.type_.clone(), c.status.clone())).collect();
        let mut objects = self.objects();
        let shown = &mut objects.entry(Key::new(kind, namespace, name)).or_default().conditions;
        for (type_, status) in shown.difference(&now) {
            // What is not there need not be removed; nothing else can be wrong with a fixed set of labels.
            let _ = self.resource_condition.remove_label_values(&[kind, namespace, name, type_, status]);
        }
        for (type_, status) in &now {
            self.resource_condition.with_label_values(&[kind, namespace, name, type_, status]).set(1);
        }
        *shown = now;
    }

    /// The state in Cognigy of a webhook (an object of `kind`); `None` while nothing is registered.
    pub fn webhook(&self, kind: &str, namespace: &str, name: &str, tenant: &str, state: Option<&str>) {
        let now = (tenant.to_owned(), state.unwrap_or("Unregistered").to_owned());
        let mut objects = self.objects();
        let before = &mut objects.entry(Key::new(kind, namespace, name)).or_default().webhook;
        if before.as_ref() != Some(&now) {
            self.count_webhook(before.as_ref(), Some(&now));
            *before = Some(now);
        }
    }

    /// A health check of a webhook's URL: its result, and how long the answer took where there was one.
    pub fn health(&self, namespace: &str, name: &str, passing: bool, latency: Option<Duration>) {
        self.webhook_health.with_label_values(&[namespace, name]).set(passing.into());
        if let Some(latency) = latency {
            self.webhook_health_latency.observe(latency.as_secs_f64());
        }
    }

    /// When the certificate that a webhook's URL showed expires.
    pub fn certificate(&self, namespace: &str, name: &str, expires: jiff::Timestamp) {
        self.webhook_certificate_expiry.with_label_values(&[namespace, name]).set(expires.as_second());
    }

    /// Whether this replica does the work.
    pub fn leader(&self, leads: bool) {
        self.leader.set(leads.into());
    }

    /// The object is gone: so are its state metrics.
    pub fn forget(&self, kind: &str, namespace: &str, name: &str) {
        let mut objects = self.objects();
        if let Some(shown) = objects.remove(&Key::new(kind, namespace, name)) {
            for (type_, status) in &shown.conditions {
                let _ = self.resource_condition.remove_label_values(&[kind, namespace, name, type_, status]);
            }
            if shown.webhook.is_some() {
                self.count_webhook(shown.webhook.as_ref(), None);
                let _ = self.webhook_health.remove_label_values(&[namespace, name]);
                let _ = self.webhook_certificate_expiry.remove_label_values(&[namespace, name]);
            }
        }
    }

    /// The tenant is gone: so is the state of its connection (its counters stay, as counters must).
    pub fn forget_tenant(&self, tenant: &str) {
        let _ = self.api_circuit.remove_label_values(&[tenant]);
    }

    fn count_webhook(&self, before: Option<&(String, String)>, now: Option<&(String, String)>) {
        if let Some((tenant, state)) = now {
            self.webhooks.with_label_values(&[tenant, state]).inc();
        }
        if let Some((tenant, state)) = before {
            let count = self.webhooks.with_label_values(&[tenant, state]);
            count.dec();
            if count.get() == 0 {
                let _ = self.webhooks.remove_label_values(&[tenant, state]);
            }
        }
    }

    fn objects(&self) -> MutexGuard<'_, BTreeMap<Key, Shown>> {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A circuit breaker's state with the figure that dashboards know it by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CircuitState {
    /// Calls go out.
    Closed = 0,
    /// One call is let through to see whether the API is back.
    HalfOpen = 1,
    /// No calls go out.
    Open = 2,
}

impl Key {
    fn new(kind: &str, namespace: &str, name: &str) -> Self {
        Self { kind: kind.to_owned(), namespace: namespace.to_owned(), name: name.to_owned() }
    }
}

fn register<C: Collector + Clone + 'static>(registry: &Registry, family: C) -> prometheus::Result<C> {
    registry.register(Box::new(family.clone()))?;
    Ok(family)
}

fn counter(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> prometheus::Result<IntCounterVec> {
    register(registry, IntCounterVec::new(Opts::new(name, help), labels)?)
}

fn gauge(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> prometheus::Result<IntGaugeVec> {
    register(registry, IntGaugeVec::new(Opts::new(name, help), labels)?)
}

fn histogram(
    registry: &Registry,
    name: &str,
    help: &str,
    buckets: &[f64],
    labels: &[&str],
) -> prometheus::Result<HistogramVec> {
    register(registry, HistogramVec::new(HistogramOpts::new(name, help).buckets(buckets.to_vec()), labels)?)
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
        metrics.call("cx/production", "/api/v1/integrations", "201", second);
        metrics.token("cx/production", "issued");
        metrics.throttled("api.example.com:443");
        metrics.rate_limit("api.example.com:443", Some(180.0));
        metrics.circuit("cx/production", CircuitState::HalfOpen);
        metrics.conflict("cx/production");
        metrics.drift("cx/production");
        metrics.reconcile("CognigyWebhook", "ok", second);
        metrics.time_to_ready("CognigyWebhook", second);
        metrics.conditions("CognigyWebhook", "cx", "orders", &[condition("Ready", "True")]);
        metrics.webhook("CognigyWebhook", "cx", "orders", "cx/production", Some("Active"));
        metrics.health("cx", "orders", true, Some(second));
        metrics.certificate("cx", "orders", jiff::Timestamp::UNIX_EPOCH);
        metrics.leader(true);
        metrics
    }

    #[test]
    fn all_documented_names_and_labels_exist() {
        let text = all_used().render().unwrap();
        for series in [
            r#"api_requests_total{code="201",route="/api/v1/integrations",tenant="cx/production"} 1"#,
            r#"api_request_duration_seconds_count{route="/api/v1/integrations"} 1"#,
            r#"api_throttled_total{host="api.example.com:443"} 1"#,
            r#"api_rate_limit_per_minute{host="api.example.com:443"} 180"#,
            r#"api_circuit_state{tenant="cx/production"} 1"#,
            r#"token_requests_total{outcome="issued",tenant="cx/production"} 1"#,
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
            "leader 1",
            concat!(r#"build_info{version=""#, env!("CARGO_PKG_VERSION"), r#""} 1"#),
        ] {
            assert!(text.lines().any(|line| line == format!("cognigy_operator_{series}")), "{series}\n{text}");
        }
    }

    #[test]
    fn counters_end_with_total_histograms_with_their_unit_and_every_family_explains_itself() {
        for family in all_used().registry.gather() {
            let (name, type_) = (family.name(), format!("{:?}", family.type_()));
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
        metrics.webhook("CognigyWebhook", "cx", "refunds", "cx/production", Some("Active"));
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
    fn webhooks_are_counted_by_the_state_they_have_now() {
        let metrics = Metrics::new().unwrap();
        metrics.webhook("CognigyWebhook", "cx", "orders", "cx/production", None);
        assert!(metrics.render().unwrap().contains(r#"webhooks{state="Unregistered",tenant="cx/production"} 1"#));
        metrics.webhook("CognigyWebhook", "cx", "orders", "cx/production", Some("Inactive"));
        metrics.webhook("CognigyWebhook", "cx", "orders", "cx/production", Some("Inactive"));
        let text = metrics.render().unwrap();
        assert!(text.contains(r#"webhooks{state="Inactive",tenant="cx/production"} 1"#), "{text}");
        assert!(!text.contains("Unregistered\""), "{text}");
    }
}
