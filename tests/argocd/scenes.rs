//! What the files in `testdata/` are taken from: real objects on a real API server, as the operator left them.

use cognigy_operator::api::{CognigyTenant, CognigyWebhook, RetryPolicy};
use cognigy_simulator::{Answer, Credentials, Fault, Options, Route};
use serde_json::{Value, json};

use crate::{
    customizations::folder,
    harness::{World, condition, world, world_without_operator},
    recorder::write,
};

const WEBHOOK: &str = "CognigyWebhook";
const TENANT: &str = "CognigyTenant";
const POLICY: &str = "RetryPolicy";

/// The expected output of an action: the recorded object with one change.
fn changed(kind: &str, file: &str, recorded: &Value, change: impl FnOnce(&mut Value)) {
    let mut object = recorded.clone();
    change(&mut object);
    write(&folder(kind).join("actions/testdata").join(format!("{file}.yaml")), &object);
}

fn annotate(annotation: &'static str, value: &'static str) -> impl FnOnce(&mut Value) {
    move |object| object["metadata"]["annotations"][annotation] = json!(value)
}

fn reconciled(kind: &str, recorded: &Value) {
    changed(kind, "reconciled", recorded, annotate("cognigy.io/reconcile-requested-at", "0001-01-01T00:00:00Z"));
}

fn suspended(kind: &str, recorded: &Value) {
    changed(kind, "suspended", recorded, |object| object["spec"]["suspend"] = json!(true));
}

fn resumed(kind: &str, recorded: &Value) {
    changed(kind, "resumed", recorded, |object| object["spec"]["suspend"] = json!(false));
}

fn orphaned(kind: &str, recorded: &Value) {
    changed(kind, "orphaned", recorded, annotate("cognigy.io/force-orphan", "true"));
}

