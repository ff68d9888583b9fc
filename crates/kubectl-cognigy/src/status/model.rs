//! What `status` shows, and its machine-readable form: stable names, in camelCase. Pure.

use std::collections::BTreeMap;

use cognigy_operator::api::{
    CognigyTenant, CognigyWebhook, ConditionType, ObjectKey,
    tenant::{ApiFigures, AuthKind, AuthMethod, Circuit, WebhookCounts},
    webhook::{AppliedPolicy, Drift, HealthResult, KeptVersion, State},
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::ResourceExt as _;
use serde::Serialize;

use super::gather::Objects;

/// All that there is to see.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Tree {
    /// By namespace and name; those that only webhooks speak of too.
    pub tenants: Vec<Tenant>,
}

/// A tenant and its webhooks. What the operator says of it is absent where it was not found.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Tenant {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Whether it is there.
    pub presence: Presence,
    /// Whether the connection works.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ready: Option<Readiness>,
    /// Address of the installation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// How the operator authenticates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth: Option<AuthKind>,
    /// State of the circuit breaker.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub circuit: Option<Circuit>,
    /// How the API is called and has answered lately, as `status.api` says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api: Option<ApiFigures>,
    /// Its webhooks in all namespaces, as the operator counts them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub counts: Option<WebhookCounts>,
    /// Alerts about the tenant itself that its sink has not accepted yet.
    pub undelivered: usize,
    /// Its webhooks in the namespaces that were looked at, by namespace and name.
    pub webhooks: Vec<Webhook>,
}

/// Whether an object that others refer to is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Presence {
    /// It is.
    Found,
    /// It is not.
    Missing,
    /// It is in a namespace that the user must not look into.
    Unreadable,
}

/// What `Ready` says of the generation that is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Readiness {
    /// `True`, `False`, or `Unknown` before the operator has looked at this generation.
    pub status: String,
    /// Its reason; absent while it is unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Its message.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// Whether a person must do something.
    pub stalled: bool,
}

/// One webhook.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Webhook {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Whether Cognigy is as the spec says.
    pub ready: Readiness,
    /// Whether it is being deleted.
    pub deleting: bool,
    /// Cognigy's id.
    #[serde(rename = "webhookId", skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Entity tag as last read or written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// The version that is live, or about to be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<i32>,
    /// Whether Cognigy delivers to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<State>,
    /// Result of the health checks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub health: Option<Health>,
    /// The retry policy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_policy: Option<Policy>,
    /// Older versions that are kept.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub versions: Vec<KeptVersion>,
    /// Where Cognigy differs from the spec.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub drift: Vec<Drift>,
    /// Tries of the change that fails.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempts: Option<i32>,
    /// When the next try is due.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_attempt_at: Option<Time>,
    /// The dead letter of the change that fails.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dead_letter: Option<DeadLetter>,
    /// Alerts and dead letters that their sinks have not accepted yet.
    pub undelivered: usize,
    /// When Cognigy was last seen as the spec says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_synced_at: Option<Time>,
}

/// Result of the health checks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Health {
    /// Passing or Failing.
    pub result: HealthResult,
    /// How long a check takes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_ms: Option<i64>,
    /// HTTP status of the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http_status: Option<i32>,
}

/// The retry policy that is asked for, and the one that Cognigy has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Policy {
    /// The name in the spec.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wanted: Option<String>,
    /// The generation that it has now; absent where there is no such policy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generation: Option<i64>,
    /// What was last written to Cognigy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub applied: Option<AppliedPolicy>,
}

/// A dead letter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DeadLetter {
    /// Its `CloudEvents` id.
    pub id: String,
    /// Whether the sink has accepted it.
    pub delivered: bool,
    /// Whether a person discarded it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub discarded: bool,
}

impl Readiness {
    /// What conditions that speak of generation `observed` say of an object that has generation `current`.
    pub fn of(conditions: &[Condition], observed: Option<i64>, current: Option<i64>) -> Self {
        let condition = |type_: ConditionType| conditions.iter().find(|one| one.type_ == type_.as_str());
        match condition(ConditionType::Ready) {
            Some(ready) if observed == current => Self {
                status: ready.status.clone(),
                reason: Some(ready.reason.clone()),
                message: ready.message.clone(),
                stalled: condition(ConditionType::Stalled).is_some_and(|stalled| stalled.status == "True"),
            },
            _ => Self {
                status: "Unknown".to_owned(),
                reason: None,
                message: "the operator has not looked at this generation yet: is it running?".to_owned(),
                stalled: false,
            },
        }
    }

