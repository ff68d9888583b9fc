//! Requests to Kubernetes, from the API server's audit log.

use control_plane::AuditEvent;
use demo::Result;
use serde::{Deserialize, Serialize};

use crate::stage::{Stage, WORKER};

/// What the whole fleet shares.
const SHARED: [&str; 2] = ["cognigytenants", "retrypolicies"];

/// What the worker asked the API server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Requests {
    /// Writes to the `…/status` of what a fleet consists of.
    pub(crate) status: usize,
    /// Writes to those objects themselves: finalizers, annotations, whole objects.
    pub(crate) objects: usize,
    /// Writes to what the whole fleet shares: tenants and policies.
    pub(crate) shared: usize,
    /// Events created or changed.
    pub(crate) events: usize,
    /// Of all writes: refused.
    pub(crate) refused: usize,
    /// `get` and `list`.
    pub(crate) reads: usize,
}

impl Requests {
    /// The writes to what a fleet consists of, events apart.
    pub(crate) fn writes(&self) -> usize {
        self.status + self.objects
    }

    /// All writes.
    pub(crate) fn all_writes(&self) -> usize {
        self.writes() + self.shared + self.events
    }

    /// What came after this position in the log.
    pub(super) fn since(stage: &Stage, position: u64) -> Result<Self> {
        let mut requests = Self::default();
        let mine = |event: &AuditEvent| event.user == WORKER && event.resource != "leases";
        for event in stage.plane.audit_events_after(position)?.iter().filter(|event| mine(event)) {
            requests.count(event);
        }
        Ok(requests)
    }

    fn count(&mut self, event: &AuditEvent) {
        if !event.is_write() {
            self.reads += usize::from(event.verb == "get" || event.verb == "list");
            return;
        }
        self.refused += usize::from(event.code >= 400);
        match (event.resource.as_str(), event.subresource.as_deref()) {
            ("events", _) => self.events += 1,
            (shared, _) if SHARED.contains(&shared) => self.shared += 1,
            (_, Some("status")) => self.status += 1,
            _ => self.objects += 1,
        }
    }
}
