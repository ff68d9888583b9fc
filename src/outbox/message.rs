//! The messages of cognigy-api.md §6, and how they are sent: CloudEvents 1.0 in binary mode, so that the body stays exactly as
//! it is written there. Pure.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, header::CONTENT_TYPE};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::api::{AlertState, ObjectKey, SinkKind, Undelivered};

/// The types of messages that are kept until they are delivered.
mod types {
    pub const EXHAUSTED: &str = "io.cognigy.webhook.retry.exhausted";
    pub const RESOLVED: &str = "io.cognigy.webhook.retry.resolved";
    pub const DEAD_LETTER: &str = "io.cognigy.webhook.deadletter";
    pub const TENANT_FIRING: &str = "io.cognigy.tenant.unavailable";
    pub const TENANT_RESOLVED: &str = "io.cognigy.tenant.recovered";
}

/// A message with its envelope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloudEvent {
    /// The attribute `id`: the same in every try.
    pub id: String,
    /// The attribute `source`: the object that it is about.
    pub source: String,
    /// The attribute `type`.
    pub type_: String,
    /// The attribute `time`.
    pub time: Timestamp,
    /// Extension attributes: what the body has no place for.
    pub extensions: Vec<(&'static str, String)>,
    /// JSON.
    pub body: String,
}

impl CloudEvent {
    /// A message that was kept in the status of the object `source`.
    pub fn of(message: &Undelivered, source: String) -> Self {
        let fingerprint = message.fingerprint.clone().map(|value| ("fingerprint", value));
        let state = message.alert_state.map(|state| ("alertstate", state.as_str().to_owned()));
        Self {
            id: message.id.clone(),
            source,
            type_: message.type_.clone(),
            time: message.time.0,
            extensions: fingerprint.into_iter().chain(state).collect(),
            body: message.body.clone(),
        }
    }

    /// Its headers: the envelope in binary mode.
    pub fn headers(&self) -> HeaderMap {
        let attributes = [
            ("specversion", "1.0".to_owned()),
            ("id", self.id.clone()),
            ("source", self.source.clone()),
            ("type", self.type_.clone()),
            ("time", self.time.to_string()),
        ];
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        for (name, value) in attributes.into_iter().chain(self.extensions.iter().cloned()) {
            // Attribute names are letters; values are encoded to what a header can carry.
            if let (Ok(name), Ok(value)) =
                (HeaderName::try_from(format!("ce-{name}")), HeaderValue::try_from(encoded(&value)))
            {
                headers.insert(name, value);
            }
        }
        headers
    }
}

/// A value as the HTTP binding of CloudEvents 1.0 has it in a header (section 3.1.3.2): printable ASCII without space,
/// quote and percent sign stands as it is, everything else percent-encoded.
fn encoded(value: &str) -> String {
    value.bytes().fold(String::new(), |mut text, byte| {
        if byte.is_ascii_graphic() && !matches!(byte, b'"' | b'%') {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
        text
    })
}

/// How a tenant's installation has answered lately, as far as that is known.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Figures {
    /// Share of calls that succeeded, in percent.
    pub success_rate: Option<f64>,
    /// Average duration of a call in milliseconds.
    pub avg_latency_ms: Option<f64>,
}

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

/// Used up attempts, or their end: what the messages about them say.
#[derive(Clone, Debug, PartialEq)]
pub struct WebhookTold<'a> {
    /// The resource.
    pub object: &'a ObjectKey,
    /// Its tenant.
    pub tenant: &'a ObjectKey,
    /// Cognigy's id, or the name where there is none yet.
    pub webhook_id: &'a str,
    /// The name in Cognigy.
    pub name: &'a str,
    /// How the installation has answered lately.
    pub figures: Figures,
    /// Now.
    pub time: Timestamp,
}

/// What a change failed with in the end.
#[derive(Clone, Debug, PartialEq)]
pub struct Exhaustion<'a> {
    /// The tries that were made.
    pub attempts: i32,
    /// The reason of the last one, a word.
    pub reason: &'a str,
    /// The sentence of the last one.
    pub error: &'a str,
    /// When the first try failed.
    pub since: Option<Timestamp>,
}

/// Why an alert is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// What failed works.
    Recovered,
    /// The object is being deleted.
    Deleted,
}

impl Resolution {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Recovered => "recovered",
            Self::Deleted => "deleted",
        }
    }
}

