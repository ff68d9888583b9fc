//! What the operator tells of a webhook.

#![allow(clippy::doc_markdown)] // fields are documented for `kubectl explain`, which shows plain text

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::message::{FiringAlert, Undelivered};

/// What the operator knows of the webhook in Cognigy.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct CognigyWebhookStatus {
    /// The metadata.generation that this status speaks of; -1 before the operator has looked at the object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The state of the webhook. Ready is the summary.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
    /// Cognigy's id of the webhook.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook_id: Option<String>,
    /// Entity tag of the webhook as last read or written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// The version that webhookId is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<i32>,
    /// Active or Inactive in Cognigy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "State")]
    pub state: Option<State>,
    /// The retry policy that Cognigy has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_policy: Option<AppliedPolicy>,
    /// Result of the callback's health checks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<Health>,
    /// Older versions that are kept for roll-back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub versions: Vec<KeptVersion>,
    /// Where Cognigy differs from the spec; at most 10, secrets as ***.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10))]
    pub drift: Vec<Drift>,
    /// The change that fails at present, and what is still to be told of this and earlier ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// Idempotency key of a registration that Cognigy holds and that is not this resource's (reason AlreadyExists).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused_registration: Option<String>,
    /// resourceVersion of each Secret whose values the registration was last written with, by the Secret's name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 64))]
    pub secret_versions: BTreeMap<String, String>,
    /// When Cognigy was last seen as the spec says; moves only together with something else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_synced_at: Option<Time>,
    /// The value of the annotation cognigy.io/reconcile-requested-at that was last acted upon.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_handled_reconcile_at: Option<String>,
    /// The annotation cognigy.io/dead-letter-request that was last acted upon, and what came of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_handled_dead_letter_request: Option<HandledLetterRequest>,
}

/// Whether Cognigy delivers to a webhook.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum State {
    /// It does.
    Active,
    /// It does not.
    Inactive,
}

impl State {
    /// The state as Cognigy's flag `enabled`.
    pub fn is_active(self) -> bool {
        self == Self::Active
    }
}

/// The retry policy that was last written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AppliedPolicy {
    /// Name of the RetryPolicy.
    pub name: String,
    /// Its metadata.generation at that time.
    pub generation: i64,
}

/// Result of the callback's health checks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Health {
    /// Passing or Failing.
    pub result: HealthResult,
    /// Since when an active webhook has been failing: its first failed check of failureThreshold or more in a row. Absent
    /// again with the first check that passes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failing_since: Option<Time>,
    /// HTTP status of the answer; absent where there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http_status: Option<i32>,
    /// Duration of the check in milliseconds; of periodic checks that pass, a moving average.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_ms: Option<i64>,
    /// Failed checks in a row when this was written.
    #[serde(default)]
    pub consecutive_failures: i32,
    /// When the callback was checked; of periodic checks, the last one that had something new to tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_checked_at: Option<Time>,
    /// The trace_id that the check sent, to find it in the callback's logs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
    /// Version of TLS that was last negotiated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_version: Option<String>,
    /// When the certificate that the callback last showed expires.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate_expires_at: Option<Time>,
    /// The last event CertificateExpiring, so that none is repeated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_certificate_warning: Option<CertificateWarning>,
    /// What went wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// What was told of a certificate that expires soon.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CertificateWarning {
    /// When the certificate in question expires.
    pub expires_at: Time,
    /// How many days before that the warning was due: 21, 7 or 1.
    pub days: i32,
}

/// Result of a health check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum HealthResult {
    /// The callback answered 2xx.
    Passing,
    /// It did not.
    Failing,
}

/// An older version that is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KeptVersion {
    /// The version.
    pub version: i32,
    /// Cognigy's id of it.
    pub webhook_id: String,
    /// Active or Inactive in Cognigy; absent while it is not known: an activation whose answer was lost may have got through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "State")]
    pub state: Option<State>,
}

/// One place where Cognigy differs from the spec.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Drift {
    /// Path of the field in Cognigy's object, for example retryPolicy.maxRetries.
    pub path: String,
    /// What it should be; absent where it should not be there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub desired: Option<String>,
    /// What it is; absent where it is not there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actual: Option<String>,
}

/// A change that fails.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Failure {
    /// Names the change that fails: another spec, policy, Secret or tenant makes another change, with its own tries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub change: Option<String>,
    /// Tries made so far.
    #[serde(default)]
    pub attempts: i32,
    /// When the first try failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Time>,
    /// When the next try is due.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_attempt_at: Option<Time>,
    /// What the last try failed with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// When the attempts were used up: from then on it is tried at each resync, without further messages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exhausted_at: Option<Time>,
    /// The dead letter of this change, once the attempts are used up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dead_letter: Option<DeadLetter>,
    /// The alert that was told and is not over: it outlives its change, until the webhook works.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alert: Option<FiringAlert>,
    /// Alerts and dead letters that their sinks have not accepted yet, the oldest first; those of earlier changes too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20))]
    pub undelivered: Vec<Undelivered>,
}

/// A message to the dead-letter sink.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeadLetter {
    /// Its CloudEvents id.
    pub id: String,
    /// Whether the sink has accepted it.
    #[serde(default)]
    pub delivered: bool,
    /// Whether a person discarded it: it is not sent, unless it is replayed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub discarded: bool,
    /// When it was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<Time>,
    /// The id that it names: Cognigy's, or the name where there is no id yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook_id: Option<String>,
    /// The tries that it names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempts: Option<i32>,
    /// The final error that it names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// A request about single messages that was acted upon.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HandledLetterRequest {
    /// The value of the annotation.
    #[schemars(length(max = 1024))]
    pub request: String,
    /// What of it was not done, and why; absent where all of it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub refused: Option<String>,
}
