//! `CognigyTenant`: a connection to one Cognigy installation.

// Fields are documented for `kubectl explain`, which shows plain text; clippy takes the columns' types for duplicates.
#![allow(clippy::doc_markdown, clippy::duplicated_attributes)]

mod auth;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, LabelSelector, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::auth::{
    ApiKey, ApiKeySecretRef, Auth, AuthKind, AuthMethod, BearerToken, ClientAuthentication, CredentialsSecretRef,
    OAuth2, TokenSecretRef,
};
use super::{
    HeaderFrom,
    message::{SinkKind, Undelivered},
    schema,
};

/// A connection to one Cognigy installation: address, credentials, limits and who may use it.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "cognigy.io",
    version = "v1alpha1",
    kind = "CognigyTenant",
    namespaced,
    derive = "PartialEq",
    status = "CognigyTenantStatus",
    shortname = "ctenant",
    category = "cognigy",
    doc = "A connection to one Cognigy installation: address, credentials, limits and which namespaces may use it.",
    printcolumn(
        name = "URL",
        type_ = "string",
        json_path = ".spec.baseUrl",
        description = "Address of the installation."
    ),
    printcolumn(
        name = "Auth",
        type_ = "string",
        json_path = ".status.auth",
        description = "How the operator authenticates."
    ),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type=='Ready')].status",
        description = "Whether the connection works."
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = ".status.conditions[?(@.type=='Ready')].reason",
        description = "Why it is so."
    ),
    printcolumn(
        name = "Webhooks",
        type_ = "integer",
        json_path = ".status.webhooks.total",
        description = "Webhooks that use this tenant."
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp",
        description = "Time since the tenant was created."
    )
)]
#[serde(rename_all = "camelCase")]
pub struct CognigyTenantSpec {
    /// Address of the installation, for example https://tenant.example.com/new. A path prefix is kept in front of every
    /// request. https; http only where the operator runs with --allow-insecure-http.
    #[schemars(schema_with = "schema::base_url")]
    pub base_url: String,
    /// How the operator authenticates: exactly one of oauth2, apiKey and bearerToken.
    pub auth: Auth,
    /// Certificates (PEM) to trust besides the system's roots, for the API and for health checks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_bundle: Option<CaBundle>,
    /// How fast and how widely the operator calls the API. Tenants with the same host and port share one rate limit.
    #[serde(default)]
    pub limits: Limits,
    /// When calls stop because the installation fails, and for how long.
    #[serde(default)]
    pub circuit_breaker: CircuitBreaker,
    /// How concurrent changes are detected: IfMatch (ETag or _version), or CompareAndWrite for installations that have neither.
    #[serde(default)]
    pub concurrency: Concurrency,
    /// Seconds between two comparisons of Cognigy's objects with their specs (drift): 5 to 86400.
    #[serde(default = "default_resync")]
    #[schemars(range(min = 5, max = 86_400))]
    pub resync_period_seconds: i32,
    /// Where health checks of callbacks may go.
    #[serde(default)]
    pub callbacks: Callbacks,
    /// The user's own systems that are told what happens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sinks: Option<Sinks>,
    /// The namespaces whose CognigyWebhooks may use this tenant.
    #[serde(default)]
    pub allowed_namespaces: AllowedNamespaces,
    /// Stops all calls to this installation; its webhooks keep their last state.
    #[serde(default)]
    pub suspend: bool,
}

impl CognigyTenant {
    /// The sink of this kind, where the tenant has one.
    pub fn sink(&self, kind: SinkKind) -> Option<&Sink> {
        self.spec.sinks.as_ref()?.get(kind)
    }
}

fn default_resync() -> i32 {
    600
}

/// Where trusted certificates come from: exactly one of the two.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.configMapRef) != has(self.secretRef)")
    .message("caBundle must have exactly one of configMapRef and secretRef: add one, or remove the other"))]
pub struct CaBundle {
    /// A ConfigMap value with PEM certificates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_map_ref: Option<CaBundleRef>,
    /// A Secret value with PEM certificates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<CaBundleRef>,
}

/// A ConfigMap or Secret value with PEM certificates.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CaBundleRef {
    /// Name of the ConfigMap or Secret, in the tenant's namespace.
    #[schemars(schema_with = "schema::object_name")]
    pub name: String,
    /// Key within its data.
    #[serde(default = "default_ca_key")]
    #[schemars(schema_with = "schema::data_key")]
    pub key: String,
}

fn default_ca_key() -> String {
    "ca.crt".into()
}

/// How fast and how widely the operator calls the API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Limits {
    /// Sustained rate of API calls per minute: 1 to 600000. Cognigy's shared installations allow 1000 in 5 minutes per source address.
    #[schemars(range(min = 1, max = 600_000))]
    pub requests_per_minute: i32,
    /// Calls that may go out at once after a pause: 1 to 100000.
    #[schemars(range(min = 1, max = 100_000))]
    pub burst: i32,
    /// Calls under way at the same time: 1 to 1024.
    #[schemars(range(min = 1, max = 1024))]
    pub max_concurrent_requests: i32,
    /// Seconds until a call is given up: 1 to 120.
    #[schemars(range(min = 1, max = 120))]
    pub request_timeout_seconds: i32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { requests_per_minute: 180, burst: 50, max_concurrent_requests: 16, request_timeout_seconds: 15 }
    }
}

/// When calls stop because the installation fails, and for how long.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct CircuitBreaker {
    /// Failures in a row after which calls stop: 1 to 100.
    #[schemars(range(min = 1, max = 100))]
    pub failure_threshold: i32,
    /// Seconds until one call probes whether the installation is back: 1 to 3600.
    #[schemars(range(min = 1, max = 3600))]
    pub open_seconds: i32,
}

