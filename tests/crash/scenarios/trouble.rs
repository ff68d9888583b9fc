//! Used up attempts with their alert and dead letter, and outages of a callback.

use cognigy_operator::api::{
    CognigyWebhook, DEAD_LETTER_REQUEST_ANNOTATION, RECONCILE_REQUESTED_ANNOTATION, webhook::State,
};
use cognigy_simulator::{Answer, Fault, Route};
use serde_json::json;

use crate::{
    harness::World,
    play::{Scenario, at_every_point, is_of_webhooks},
};

impl World {
    /// A tenant with sinks, and a policy that is used up at once.
    async fn house_with_sinks(&self) {
        let sinks = json!({
            "alerts": {"url": self.https_sink_url("alerts")}, "deadLetter": {"url": self.https_sink_url("letters")},
        });
        self.tenant("production", json!({"circuitBreaker": {"failureThreshold": 100}, "sinks": sinks})).await;
        self.policy("quick", json!({"intervalsMs": [50, 100]})).await;
        self.until_furnished().await;
    }

    /// Waits until a Ready reason is told and nothing is left to deliver.
    async fn until_told(&self, reason: &str) {
        self.until("orders", |webhook: &CognigyWebhook| {
            let status = webhook.status.clone().unwrap_or_default();
            let ready =
                status.conditions.iter().any(|condition| condition.type_ == "Ready" && condition.reason == reason);
            ready && status.failure.is_none_or(|failure| failure.undelivered.is_empty())
        })
        .await;
    }
}

/// The attempts are used up: an alert and a dead letter go out.
struct Exhaustion;

impl Exhaustion {
    /// It happened, and its dead letter is delivered.
    async fn is_over(&self, world: &World) {
        self.given(world).await;
        self.when(world).await;
        self.then(world).await;
        // The status is written before: what it tells of is still to be told.
        world.until_event("orders", "DeadLetterDelivered").await;
    }
}

impl Scenario for Exhaustion {
    /// A lost answer would be another final error.
    fn loses(call: &str) -> bool {
        !call.starts_with("cognigy")
    }

    async fn given(&self, world: &World) {
        world.house_with_sinks().await;
        world.fault(Fault::on(Route::CreateIntegration).status(503));
    }

    async fn when(&self, world: &World) {
        world.orders(1, json!({})).await;
    }

    async fn then(&self, world: &World) {
        world.until_told("RetriesExhausted").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn used_up_attempts() {
    at_every_point("used up attempts", Exhaustion).await;
}

/// What had used up its attempts works again: the alert is over.
struct Recovery;

impl Scenario for Recovery {
    /// What had used up its attempts and fails once more waits for the next resync: longer than a test.
    fn loses(call: &str) -> bool {
        Exhaustion::loses(call)
    }

    async fn given(&self, world: &World) {
        Exhaustion.is_over(world).await;
    }

    async fn when(&self, world: &World) {
        world.clear_faults();
        world.annotate("orders", RECONCILE_REQUESTED_ANNOTATION, "it works again").await;
    }

    async fn then(&self, world: &World) {
        world.until_told("Active").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recovery_after_used_up_attempts() {
    at_every_point("a recovery after used up attempts", Recovery).await;
}

impl World {
    /// Asks for something to be done about the dead letter.
    async fn ask_about_the_letter(&self, verb: &str) {
        let failure = self.get("orders").await.status.unwrap().failure.unwrap();
        let asked = format!("{verb} {}", failure.dead_letter.unwrap().id);
        self.annotate("orders", DEAD_LETTER_REQUEST_ANNOTATION, &asked).await;
    }

    /// Waits until that was done, and nothing is left to deliver.
    async fn until_asked_and_done(&self) {
        self.until("orders", |webhook: &CognigyWebhook| {
            let status = webhook.status.clone().unwrap_or_default();
            status.last_handled_dead_letter_request.is_some_and(|handled| handled.refused.is_none())
                && status.failure.is_some_and(|failure| failure.undelivered.is_empty())
        })
        .await;
    }
}

/// A person has a delivered dead letter sent again.
struct Replay;

impl Scenario for Replay {
    fn loses(call: &str) -> bool {
        Exhaustion::loses(call)
    }

    async fn given(&self, world: &World) {
        Exhaustion.is_over(world).await;
    }

    async fn when(&self, world: &World) {
        world.ask_about_the_letter("replay").await;
    }

    async fn then(&self, world: &World) {
        world.until_sim("the letter comes again", |state| state.sink_messages("letters").len() > 1).await;
        world.until_asked_and_done().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_that_is_replayed() {
    at_every_point("a dead letter that is replayed", Replay).await;
}

/// A person has a dead letter thrown away that its sink refuses. Tries come again and again, so they are no points.
struct Discard;

impl Scenario for Discard {
    fn counts(call: &str) -> bool {
        is_of_webhooks(call) && !call.starts_with("sink")
    }

    fn loses(call: &str) -> bool {
        Exhaustion::loses(call)
    }

    async fn given(&self, world: &World) {
        Exhaustion.given(world).await;
        world.sink("letters").answer(Answer::status(503));
        Exhaustion.when(world).await;
        world
            .until("orders", |webhook: &CognigyWebhook| {
                let failure = webhook.status.clone().unwrap_or_default().failure.unwrap_or_default();
                failure.undelivered.len() == 1 && failure.undelivered[0].last_error.is_some()
            })
            .await;
        world.until_event("orders", "DeadLetterFailed").await;
    }

    async fn when(&self, world: &World) {
        world.ask_about_the_letter("discard").await;
    }

    async fn then(&self, world: &World) {
        world.until_asked_and_done().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_that_is_discarded() {
    at_every_point("a dead letter that is discarded", Discard).await;
}

/// A callback fails while its webhook is live: it is switched off. Checks come again and again, so they are no points.
struct Outage;

impl Scenario for Outage {
    const SERVED: bool = false;

    fn counts(call: &str) -> bool {
        is_of_webhooks(call) && !call.starts_with("callback")
    }

    async fn given(&self, world: &World) {
        world.house().await;
        let check = json!({"periodSeconds": 2, "failureThreshold": 1, "onFailure": "Deactivate"});
        world.live(1, json!({"healthCheck": check})).await;
    }

    async fn when(&self, world: &World) {
        world.callback("orders").answer(Answer::status(500));
    }

    async fn then(&self, world: &World) {
        world.until_state(State::Inactive).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_that_switches_a_webhook_off() {
    at_every_point("an outage that switches a webhook off", Outage).await;
}

struct EndOfOutage;

impl Scenario for EndOfOutage {
    const SERVED: bool = false;

    fn counts(call: &str) -> bool {
        Outage::counts(call)
    }

    async fn given(&self, world: &World) {
        Outage.given(world).await;
        Outage.when(world).await;
        Outage.then(world).await;
    }

    async fn when(&self, world: &World) {
        world.callback("orders").answer(Answer::ok());
    }

    async fn then(&self, world: &World) {
        world.until_state(State::Active).await;
        world.until_version(1).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_an_outage() {
    at_every_point("the end of an outage", EndOfOutage).await;
}
