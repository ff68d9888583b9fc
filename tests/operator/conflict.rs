//! Somebody else changes the webhook at the same time (docs/cognigy-api.md §4).

use std::time::Duration;

use cognigy_simulator::{Fault, Locking, Options, Request, Route, StaleStatus};
use serde_json::json;

use crate::harness::{World, message, reasons, true_conditions, world};

const INTERVALS: [i64; 3] = [1000, 2500, 6250];

/// Ten retries, far enough apart to look on.
pub const FORGIVING: [i64; 10] = [200, 300, 450, 700, 1100, 1700, 2600, 3900, 5900, 8900];

fn writes_of_policy(world: &World) -> Vec<Request> {
    world.requests_to(Route::PutWebhook)
}

async fn changed_between_read_and_write(options: Options, refused_with: u16) {
    world(options, async |world| {
        world.tenant("production", json!({})).await;
        world.policy("patient", json!({"intervalsMs": INTERVALS})).await;
        // The write is held up on its way, so that somebody else's overtakes it.
        world.fault(Fault::on(Route::PutWebhook).times(1).delay(Duration::from_secs(2)));
        world.webhook("orders", json!({"retryPolicyRef": {"name": "patient"}})).await;
        world.until_sim("a policy write under way", |state| state.count(Route::PutWebhook) == 1).await;
        let id = world.integrations()[0].id.clone();
        assert!(world.change_behind(&id, json!({"deliveryRegion": "us-2", "note": "somebody was here"})));

        let webhook = world.until_reason("orders", "Active").await;
        let writes = writes_of_policy(world);
        assert_eq!(writes.iter().map(|write| write.status).collect::<Vec<_>>(), [Some(refused_with), Some(200)]);
        assert!(writes.iter().all(|write| write.header("if-match").is_some()));
        assert_ne!(writes[0].header("if-match"), writes[1].header("if-match"));
        assert_eq!(world.count(Route::GetWebhook), 2, "read again");
        let there = world.sim.webhook(&id).unwrap();
        assert_eq!(there["retryPolicy"]["intervalsMs"], json!(INTERVALS));
        assert_eq!((&there["deliveryRegion"], &there["note"]), (&json!("us-2"), &json!("somebody was here")));
        assert_eq!(webhook.status.unwrap().failure, None);
        world.until_event("orders", "Activated").await;
        let events = world.events("orders").await;
        let expected = ["Registered", "Conflict", "RetryPolicyApplied", "HealthCheckPassed", "Activated"];
        assert_eq!(reasons(&events), expected);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_changed_between_read_and_write_is_read_and_decided_again() {
    changed_between_read_and_write(Options::default(), 409).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_precondition_is_a_conflict_too() {
    let options = Options { stale_status: StaleStatus::PreconditionFailed, ..Options::default() };
    changed_between_read_and_write(options, 412).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn four_conflicts_in_one_pass_end_it_and_a_later_pass_succeeds() {
    world(Options::default(), async |world| {
        world.tenant("production", json!({})).await;
        world.policy("forgiving", json!({"intervalsMs": FORGIVING})).await;
        world.fault(Fault::on(Route::PutWebhook).locked());
        world.webhook("orders", json!({"retryPolicyRef": {"name": "forgiving"}})).await;
        let webhook = world.until_reason("orders", "Conflict").await;
        assert_eq!(true_conditions(&webhook), ["Registered", "Reconciling"]);
        assert!(webhook.status.unwrap().failure.unwrap().attempts >= 1);
        assert!(writes_of_policy(world).len() >= 4);
        assert!(world.active_versions("orders").is_empty());

        world.clear_faults();
        let webhook = world.until_reason("orders", "Active").await;
        assert_eq!(webhook.status.unwrap().failure, None);
        assert!(writes_of_policy(world).iter().all(|write| write.header("if-match").is_some()));
        // Within a pass the write is tried four times, and the webhook read before each.
        assert_eq!(writes_of_policy(world).len(), world.count(Route::GetWebhook));
        let events = world.events("orders").await;
        assert!(events.iter().filter(|(reason, _)| reason == "Conflict").count() >= 3, "{events:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_installation_without_any_locking_gets_no_policy_and_no_activation() {
    let options = Options { locking: Locking::None, ..Options::default() };
    world(options, async |world| {
        world.tenant("production", json!({})).await;
        world.policy("patient", json!({"intervalsMs": INTERVALS})).await;
        world.webhook("orders", json!({"retryPolicyRef": {"name": "patient"}})).await;
        let webhook = world.until_reason("orders", "LockingUnsupported").await;
        assert_eq!(true_conditions(&webhook), ["Registered", "Stalled"]);
        assert!(message(&webhook).contains("CompareAndWrite"), "{}", message(&webhook));
        world.until_event("orders", "LockingUnsupported").await;
        assert!(writes_of_policy(world).is_empty());
        assert!(world.active_versions("orders").is_empty());
        assert!(world.callback("orders").requests().is_empty());
    })
    .await;
}
