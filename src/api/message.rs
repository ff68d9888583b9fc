//! Messages to the user's own systems that are kept in a status until they are delivered (docs/outbox.md).

#![allow(clippy::doc_markdown)] // fields are documented for `kubectl explain`, which shows plain text

use std::fmt;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How many messages one object keeps at most: nothing is dropped to stay below it, but no new ones are made.
pub const MAX_UNDELIVERED: usize = 20;

/// Which of the user's own systems a message is for (`spec.sinks` of a tenant).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum SinkKind {
    /// `spec.sinks.monitoring`; best effort, never kept.
    Monitoring,
    /// `spec.sinks.alerts`.
    Alerts,
    /// `spec.sinks.deadLetter`.
    DeadLetter,
}

impl SinkKind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Monitoring, Self::Alerts, Self::DeadLetter];

    /// The name of its field below `spec.sinks`, which is also the metric label `sink`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Monitoring => "monitoring",
            Self::Alerts => "alerts",
            Self::DeadLetter => "deadLetter",
        }
    }
}

impl fmt::Display for SinkKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Whether an alert begins or ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum AlertState {
    /// It begins.
    Firing,
    /// It is over.
    Resolved,
}

impl AlertState {
    /// The value of the CloudEvents attribute `alertstate`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Firing => "firing",
            Self::Resolved => "resolved",
        }
    }
}

/// A message that its sink has not accepted yet. It is sent as it stands here, under one id, however often that takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Undelivered {
    /// The sink of the tenant that it is for: Alerts or DeadLetter.
    pub sink: SinkKind,
    /// Its CloudEvents id, the same in every try.
    #[schemars(length(max = 64))]
    pub id: String,
    /// Its CloudEvents type.
    #[serde(rename = "type")]
    #[schemars(length(max = 128))]
    pub type_: String,
    /// Its CloudEvents time: when it was made.
    pub time: Time,
    /// What alerts of one cause have in common, whatever their ids and times.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub fingerprint: Option<String>,
    /// Whether it begins an alert (Firing) or ends it (Resolved).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "AlertState")]
    pub alert_state: Option<AlertState>,
    /// Its body: JSON, byte for byte as it is sent.
    #[schemars(length(max = 16_384))]
    pub body: String,
    /// Why the sink has not accepted it; absent until a try has failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub last_error: Option<String>,
}

/// An alert that was told and is not over yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FiringAlert {
    /// The CloudEvents id of the message that told it; the one that resolves it names this id.
    #[schemars(length(max = 64))]
    pub id: String,
    /// When it was told.
    pub since: Time,
}
