//! Told of every call to Cognigy: counts it, and has the tenant look again when its circuit changes.

use std::{sync::Arc, time::Duration};

use super::triggers::Triggers;
use crate::{
    api::ObjectKey,
    cognigy::{CallObserver, CircuitState, Code, Route, TokenOutcome},
    metrics::Metrics,
};

/// Counts calls and passes changes of the circuit on.
pub struct Observer {
    /// The figures.
    pub metrics: Metrics,
    /// How a tenant's pass is asked for.
    pub triggers: Arc<Triggers>,
}

impl CallObserver for Observer {
    fn call(&self, tenant: &str, route: Route, code: Code, elapsed: Duration) {
        self.metrics.call(tenant, route, code, elapsed);
    }

    fn token(&self, tenant: &str, outcome: TokenOutcome) {
        self.metrics.token(tenant, outcome);
    }

    fn throttled(&self, host: &str) {
        self.metrics.throttled(host);
    }

    fn circuit(&self, tenant: &str, state: CircuitState) {
        self.metrics.circuit(tenant, state);
        if let Some((namespace, name)) = tenant.split_once('/') {
            self.triggers.tenant(ObjectKey::new(namespace, name));
        }
    }

    fn conflict(&self, tenant: &str) {
        self.metrics.conflict(tenant);
    }
}
