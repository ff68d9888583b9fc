//! One thing that happened, and the Event that tells it.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::{
    api::{core::v1::ObjectReference, events::v1::Event},
    apimachinery::pkg::apis::meta::v1::MicroTime,
};
use kube::api::ObjectMeta;
use uuid::Uuid;

use super::{REPORTING_CONTROLLER, cut};
use crate::api::event::{EventKind, EventReason};

/// The longest name that an object can have (bytes).
pub(super) const MAX_NAME: usize = 253;

/// One thing that happened. What does not apply is `None` and `null` in the audit line.
#[derive(Clone, Debug)]
pub struct Fact {
    /// What happened; gives the Event its type too.
    pub reason: EventReason,
    /// To which object.
    pub object: ObjectReference,
    /// What changed outside: id, version or `ETag` before and after, latency. Never a secret. Control and invisible
    /// characters become blanks, and what is over 1 kB is cut.
    pub note: String,
    /// The id in Cognigy.
    pub webhook_id: Option<String>,
    /// The name in Cognigy.
    pub webhook_name: Option<String>,
    /// The registration's version.
    pub version: Option<i64>,
    /// The state after it (`Active`, `Inactive`) or the answer's HTTP status.
    pub status: Option<String>,
    /// How long the call took.
    pub latency: Option<Duration>,
    /// The tenant's share of successful calls, in percent.
    pub success_rate: Option<f64>,
}

impl Fact {
    /// A fact with nothing but a note.
    pub fn new(reason: EventReason, object: ObjectReference, note: impl Into<String>) -> Self {
        Self {
            reason,
            object,
            note: note.into(),
            webhook_id: None,
            webhook_name: None,
            version: None,
            status: None,
            latency: None,
            success_rate: None,
        }
    }

    pub(super) fn event(self, note: String, now: Timestamp, instance: &str) -> Event {
        let object = self.object.name.clone().unwrap_or_default();
        let unique = Uuid::new_v4().simple().to_string();
        let prefix = cut(&object, MAX_NAME - unique.len() - 1).trim_end_matches(['.', '-']);
        let type_ = match self.reason.kind() {
            EventKind::Normal => "Normal",
            EventKind::Warning => "Warning",
        };
        Event {
            metadata: ObjectMeta {
                name: Some(format!("{prefix}.{unique}")),
                // Where Kubernetes keeps the events of objects without a namespace.
                namespace: Some(self.object.namespace.clone().unwrap_or_else(|| "default".to_owned())),
                ..ObjectMeta::default()
            },
            action: Some(self.reason.as_str().to_owned()),
            reason: Some(self.reason.as_str().to_owned()),
            type_: Some(type_.to_owned()),
            note: Some(note),
            event_time: Some(MicroTime(now)),
            regarding: Some(self.object),
            reporting_controller: Some(REPORTING_CONTROLLER.to_owned()),
            reporting_instance: Some(instance.to_owned()),
            ..Event::default()
        }
    }
}
