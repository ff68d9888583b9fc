//! `CognigyWebhook`: a webhook that the operator registers, or whose retry policy it manages.

// Fields are documented for `kubectl explain`, which shows plain text; clippy takes the columns' types for duplicates.
#![allow(clippy::doc_markdown, clippy::duplicated_attributes)]

mod health_check;
mod status;

use std::collections::BTreeMap;

use kube::{CustomResource, KubeSchema, ResourceExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::{
    health_check::{HealthCheck, HealthCheckSpec, OnFailure},
    status::{
        AppliedPolicy, CertificateWarning, CognigyWebhookStatus, DeadLetter, Drift, Failure, HandledLetterRequest,
        Health, HealthResult, KeptVersion, State,
    },
};
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

/// A webhook that exists in Cognigy: `{webhookId}`, `{botId, webhookId}` or `{botId, name}`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
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
        self.health_check.clone().unwrap_or_default().into()
    }

    /// Whether the callback is checked while the webhook is live: neither where nothing is written (mode Observe) nor where
    /// nothing is to be live.
    pub fn is_watched(&self) -> bool {
        let settings = self.health_check();
        let lives = self.enabled() && !self.is_existing() && !self.suspend && self.mode == Mode::Enforce;
        lives && settings.enabled && settings.period_seconds > 0
    }

    /// What happens in Cognigy on deletion; an existing webhook is always left as it is.
    pub fn deletion_policy(&self) -> DeletionPolicy {
        if self.is_existing() { DeletionPolicy::Orphan } else { self.deletion_policy }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn webhook(spec: &str) -> CognigyWebhook {
        let mut webhook = CognigyWebhook::new("orders", serde_saphyr::from_str(spec).unwrap());
        webhook.metadata.namespace = Some("shop".into());
        webhook
    }

    #[test]
    fn references_without_a_namespace_mean_the_objects_own() {
        let own = webhook("{tenantRef: {name: production}, retryPolicyRef: {name: patient}}");
        assert_eq!(own.tenant_key().to_string(), "shop/production");
        assert_eq!(own.retry_policy_key(), Some(ObjectKey::new("shop", "patient")));
        let other = webhook("{tenantRef: {name: production, namespace: cx}}");
        assert_eq!((other.tenant_key().to_string(), other.retry_policy_key()), ("cx/production".into(), None));
    }

    #[test]
    fn the_name_in_cognigy_is_the_objects_unless_given() {
        assert_eq!(webhook("{tenantRef: {name: t}}").registered_name(), "orders");
        assert_eq!(webhook("{tenantRef: {name: t}, name: Order hook}").registered_name(), "Order hook");
    }

    #[test]
    fn only_what_is_to_be_live_is_watched() {
        let watched = |change: &str| webhook(&format!("{{tenantRef: {{name: t}}{change}}}")).spec.is_watched();
        assert!(watched("") && watched(", healthCheck: {periodSeconds: 2}"));
        for change in [
            ", enabled: false",
            ", suspend: true",
            ", mode: Observe",
            ", healthCheck: {disabled: true}",
            ", healthCheck: {periodSeconds: 0}",
            ", existing: {webhookId: wh_1}",
        ] {
            assert!(!watched(change), "{change}");
        }
    }

    #[test]
    fn an_existing_webhook_is_never_removed() {
        let existing = webhook("{tenantRef: {name: t}, existing: {webhookId: wh_1}, deletionPolicy: Delete}");
        assert!(existing.spec.is_existing());
        assert_eq!(existing.spec.deletion_policy(), DeletionPolicy::Orphan);
        assert_eq!(webhook("{tenantRef: {name: t}}").spec.deletion_policy(), DeletionPolicy::Delete);
    }
}
