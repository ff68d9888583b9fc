//! A live webhook is changed in place.

use cognigy_operator::api::webhook::State;
use cognigy_simulator::{Options, Route};
use serde_json::{Value, json};

use crate::harness::{World, reasons, true_conditions, world};

const PATIENT: [i64; 2] = [1000, 2500];

/// A live webhook with a policy; what led there is no longer in the log.
async fn live(world: &World, change: Value) {
    world.tenant("production", json!({})).await;
    world.policy("patient", json!({"intervalsMs": PATIENT})).await;
    world.webhook("orders", change).await;
    world.until_reason("orders", "Active").await;
    world.clear_log();
}

fn writes(world: &World) -> Vec<Route> {
    world.requests().into_iter().filter_map(|request| request.route).filter(|route| route.is_write()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_url_is_checked_first_and_then_written_without_an_interruption() {
    world(Options::default(), async |world| {
        live(world, json!({"retryPolicyRef": {"name": "patient"}})).await;
        let url = world.callback_url("new-place");
        let changed = json!({"url": url, "headers": {"X-Stage": "live"}, "retryPolicyRef": {"name": "patient"}});
        world.webhook("orders", changed).await;
        let webhook = world.until_reason("orders", "Active").await;
        assert_eq!(webhook.status.unwrap().state, Some(State::Active));
        assert_eq!(writes(world), [Route::UpdateIntegration]);
        let there = &world.integrations()[0];
        assert_eq!((there.url.as_str(), &there.headers["X-Stage"], there.active), (url.as_str(), &json!("live"), true));
        assert_eq!(there.retry_policy.as_ref().unwrap()["intervalsMs"], json!(PATIENT));
        let check = &world.callback("new-place").requests()[0];
        assert_eq!(check.header("x-stage"), Some("live"));
        assert!(check.seq < world.requests_to(Route::UpdateIntegration)[0].seq, "checked before it is written");
        assert_eq!(world.interruptions("orders"), []);
        world.until_event("orders", "Updated").await;
        let events = world.events("orders").await;
        assert_eq!(reasons(&events)[4..], ["HealthCheckPassed", "Updated"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_url_that_does_not_answer_leaves_the_old_one_serving() {
    world(Options::default(), async |world| {
        live(world, json!({})).await;
        world.callback("new-place").answer(cognigy_simulator::Answer::status(503));
        world.webhook("orders", json!({"url": world.callback_url("new-place")})).await;
        let webhook = world.until_reason("orders", "HealthCheckFailed").await;
        assert_eq!(webhook.status.unwrap().state, Some(State::Active));
        assert_eq!(writes(world), []);
        assert_eq!(world.integrations()[0].url, world.callback_url("orders").to_string());
        world.callback("new-place").answer(cognigy_simulator::Answer::ok());
        world.until_reason("orders", "Active").await;
        assert_eq!(world.integrations()[0].url, world.callback_url("new-place").to_string());
        assert_eq!(world.interruptions("orders"), []);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_is_switched_off_and_on_again() {
    world(Options::default(), async |world| {
        live(world, json!({})).await;
        world.webhook("orders", json!({"enabled": false})).await;
        let webhook = world.until_reason("orders", "Disabled").await;
        assert!(true_conditions(&webhook).contains(&"Ready"));
        assert_eq!(webhook.status.unwrap().state, Some(State::Inactive));
        world.until_event("orders", "Deactivated").await;
        assert!(world.active_versions("orders").is_empty());
        let checks = world.callback("orders").requests().len();

        world.webhook("orders", json!({"enabled": true})).await;
        world.until_reason("orders", "Active").await;
        assert_eq!(world.active_versions("orders"), [1]);
        assert_eq!(world.integrations().len(), 1);
        assert_eq!(world.callback("orders").requests().len(), checks + 1, "checked before it goes live again");
        assert_eq!(writes(world), [Route::UpdateIntegration, Route::UpdateIntegration]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotated_secret_is_written_at_once_and_only_for_its_users() {
    world(Options::default(), async |world| {
        world.secret("orders-hook", &[("api-key", "first-value-1")]).await;
        let headers =
            json!({"headersFrom": [{"name": "X-Api-Key", "secretKeyRef": {"name": "orders-hook", "key": "api-key"}}]});
        live(world, headers).await;
        world.webhook("others", json!({})).await;
        world.until_reason("others", "Active").await;
        world.clear_log();

        world.secret("orders-hook", &[("api-key", "second-value-2")]).await;
        let rotated = |state: &cognigy_simulator::State| {
            state.integrations().iter().any(|one| one.headers.get("X-Api-Key") == Some(&json!("second-value-2")))
        };
        world.until_sim("the new value", rotated).await;
        world.until_event("orders", "Updated").await;
        assert_eq!(writes(world), [Route::UpdateIntegration]);
        assert_eq!(world.callback("orders").requests().last().unwrap().header("x-api-key"), Some("second-value-2"));
        assert_eq!(world.interruptions("orders"), []);
        let others = world.integrations().into_iter().find(|one| one.name == "others").unwrap().id;
        assert!(!world.requests().iter().any(|request| request.path.ends_with(&others)), "no user of the Secret");
        assert!(!format!("{:?}", world.events("orders").await).contains("-value-"));
        world.until_reason("orders", "Active").await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_policy_is_written_again_for_its_users_only() {
    world(Options::default(), async |world| {
        live(world, json!({"retryPolicyRef": {"name": "patient"}})).await;
        world.policy("hasty", json!({"intervalsMs": [100]})).await;
        world.webhook("others", json!({"retryPolicyRef": {"name": "hasty"}})).await;
        world.until_reason("others", "Active").await;
        world.clear_log();

        world.policy("patient", json!({"intervalsMs": [2000, 4000, 8000]})).await;
        let id = world.get("orders").await.status.unwrap().webhook_id.unwrap();
        let written = |state: &cognigy_simulator::State| {
            let policy = state.integration(&id).and_then(|one| one.retry_policy.clone());
            policy.is_some_and(|policy| policy["intervalsMs"] == json!([2000, 4000, 8000]))
        };
        world.until_sim("the new policy", written).await;
        world
            .until("orders", |webhook: &cognigy_operator::api::CognigyWebhook| {
                let status = webhook.status.clone().unwrap_or_default();
                status.retry_policy.is_some_and(|policy| policy.generation == 2)
            })
            .await;
        assert_eq!(writes(world), [Route::PutWebhook]);
        let write = &world.requests_to(Route::PutWebhook)[0];
        assert!(write.path.ends_with(&id) && write.header("if-match").is_some());
        let others = world.integrations().into_iter().find(|one| one.name == "others").unwrap().id;
        assert!(!world.requests().iter().any(|request| request.path.ends_with(&others)), "no user of the policy");
        assert_eq!(world.event_count("orders", "RetryPolicyApplied").await, 2);
        assert_eq!(world.interruptions("orders"), []);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_is_no_longer_referred_to_stays_there_and_is_no_longer_told() {
    world(Options::default(), async |world| {
        live(world, json!({"retryPolicyRef": {"name": "patient"}})).await;
        world.webhook("orders", json!({})).await;
        let webhook = world
            .until("orders", |webhook: &cognigy_operator::api::CognigyWebhook| {
                webhook.status.as_ref().is_some_and(|s| s.observed_generation == Some(2) && s.retry_policy.is_none())
            })
            .await;
        assert_eq!(true_conditions(&webhook), ["Ready", "Registered", "Healthy"]);
        assert_eq!(writes(world), []);
        assert_eq!(world.integrations()[0].retry_policy.as_ref().unwrap()["intervalsMs"], json!(PATIENT));
    })
    .await;
}
