//! Messages to the sink `monitoring`.

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use super::{CloudEvent, milliseconds, new_id, text, whole_seconds};

/// A message to the sink `monitoring`: best effort.
#[derive(Clone, Debug, PartialEq)]
pub enum Monitoring {
    /// A health check had another result than the one before, or was the first.
    HealthChecked {
        /// The name in Cognigy.
        integration: String,
        /// The registration's version.
        version: i64,
        /// Whether the callback passed.
        passing: bool,
        /// How long the check took.
        latency: Duration,
    },
    /// A retry policy was written, or the write failed.
    PolicyWritten {
        /// The id in Cognigy.
        webhook_id: String,
        /// The name in Cognigy.
        name: String,
        /// How long the call took.
        latency: Duration,
        /// Whether Cognigy took it.
        success: bool,
        /// Its retries.
        max_retries: u32,
        /// `exponential` or `linear`.
        backoff_type: &'static str,
    },
    /// An older version is being replaced.
    Deprecated {
        /// The name in Cognigy.
        name: String,
        /// The version that is replaced.
        old_version: i64,
    },
}

impl Monitoring {
    /// The message about the object `source`, with an id of its own.
    pub fn event(&self, source: String, now: Timestamp) -> CloudEvent {
        let time = whole_seconds(now);
        let (type_, body) = match self {
            Self::HealthChecked { integration, version, passing, latency } => (
                "io.cognigy.webhook.health",
                text(&Health {
                    integration,
                    version: *version,
                    health_status: if *passing { "pass" } else { "fail" },
                    latency_ms: milliseconds(*latency),
                    exported_at: time.as_second(),
                }),
            ),
            Self::PolicyWritten { webhook_id, name, latency, success, max_retries, backoff_type } => (
                "io.cognigy.webhook.policy.updated",
                text(&PolicyUpdated {
                    event: "webhook.policy.updated",
                    webhook_id,
                    name,
                    latency_ms: milliseconds(*latency),
                    success: *success,
                    max_retries: *max_retries,
                    backoff_type,
                }),
            ),
            Self::Deprecated { name, old_version } => (
                "io.cognigy.webhook.deprecated",
                text(&Deprecated {
                    event: "webhook_deprecated",
                    name,
                    old_version: *old_version,
                    timestamp: time.to_string(),
                }),
            ),
        };
        CloudEvent { id: new_id(), source, type_: type_.to_owned(), time, extensions: Vec::new(), body }
    }
}

#[derive(Serialize)]
#[allow(clippy::struct_field_names, reason = "the name is cognigy-api.md's")]
struct Health<'a> {
    integration: &'a str,
    version: i64,
    health_status: &'static str,
    latency_ms: f64,
    exported_at: i64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PolicyUpdated<'a> {
    event: &'static str,
    webhook_id: &'a str,
    name: &'a str,
    latency_ms: f64,
    success: bool,
    max_retries: u32,
    backoff_type: &'static str,
}

#[derive(Serialize)]
struct Deprecated<'a> {
    event: &'static str,
    name: &'a str,
    old_version: i64,
    timestamp: String,
}