impl WebhookTold<'_> {
    /// The alert about used up attempts.
    pub fn exhausted(&self, what: &Exhaustion<'_>) -> Undelivered {
        let details = json!({
            "attempts": what.attempts,
            "reason": what.reason,
            "message": what.error,
            "since": what.since.map(|since| whole_seconds(since).to_string()),
            "namespace": self.object.namespace,
            "resource": self.object.name,
            "webhook_name": self.name,
            "tenant": self.tenant.to_string(),
        });
        self.alert(AlertState::Firing, types::EXHAUSTED, "webhook_retry_exhausted", details)
    }

    /// The end of that alert, which has the id `alert`.
    pub fn resolved(&self, alert: &str, resolution: Resolution) -> Undelivered {
        let details = json!({
            "alert_id": alert,
            "resolution": resolution.as_str(),
            "namespace": self.object.namespace,
            "resource": self.object.name,
            "webhook_name": self.name,
            "tenant": self.tenant.to_string(),
        });
        self.alert(AlertState::Resolved, types::RESOLVED, "webhook_retry_resolved", details)
    }

    fn alert(&self, state: AlertState, type_: &str, event: &'static str, error_details: Value) -> Undelivered {
        let time = whole_seconds(self.time);
        let body = text(&WebhookAlert {
            event,
            webhook_id: self.webhook_id,
            timestamp: time.to_string(),
            error_details,
            success_rate: self.figures.success_rate,
            avg_latency_ms: self.figures.avg_latency_ms,
        });
        let fingerprint = fingerprint("CognigyWebhook", self.object, "RetriesExhausted");
        Undelivered {
            fingerprint: Some(fingerprint),
            alert_state: Some(state),
            ..kept(SinkKind::Alerts, type_, time, body)
        }
    }

    /// The dead letter about used up attempts.
    pub fn dead_letter(&self, what: &Exhaustion<'_>) -> Undelivered {
        let body = text(&DeadLetter {
            webhook_id: self.webhook_id,
            max_attempts_reached: what.attempts,
            final_error: what.error,
        });
        kept(SinkKind::DeadLetter, types::DEAD_LETTER, whole_seconds(self.time), body)
    }
}

/// A cause that holds back all webhooks of a tenant, or its end: what the messages about it say.
#[derive(Clone, Debug, PartialEq)]
pub struct TenantTold<'a> {
    /// The tenant.
    pub tenant: &'a ObjectKey,
    /// The cause, a word.
    pub cause: &'a str,
    /// How many webhooks it has.
    pub webhooks: usize,
    /// Some of them.
    pub examples: &'a [ObjectKey],
    /// How the installation has answered lately.
    pub figures: Figures,
    /// Now.
    pub time: Timestamp,
}

impl TenantTold<'_> {
    /// The alert about the cause.
    pub fn firing(&self, message: &str) -> Undelivered {
        let details = json!({
            "cause": self.cause,
            "message": message,
            "webhooks": self.webhooks,
            "examples": self.examples.iter().map(ToString::to_string).collect::<Vec<_>>(),
        });
        self.alert(AlertState::Firing, types::TENANT_FIRING, "tenant_unavailable", details)
    }

    /// The end of that alert, which has the id `alert`.
    pub fn resolved(&self, alert: &str, resolution: Resolution) -> Undelivered {
        let details = json!({
            "cause": self.cause,
            "alert_id": alert,
            "resolution": resolution.as_str(),
            "webhooks": self.webhooks,
        });
        self.alert(AlertState::Resolved, types::TENANT_RESOLVED, "tenant_recovered", details)
    }

    fn alert(&self, state: AlertState, type_: &str, event: &'static str, error_details: Value) -> Undelivered {
        let time = whole_seconds(self.time);
        let body = text(&TenantAlert {
            event,
            tenant: self.tenant.to_string(),
            timestamp: time.to_string(),
            error_details,
            success_rate: self.figures.success_rate,
            avg_latency_ms: self.figures.avg_latency_ms,
        });
        Undelivered {
            fingerprint: Some(fingerprint("CognigyTenant", self.tenant, self.cause)),
            alert_state: Some(state),
            ..kept(SinkKind::Alerts, type_, time, body)
        }
    }
}

fn kept(sink: SinkKind, type_: &str, time: Timestamp, body: String) -> Undelivered {
    Undelivered {
        sink,
        id: new_id(),
        type_: type_.to_owned(),
        time: Time(time),
        fingerprint: None,
        alert_state: None,
        body,
        last_error: None,
    }
}

/// What all alerts about one cause at one object have in common: no time, duration, id or count is in it.
fn fingerprint(kind: &str, object: &ObjectKey, cause: &str) -> String {
    let digest = Sha256::digest(format!("{kind}/{object}/{cause}").as_bytes());
    digest.iter().take(16).fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
}

fn new_id() -> String {
    Uuid::new_v4().to_string()
}

/// Kubernetes keeps whole seconds: what is sent before it was written and read is what is sent afterwards.
fn whole_seconds(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

/// Milliseconds to the thousandth.
fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

fn text(body: &impl Serialize) -> String {
    // Nothing here can fail to become JSON: structs with text keys and finite numbers.
    serde_json::to_string(body).unwrap_or_default()
}

#[derive(Serialize)]
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

#[derive(Serialize)]
struct WebhookAlert<'a> {
    event: &'static str,
    webhook_id: &'a str,
    timestamp: String,
    error_details: Value,
    success_rate: Option<f64>,
    avg_latency_ms: Option<f64>,
}

#[derive(Serialize)]
struct TenantAlert {
    event: &'static str,
    tenant: String,
    timestamp: String,
    error_details: Value,
    success_rate: Option<f64>,
    avg_latency_ms: Option<f64>,
}

#[derive(Serialize)]
struct DeadLetter<'a> {
    webhook_id: &'a str,
    max_attempts_reached: i32,
    final_error: &'a str,
}

#[cfg(test)]
#[path = "message_tests.rs"]
mod tests;
