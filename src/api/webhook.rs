//! `CognigyWebhook`: a webhook that the operator registers, or whose retry policy it manages.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema, ResourceExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{HeaderFrom, LocalRef, ObjectKey, schema};

/// A webhook in Cognigy: either registered by the operator, or an existing one whose retry policy is managed.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "cognigy.io",
    version = "v1alpha1",
    kind = "CognigyWebhook",
    namespaced,
    derive = "PartialEq",
    status = "CognigyWebhookStatus",
    shortname = "cwh",
    category = "cognigy",
    validation = Rule::new("has(self.spec.existing) == has(oldSelf.spec.existing)")
        .message("existing cannot be added to or removed from an object: create a new one and delete this (deletionPolicy Orphan keeps its registration)")
        .field_path(".spec.existing"),
    validation = Rule::new("has(self.spec.existing) || has(oldSelf.spec.existing) || (has(self.spec.name) ? self.spec.name : self.metadata.name) == (has(oldSelf.spec.name) ? oldSelf.spec.name : oldSelf.metadata.name)")
        .message("name (by default metadata.name) cannot be changed, because it is the registration's identity in Cognigy: set it back, or create a new object")
        .field_path(".spec.name"),
    doc = "A webhook in Cognigy: either registered by the operator, or an existing one whose retry policy is managed.",
    selectable = ".spec.tenantRef.name",
    selectable = ".spec.retryPolicyRef.name",
    printcolumn(
        name = "Tenant",
        type_ = "string",
        json_path = ".spec.tenantRef.name",
        description = "The Cognigy installation."
    ),
    printcolumn(
        name = "Version",
        type_ = "integer",
        json_path = ".status.version",
        description = "The version that is live, or about to be."
    ),
    printcolumn(
        name = "State",
        type_ = "string",
        json_path = ".status.state",
        description = "Active or Inactive in Cognigy."
    ),
    printcolumn(
        name = "Health",
        type_ = "string",
        json_path = ".status.health.result",
        description = "Result of the last health check."
    ),
    printcolumn(
        name = "Policy",
        type_ = "string",
        json_path = ".spec.retryPolicyRef.name",
        description = "The retry policy."
    ),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type=='Ready')].status",
        description = "Whether Cognigy is as the spec says."
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = ".status.conditions[?(@.type=='Ready')].reason",
        description = "Why it is so."
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp",
        description = "Time since the object was created."
    ),
    printcolumn(
        name = "Id",
        type_ = "string",
        json_path = ".status.webhookId",
        priority = 1,
        description = "Cognigy's id."
    ),
    printcolumn(
        name = "URL",
        type_ = "string",
        json_path = ".spec.url",
        priority = 1,
        description = "The callback URL."
    ),
    printcolumn(
        name = "Latency",
        type_ = "integer",
        json_path = ".status.health.latencyMs",
        priority = 1,
        description = "Duration of the last recorded health check in milliseconds."
    )
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.existing) || !(has(self.name) || has(self.url) || has(self.method) || has(self.headers) || has(self.headersFrom) || has(self.payloadFormat) || has(self.version) || has(self.enabled) || has(self.healthCheck) || has(self.previousVersions))")
    .message("existing excludes name, url, method, headers, headersFrom, payloadFormat, version, enabled, healthCheck and previousVersions: remove these, or remove existing"))]
#[x_kube(validation = Rule::new("has(self.existing) || has(self.url)")
    .message("url is required: give the callback's https URL, or name a webhook that exists already under existing"))]
#[x_kube(validation = Rule::new("!has(self.existing) || has(self.retryPolicyRef)")
    .message("retryPolicyRef is required with existing: name the RetryPolicy that the webhook is to have"))]
#[x_kube(validation = Rule::new("!has(self.headers) || !has(self.headersFrom) || self.headersFrom.all(from, self.headers.all(name, name.lowerAscii() != from.name.lowerAscii()))")
    .message("a header may stand in headers or in headersFrom, not in both (whatever its case): remove one of the two"))]
