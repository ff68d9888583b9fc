//! What the actions do to live objects.

use cognigy_operator::api::{CognigyTenant, CognigyWebhook};
use cognigy_simulator::{Options, Route};
use serde_json::json;

use crate::{
    customizations::timeless,
    harness::{World, world},
    live::{act, until_health},
    scenes::{stuck_webhook, tenant_with_an_alert_that_nobody_takes},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_is_reconciled_suspended_and_resumed() {
    world(Options::default(), async |world| {
        world.tenant("production", json!({})).await;
        world.webhook("orders", json!({})).await;
        world.until_reason("orders", "Active").await;
        let patch = act(world, "CognigyWebhook", "orders", "reconcile").await;
        let requested = json!({"cognigy.io/reconcile-requested-at": "0001-01-01T00:00:00Z"});
        assert_eq!(timeless(patch.clone()), json!({"metadata": {"annotations": requested}}));
        let asked = patch["metadata"]["annotations"]["cognigy.io/reconcile-requested-at"].as_str().unwrap();
        world
            .until("orders", |webhook: &CognigyWebhook| {
                webhook.status.as_ref().and_then(|status| status.last_handled_reconcile_at.as_deref()) == Some(asked)
            })
            .await;

        let patch = act(world, "CognigyWebhook", "orders", "suspend").await;
        assert_eq!(patch, json!({"spec": {"suspend": true}}));
        until_health(world, "CognigyWebhook", "orders", "Suspended").await;
        let patch = act(world, "CognigyWebhook", "orders", "resume").await;
        assert_eq!(patch, json!({"spec": {"suspend": false}}));
        until_health(world, "CognigyWebhook", "orders", "Healthy").await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_is_reconciled_suspended_and_resumed() {
    world(Options::default(), async |world| {
        world.tenant("production", json!({})).await;
        world.until_tenant("production", "Connected").await;
        let patch = act(world, "CognigyTenant", "production", "reconcile").await;
        let asked = patch["metadata"]["annotations"]["cognigy.io/reconcile-requested-at"].as_str().unwrap();
        world
            .until("production", |tenant: &CognigyTenant| {
                tenant.status.as_ref().and_then(|status| status.last_handled_reconcile_at.as_deref()) == Some(asked)
            })
            .await;
        for (action, expected) in [("suspend", "Suspended"), ("resume", "Healthy")] {
            act(world, "CognigyTenant", "production", action).await;
            until_health(world, "CognigyTenant", "production", expected).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_that_cannot_be_deleted_is_let_go() {
    world(Options::default(), async |world: &World| {
        stuck_webhook(world).await;
        let patch = act(world, "CognigyWebhook", "orders", "orphan").await;
        assert_eq!(patch, json!({"metadata": {"annotations": {"cognigy.io/force-orphan": "true"}}}));
        world.until_gone::<CognigyWebhook>("orders").await;
        assert_eq!((world.active_versions("orders"), world.count(Route::DeleteIntegration)), (vec![1], 0));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_whose_alerts_nobody_takes_is_let_go() {
    world(Options::default(), async |world: &World| {
        tenant_with_an_alert_that_nobody_takes(world).await;
        act(world, "CognigyTenant", "staging", "orphan").await;
        world.until_gone::<CognigyTenant>("staging").await;
    })
    .await;
}
