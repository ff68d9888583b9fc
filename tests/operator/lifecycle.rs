//! From `kubectl apply` to a live webhook, and back.

use cognigy_operator::api::{CognigyTenant, CognigyWebhook, webhook::State};
use cognigy_simulator::{Fault, Options, Route};
use serde_json::json;

use crate::harness::{condition, reasons, world};

#[tokio::test(flavor = "multi_thread")]
async fn an_applied_webhook_becomes_live_with_its_policy() {
    world(Options::default(), async |world| {
        world.tenant("production", json!({})).await;
        world.policy("patient", json!({"intervalsMs": [1000, 2500, 6250, 15625]})).await;
        world.webhook("orders", json!({"retryPolicyRef": {"name": "patient"}})).await;
        let webhook = world.until_reason("orders", "Active").await;
        let status = webhook.status.unwrap();
        assert_eq!(status.state, Some(State::Active));
        for type_ in ["Ready", "Registered", "Healthy", "RetryPolicyApplied"] {
            assert_eq!(condition(&status.conditions, type_).unwrap().status, "True", "{type_}");
        }
        let integrations = world.integrations();
        assert_eq!(integrations.len(), 1);
        assert!(integrations[0].active);
        assert_eq!(integrations[0].retry_policy.as_ref().unwrap()["intervalsMs"], json!([1000, 2500, 6250, 15625]));
        world.until_event("orders", "Activated").await;
        let events = world.events("orders").await;
        assert_eq!(reasons(&events), ["Registered", "RetryPolicyApplied", "HealthCheckPassed", "Activated"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_webhook_costs_four_calls_and_three_writes_and_a_quiet_pass_none() {
    world(Options::default(), async |world| {
        world.tenant("production", json!({"resyncPeriodSeconds": 5})).await;
        world.policy("patient", json!({"intervalsMs": [1000, 2500, 6250, 15625]})).await;
        world
            .until("production", |tenant: &CognigyTenant| {
                tenant.status.as_ref().is_some_and(|s| s.conditions.iter().any(|c| c.reason == "Connected"))
            })
            .await;
        world.clear_log();
        world.webhook("orders", json!({"retryPolicyRef": {"name": "patient"}})).await;
        world.until_reason("orders", "Active").await;
        let routes: Vec<_> = world.requests().into_iter().filter_map(|request| request.route).collect();
        assert_eq!(
            routes,
            [Route::CreateIntegration, Route::GetWebhook, Route::PutWebhook, Route::UpdateIntegration],
            "the calls of a new webhook"
        );
        // The API server writes its audit log after its answer: the claim, the id, the verdict.
        world.eventually("three writes", async || world.writes("orders").len() == 3).await;
        // Resyncs read, with one conditional call each, and write nothing.
        world.wait_until(|state| state.requests().iter().filter(|r| r.status == Some(304)).count() >= 2).await;
        world.clear_log();
        world.wait_until(|state| state.requests().iter().filter(|r| r.status.is_some()).count() >= 2).await;
        let answered = world.requests().into_iter().filter(|request| request.status.is_some());
        for request in answered {
            assert_eq!((request.route, request.status), (Some(Route::GetWebhook), Some(304)));
        }
        let writes = world.writes("orders");
        assert_eq!(writes.len(), 3, "{writes:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_registration_tells_its_tag_the_read_before_the_policy_is_saved() {
    for options in [
        Options { post_carries_etag: true, ..Options::default() },
        Options { post_carries_version: true, ..Options::default() },
    ] {
        world(options, async |world| {
            world.tenant("production", json!({})).await;
            world.policy("patient", json!({"intervalsMs": [1000, 2500]})).await;
            world
                .until("production", |tenant: &CognigyTenant| {
                    tenant.status.as_ref().is_some_and(|s| s.conditions.iter().any(|c| c.reason == "Connected"))
                })
                .await;
            world.clear_log();
            world.webhook("orders", json!({"retryPolicyRef": {"name": "patient"}})).await;
            world.until_reason("orders", "Active").await;
            let routes: Vec<_> = world.requests().into_iter().filter_map(|request| request.route).collect();
            assert_eq!(routes, [Route::CreateIntegration, Route::PutWebhook, Route::UpdateIntegration]);
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_webhook_is_deleted_in_cognigy_before_it_goes() {
    world(Options::default(), async |world| {
        world.tenant("production", json!({})).await;
        world.webhook("orders", json!({})).await;
        world.until_reason("orders", "Active").await;
        world.delete::<CognigyWebhook>("orders").await;
        world.until_gone::<CognigyWebhook>("orders").await;
        assert!(world.integrations().is_empty());
        world.until_event("orders", "Deleted").await;
        let writes = world.writes("orders");
        let last = writes.iter().rev().take_while(|write| write.subresource.is_none()).count();
        assert_eq!(last, 1, "the finalizer goes in one write: {writes:?}");
        world.stop_operator().await;
        let events = world.events("orders").await;
        assert_eq!(reasons(&events), ["Registered", "HealthCheckPassed", "Activated", "Deleted"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_whose_registration_a_crash_hid_is_not_left_behind() {
    world(Options::default(), async |world| {
        world.tenant("production", json!({})).await;
        world.fault(Fault::on(Route::CreateIntegration).times(1).lose_after());
        world.fault(Fault::on(Route::CreateIntegration).skip(1).status(503));
        world.webhook("orders", json!({"version": 1, "previousVersions": 0})).await;
        world.until_reason("orders", "ServerError").await;
        world.stop_operator().await;
        assert_eq!(world.integrations().len(), 1);
        world.clear_faults();
        world.webhook("orders", json!({"version": 2, "previousVersions": 0})).await;
        world.start_operator().await;
        world.until_reason("orders", "Active").await;
        let versions: Vec<_> = world.integrations().into_iter().map(|one| one.version).collect();
        assert_eq!(versions, [2]);
    })
    .await;
}
