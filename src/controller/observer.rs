//! Told of every call to Cognigy: counts it, and has the tenant look again when its circuit changes or its figures become
//! misleading.

use std::{sync::Arc, time::Duration};

use super::{figures::Figures, triggers::Triggers};
use crate::{
    api::ObjectKey,
    cognigy::{CallObserver, CircuitState, Code, Route, TokenOutcome},
    metrics::Metrics,
};

/// Counts calls and passes on what the tenant should show.
pub struct Observer {
    /// What is counted.
    pub metrics: Metrics,
    /// Success rate and latency of each tenant.
    pub figures: Arc<Figures>,
    /// How a tenant's pass is asked for.
    pub triggers: Arc<Triggers>,
}

impl Observer {
    fn ended(&self, tenant: &str, success: bool, elapsed: Duration) {
        let Some(key) = key(tenant) else { return };
        if self.figures.record(&key, success, elapsed) {
            self.triggers.recount([key], []);
        }
    }
}

/// The tenant that a label names.
fn key(label: &str) -> Option<ObjectKey> {
    label.split_once('/').map(|(namespace, name)| ObjectKey::new(namespace, name))
}

impl CallObserver for Observer {
    fn call(&self, tenant: &str, route: Route, code: Code, elapsed: Duration) {
        self.metrics.call(tenant, route, code, elapsed);
        self.ended(tenant, code.is_success(), elapsed);
        if let (Code::Status(429), Some(key)) = (code, key(tenant)) {
            self.figures.throttled(&key);
            self.triggers.tenant(key);
        }
    }

    fn token(&self, tenant: &str, outcome: TokenOutcome, elapsed: Duration) {
        self.metrics.token(tenant, outcome, elapsed);
        self.ended(tenant, outcome == TokenOutcome::Fetched, elapsed);
    }

    fn throttled(&self, host: &str) {
        self.metrics.throttled(host);
    }

    fn circuit(&self, tenant: &str, state: CircuitState) {
        self.metrics.circuit(tenant, state);
        if let Some(key) = key(tenant) {
            self.triggers.tenant(key);
        }
    }

    fn conflict(&self, tenant: &str) {
        self.metrics.conflict(tenant);
    }
}
