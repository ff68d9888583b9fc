//! The families with their names, labels, explanations and buckets.

use prometheus::{
    GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    core::Collector,
};

use super::PREFIX;

/// One family, as a reader of `/metrics` knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Family {
    /// Its name, with the prefix that all have.
    pub name: String,
    /// `counter`, `gauge` or `histogram`.
    pub kind: &'static str,
    /// Its labels, without those that Prometheus adds.
    pub labels: Vec<String>,
    /// What it says, with its unit.
    pub help: String,
}

/// Where families are registered, and what they are.
pub(super) struct Catalogue {
    pub(super) registry: Registry,
    pub(super) families: Vec<Family>,
}

/// What a collector's families are called in the Prometheus text form.
trait Kind {
    const KIND: &'static str;
}

impl Kind for IntCounterVec {
    const KIND: &'static str = "counter";
}

impl Kind for IntGauge {
    const KIND: &'static str = "gauge";
}

impl Kind for IntGaugeVec {
    const KIND: &'static str = "gauge";
}

impl Kind for GaugeVec {
    const KIND: &'static str = "gauge";
}

impl Kind for Histogram {
    const KIND: &'static str = "histogram";
}

impl Kind for HistogramVec {
    const KIND: &'static str = "histogram";
}

/// Calls to an outside API on the internet; the default time limit is 15 s, the longest 120 s.
const CALL_SECONDS: &[f64] = &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0];
/// A quiet pass takes milliseconds, one that registers a webhook a few calls.
const PASS_SECONDS: &[f64] = &[0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0];
/// From `kubectl apply` to Ready: seconds when all is well, up to a day for an endpoint that comes later.
const READY_SECONDS: &[f64] =
    &[0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 21600.0, 86400.0];
/// A health check is cut off after 30 s at the latest.
const CHECK_SECONDS: &[f64] = &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// The families that tell of a process, not of what it takes care of.
pub(super) const OF_THE_PROCESS: [&str; 5] =
    ["_build_info", "_leader", "_runtime_tasks", "_events_pending", "_objects_remembered"];

/// What is counted about calls to Cognigy.
#[derive(Clone, Debug)]
pub(super) struct Api {
    pub(super) requests: IntCounterVec,
    pub(super) request_duration: HistogramVec,
    pub(super) throttled: IntCounterVec,
    pub(super) rate_limit: GaugeVec,
    pub(super) waiting: IntGaugeVec,
    pub(super) success_ratio: GaugeVec,
    pub(super) circuit: IntGaugeVec,
    pub(super) token_requests: IntCounterVec,
    pub(super) conflicts: IntCounterVec,
}

impl Api {
    pub(super) fn new(r: &mut Catalogue) -> prometheus::Result<Self> {
        Ok(Self {
            requests: counter(
                r,
                "api_requests_total",
                "Calls sent to the Cognigy API, by tenant, route and answer (the HTTP status, or the kind of failure where there was no answer)",
                &["tenant", "route", "code"],
            )?,
            request_duration: histogram(
                r,
                "api_request_duration_seconds",
                "Time from sending a call to the Cognigy API until its answer was read, in seconds",
                CALL_SECONDS,
                &["route"],
            )?,
            throttled: counter(
                r,
                "api_throttled_total",
                "Answers 429 (too many requests) of the Cognigy API, by host and port",
                &["host"],
            )?,
            rate_limit: register(
                r,
                GaugeVec::new(
                    Opts::new(
                        "api_rate_limit_per_minute",
                        "Requests per minute that the operator allows itself towards a host: the smallest limit of the tenants that share it, lowered for a while after 429 answers",
                    ),
                    &["host"],
                )?,
            )?,
            waiting: gauge(
                r,
                "api_requests_waiting",
                "Calls that the rate limit of a host, or a pause after a 429, holds back at this moment",
                &["host"],
            )?,
            success_ratio: register(
                r,
                GaugeVec::new(
                    Opts::new(
                        "api_success_ratio",
                        "Share of a tenant's calls that succeeded in the 15 minutes up to the latest one, 0 to 1; appears with the first call",
                    ),
                    &["tenant"],
                )?,
            )?,
            circuit: gauge(
                r,
                "api_circuit_state",
                "Circuit breaker of a tenant: 0 closed, 1 half-open, 2 open; appears with the tenant's first connection",
                &["tenant"],
            )?,
            token_requests: counter(
                r,
                "token_requests_total",
                "OAuth2 token requests, by tenant and outcome",
                &["tenant", "outcome"],
            )?,
            conflicts: counter(
                r,
                "conflicts_total",
                "Writes that Cognigy refused because the object had changed (409 or 412)",
                &["tenant"],
            )?,
        })
    }
}

/// What is counted about the operator's own work.
#[derive(Clone, Debug)]
pub(super) struct Work {
    pub(super) reconciles: IntCounterVec,
    pub(super) reconcile_duration: HistogramVec,
    pub(super) time_to_ready: HistogramVec,
    pub(super) drift: IntCounterVec,
    pub(super) leader: IntGauge,
    pub(super) runtime_tasks: IntGauge,
    pub(super) events_pending: IntGauge,
    pub(super) objects_remembered: IntGauge,
}