pub struct CognigyWebhookSpec {
    /// The Cognigy installation.
    pub tenant_ref: TenantRef,
    /// Name in Cognigy. Default: metadata.name. It cannot be changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::registered_name")]
    pub name: Option<String>,
    /// The callback URL, https, without user info and fragment. Required unless existing is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::callback_url")]
    pub url: Option<String>,
    /// HTTP method of deliveries: POST, PUT or PATCH. Default: POST.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Method")]
    pub method: Option<Method>,
    /// HTTP headers of deliveries and health checks. Values that are secret belong into headersFrom.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::headers")]
    pub headers: Option<BTreeMap<String, String>>,
    /// HTTP headers whose values are read from Secrets in this namespace. A changed Secret is sent to Cognigy at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::headers_from")]
    pub headers_from: Option<Vec<HeaderFrom>>,
    /// Media type of deliveries. Default: application/json.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::media_type")]
    pub payload_format: Option<String>,
    /// Version of the registration: 1 to 2147483647. Default: 1. Another version is rolled out blue/green.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 2_147_483_647))]
    pub version: Option<i32>,
    /// Whether the webhook is to be active in Cognigy. Default: true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// How the callback is checked before activation and afterwards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health_check: Option<HealthCheckSpec>,
    /// Deactivated older versions to keep for roll-back: 0 to 10. Default: 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 10))]
    pub previous_versions: Option<i32>,
    /// A webhook that exists in Cognigy already and of which only the retry policy is managed. Excludes name, url, method,
    /// headers, headersFrom, payloadFormat, version, enabled, healthCheck and previousVersions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub existing: Option<Existing>,
    /// The RetryPolicy of deliveries, in this namespace. Required with existing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_policy_ref: Option<LocalRef>,
    /// Enforce corrects drift in Cognigy; Observe writes nothing there and reports the differences.
    #[serde(default)]
    pub mode: Mode,
    /// What to do with a registration of this name and version that exists already: IfIdentical takes it over where it is
    /// the same, Always takes it over and corrects it, Never leaves it alone.
    #[serde(default)]
    pub adoption_policy: AdoptionPolicy,
    /// What happens in Cognigy when this object is deleted: Delete removes the registration, Deactivate switches it off,
    /// Orphan leaves it as it is. An existing webhook is always left as it is.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,
    /// Stops all work on this object; Cognigy is left as it is.
    #[serde(default)]
    pub suspend: bool,
}

/// A CognigyTenant, perhaps in another namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TenantRef {
    /// Name of the CognigyTenant.
    #[schemars(schema_with = "schema::object_name")]
    pub name: String,
    /// Namespace of the CognigyTenant. Default: this object's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::namespace_name")]
    pub namespace: Option<String>,
}

/// HTTP method of deliveries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    /// `POST`.
    #[default]
    Post,
    /// `PUT`.
    Put,
    /// `PATCH`.
    Patch,
}

impl Method {
    /// The method as HTTP spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
        }
    }
}

/// How a callback is checked; what is absent is the operator's default (see [`HealthCheck`]).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct HealthCheckSpec {
    /// Turns all health checks off: the webhook is activated unchecked. Default: false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disabled: Option<bool>,
    /// Seconds until a check is given up: 1 to 30. Default: 5.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 30))]
    pub timeout_seconds: Option<i32>,
    /// Seconds between two checks of an active webhook: 2 to 86400, or 0 to check only before activation. Default: 300.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 86_400))]
    #[x_kube(validation = Rule::new("self != 1")
        .message("periodSeconds must be 0 (check only before activation) or 2 to 86400"))]
    pub period_seconds: Option<i32>,
    /// Failed checks in a row after which an active webhook counts as failing: 1 to 100. Default: 3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100))]
    pub failure_threshold: Option<i32>,
    /// What happens to an active webhook that fails: Report says so, Deactivate switches it off until it passes. Default: Report.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "OnFailure")]
    pub on_failure: Option<OnFailure>,
}

/// What happens to an active webhook whose callback fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OnFailure {
    /// It stays active and the failure is reported.
    #[default]
    Report,
    /// It is deactivated until the check passes.
    Deactivate,
}

/// How a callback is checked, with the operator's defaults filled in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HealthCheck {
    /// Whether the callback is checked at all.
    pub enabled: bool,
    /// Seconds until a check is given up.
    pub timeout_seconds: i32,
    /// Seconds between two checks of an active webhook; 0: only before activation.
    pub period_seconds: i32,
    /// Failed checks in a row after which an active webhook counts as failing.
    pub failure_threshold: i32,
    /// What happens to an active webhook that fails.
    pub on_failure: OnFailure,
}

/// A webhook that exists in Cognigy: `{webhookId}`, `{botId, webhookId}` or `{botId, name}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.webhookId) != has(self.name)")
    .message("existing must have exactly one of webhookId and name: give {webhookId}, {botId, webhookId} or {botId, name}"))]
#[x_kube(validation = Rule::new("!has(self.name) || has(self.botId)")
    .message("existing.name needs botId, because names are unique only within a bot: add botId, or give webhookId"))]