#[tokio::test(flavor = "multi_thread")]
async fn webhooks_that_are_what_they_should_be_or_wait() {
    world(Options::default(), async |world| {
        world.tenant("production", json!({"resyncPeriodSeconds": 86_400})).await;
        world.policy("patient", json!({"intervalsMs": [1000, 2500, 6250, 15625]})).await;
        let patient = json!({"retryPolicyRef": {"name": "patient"}, "headers": {"X-Environment": "production"}});
        world.webhook("orders", patient).await;
        world.until_reason("orders", "Active").await;
        let active = world.recorded(WEBHOOK, "orders", "healthy_active").await;
        reconciled(WEBHOOK, &active);
        suspended(WEBHOOK, &active);

        world.webhook("disabled", json!({"enabled": false})).await;
        world.until_reason("disabled", "Disabled").await;
        world.recorded(WEBHOOK, "disabled", "healthy_disabled").await;

        world.webhook("paused", json!({"suspend": true})).await;
        world.until_reason("paused", "Suspended").await;
        let paused = world.recorded(WEBHOOK, "paused", "suspended").await;
        resumed(WEBHOOK, &paused);

        world.webhook("early", json!({"tenantRef": {"name": "staging"}})).await;
        world.until_reason("early", "TenantNotFound").await;
        world.recorded(WEBHOOK, "early", "progressing_tenantNotFound").await;

        world.callback("starting").answer(Answer::status(503));
        world.webhook("starting", json!({})).await;
        world.until_reason("starting", "HealthCheckFailed").await;
        world.recorded(WEBHOOK, "starting", "progressing_endpointNotReady").await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn webhooks_that_somebody_should_look_at() {
    world(Options::default(), async |world| {
        world.tenant("production", json!({"resyncPeriodSeconds": 86_400})).await;
        let checked = json!({"healthCheck": {"periodSeconds": 2, "failureThreshold": 1, "timeoutSeconds": 30}});
        world.webhook("orders", checked).await;
        world.until_reason("orders", "Active").await;
        world.callback("orders").answer(Answer::status(503));
        world.until_reason("orders", "HealthCheckFailed").await;
        world.recorded(WEBHOOK, "orders", "degraded_outage").await;

        world.webhook("forbidden", json!({"url": "https://10.0.0.1/hooks/orders"})).await;
        world.until_reason("forbidden", "CallbackForbidden").await;
        world.recorded(WEBHOOK, "forbidden", "degraded_callbackForbidden").await;

        world.webhook("observed", json!({"mode": "Observe"})).await;
        world.until_reason("observed", "DriftDetected").await;
        world.recorded(WEBHOOK, "observed", "degraded_drift").await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn webhooks_whose_installation_is_in_trouble() {
    world(Options::default(), async |world| {
        let patient = json!({"circuitBreaker": {"failureThreshold": 100}, "resyncPeriodSeconds": 86_400});
        world.tenant("production", patient).await;
        world.fault(Fault::on(Route::CreateIntegration).status(503));
        world.policy("slow", json!({"intervalsMs": [3_600_000]})).await;
        world.webhook("orders", json!({"retryPolicyRef": {"name": "slow"}})).await;
        world.until_reason("orders", "ServerError").await;
        world.recorded(WEBHOOK, "orders", "progressing_serverError").await;

        world.policy("quick", json!({"intervalsMs": [50, 100]})).await;
        world.webhook("refunds", json!({"retryPolicyRef": {"name": "quick"}})).await;
        world.until_reason("refunds", "RetriesExhausted").await;
        world.recorded(WEBHOOK, "refunds", "degraded_retriesExhausted").await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_that_the_operator_has_not_looked_at() {
    world_without_operator(Options::default(), async |world| {
        world.policy("patient", json!({"intervalsMs": [1000, 2500]})).await;
        world.recorded(POLICY, "patient", "progressing_new").await;
        world.tenant("production", json!({})).await;
        world.recorded(TENANT, "production", "progressing_new").await;
        world.webhook("orders", json!({})).await;
        world.recorded(WEBHOOK, "orders", "progressing_new").await;

        world.start_operator().await;
        world.until_reason("orders", "Active").await;
        world
            .until("patient", |policy: &RetryPolicy| {
                policy.status.as_ref().is_some_and(|status| !status.conditions.is_empty())
            })
            .await;
        world.recorded(POLICY, "patient", "healthy").await;

        world.stop_operator().await;
        world.policy("patient", json!({"intervalsMs": [1000, 2500, 6250]})).await;
        world.recorded(POLICY, "patient", "progressing_newGeneration").await;
        world.tenant("production", json!({"limits": {"burst": 7}})).await;
        world.recorded(TENANT, "production", "progressing_newGeneration").await;
        world.webhook("orders", json!({"method": "PUT"})).await;
        world.recorded(WEBHOOK, "orders", "progressing_newGeneration").await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tenants() {
    world(Options::default(), async |world| {
        world.tenant("production", json!({})).await;
        world.until_tenant("production", "Connected").await;
        let connected = world.recorded(TENANT, "production", "healthy_connected").await;
        reconciled(TENANT, &connected);
        suspended(TENANT, &connected);

        world.tenant("paused", json!({"suspend": true})).await;
        world.until_tenant("paused", "Suspended").await;
        let paused = world.recorded(TENANT, "paused", "suspended").await;
        resumed(TENANT, &paused);

        world.tenant("early", json!({"auth": {"oauth2": {"credentialsSecretRef": {"name": "comes-later"}}}})).await;
        world.until_tenant("early", "SecretNotFound").await;
        world.recorded(TENANT, "early", "progressing_secretNotFound").await;

        world.secret("revoked", &[("client-id", "revoked"), ("client-secret", "revoked")]).await;
        world.tenant("refused", json!({"auth": {"oauth2": {"credentialsSecretRef": {"name": "revoked"}}}})).await;
        world.until_tenant("refused", "Unauthorized").await;
        world.recorded(TENANT, "refused", "progressing_unauthorized").await;

        world.tenant("plain", json!({"baseUrl": world.base_url()})).await;
        world.until_tenant("plain", "InvalidSpec").await;
        world.recorded(TENANT, "plain", "degraded_invalidSpec").await;
    })
    .await;
}

/// Waits until the tenant says that it cannot go.
pub async fn until_in_use(world: &World, name: &str, why: &str) {
    world
        .until(name, |tenant: &CognigyTenant| {
            let conditions = tenant.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
            condition(conditions, "Ready").is_some_and(|ready| ready.reason == "InUse" && ready.message.contains(why))
        })
        .await;
}

/// A tenant that is deleted and waits for the delivery of an alert that its sink refuses.
pub async fn tenant_with_an_alert_that_nobody_takes(world: &World) {
    world.sink("alerts").answer(Answer::status(507));
    let sinks = json!({"alerts": {"url": world.https_sink_url("alerts")}});
    world.set_credentials(Credentials { client_secret: "rotated-elsewhere".into(), ..Credentials::default() });
    world.tenant("staging", json!({"sinks": sinks})).await;
    world.until_tenant("staging", "Unauthorized").await;
    world.delete::<CognigyTenant>("staging").await;
    until_in_use(world, "staging", "507").await;
}

/// A webhook `orders` that is deleted and cannot go, since its tenant is suspended.
pub async fn stuck_webhook(world: &World) {
    world.tenant("production", json!({})).await;
    world.webhook("orders", json!({})).await;
    world.until_reason("orders", "Active").await;
    world.tenant("production", json!({"suspend": true})).await;
    world.until_tenant("production", "Suspended").await;
    world.delete::<CognigyWebhook>("orders").await;
    world.until_reason("orders", "DeletionBlocked").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_deleted() {
    world(Options::default(), async |world| {
        stuck_webhook(world).await;
        let stuck = world.recorded(WEBHOOK, "orders", "progressing_deletionBlocked").await;
        orphaned(WEBHOOK, &stuck);
        world.delete::<CognigyTenant>("production").await;
        until_in_use(world, "production", "webhooks").await;
        world.recorded(TENANT, "production", "progressing_inUse").await;

        tenant_with_an_alert_that_nobody_takes(world).await;
        let stuck = world.recorded(TENANT, "staging", "progressing_undelivered").await;
        orphaned(TENANT, &stuck);
    })
    .await;
}
