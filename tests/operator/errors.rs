//! Each row of docs/cognigy-api.md §7, as its users see it.

use cognigy_operator::api::{CognigyWebhook, RetryPolicy};
use cognigy_simulator::{ALL_SCOPES, Fault, Options, Request, RetryAfter, Route};
use serde_json::{Value, json};

use crate::{
    conflict::FORGIVING,
    harness::{World, message, reasons, true_conditions, world},
};

const TRACE_ID: &str = "api--11111111-2222-4333-8444-555555555555";

/// A tenant that stays calm, and a webhook with a policy of ten retries.
async fn webhook(world: &World, change: Value) {
    world.tenant("production", json!({"resyncPeriodSeconds": 5, "circuitBreaker": {"failureThreshold": 100}})).await;
    world.policy("forgiving", json!({"intervalsMs": FORGIVING})).await;
    let mut spec = json!({"retryPolicyRef": {"name": "forgiving"}});
    spec.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    world.webhook("orders", spec).await;
}

fn refusal(detail: &str) -> Value {
    json!({"type": "about:blank", "title": "Unprocessable", "status": 422, "detail": detail, "traceId": TRACE_ID})
}

async fn refused_once_until_the_spec_changes(route: Route) {
    world(Options::default(), async |world| {
        let detail = "headers: X-Environment is reserved";
        world.fault(Fault::on(route).times(1).status(422).body(refusal(detail)));
        webhook(world, json!({})).await;
        let refused = world.until_reason("orders", "Rejected").await;
        assert!(true_conditions(&refused).contains(&"Stalled"));
        let note = world.until_event("orders", "Rejected").await;
        for told in [message(&refused), note] {
            assert!(told.contains(detail) && told.contains(TRACE_ID), "{told}");
        }
        assert!(world.active_versions("orders").is_empty());
        let sent = world.count(route);

        // Neither the resync nor a restart sends it again, although Cognigy would take it now.
        world.stop_operator().await;
        world.start_operator().await;
        world.webhook("others", json!({})).await;
        world.until_reason("others", "Active").await;
        let (own, others): (Vec<_>, Vec<_>) =
            world.requests_to(route).into_iter().partition(|request| is_for(world, request, "orders"));
        assert_eq!(own.len(), sent, "{others:?}");
        assert_eq!(world.until_reason("orders", "Rejected").await.status, refused.status);

        world.webhook("orders", json!({"retryPolicyRef": {"name": "forgiving"}, "headers": {"X-Stage": "live"}})).await;
        world.until_reason("orders", "Active").await;
        assert_eq!(world.event_count("orders", "Rejected").await, 1);
    })
    .await;
}

