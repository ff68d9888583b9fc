//! The one place that sends.

use std::sync::Arc;

use super::{Answer, CallObserver, CircuitState, ConfigError, Error, Hosts, SessionConfig, TraceContext};

/// One connection to one installation; cheap to clone, all clones share limits, token and circuit.
#[derive(Clone, Debug)]
pub struct Session {
    _inner: Arc<()>,
}

impl Session {
    /// A session that has sent nothing yet.
    pub fn new(
        _config: SessionConfig,
        _hosts: &Hosts,
        _observer: Arc<dyn CallObserver>,
    ) -> Result<Self, ConfigError> {
        todo!()
    }

    /// The same session; its calls belong to this trace.
    #[must_use]
    pub fn traced(&self, _trace: TraceContext) -> Self {
        todo!()
    }

    /// Fetches a token where needed and makes one cheap read. An installation without that assumed route (404, 405, 501)
    /// counts as connected.
    pub async fn probe(&self) -> Result<Answer<()>, Error> {
        todo!()
    }

    /// The circuit's state now.
    pub fn circuit(&self) -> CircuitState {
        todo!()
    }
}