pub struct Existing {
    /// Cognigy's id of the webhook.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::cognigy_id")]
    pub webhook_id: Option<String>,
    /// Cognigy's id of the bot whose webhook it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::cognigy_id")]
    pub bot_id: Option<String>,
    /// Name of the webhook among those of the bot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::existing_name")]
    pub name: Option<String>,
}

/// Whether the operator writes to Cognigy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Mode {
    /// Drift is corrected.
    #[default]
    Enforce,
    /// Nothing is written; differences are reported.
    Observe,
}

/// What to do with a registration that exists already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum AdoptionPolicy {
    /// Take it over where its payload is the same.
    #[default]
    IfIdentical,
    /// Take it over and correct it.
    Always,
    /// Leave it alone.
    Never,
}

/// What happens in Cognigy when the object is deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DeletionPolicy {
    /// All versions are removed.
    #[default]
    Delete,
    /// All versions are switched off.
    Deactivate,
    /// Nothing.
    Orphan,
}

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
    /// The change that fails at present.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
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
    /// HTTP status of the answer; absent where there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http_status: Option<i32>,
    /// Duration of the check in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_ms: Option<i64>,
    /// Failed checks in a row.
    #[serde(default)]
    pub consecutive_failures: i32,
    /// When the callback was checked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_checked_at: Option<Time>,
    /// The trace_id that the check sent, to find it in the callback's logs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
    /// Negotiated version of TLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_version: Option<String>,
    /// When the callback's certificate expires.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate_expires_at: Option<Time>,
    /// What went wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
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
    /// Active or Inactive in Cognigy.
    pub state: State,
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
    /// The dead letter of this change, once the attempts are used up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dead_letter: Option<DeadLetter>,
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
}

impl CognigyWebhook {
    /// The name in Cognigy: `spec.name`, else `metadata.name`.
    pub fn registered_name(&self) -> String {
        self.spec.name.clone().unwrap_or_else(|| self.name_any())
    }

    /// The tenant that it refers to; its own namespace where the reference names none.
    pub fn tenant_key(&self) -> ObjectKey {
        let reference = &self.spec.tenant_ref;
        let namespace = reference.namespace.clone().or_else(|| self.namespace()).unwrap_or_default();
        ObjectKey::new(namespace, reference.name.clone())
    }

    /// The retry policy that it refers to, in its own namespace.
    pub fn retry_policy_key(&self) -> Option<ObjectKey> {
        let reference = self.spec.retry_policy_ref.as_ref()?;
        Some(ObjectKey::new(self.namespace().unwrap_or_default(), reference.name.clone()))
    }
}

impl CognigyWebhookSpec {
    /// Whether only the retry policy of an existing webhook is managed.
    pub fn is_existing(&self) -> bool {
        self.existing.is_some()
    }

    /// HTTP method of deliveries; POST unless given.
    pub fn method(&self) -> Method {
        self.method.unwrap_or_default()
    }

    /// Plain headers; none unless given.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.headers.iter().flatten().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Headers from Secrets; none unless given.
    pub fn headers_from(&self) -> &[HeaderFrom] {
        self.headers_from.as_deref().unwrap_or_default()
    }

    /// Media type of deliveries; `application/json` unless given.
    pub fn payload_format(&self) -> &str {
        self.payload_format.as_deref().unwrap_or("application/json")
    }

    /// Version of the registration; 1 unless given.
    pub fn version(&self) -> i32 {
        self.version.unwrap_or(1)
    }

    /// Whether it is to be active; true unless given.
    pub fn enabled(&self) -> bool {
        self.enabled.unwrap_or(true)
    }

    /// Deactivated older versions to keep; 1 unless given.
    pub fn previous_versions(&self) -> i32 {
        self.previous_versions.unwrap_or(1)
    }

    /// How the callback is checked, with the defaults of docs/resources.md.
    pub fn health_check(&self) -> HealthCheck {
        let given = self.health_check.clone().unwrap_or_default();
        HealthCheck {
            enabled: !given.disabled.unwrap_or(false),
            timeout_seconds: given.timeout_seconds.unwrap_or(5),
            period_seconds: given.period_seconds.unwrap_or(300),
            failure_threshold: given.failure_threshold.unwrap_or(3),
            on_failure: given.on_failure.unwrap_or_default(),
        }
    }

    /// What happens in Cognigy on deletion; an existing webhook is always left as it is.
    pub fn deletion_policy(&self) -> DeletionPolicy {
        if self.is_existing() { DeletionPolicy::Orphan } else { self.deletion_policy }
    }
}
