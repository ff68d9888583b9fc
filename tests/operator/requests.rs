//! What people ask of the operator directly: a full pass now, and to keep its hands off.

use cognigy_operator::api::{CognigyTenant, CognigyWebhook, RetryPolicy};
use cognigy_simulator::{Fault, Options, Route};
use kube::api::{Patch, PatchParams};
use serde_json::json;

use crate::harness::{told, world, world_without_operator};

const REQUESTED: &str = "cognigy.io/reconcile-requested-at";

#[tokio::test(flavor = "multi_thread")]
async fn a_requested_pass_compares_everything_at_once_and_is_acknowledged() {
    world(Options::default(), async |world| {
        world.tenant("production", json!({})).await;
        world.policy("patient", json!({"intervalsMs": [50, 100, 200]})).await;
        world.webhook("orders", json!({"retryPolicyRef": {"name": "patient"}})).await;
        let webhook = world.until_reason("orders", "Active").await;
        let id = webhook.status.unwrap().webhook_id.unwrap();
        world.change_behind(&id, json!({"retryPolicy": null}));
        world.clear_log();
        world.annotate("orders", REQUESTED, "2026-11-22T10:00:00Z").await;
        let webhook = world
            .until("orders", |webhook: &CognigyWebhook| {
                webhook.status.as_ref().and_then(|s| s.last_handled_reconcile_at.as_deref())
                    == Some("2026-11-22T10:00:00Z")
            })
            .await;
        told(&webhook.status.unwrap().conditions, ("True", "Active", None));
        assert!(world.count(Route::GetWebhook) >= 1);
        assert_eq!(world.integrations()[0].retry_policy.as_ref().unwrap()["intervalsMs"], json!([50, 100, 200]));
        let note = world.until_event("orders", "ReconcileRequestHandled").await;
        assert!(note.contains("2026-11-22T10:00:00Z"), "{note}");
        let drift = world.until_event("orders", "DriftCorrected").await;
        assert!(drift.contains("retryPolicy"), "{drift}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_handled_once_and_a_new_value_asks_again() {
    world(Options::default(), async |world| {
        world.tenant("production", json!({})).await;
        world.webhook("orders", json!({})).await;
        world.until_reason("orders", "Active").await;
        for asked in ["one", "two"] {
            world.clear_log();
            world.annotate("orders", REQUESTED, asked).await;
            world
                .until("orders", |webhook: &CognigyWebhook| {
                    webhook.status.as_ref().and_then(|s| s.last_handled_reconcile_at.as_deref()) == Some(asked)
                })
                .await;
            let routes: Vec<_> = world.requests().into_iter().filter_map(|request| request.route).collect();
            assert!(routes.contains(&Route::GetWebhook), "{routes:?}");
            assert!(!routes.iter().any(|route| route.is_write()), "{routes:?}");
        }
        world
            .eventually("two requests are two events", async || {
                let handled = world.events("orders").await;
                handled.iter().filter(|(reason, _)| reason == "ReconcileRequestHandled").count() == 2
            })
            .await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_is_probed_when_somebody_asks_and_says_so() {
    world(Options::default(), async |world| {
        world.tenant("production", json!({})).await;
        world.until_tenant("production", "Connected").await;
        world.clear_log();
        let ask = async |asked: &str| {
            let patch = Patch::Merge(json!({"metadata": {"annotations": {REQUESTED: asked}}}));
            world.api::<CognigyTenant>().patch("production", &PatchParams::default(), &patch).await.unwrap();
            world
                .until("production", |tenant: &CognigyTenant| {
                    tenant.status.as_ref().and_then(|s| s.last_handled_reconcile_at.as_deref()) == Some(asked)
                })
                .await
        };
        let tenant = ask("one").await;
        told(&tenant.status.unwrap().conditions, ("True", "Connected", None));
        assert_eq!(world.count(Route::ListIntegrations), 1, "{:?}", world.requests());
        let note = world.until_event("production", "ReconcileRequestHandled").await;
        assert!(note.contains("one") && note.contains("Connected"), "{note}");

        world.fault(Fault::on(Route::ListIntegrations).status(403));
        let tenant = ask("two").await;
        told(&tenant.status.unwrap().conditions, ("False", "Forbidden", Some("Stalled")));
        // It would be tried again in a minute; somebody who mended it need not wait.
        world.clear_faults();
        let tenant = ask("three").await;
        told(&tenant.status.unwrap().conditions, ("True", "Connected", None));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspended_webhook_is_left_as_it_is_until_it_is_resumed() {
    world(Options::default(), async |world| {
        world.tenant("production", json!({})).await;
        world.webhook("orders", json!({})).await;
        world.until_reason("orders", "Active").await;
        world.clear_log();
        world.webhook("orders", json!({"suspend": true, "method": "PUT"})).await;
        let webhook = world.until_reason("orders", "Suspended").await;
        told(&webhook.status.as_ref().unwrap().conditions, ("False", "Suspended", None));
        let status = webhook.status.unwrap();
        assert!(status.webhook_id.is_some() && status.state.is_some(), "what is known stays in the status");
        assert!(world.integrations()[0].active, "it goes on serving");
        assert_eq!(world.requests().len(), 0, "{:?}", world.requests());
        world.webhook("orders", json!({"suspend": false, "method": "PUT"})).await;
        world.until_reason("orders", "Active").await;
        assert_eq!(world.integrations()[0].method, "PUT");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_object_is_never_taken_for_done() {
    world_without_operator(Options::default(), async |world| {
        world.tenant("production", json!({})).await;
        world.policy("patient", json!({"intervalsMs": [50, 100, 200]})).await;
        world.webhook("orders", json!({"retryPolicyRef": {"name": "patient"}})).await;
        let tenant = world.api::<CognigyTenant>().get("production").await.unwrap().status.unwrap();
        let policy = world.api::<RetryPolicy>().get("patient").await.unwrap().status.unwrap();
        let webhook = world.api::<CognigyWebhook>().get("orders").await.unwrap().status.unwrap();
        for observed in [tenant.observed_generation, policy.observed_generation, webhook.observed_generation] {
            assert_eq!(observed, Some(-1));
        }
        world.start_operator().await;
        world.until_reason("orders", "Active").await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_to_a_suspended_webhook_is_handled_when_it_is_resumed() {
    world(Options::default(), async |world| {
        world.tenant("production", json!({})).await;
        world.webhook("orders", json!({})).await;
        let id = world.until_reason("orders", "Active").await.status.unwrap().webhook_id.unwrap();
        world.webhook("orders", json!({"suspend": true})).await;
        world.until_reason("orders", "Suspended").await;
        world.clear_log();
        world.annotate("orders", REQUESTED, "while-suspended").await;
        assert!(world.change_behind(&id, json!({"enabled": false})));
        // A later change is seen after the request, and nothing was done about it.
        world.webhook("orders", json!({"suspend": true, "method": "PUT"})).await;
        let webhook = world.until_reason("orders", "Suspended").await;
        assert_eq!(webhook.status.unwrap().last_handled_reconcile_at, None);
        assert_eq!(world.requests().len(), 0, "{:#?}", world.requests());
        world.webhook("orders", json!({"suspend": false})).await;
        let handled = |webhook: &CognigyWebhook| {
            webhook.status.as_ref().and_then(|s| s.last_handled_reconcile_at.as_deref()) == Some("while-suspended")
        };
        world.until("orders", handled).await;
        world.until_reason("orders", "Active").await;
        assert_eq!(world.active_versions("orders"), [1]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspended_tenants_webhooks_serve_on_and_nothing_is_sent_until_it_is_resumed() {
    world(Options::default(), async |world| {
        world.tenant("production", json!({"resyncPeriodSeconds": 5})).await;
        for name in ["quiet", "changed"] {
            world.webhook(name, json!({})).await;
        }
        for name in ["quiet", "changed"] {
            world.until_reason(name, "Active").await;
        }
        world.tenant("production", json!({"suspend": true})).await;
        world.until_tenant("production", "Suspended").await;
        let quiet = world.get("quiet").await;
        world.clear_log();
        world.annotate("quiet", REQUESTED, "while-suspended").await;
        world.webhook("changed", json!({"method": "PUT"})).await;
        let waiting = world.until_reason("changed", "TenantNotReady").await;
        let message =
            told(&waiting.status.as_ref().unwrap().conditions, ("False", "TenantNotReady", Some("Reconciling")));
        assert!(message.contains("Suspended"), "{message}");
        assert_eq!(world.requests().len(), 0, "{:#?}", world.requests());
        assert_eq!(world.get("quiet").await.status, quiet.status, "what is Ready is left alone");
        assert!(world.integrations().iter().all(|one| one.active));

        world.tenant("production", json!({"suspend": false})).await;
        world.until_reason("changed", "Active").await;
        let handled = |webhook: &CognigyWebhook| {
            webhook.status.as_ref().and_then(|s| s.last_handled_reconcile_at.as_deref()) == Some("while-suspended")
        };
        world.until("quiet", handled).await;
        assert!(world.interruptions("changed").is_empty() && world.interruptions("quiet").is_empty());
    })
    .await;
}
