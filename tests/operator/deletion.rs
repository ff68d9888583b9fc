//! A deleted webhook leaves Cognigy as its `deletionPolicy` says, and waits where it cannot.

use cognigy_operator::api::{CognigyTenant, CognigyWebhook, FORCE_ORPHAN_ANNOTATION};
use cognigy_simulator::{Credentials, Fault, Options, Route, Support};
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use crate::harness::{World, condition, message, true_conditions, world};

async fn live(world: &World, change: Value) {
    world.tenant("production", json!({})).await;
    world.webhook("orders", change).await;
    world.until_reason("orders", "Active").await;
}

async fn delete(world: &World) {
    world.delete::<CognigyWebhook>("orders").await;
    world.until_gone::<CognigyWebhook>("orders").await;
}

async fn until_tenant(world: &World, reason: &str) {
    world
        .until("production", |tenant: &CognigyTenant| {
            let status = tenant.status.clone().unwrap_or_default();
            condition(&status.conditions, "Ready").is_some_and(|ready| ready.reason == reason)
        })
        .await;
}

/// Waits until a person who deletes is told that it does not go yet, and why.
async fn until_blocked(world: &World, why: &str) {
    let webhook = world
        .until("orders", |webhook: &CognigyWebhook| {
            let status = webhook.status.clone().unwrap_or_default();
            condition(&status.conditions, "Ready").is_some_and(|ready| ready.reason == "DeletionBlocked")
        })
        .await;
    assert!(true_conditions(&webhook).contains(&"Reconciling"));
    assert!(message(&webhook).contains(why) && message(&webhook).contains("force-orphan"), "{}", message(&webhook));
    assert!(world.until_event("orders", "DeletionBlocked").await.contains(why));
}