/// Whether a request is about the registration of this name.
fn is_for(world: &World, request: &Request, name: &str) -> bool {
    let ids: Vec<_> = world.integrations().into_iter().filter(|one| one.name == name).map(|one| one.id).collect();
    request.json()["name"] == name || ids.iter().any(|id| request.path.ends_with(id))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_registration_is_not_sent_again_until_the_spec_changes() {
    refused_once_until_the_spec_changes(Route::CreateIntegration).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_policy_is_not_sent_again_until_the_spec_changes() {
    refused_once_until_the_spec_changes(Route::PutWebhook).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_activation_is_not_sent_again_until_the_spec_changes() {
    refused_once_until_the_spec_changes(Route::UpdateIntegration).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_scope_stalls_the_webhook_by_name_until_it_is_granted() {
    world(Options::default(), async |world| {
        world.set_granted_scopes(ALL_SCOPES.into_iter().filter(|scope| *scope != "integrations:write"));
        webhook(world, json!({})).await;
        let webhook = world.until_reason("orders", "Forbidden").await;
        assert_eq!(true_conditions(&webhook), ["Stalled"]);
        for told in [message(&webhook), world.until_event("orders", "Forbidden").await] {
            assert!(told.contains("integrations:write"), "{told}");
            assert!(told.contains("Webhook Administrator") || told.contains("Integration Developer"), "{told}");
        }
        // Granting lies outside Kubernetes: it is found out at a resync.
        world.set_granted_scopes(ALL_SCOPES);
        world.until_reason("orders", "Active").await;
        assert_eq!(world.event_count("orders", "Forbidden").await, 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_read_says_nothing_of_the_body_and_is_tried_again_at_a_resync() {
    world(Options::default(), async |world| {
        world.fault(Fault::on(Route::GetWebhook).status(400));
        webhook(world, json!({})).await;
        world.until_reason("orders", "Rejected").await;
        world.clear_faults();
        world.until_reason("orders", "Active").await;
        assert_eq!(world.event_count("orders", "Rejected").await, 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn server_trouble_is_retried_on_the_webhooks_own_policy_and_succeeds_later() {
    world(Options::default(), async |world| {
        world.fault(Fault::on(Route::CreateIntegration).status(503));
        webhook(world, json!({})).await;
        let webhook = world
            .until("orders", |webhook: &CognigyWebhook| {
                webhook.status.as_ref().and_then(|s| s.failure.as_ref()).is_some_and(|failure| failure.attempts == 3)
            })
            .await;
        assert_eq!(true_conditions(&webhook), ["Reconciling"]);
        assert!(message(&webhook).contains("503"), "{}", message(&webhook));
        let failure = webhook.status.unwrap().failure.unwrap();
        assert!(failure.last_error.unwrap().contains("503"));
        assert!(failure.next_attempt_at.unwrap().0 >= failure.since.unwrap().0);
        assert!(world.count(Route::CreateIntegration) >= 3, "each attempt is one try");
        world.clear_faults();
        let webhook = world.until_reason("orders", "Active").await;
        assert_eq!(webhook.status.unwrap().failure, None);
        assert_eq!(world.integrations().len(), 1);
        let events = world.events("orders").await;
        assert!(!reasons(&events).contains(&"RetriesExhausted"), "{events:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn used_up_attempts_stall_the_webhook_until_a_resync_recovers_it() {
    world(Options::default(), async |world| {
        world.fault(Fault::on(Route::CreateIntegration).status(503));
        world.policy("quick", json!({"intervalsMs": [50, 100]})).await;
        webhook(world, json!({"retryPolicyRef": {"name": "quick"}})).await;
        let webhook = world.until_reason("orders", "RetriesExhausted").await;
        assert_eq!(true_conditions(&webhook), ["Stalled"]);
        assert!(message(&webhook).contains("503"), "{}", message(&webhook));
        assert_eq!(webhook.status.unwrap().failure.unwrap().attempts, 3, "the first try and its two repeats");
        assert!(world.until_event("orders", "RetriesExhausted").await.contains("503"));
        // Tried again at a resync, which is not told again.
        let tried = world.count(Route::CreateIntegration);
        world.until_sim("another try", |state| state.count(Route::CreateIntegration) > tried).await;
        world.clear_faults();
        world.until_reason("orders", "Active").await;
        world.until_event("orders", "Recovered").await;
        assert_eq!(world.event_count("orders", "RetriesExhausted").await, 1);
    })
    .await;
}

/// The registration is made, but its answer does not arrive: what is there in the end is one object.
async fn made_once(spoilt: Fault) {
    world(Options::default(), async |world| {
        world.fault(spoilt);
        webhook(world, json!({})).await;
        let webhook = world.until_reason("orders", "Active").await;
        let integrations = world.integrations();
        assert_eq!(integrations.len(), 1);
        assert!(integrations[0].active);
        assert_eq!(webhook.status.unwrap().webhook_id.as_ref(), Some(&integrations[0].id));
        assert_eq!(world.count(Route::CreateIntegration), 2);
        world.until_event("orders", "Activated").await;
        let events = world.events("orders").await;
        assert_eq!(reasons(&events), ["Registered", "RetryPolicyApplied", "HealthCheckPassed", "Activated"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registration_whose_answer_is_lost_is_made_only_once() {
    made_once(Fault::on(Route::CreateIntegration).times(1).lose_after()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registration_whose_answer_is_malformed_is_made_only_once() {
    made_once(Fault::on(Route::CreateIntegration).times(1).malformed_json()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_half_done_registration_is_taken_up_although_the_spec_changed_meanwhile() {
    world(Options::default(), async |world| {
        world.policy("slow", json!({"intervalsMs": [3_600_000]})).await;
        // Seen by the operator before the webhook is, or that it is missing would be the first event.
        world
            .until("slow", |policy: &RetryPolicy| {
                policy.status.as_ref().is_some_and(|told| told.total_delay_ms.is_some())
            })
            .await;
        world.fault(Fault::on(Route::CreateIntegration).times(1).lose_after());
        webhook(world, json!({"retryPolicyRef": {"name": "slow"}})).await;
        world.until_reason("orders", "ServerError").await;
        webhook(world, json!({"retryPolicyRef": {"name": "slow"}, "headers": {"X-Stage": "live"}})).await;
        world.until_reason("orders", "Active").await;
        let integrations = world.integrations();
        assert_eq!(integrations.len(), 1);
        assert_eq!((&integrations[0].headers["X-Stage"], integrations[0].active), (&json!("live"), true));
        let answers: Vec<_> = world.requests_to(Route::CreateIntegration).iter().map(|one| one.status).collect();
        assert_eq!(answers, [None, Some(409)]);
        world.until_event("orders", "Activated").await;
        let events = world.events("orders").await;
        assert_eq!(reasons(&events)[..2], ["Registered", "RetryPolicyApplied"], "{events:?}");
        assert!(reasons(&events).contains(&"Updated"), "{events:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_without_an_answer_times_out_and_is_tried_again() {
    world(Options::default(), async |world| {
        let hang = world.fault(Fault::on(Route::CreateIntegration).hang());
        webhook(world, json!({})).await;
        world
            .tenant(
                "production",
                json!({"limits": {"requestTimeoutSeconds": 1}, "circuitBreaker": {"failureThreshold": 100}}),
            )
            .await;
        let webhook = world.until_reason("orders", "ServerError").await;
        assert_eq!(true_conditions(&webhook), ["Reconciling"]);
        assert!(message(&webhook).contains("requestTimeoutSeconds"), "{}", message(&webhook));
        world.remove_fault(hang);
        world.until_reason("orders", "Active").await;
        assert_eq!(world.integrations().len(), 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_no_json_is_server_trouble() {
    world(Options::default(), async |world| {
        let garbled = world.fault(Fault::on(Route::GetWebhook).malformed_json());
        webhook(world, json!({})).await;
        let webhook = world.until_reason("orders", "ServerError").await;
        assert_eq!(true_conditions(&webhook), ["Registered", "Reconciling"]);
        assert!(message(&webhook).contains("not JSON"), "{}", message(&webhook));
        world.remove_fault(garbled);
        world.until_reason("orders", "Active").await;
    })
    .await;
}

async fn a_pause_of_the_whole_tenant(retry_after: RetryAfter) {
    world(Options::default(), async |world| {
        world.fault(Fault::on(Route::CreateIntegration).times(1).retry_after(retry_after));
        webhook(world, json!({})).await;
        let webhook = world.until_reason("orders", "RateLimited").await;
        assert_eq!(true_conditions(&webhook), ["Reconciling"]);
        assert_eq!(webhook.status.unwrap().failure, None, "a pause costs no attempt");
        world.until_event("orders", "RateLimited").await;
        // Another webhook of the tenant waits with it.
        world.webhook("others", json!({})).await;
        let other = world
            .until("others", |webhook: &CognigyWebhook| {
                webhook.status.as_ref().is_some_and(|status| !status.conditions.is_empty())
            })
            .await;
        assert_eq!(true_conditions(&other), ["Reconciling"]);
        assert_eq!(world.requests().last().unwrap().status, Some(429), "nothing is sent during the pause");
        world.until_reason("orders", "Active").await;
        world.until_reason("others", "Active").await;
        let answers: Vec<_> = world.requests_to(Route::CreateIntegration).iter().map(|one| one.status).collect();
        assert_eq!(answers, [Some(429), Some(201), Some(201)]);
        assert_eq!(world.event_count("orders", "RateLimited").await, 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_asked_for_in_seconds_holds_the_whole_tenant_back() {
    a_pause_of_the_whole_tenant(RetryAfter::Seconds(6)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_asked_for_as_a_date_holds_the_whole_tenant_back() {
    a_pause_of_the_whole_tenant(RetryAfter::DateIn(6)).await;
}

/// A write whose answer is lost has happened all the same: what is told in the end is the truth.
async fn written_once(route: Route) {
    world(Options::default(), async |world| {
        world.fault(Fault::on(route).times(1).lose_after());
        webhook(world, json!({})).await;
        let webhook = world.until_reason("orders", "Active").await;
        let told = ["Ready", "Registered", "Healthy", "RetryPolicyApplied"];
        assert_eq!(true_conditions(&webhook), told);
        let status = webhook.status.unwrap();
        assert_eq!(status.failure, None);
        assert_eq!(status.retry_policy.unwrap().name, "forgiving");
        assert_eq!(world.active_versions("orders"), [1]);
        assert_eq!(world.count(route), 1, "it is not written again");
        assert_eq!(world.interruptions("orders"), []);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_whose_answer_is_lost_is_written_only_once() {
    written_once(Route::PutWebhook).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_activation_whose_answer_is_lost_is_made_only_once() {
    written_once(Route::UpdateIntegration).await;
}