    /// Whether all is well.
    pub fn is_ready(&self) -> bool {
        self.status == "True"
    }
}

impl Tree {
    /// Puts webhooks under their tenants. Tenants of other namespaces stand there only where webhooks refer to them.
    pub fn of(objects: &Objects) -> Self {
        let generations: BTreeMap<ObjectKey, Option<i64>> =
            objects.policies.iter().map(|policy| (ObjectKey::of(policy), policy.metadata.generation)).collect();
        let mut tenants: BTreeMap<ObjectKey, Tenant> =
            objects.tenants.iter().map(|tenant| (ObjectKey::of(tenant), Tenant::of(tenant))).collect();
        for webhook in &objects.webhooks {
            let key = webhook.tenant_key();
            let presence = if objects.unreadable.contains(&key) { Presence::Unreadable } else { Presence::Missing };
            let tenant = tenants.entry(key.clone()).or_insert_with(|| Tenant::not_found(key, presence));
            let generation = webhook.retry_policy_key().and_then(|policy| generations.get(&policy).copied().flatten());
            tenant.webhooks.push(Webhook::of(webhook, generation));
        }
        let mut tenants: Vec<Tenant> = tenants.into_values().collect();
        for tenant in &mut tenants {
            tenant.webhooks.sort_by(|a, b| (&a.namespace, &a.name).cmp(&(&b.namespace, &b.name)));
        }
        Self { tenants }
    }

    /// Whether everything is Ready.
    pub fn is_ready(&self) -> bool {
        self.tenants.iter().all(|tenant| {
            let connected = tenant.presence == Presence::Unreadable || tenant.is_ready();
            connected && tenant.webhooks.iter().all(|webhook| webhook.ready.is_ready())
        })
    }
}

impl Tenant {
    fn not_found(key: ObjectKey, presence: Presence) -> Self {
        Self {
            namespace: key.namespace,
            name: key.name,
            presence,
            ready: None,
            url: None,
            auth: None,
            circuit: None,
            api: None,
            counts: None,
            undelivered: 0,
            webhooks: Vec::new(),
        }
    }

    /// A tenant without its webhooks.
    pub fn of(tenant: &CognigyTenant) -> Self {
        let status = tenant.status.clone().unwrap_or_default();
        let ready = Readiness::of(&status.conditions, status.observed_generation, tenant.metadata.generation);
        Self {
            ready: Some(ready),
            url: Some(tenant.spec.base_url.clone()),
            auth: tenant.spec.auth.method().map(AuthMethod::kind),
            circuit: status.circuit,
            api: status.api,
            counts: status.webhooks,
            undelivered: status.alerts.map_or(0, |alerts| alerts.undelivered.len()),
            ..Self::not_found(ObjectKey::of(tenant), Presence::Found)
        }
    }

    /// Whether it is there and Ready.
    pub fn is_ready(&self) -> bool {
        self.ready.as_ref().is_some_and(Readiness::is_ready)
    }
}

impl Webhook {
    /// A webhook whose retry policy has this generation now.
    pub fn of(webhook: &CognigyWebhook, generation: Option<i64>) -> Self {
        let status = webhook.status.clone().unwrap_or_default();
        let ready = Readiness::of(&status.conditions, status.observed_generation, webhook.metadata.generation);
        let failure = status.failure.unwrap_or_default();
        let wanted = webhook.spec.retry_policy_ref.as_ref().map(|policy| policy.name.clone());
        let health = status.health.map(|health| Health {
            result: health.result,
            latency_ms: health.latency_ms,
            http_status: health.http_status,
        });
        Self {
            namespace: webhook.namespace().unwrap_or_default(),
            name: webhook.name_any(),
            ready,
            deleting: webhook.metadata.deletion_timestamp.is_some(),
            id: status.webhook_id,
            etag: status.etag,
            version: status.version,
            state: status.state,
            health,
            retry_policy: (wanted.is_some() || status.retry_policy.is_some()).then_some(Policy {
                wanted,
                generation,
                applied: status.retry_policy,
            }),
            versions: status.versions,
            drift: status.drift,
            attempts: Some(failure.attempts).filter(|attempts| *attempts > 0),
            next_attempt_at: failure.next_attempt_at,
            dead_letter: failure.dead_letter.map(|letter| DeadLetter {
                id: letter.id,
                delivered: letter.delivered,
                discarded: letter.discarded,
            }),
            undelivered: failure.undelivered.len(),
            last_synced_at: status.last_synced_at,
        }
    }
}