#[tokio::test(flavor = "multi_thread")]
async fn delete_removes_all_versions() {
    world(Options::default(), async |world| {
        live(world, json!({})).await;
        world.webhook("orders", json!({"version": 2})).await;
        world.until_reason("orders", "Active").await;
        assert_eq!(world.integrations().len(), 2);
        delete(world).await;
        assert_eq!(world.integrations(), []);
        world.eventually("both are told", async || world.event_count("orders", "Deleted").await == 2).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deactivate_leaves_it_there_inactive() {
    world(Options::default(), async |world| {
        live(world, json!({"deletionPolicy": "Deactivate"})).await;
        let before = world.integrations().remove(0);
        delete(world).await;
        let after = world.integrations().remove(0);
        assert!(!after.active);
        assert_eq!((after.url, after.headers, after.version), (before.url, before.headers, before.version));
        world.until_event("orders", "Deactivated").await;
        assert_eq!(world.count(Route::DeleteIntegration), 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn orphan_leaves_it_there_untouched() {
    world(Options::default(), async |world| {
        live(world, json!({"deletionPolicy": "Orphan"})).await;
        let before = world.integrations();
        world.clear_log();
        delete(world).await;
        assert_eq!(world.integrations(), before);
        assert_eq!(world.requests().len(), 0);
        assert!(world.until_event("orders", "Orphaned").await.contains(&before[0].id));
    })
    .await;
}

async fn deactivated_where_it_cannot_be_deleted(support: Support) {
    let options = Options { delete_integration: support, ..Options::default() };
    world(options, async |world| {
        live(world, json!({})).await;
        delete(world).await;
        assert_eq!(world.integrations().iter().map(|one| one.active).collect::<Vec<_>>(), [false]);
        assert!(world.until_event("orders", "Orphaned").await.contains("does not delete"));
        world.until_event("orders", "Deactivated").await;
        // What is left is no obstacle to a namesake.
        world.webhook("orders", json!({})).await;
        world.until_reason("orders", "Active").await;
        assert_eq!(world.integrations().iter().map(|one| one.active).collect::<Vec<_>>(), [true]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_installation_that_answers_delete_with_405_keeps_it_inactive() {
    deactivated_where_it_cannot_be_deleted(Support::MethodNotAllowed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_installation_that_answers_delete_with_501_keeps_it_inactive() {
    deactivated_where_it_cannot_be_deleted(Support::NotImplemented).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_gone_already_does_not_hold_the_deletion_up() {
    world(Options::default(), async |world| {
        live(world, json!({})).await;
        assert!(world.delete_behind(&world.integrations()[0].id));
        delete(world).await;
        assert!(world.until_event("orders", "Deleted").await.contains("gone already"));
    })
    .await;
}

/// Removes the tenant although webhooks use it, as a person does who takes its finalizer away.
async fn remove_tenant(world: &World) {
    world.delete::<CognigyTenant>("production").await;
    let patch = Patch::Merge(json!({"metadata": {"finalizers": null}}));
    world.api::<CognigyTenant>().patch("production", &PatchParams::default(), &patch).await.unwrap();
    world.until_gone::<CognigyTenant>("production").await;
    world.until_reason("orders", "TenantNotFound").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_tenant_a_deletion_waits_until_somebody_lets_go() {
    world(Options::default(), async |world| {
        live(world, json!({})).await;
        let id = world.integrations().remove(0).id;
        remove_tenant(world).await;
        world.clear_log();
        world.delete::<CognigyWebhook>("orders").await;
        until_blocked(world, "production").await;
        world.annotate("orders", FORCE_ORPHAN_ANNOTATION, "true").await;
        world.until_gone::<CognigyWebhook>("orders").await;
        assert!(!world.requests().iter().any(|request| request.path.contains(&id)), "{:#?}", world.requests());
        assert_eq!(world.active_versions("orders"), [1]);
        assert!(world.until_event("orders", "Orphaned").await.contains("force-orphan"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_goes_on_when_its_tenant_comes_back() {
    world(Options::default(), async |world| {
        live(world, json!({})).await;
        remove_tenant(world).await;
        world.delete::<CognigyWebhook>("orders").await;
        until_blocked(world, "production").await;
        world.tenant("production", json!({})).await;
        world.until_gone::<CognigyWebhook>("orders").await;
        assert_eq!(world.integrations(), []);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_goes_on_when_its_tenants_credentials_are_repaired() {
    world(Options::default(), async |world| {
        live(world, json!({})).await;
        world.set_credentials(Credentials { client_secret: "rotated-elsewhere".into(), ..Credentials::default() });
        world.delete::<CognigyWebhook>("orders").await;
        until_blocked(world, "credentials").await;
        assert_eq!(world.active_versions("orders"), [1]);
        until_tenant(world, "Unauthorized").await;
        world.credentials("cognigy-oauth").await;
        world.until_gone::<CognigyWebhook>("orders").await;
        assert_eq!(world.integrations(), []);
        // Once for the call that was refused, once because the tenant says so.
        assert!(world.event_count("orders", "DeletionBlocked").await <= 2);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn server_trouble_holds_a_deletion_up_on_the_policys_schedule_until_it_is_over() {
    world(Options::default(), async |world| {
        world.policy("quick", json!({"intervalsMs": [50, 100]})).await;
        world
            .tenant("production", json!({"resyncPeriodSeconds": 5, "circuitBreaker": {"failureThreshold": 100}}))
            .await;
        world.webhook("orders", json!({"retryPolicyRef": {"name": "quick"}})).await;
        world.until_reason("orders", "Active").await;
        world.fault(Fault::on(Route::DeleteIntegration).status(503));
        world.delete::<CognigyWebhook>("orders").await;
        let webhook = world
            .until("orders", |webhook: &CognigyWebhook| {
                webhook.status.as_ref().and_then(|s| s.failure.as_ref()).is_some_and(|failure| failure.attempts == 3)
            })
            .await;
        assert!(true_conditions(&webhook).contains(&"Reconciling"), "it never stalls");
        until_blocked(world, "503").await;
        // What is tried at a resync is told no more.
        world.until_sim("a try at a resync", |state| state.count(Route::DeleteIntegration) > 3).await;
        world.clear_faults();
        world.until_gone::<CognigyWebhook>("orders").await;
        assert_eq!(world.integrations(), []);
        assert_eq!(world.event_count("orders", "DeletionBlocked").await, 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registration_that_was_half_done_is_removed_as_well() {
    world(Options::default(), async |world| {
        world.tenant("production", json!({})).await;
        world.policy("slow", json!({"intervalsMs": [3_600_000]})).await;
        world.fault(Fault::on(Route::CreateIntegration).times(1).lose_after());
        world.webhook("orders", json!({"retryPolicyRef": {"name": "slow"}})).await;
        let webhook = world.until_reason("orders", "ServerError").await;
        assert_eq!(webhook.status.unwrap().webhook_id, None, "the answer was lost");
        assert_eq!(world.integrations().len(), 1);
        world.stop_operator().await;
        world.delete::<CognigyWebhook>("orders").await;
        world.start_operator().await;
        world.until_gone::<CognigyWebhook>("orders").await;
        assert_eq!(world.integrations(), []);
        world.until_event("orders", "Deleted").await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_versions_of_a_half_done_roll_out_are_removed() {
    world(Options::default(), async |world| {
        world.tenant("production", json!({})).await;
        world.policy("slow", json!({"intervalsMs": [3_600_000]})).await;
        world.webhook("orders", json!({"retryPolicyRef": {"name": "slow"}})).await;
        world.until_reason("orders", "Active").await;
        world.fault(Fault::on(Route::CreateIntegration).times(1).lose_after());
        world.webhook("orders", json!({"version": 2, "retryPolicyRef": {"name": "slow"}})).await;
        world.until_reason("orders", "ServerError").await;
        assert_eq!(world.integrations().len(), 2);
        world.stop_operator().await;
        world.delete::<CognigyWebhook>("orders").await;
        world.start_operator().await;
        world.until_gone::<CognigyWebhook>("orders").await;
        assert_eq!(world.integrations(), []);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_only_observed_last_is_left_there_untouched() {
    world(Options::default(), async |world| {
        live(world, json!({})).await;
        world.webhook("orders", json!({"mode": "Observe"})).await;
        world.until_reason("orders", "Observing").await;
        let before = world.integrations();
        delete(world).await;
        assert_eq!(world.integrations(), before);
        assert!(world.until_event("orders", "Orphaned").await.contains("mode Observe"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspended_tenant_holds_a_deletion_up() {
    world(Options::default(), async |world| {
        live(world, json!({})).await;
        world.tenant("production", json!({"suspend": true})).await;
        until_tenant(world, "Suspended").await;
        world.delete::<CognigyWebhook>("orders").await;
        until_blocked(world, "suspend").await;
        assert_eq!(world.active_versions("orders"), [1]);
        world.tenant("production", json!({"suspend": false})).await;
        world.until_gone::<CognigyWebhook>("orders").await;
        assert_eq!(world.integrations(), []);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_that_never_registered_anything_goes_without_its_tenant() {
    world(Options::default(), async |world| {
        world.webhook("orders", json!({})).await;
        world.until_reason("orders", "TenantNotFound").await;
        delete(world).await;
        assert_eq!(world.requests().len(), 0);
    })
    .await;
}