impl Work {
    pub(super) fn new(r: &mut Catalogue) -> prometheus::Result<Self> {
        Ok(Self {
            reconciles: counter(
                r,
                "reconciles_total",
                "Reconcile passes, by kind and outcome: ok, or error where Kubernetes itself failed",
                &["kind", "outcome"],
            )?,
            reconcile_duration: histogram(
                r,
                "reconcile_duration_seconds",
                "Duration of a reconcile pass, waiting for Cognigy included, in seconds",
                PASS_SECONDS,
                &["kind"],
            )?,
            time_to_ready: histogram(
                r,
                "time_to_ready_seconds",
                "Time from the creation of a webhook until it was Ready for the first time, in seconds",
                READY_SECONDS,
                &["kind"],
            )?,
            drift: counter(r, "drift_total", "Differences found between a spec and what Cognigy holds", &["tenant"])?,
            leader: register(
                r,
                IntGauge::new(
                    "leader",
                    "1 if this replica does the work, 0 if it stands by; without leader election always 1",
                )?,
            )?,
            runtime_tasks: register(
                r,
                IntGauge::new("runtime_tasks", "Tasks of the process that are alive; level over weeks")?,
            )?,
            events_pending: register(
                r,
                IntGauge::new("events_pending", "Events that wait to be written to Kubernetes")?,
            )?,
            objects_remembered: register(
                r,
                IntGauge::new(
                    "objects_remembered",
                    "Objects of which something is remembered between passes: at most as many as there are",
                )?,
            )?,
        })
    }
}

/// What is counted about messages to the user's own systems.
#[derive(Clone, Debug)]
pub(super) struct Outbox {
    pub(super) pending: IntGaugeVec,
    pub(super) deliveries: IntCounterVec,
    pub(super) dropped: IntCounterVec,
    pub(super) exhausted: IntCounterVec,
}

impl Outbox {
    pub(super) fn new(r: &mut Catalogue) -> prometheus::Result<Self> {
        Ok(Self {
            pending: gauge(
                r,
                "outbox_pending",
                "Messages that wait for a sink to accept them: monitoring, alerts or deadLetter",
                &["sink"],
            )?,
            deliveries: counter(
                r,
                "outbox_deliveries_total",
                "Tries to deliver a message, by sink and outcome (delivered or failed)",
                &["sink", "outcome"],
            )?,
            dropped: counter(
                r,
                "outbox_dropped_total",
                "Best-effort messages that found the queue of their tenant full and were given up",
                &["sink"],
            )?,
            exhausted: counter(
                r,
                "retries_exhausted_total",
                "Changes of webhooks that used up their attempts, by tenant",
                &["tenant"],
            )?,
        })
    }
}

/// What is told about all objects together; about each of them: objects.rs.
#[derive(Clone, Debug)]
pub(super) struct State {
    pub(super) webhooks: IntGaugeVec,
    pub(super) webhook_health_latency: Histogram,
}

impl State {
    pub(super) fn new(r: &mut Catalogue) -> prometheus::Result<Self> {
        Ok(Self {
            webhooks: gauge(
                r,
                "webhooks",
                "Webhooks of a tenant, by their state in Cognigy; Unregistered where there is none yet",
                &["tenant", "state"],
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
        })
    }
}

/// Which build runs.
pub(super) fn build_info(r: &mut Catalogue) -> prometheus::Result<()> {
    let build_info = register(
        r,
        IntGaugeVec::new(
            Opts::new("build_info", "Always 1; the labels say which build of the operator runs"),
            &["version"],
        )?,
    )?;
    build_info.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
    Ok(())
}

fn register<C: Collector + Kind + Clone + 'static>(catalogue: &mut Catalogue, collector: C) -> prometheus::Result<C> {
    catalogue.registry.register(Box::new(collector.clone()))?;
    catalogue.families.extend(collector.desc().into_iter().map(|family| Family {
        name: format!("{PREFIX}_{}", family.fq_name),
        kind: C::KIND,
        labels: family.variable_labels.clone(),
        help: family.help.clone(),
    }));
    Ok(collector)
}

fn counter(catalogue: &mut Catalogue, name: &str, help: &str, labels: &[&str]) -> prometheus::Result<IntCounterVec> {
    register(catalogue, IntCounterVec::new(Opts::new(name, help), labels)?)
}

fn gauge(catalogue: &mut Catalogue, name: &str, help: &str, labels: &[&str]) -> prometheus::Result<IntGaugeVec> {
    register(catalogue, IntGaugeVec::new(Opts::new(name, help), labels)?)
}

fn histogram(
    catalogue: &mut Catalogue,
    name: &str,
    help: &str,
    buckets: &[f64],
    labels: &[&str],
) -> prometheus::Result<HistogramVec> {
    register(catalogue, HistogramVec::new(HistogramOpts::new(name, help).buckets(buckets.to_vec()), labels)?)
}
