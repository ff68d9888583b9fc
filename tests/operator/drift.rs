//! Somebody changes Cognigy behind the operator's back.

use cognigy_operator::api::CognigyWebhook;
use cognigy_simulator::{Fault, Options, Request, RetryAfter, Route, State};
use serde_json::{Value, json};

use crate::harness::{World, message, true_conditions, world};

const INTERVALS: [i64; 2] = [1000, 2500];

/// A live webhook whose tenant is compared often; gives its id.
async fn live(world: &World, change: Value) -> String {
    world.tenant("production", json!({"resyncPeriodSeconds": 5})).await;
    world.policy("patient", json!({"intervalsMs": INTERVALS})).await;
    let mut spec = json!({"retryPolicyRef": {"name": "patient"}});
    spec.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    world.webhook("orders", spec).await;
    let webhook = world.until_reason("orders", "Active").await;
    webhook.status.unwrap().webhook_id.unwrap()
}

fn is_write(request: &Request) -> bool {
    request.route.is_some_and(Route::is_write)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_deleted_behind_our_back_is_registered_again() {
    world(Options::default(), async |world| {
        let id = live(world, json!({})).await;
        assert!(world.delete_behind(&id));
        let webhook = world
            .until("orders", |webhook: &CognigyWebhook| {
                let status = webhook.status.clone().unwrap_or_default();
                status.webhook_id.as_ref().is_some_and(|new| *new != id) && true_conditions(webhook).contains(&"Ready")
            })
            .await;
        let new = world.integrations().remove(0);
        assert_eq!(webhook.status.unwrap().webhook_id.as_ref(), Some(&new.id));
        assert!(new.active);
        assert_eq!(new.retry_policy.unwrap()["intervalsMs"], json!(INTERVALS));
        assert!(world.until_event("orders", "DriftCorrected").await.contains(&id));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resync_period_that_is_shortened_counts_for_what_was_compared_under_the_longer_one() {
    world(Options::default(), async |world| {
        world.tenant("production", json!({"resyncPeriodSeconds": 86400})).await;
        world.webhook("orders", json!({})).await;
        let id = world.until_reason("orders", "Active").await.status.unwrap().webhook_id.unwrap();
        world.tenant("production", json!({"resyncPeriodSeconds": 5})).await;
        assert!(world.change_behind(&id, json!({"url": "https://elsewhere.example/"})));
        world.until_event("orders", "DriftCorrected").await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_changed_behind_our_back_is_corrected_and_told() {
    world(Options::default(), async |world| {
        let id = live(world, json!({})).await;
        let other = json!({"retryPolicy": {"intervalsMs": [7000], "maxRetries": 1}});
        assert!(world.change_behind(&id, other));
        let note = world.until_event("orders", "DriftCorrected").await;
        assert!(note.contains("retryPolicy.intervalsMs [7000] → [1000, 2500]"), "{note}");
        assert!(note.contains("retryPolicy.maxRetries 1 → 2"), "{note}");
        let there = world.integration(&id).unwrap();
        assert_eq!(there.retry_policy.unwrap()["intervalsMs"], json!(INTERVALS));
        assert!(there.active);
        assert_eq!(world.interruptions("orders"), []);
        assert!(true_conditions(&world.get("orders").await).contains(&"Ready"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_correction_that_the_tenants_trouble_cut_short_is_made_at_the_next_comparison() {
    world(Options::default(), async |world| {
        let id = live(world, json!({})).await;
        // The drift is seen, and with it the new entity tag, but neither it nor the registration can be put right or read now.
        world.fault(Fault::on(Route::PutWebhook).times(1).status(429).retry_after(RetryAfter::Seconds(1)));
        world.fault(Fault::on(Route::GetIntegration).times(1).status(429).retry_after(RetryAfter::Seconds(1)));
        let other = json!({"retryPolicy": {"intervalsMs": [7000], "maxRetries": 1}, "headers": {"X-Other": "1"}});
        assert!(world.change_behind(&id, other));
        world
            .until_sim("both are corrected", |sim| {
                let there = sim.integration(&id).unwrap();
                let policy = there.retry_policy.as_ref().map(|policy| policy["intervalsMs"].clone());
                policy == Some(json!(INTERVALS)) && !there.headers.contains_key("X-Other")
            })
            .await;
        assert_eq!(world.interruptions("orders"), []);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_switched_off_behind_our_back_is_activated_again() {
    world(Options::default(), async |world| {
        let id = live(world, json!({})).await;
        assert!(world.change_behind(&id, json!({"enabled": false})));
        assert!(world.until_event("orders", "DriftCorrected").await.contains("enabled false → true"));
        assert_eq!(world.active_versions("orders"), [1]);
        assert_eq!(world.integrations().len(), 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_only_observed_is_compared_and_never_written() {
    world(Options::default(), async |world| {
        world.secret("orders-hook", &[("api-key", "hook-secret-4711")]).await;
        let headers = json!([{"name": "X-Api-Key", "secretKeyRef": {"name": "orders-hook", "key": "api-key"}}]);
        let id = live(world, json!({"headersFrom": headers})).await;
        let observed = json!({"headersFrom": headers, "retryPolicyRef": {"name": "patient"}, "mode": "Observe"});
        world.webhook("orders", observed).await;
        let webhook = world.until_reason("orders", "Observing").await;
        assert!(true_conditions(&webhook).contains(&"Ready"));
        world.clear_log();

        let elsewhere = json!({"headers": {"X-Api-Key": "not-the-secret-0815"}, "retryPolicy": {"maxRetries": 5}});
        assert!(world.change_behind(&id, elsewhere));
        let webhook = world.until_reason("orders", "DriftDetected").await;
        let not_abnormal = true_conditions(&webhook);
        assert!(!not_abnormal.contains(&"Reconciling") && !not_abnormal.contains(&"Stalled"), "{not_abnormal:?}");
        let drift = webhook.status.as_ref().unwrap().drift.clone();
        let shown: Vec<_> =
            drift.iter().map(|one| (one.path.as_str(), one.desired.as_deref(), one.actual.as_deref())).collect();
        let expected =
            [("retryPolicy.maxRetries", Some("2"), Some("5")), ("headers.X-Api-Key", Some("***"), Some("***"))];
        assert_eq!(shown, expected);
        let note = world.until_event("orders", "DriftDetected").await;
        for told in [message(&webhook), note, format!("{:?}", world.audit_lines())] {
            assert!(!told.contains("hook-secret-4711") && !told.contains("not-the-secret-0815"), "{told}");
        }
        // It goes on looking, says so once, and writes nothing anywhere.
        let written = world.writes("orders").len();
        let seen = world.requests().len();
        world.until_sim("another comparison", |state: &State| state.requests().len() > seen + 1).await;
        assert!(!world.requests().iter().any(is_write), "{:?}", world.requests());
        assert_eq!(world.writes("orders").len(), written);
        assert_eq!(world.event_count("orders", "DriftDetected").await, 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_only_observed_is_not_registered_either() {
    world(Options::default(), async |world| {
        world.tenant("production", json!({})).await;
        world.webhook("orders", json!({"mode": "Observe"})).await;
        let webhook = world.until_reason("orders", "DriftDetected").await;
        assert!(message(&webhook).contains("not registered"), "{}", message(&webhook));
        assert_eq!(true_conditions(&webhook), Vec::<&str>::new());
        assert!(!world.requests().iter().any(is_write));
        // Registered by somebody else, it is watched over.
        world.add_integration(
            json!({"name": "orders", "version": 1, "url": world.callback_url("orders"), "enabled": true}),
        );
        world.annotate("orders", "cognigy.io/reconcile-requested-at", "now").await;
        world.until_reason("orders", "Observing").await;
        assert!(!world.requests().iter().any(is_write));
    })
    .await;
}
