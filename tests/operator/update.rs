//! A live webhook is changed in place.

use cognigy_operator::api::{CognigyWebhook, webhook::State};
use cognigy_simulator::{Fault, Options, Route};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use serde_json::{Value, json};

use crate::harness::{World, condition, message, reasons, true_conditions, world};

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
            .until("orders", |webhook: &CognigyWebhook| {
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

/// What was called about a webhook since the log was cleared.
fn calls(world: &World, id: &str) -> Vec<Route> {
    let requests = world.requests().into_iter().filter(|request| request.path.ends_with(id));
    requests.filter_map(|request| request.route).collect()
}

impl World {
    /// Changes the policy `patient`, waits until that is told of `orders`, and gives the calls that it took.
    async fn calls_of_a_policy(&self, generation: i64) -> Vec<Route> {
        self.clear_log();
        self.policy("patient", json!({"intervalsMs": [generation * 1000]})).await;
        let webhook = self
            .until("orders", |webhook: &CognigyWebhook| {
                let status = webhook.status.clone().unwrap_or_default();
                status.retry_policy.is_some_and(|policy| policy.generation == generation)
                    && told_ready(&status.conditions)
            })
            .await;
        calls(self, &webhook.status.unwrap().webhook_id.unwrap())
    }
}

fn told_ready(conditions: &[Condition]) -> bool {
    condition(conditions, "Ready").is_some_and(|ready| ready.status == "True")
}

/// What a changed policy costs where it has to be looked whether the registration is as it should be.
const LOOKED: [Route; 3] = [Route::GetWebhook, Route::GetIntegration, Route::PutWebhook];
/// What it costs where the entity tag says so.
const TAGGED: [Route; 2] = [Route::GetWebhook, Route::PutWebhook];

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_policy_costs_a_read_and_a_write_where_the_tag_says_that_the_registration_stands() {
    world(Options::default(), async |world| {
        live(world, json!({"retryPolicyRef": {"name": "patient"}})).await;
        // The answer to the activation, which came last, tells no tag.
        assert_eq!(world.calls_of_a_policy(2).await, LOOKED);
        assert_eq!(world.calls_of_a_policy(3).await, TAGGED);
        world.stop_operator().await;
        world.start_operator().await;
        assert_eq!(world.calls_of_a_policy(4).await, TAGGED);
        assert_eq!(world.interruptions("orders"), []);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registration_that_changed_together_with_the_policy_is_corrected() {
    world(Options::default(), async |world| {
        live(world, json!({"retryPolicyRef": {"name": "patient"}})).await;
        assert_eq!(world.calls_of_a_policy(2).await, LOOKED);
        world.stop_operator().await;
        let id = world.get("orders").await.status.unwrap().webhook_id.unwrap();
        assert!(world.change_behind(&id, json!({"url": "https://elsewhere.example.com/x"})));
        world.start_operator().await;
        let calls = world.calls_of_a_policy(3).await;
        assert!(calls.starts_with(&LOOKED) && calls.ends_with(&[Route::UpdateIntegration]), "{calls:?}");
        assert_eq!(world.integrations()[0].url, world.callback_url("orders").as_str());

        // Just before the write, which so is a conflict.
        assert_eq!(world.calls_of_a_policy(4).await, LOOKED);
        let behind = json!({"url": "https://elsewhere.example.com/y"});
        world.fault(Fault::on(Route::PutWebhook).times(1).change_behind(behind));
        let calls = world.calls_of_a_policy(5).await;
        let again = [&TAGGED[..], &LOOKED[..], &[Route::UpdateIntegration]].concat();
        assert_eq!(calls, again);
        assert_eq!(world.integrations()[0].url, world.callback_url("orders").as_str());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_policy_tells_no_value_of_a_header_though_the_registration_was_not_read() {
    world(Options::default(), async |world| {
        world.secret("orders-hook", &[("api-key", "k3y-value-one")]).await;
        let headers = json!([{"name": "X-Api-Key", "secretKeyRef": {"name": "orders-hook", "key": "api-key"}}]);
        live(world, json!({"retryPolicyRef": {"name": "patient"}, "headersFrom": headers})).await;
        assert_eq!(world.calls_of_a_policy(2).await, LOOKED);
        world.clear_log();
        let refusal = json!({"detail": "X-Api-Key may not be k3y-value-one"});
        world.fault(Fault::on(Route::PutWebhook).times(1).status(422).body(refusal));
        world.policy("patient", json!({"intervalsMs": [3000]})).await;
        let refused = world.until_reason("orders", "Rejected").await;
        assert!(message(&refused).contains("X-Api-Key may not be"), "{}", message(&refused));
        assert_eq!(calls(world, &refused.status.clone().unwrap().webhook_id.unwrap()), TAGGED);
        assert!(!format!("{refused:?} {:?}", world.events("orders").await).contains("-value-"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_is_no_longer_referred_to_stays_there_and_is_no_longer_told() {
    world(Options::default(), async |world| {
        live(world, json!({"retryPolicyRef": {"name": "patient"}})).await;
        world.webhook("orders", json!({})).await;
        let webhook = world
            .until("orders", |webhook: &CognigyWebhook| {
                webhook.status.as_ref().is_some_and(|s| s.observed_generation == Some(2) && s.retry_policy.is_none())
            })
            .await;
        assert_eq!(true_conditions(&webhook), ["Ready", "Registered", "Healthy"]);
        assert_eq!(writes(world), []);
        assert_eq!(world.integrations()[0].retry_policy.as_ref().unwrap()["intervalsMs"], json!(PATIENT));
    })
    .await;
}
