//! What the operator writes reads back as it was: the schema prunes and refuses nothing of it.

use std::fmt::Debug;

use cognigy_operator::api::{
    CognigyTenant, CognigyTenantStatus, CognigyWebhook, CognigyWebhookStatus, Conditions, FIELD_MANAGER, FactReason,
    Reason, RetryPolicy, RetryPolicyStatus, kstatus_violations,
};
use k8s_openapi::{NamespaceResourceScope, jiff::Timestamp};
use kube::{
    Api, Resource,
    api::{Patch, PatchParams},
    core::object::HasStatus,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::json;

use crate::server::{NAMESPACE, admin, create, objects};

/// Writes a status by server-side apply, as the operator does, and gives back what the API server then has.
async fn applied<K>(name: &str, spec: &str, status: &K::Status) -> K::Status
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + HasStatus + Clone + Debug + DeserializeOwned,
    K::Status: Serialize + Clone,
{
    create::<K>(&objects::<K>().await, name, "{}", spec).await;
    let api: Api<K> = Api::namespaced(admin().await, NAMESPACE);
    let document = json!({"apiVersion": K::api_version(&()), "kind": K::kind(&()), "status": status});
    let params = PatchParams::apply(FIELD_MANAGER).force();
    api.patch_status(name, &params, &Patch::Apply(&document)).await.unwrap();
    api.get(name).await.unwrap().status().cloned().unwrap()
}

fn conditions() -> serde_json::Value {
    let conditions = Conditions::new(Reason::HealthCheckFailed, "the callback answers 503", 1)
        .registered(true, FactReason::Registered, "wh_1")
        .merge(&[], Timestamp::from_second(1_700_000_000).unwrap());
    assert_eq!(kstatus_violations(&conditions, Some(1), 1), Vec::<String>::new());
    json!(conditions)
}

/// A status with every field, from the names of docs/resources.md.
fn parsed<S: Serialize + DeserializeOwned>(status: &serde_json::Value) -> S {
    let typed: S = serde_json::from_value(status.clone()).unwrap();
    assert_eq!(json!(typed), *status, "each documented field has its place in the type");
    typed
}

#[tokio::test]
async fn every_field_of_a_webhooks_status_is_kept() {
    let status: CognigyWebhookStatus = parsed(&json!({
        "observedGeneration": 1, "conditions": conditions(),
        "webhookId": "wh_1", "etag": "\"v2-8f4d2c1a\"", "version": 2, "state": "Active",
        "retryPolicy": {"name": "patient", "generation": 3},
        "health": {"result": "Failing", "httpStatus": 503, "latencyMs": 12, "consecutiveFailures": 2,
            "lastCheckedAt": "2026-11-22T10:00:00Z", "traceId": "t", "tlsVersion": "TLSv1.3",
            "certificateExpiresAt": "2027-01-01T00:00:00Z", "message": "503"},
        "versions": [{"version": 1, "webhookId": "wh_0", "state": "Inactive"}],
        "drift": [{"path": "url", "desired": "https://a.example.com", "actual": "https://b.example.com"}],
        "failure": {"attempts": 2, "since": "2026-11-22T10:00:00Z", "nextAttemptAt": "2026-11-22T10:01:00Z",
            "lastError": "500", "deadLetter": {"id": "d", "delivered": false, "discarded": true}},
        "secretVersions": {"orders-hook": "123"},
        "lastSyncedAt": "2026-11-22T10:00:00Z", "lastHandledReconcileAt": "now",
        "lastHandledDeadLetterRequest": {"request": "discard d now", "refused": "no room"},
    }));
    let spec = "{tenantRef: {name: production}, url: 'https://api.example.com'}";
    assert_eq!(applied::<CognigyWebhook>("with-status", spec, &status).await, status);
}

#[tokio::test]
async fn every_field_of_a_tenants_status_is_kept() {
    let status: CognigyTenantStatus = parsed(&json!({
        "observedGeneration": 1, "conditions": conditions(), "auth": "OAuth2", "webhooks": {"total": 3, "ready": 2},
        "api": {"successRatePercent": 99, "averageLatencyMs": 12}, "circuit": "HalfOpen",
    }));
    let spec = "{baseUrl: 'https://cognigy.example.com', auth: {apiKey: {secretRef: {name: key}}}}";
    assert_eq!(applied::<CognigyTenant>("with-status", spec, &status).await, status);
}

#[tokio::test]
async fn every_field_of_a_policys_status_is_kept() {
    let status: RetryPolicyStatus = parsed(&json!({
        "observedGeneration": 1, "conditions": conditions(), "delaysMs": [1000, 2000], "totalDelayMs": 3000,
        "effectiveRetries": 2, "simulatedDeliveriesPerThousand": 522, "supports": ["BotWebhook", "Webhook"], "webhooks": 4,
    }));
    assert_eq!(applied::<RetryPolicy>("with-status", "{backoff: {}}", &status).await, status);
}