impl Default for CircuitBreaker {
    fn default() -> Self {
        Self { failure_threshold: 5, open_seconds: 30 }
    }
}

/// How concurrent changes are detected (cognigy-api.md §4 and §8).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Concurrency {
    /// By entity tag: `ETag`, else `_version`.
    #[default]
    IfMatch,
    /// By comparing `lastChanged` just before the write.
    CompareAndWrite,
}

/// Where health checks of callbacks may go.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Callbacks {
    /// Host names that callbacks may have, for example api.example.com or *.example.com. Empty: any public host.
    #[schemars(schema_with = "schema::allowed_hosts")]
    pub allowed_hosts: Vec<String>,
    /// Whether callbacks may lie in private networks. The operator's --allow-private-callbacks must name the network too.
    pub allow_private_networks: bool,
}

/// The user's own systems that are told what happens (cognigy-api.md §6).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Sinks {
    /// Receives results of health checks, policy updates and deprecations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub monitoring: Option<Sink>,
    /// Receives an alert when all attempts of a change are used up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alerts: Option<Sink>,
    /// Receives a dead letter when all attempts of a change are used up; delivered at least once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dead_letter: Option<Sink>,
}

impl Sinks {
    /// The sink of this kind, where there is one.
    pub fn get(&self, kind: SinkKind) -> Option<&Sink> {
        match kind {
            SinkKind::Monitoring => self.monitoring.as_ref(),
            SinkKind::Alerts => self.alerts.as_ref(),
            SinkKind::DeadLetter => self.dead_letter.as_ref(),
        }
    }

    /// All that there are.
    pub fn all(&self) -> impl Iterator<Item = &Sink> {
        SinkKind::ALL.into_iter().filter_map(|kind| self.get(kind))
    }
}

/// One receiver of CloudEvents.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Sink {
    /// Where messages are posted. https; http only where the operator runs with --allow-insecure-http.
    #[schemars(schema_with = "schema::service_url")]
    pub url: String,
    /// Headers of each message, read from Secrets in the tenant's namespace.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::headers_from")]
    pub headers_from: Vec<HeaderFrom>,
}

/// The namespaces whose webhooks may use a tenant.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.selector) == (self.from == 'Selector')")
    .message("allowedNamespaces.selector belongs to from Selector: set from to Selector and give a selector, or remove the selector"))]
pub struct AllowedNamespaces {
    /// Same (the tenant's own namespace), All, or Selector (namespaces with matching labels).
    #[serde(default)]
    pub from: NamespacesFrom,
    /// Selects namespaces by their labels; only with from Selector.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<LabelSelector>,
}

/// Which namespaces may use a tenant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum NamespacesFrom {
    /// The tenant's own.
    #[default]
    Same,
    /// All.
    All,
    /// Those that the selector matches.
    Selector,
}

/// The state of a connection.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct CognigyTenantStatus {
    /// The metadata.generation that this status speaks of; -1 before the operator has looked at the object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The state of the connection. Ready is the summary.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
    /// How the operator authenticates: OAuth2, ApiKey or BearerToken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "AuthKind")]
    pub auth: Option<AuthKind>,
    /// The webhooks that use this tenant; written at most every 10 seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhooks: Option<WebhookCounts>,
    /// How the API is called and has answered lately; written at most every 10 seconds, together with other news or where it
    /// differs enough to act on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api: Option<ApiFigures>,
    /// State of the circuit breaker: Closed (calls go out), Open (calls wait), HalfOpen (one call probes).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Circuit")]
    pub circuit: Option<Circuit>,
    /// Alerts about the tenant itself; each stands for all of its webhooks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alerts: Option<TenantAlerts>,
    /// The value of the annotation cognigy.io/reconcile-requested-at that was last acted upon: the connection was probed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_handled_reconcile_at: Option<String>,
}

/// Alerts about a tenant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TenantAlerts {
    /// Those that were told and are not over.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    pub firing: Vec<TenantAlert>,
    /// Messages that the sink has not accepted yet, the oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20))]
    pub undelivered: Vec<Undelivered>,
}

/// An alert about a tenant that is not over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TenantAlert {
    /// Its cause: Unauthorized, Forbidden, CircuitOpen, RateLimited, Unreachable or TlsFailed.
    #[schemars(length(max = 64))]
    pub reason: String,
    /// The CloudEvents id of the message that told it; the one that resolves it names this id.
    #[schemars(length(max = 64))]
    pub id: String,
    /// When it was told.
    pub since: Time,
}

/// How many webhooks use a tenant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WebhookCounts {
    /// Webhooks that refer to this tenant.
    pub total: i32,
    /// Those of them that are Ready.
    pub ready: i32,
}

/// How the API is called and has answered lately.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApiFigures {
    /// Share of calls that succeeded in the 15 minutes up to the latest one, in percent: 0 to 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100))]
    pub success_rate_percent: Option<i32>,
    /// Average duration of these calls in milliseconds, without waiting for a turn: 0 to 600000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 600_000))]
    pub average_latency_ms: Option<i64>,
    /// The rate in force, in calls per minute: the smallest spec.limits.requestsPerMinute of all tenants with the same host
    /// and port, lowered for a while after 429 answers. 1 to 600000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 600_000))]
    pub requests_per_minute: Option<i32>,
}

/// State of the circuit breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Circuit {
    /// Calls go out.
    Closed,
    /// Calls wait.
    Open,
    /// One call probes.
    HalfOpen,
}
