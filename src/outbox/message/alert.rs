//! Alerts and dead letters.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{new_id, text, whole_seconds};
use crate::api::{AlertState, ObjectKey, SinkKind, Undelivered, webhook};

/// The types of messages that are kept until they are delivered.
mod types {
    pub const EXHAUSTED: &str = "io.cognigy.webhook.retry.exhausted";
    pub const RESOLVED: &str = "io.cognigy.webhook.retry.resolved";
    pub const DEAD_LETTER: &str = "io.cognigy.webhook.deadletter";
    pub const TENANT_FIRING: &str = "io.cognigy.tenant.unavailable";
    pub const TENANT_RESOLVED: &str = "io.cognigy.tenant.recovered";
}

/// How a tenant's installation has answered lately, as far as that is known.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Figures {
    /// Share of calls that succeeded, in percent.
    pub success_rate: Option<f64>,
    /// Average duration of a call in milliseconds.
    pub avg_latency_ms: Option<f64>,
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
        letter(self.webhook_id, what.attempts, what.error, whole_seconds(self.time))
    }
}

/// A dead letter as it was made, from what a status still says of it; `None` where that is not all.
pub fn dead_letter_again(told: &webhook::DeadLetter) -> Option<Undelivered> {
    let letter = letter(told.webhook_id.as_deref()?, told.attempts?, told.error.as_deref()?, told.time.as_ref()?.0);
    Some(Undelivered { id: told.id.clone(), ..letter })
}

fn letter(webhook_id: &str, max_attempts_reached: i32, final_error: &str, time: Timestamp) -> Undelivered {
    let body = text(&DeadLetter { webhook_id, max_attempts_reached, final_error });
    kept(SinkKind::DeadLetter, types::DEAD_LETTER, time, body)
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
pub(super) fn fingerprint(kind: &str, object: &ObjectKey, cause: &str) -> String {
    let digest = Sha256::digest(format!("{kind}/{object}/{cause}").as_bytes());
    digest.iter().take(16).fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
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
