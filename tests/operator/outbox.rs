//! Alerts and dead letters of webhooks, as the user's own systems receive them (docs/outbox.md).

use cognigy_operator::api::{CognigyWebhook, FORCE_ORPHAN_ANNOTATION, webhook::Failure};
use cognigy_simulator::{Answer, Fault, Options, Route, SinkMessage, State};
use serde_json::{Value, json};

use crate::{
    conflict::FORGIVING,
    harness::{World, condition, message, true_conditions, world},
};

/// A calm tenant with all three sinks, and two policies: one that is used up at once, one that is not.
pub async fn tenant(world: &World, name: &str, change: Value) {
    let mut spec = json!({
        "resyncPeriodSeconds": 5,
        "circuitBreaker": {"failureThreshold": 100},
        "sinks": {
            "monitoring": {"url": world.https_sink_url("monitoring")},
            "alerts": {"url": world.https_sink_url("alerts")},
            "deadLetter": {"url": world.https_sink_url("letters")},
        },
    });
    spec.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    world.tenant(name, spec).await;
    world.policy("quick", json!({"intervalsMs": [50, 100]})).await;
    world.policy("forgiving", json!({"intervalsMs": FORGIVING})).await;
}

pub fn quick() -> Value {
    json!({"retryPolicyRef": {"name": "quick"}})
}

/// A webhook whose attempts are used up: its registration meets a server in trouble.
pub async fn exhausted(world: &World, name: &str) -> CognigyWebhook {
    world.fault(Fault::on(Route::CreateIntegration).status(503));
    world.webhook(name, quick()).await;
    world.until_reason(name, "RetriesExhausted").await
}

pub fn failure(webhook: &CognigyWebhook) -> Failure {
    webhook.status.clone().unwrap().failure.unwrap()
}

pub fn undelivered(webhook: &CognigyWebhook) -> Vec<String> {
    let failure = webhook.status.as_ref().and_then(|status| status.failure.as_ref());
    failure.into_iter().flat_map(|failure| &failure.undelivered).map(|message| message.id.clone()).collect()
}

/// How many messages a sink has accepted.
pub fn delivered(state: &State, sink: &str) -> usize {
    state.sink_messages(sink).iter().filter(|message| message.is_delivered()).count()
}

/// Waits until a sink has accepted so many messages, and returns them.
pub async fn accepted(world: &World, sink: &str, count: usize) -> Vec<SinkMessage> {
    world.until_sim("messages at a sink", |state| delivered(state, sink) >= count).await;
    let messages: Vec<_> = world.sink(sink).messages().into_iter().filter(SinkMessage::is_delivered).collect();
    for message in &messages {
        assert_eq!(message.violations, Vec::<String>::new());
    }
    messages
}

pub fn ids(messages: &[SinkMessage]) -> Vec<&str> {
    messages.iter().map(|message| message.header("ce-id").unwrap()).collect()
}

pub fn states(messages: &[SinkMessage]) -> Vec<&str> {
    messages.iter().map(|message| message.header("ce-alertstate").unwrap()).collect()
}

/// Waits until nothing of a webhook's is still to be delivered.
pub async fn until_told(world: &World, name: &str) -> CognigyWebhook {
    world.until(name, |webhook: &CognigyWebhook| undelivered(webhook).is_empty()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn used_up_attempts_are_one_alert_and_one_dead_letter_until_it_works_again() {
    world(Options::default(), async |world| {
        tenant(world, "production", json!({})).await;
        let webhook = exhausted(world, "orders").await;
        let told = failure(&webhook);
        let (letter, alert) = (told.dead_letter.clone().unwrap(), told.alert.clone().unwrap());
        assert_eq!((told.attempts, told.exhausted_at.is_some()), (3, true));

        let letters = accepted(world, "letters", 1).await;
        let error = told.last_error.unwrap();
        assert_eq!(letters[0].body, json!({"webhook_id": "orders", "max_attempts_reached": 3, "final_error": error}));
        assert_eq!(ids(&letters), [letter.id.as_str()]);
        let source = format!("/apis/cognigy.io/v1alpha1/namespaces/{}/cognigywebhooks/orders", world.namespace);
        assert_eq!(letters[0].header("ce-source"), Some(source.as_str()));
        assert_eq!(letters[0].header("ce-time"), Some(letter.time.unwrap().0.to_string().as_str()));

        let alerts = accepted(world, "alerts", 1).await;
        let body = &alerts[0].body;
        let mut keys: Vec<_> = body.as_object().unwrap().keys().collect();
        keys.sort();
        assert_eq!(keys, ["avg_latency_ms", "error_details", "event", "success_rate", "timestamp", "webhook_id"]);
        assert_eq!((&body["event"], &body["webhook_id"]), (&json!("webhook_retry_exhausted"), &json!("orders")));
        assert_eq!(body["timestamp"], json!(alert.since.0.to_string()));
        assert!(body["success_rate"].is_number() && body["avg_latency_ms"].is_number(), "{body}");
        let details = &body["error_details"];
        assert_eq!((&details["attempts"], &details["reason"]), (&json!(3), &json!("ServerError")));
        assert_eq!(details["message"], json!(error));
        assert_eq!((ids(&alerts), states(&alerts)), (vec![alert.id.as_str()], vec!["firing"]));

        let webhook = until_told(world, "orders").await;
        assert!(failure(&webhook).dead_letter.unwrap().delivered);
        world.until_event("orders", "DeadLetterDelivered").await;
        // Tries at a resync are no news.
        let tried = world.count(Route::CreateIntegration);
        world.until_sim("two more tries", |state| state.count(Route::CreateIntegration) > tried + 1).await;
        assert_eq!((world.sink("letters").messages().len(), world.sink("alerts").messages().len()), (1, 1));
        assert_eq!(world.counted("cognigy_operator_retries_exhausted_total{").await, 1);
        assert_eq!(world.counted("cognigy_operator_outbox_pending{").await, 0);

        world.clear_faults();
        world.until_reason("orders", "Active").await;
        let alerts = accepted(world, "alerts", 2).await;
        let resolved = &alerts[1];
        assert_eq!(states(&alerts), ["firing", "resolved"]);
        assert_eq!(resolved.header("ce-fingerprint"), alerts[0].header("ce-fingerprint"));
        assert_ne!(resolved.header("ce-id"), Some(alert.id.as_str()));
        assert_eq!(resolved.body["event"], json!("webhook_retry_resolved"));
        assert_eq!(resolved.body["error_details"]["alert_id"], json!(alert.id));
        assert_eq!(until_told(world, "orders").await.status.unwrap().failure, None);
        world.until_event("orders", "Recovered").await;
        assert_eq!((world.sink("letters").messages().len(), world.sink("alerts").messages().len()), (1, 2));
        let outcome = "cognigy_operator_outbox_deliveries_total{outcome=\"delivered\",sink=";
        assert_eq!(world.counted(&format!("{outcome}\"alerts\"")).await, 2);
        assert_eq!(world.counted(&format!("{outcome}\"deadLetter\"")).await, 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_after_the_alert_makes_no_second_one_and_a_later_success_ends_it() {
    world(Options::default(), async |world| {
        tenant(world, "production", json!({})).await;
        let alert = failure(&exhausted(world, "orders").await).alert.unwrap();
        let before = until_told(world, "orders").await;
        for _ in 0..2 {
            world.stop_operator().await;
            world.start_operator().await;
            let tried = world.count(Route::CreateIntegration);
            world.until_sim("another try", |state| state.count(Route::CreateIntegration) > tried).await;
        }
        let (before, now) = (failure(&before), failure(&world.get("orders").await));
        assert_eq!((now.attempts, now.exhausted_at, now.since), (before.attempts, before.exhausted_at, before.since));
        assert_eq!((now.alert, now.dead_letter), (before.alert, before.dead_letter));
        world.clear_faults();
        world.until_reason("orders", "Active").await;
        let alerts = accepted(world, "alerts", 2).await;
        assert_eq!(alerts[1].body["error_details"]["alert_id"], json!(alert.id));
        until_told(world, "orders").await;
        world.until_event("orders", "Recovered").await;
        assert_eq!((world.sink("letters").messages().len(), world.sink("alerts").messages().len()), (1, 2));
        assert_eq!(world.event_count("orders", "RetriesExhausted").await, 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sink_that_is_down_gets_every_message_once_it_is_up_under_the_id_of_the_status() {
    world(Options::default(), async |world| {
        tenant(world, "production", json!({})).await;
        world.sink("letters").answer(Answer::status(503));
        world.sink("alerts").answer(Answer::lose_connection());
        let letter = failure(&exhausted(world, "orders").await).dead_letter.unwrap();
        let failed = |webhook: &CognigyWebhook| {
            let failure = webhook.status.as_ref().and_then(|status| status.failure.clone()).unwrap_or_default();
            failure.undelivered.len() == 2 && failure.undelivered.iter().all(|message| message.last_error.is_some())
        };
        let webhook = world.until("orders", failed).await;
        let waiting = undelivered(&webhook);
        assert!(waiting.contains(&letter.id));
        assert!(world.until_event("orders", "DeadLetterFailed").await.contains("503"));
        assert_eq!(world.counted("cognigy_operator_outbox_pending{sink=\"deadLetter\"}").await, 1);

        // A restart changes neither the messages nor what was told of them.
        world.stop_operator().await;
        let tries = world.sink("letters").messages().len();
        world.start_operator().await;
        world.until_sim("another try", |state| state.sink_messages("letters").len() > tries + 1).await;
        assert_eq!(undelivered(&world.get("orders").await), waiting);
        assert_eq!(world.event_count("orders", "DeadLetterFailed").await, 1);

        world.sink("letters").answer(Answer::ok());
        world.sink("alerts").answer(Answer::ok());
        let webhook = until_told(world, "orders").await;
        assert!(failure(&webhook).dead_letter.unwrap().delivered);
        world.until_event("orders", "DeadLetterDelivered").await;
        assert_eq!(ids(&accepted(world, "letters", 1).await), [letter.id.as_str()]);
        assert_eq!(accepted(world, "alerts", 1).await.len(), 1);
        let bodies: Vec<_> = world.sink("letters").messages().into_iter().map(|message| message.body).collect();
        assert!(bodies.windows(2).all(|two| two[0] == two[1]), "{bodies:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_that_dies_before_it_knows_of_a_delivery_sends_the_same_message_again() {
    world(Options::default(), async |world| {
        tenant(world, "production", json!({})).await;
        world.sink("letters").answer(Answer::hang());
        let letter = failure(&exhausted(world, "orders").await).dead_letter.unwrap();
        world.until("orders", |webhook: &CognigyWebhook| undelivered(webhook) == [letter.id.as_str()]).await;
        world.until_sim("the letter", |state| !state.sink_messages("letters").is_empty()).await;
        world.kill_operator().await;
        world.sink("letters").answer(Answer::ok());
        world.start_operator().await;
        accepted(world, "letters", 1).await;
        let messages = world.sink("letters").messages();
        assert!(messages.len() > 1 && ids(&messages).iter().all(|id| *id == letter.id), "{messages:?}");
        assert_eq!(messages[0].body, messages[1].body);
        assert_eq!(messages[0].header("ce-time"), messages[1].header("ce-time"));
        until_told(world, "orders").await;
        assert_eq!(world.sink("alerts").messages().len(), 1, "what was delivered before is not sent again");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_change_keeps_the_messages_of_the_one_before() {
    world(Options::default(), async |world| {
        tenant(world, "production", json!({})).await;
        world.sink("letters").answer(Answer::status(500));
        let first = failure(&exhausted(world, "orders").await).dead_letter.unwrap();
        let mut change = quick();
        change["headers"] = json!({"X-Stage": "live"});
        world.webhook("orders", change).await;
        let webhook = world.until_reason("orders", "RetriesExhausted").await;
        let second = failure(&webhook).dead_letter.unwrap();
        assert_ne!(first.id, second.id);
        assert!(undelivered(&webhook).contains(&first.id) && undelivered(&webhook).contains(&second.id));
        world.sink("letters").answer(Answer::ok());
        assert_eq!(ids(&accepted(world, "letters", 2).await), [first.id.as_str(), second.id.as_str()]);
        // Two changes were given up, one webhook works again.
        world.clear_faults();
        world.until_reason("orders", "Active").await;
        let alerts = accepted(world, "alerts", 3).await;
        assert_eq!(states(&alerts), ["firing", "firing", "resolved"]);
        assert_eq!(alerts[2].body["error_details"]["alert_id"], json!(alerts[1].header("ce-id").unwrap()));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recovery_before_the_alert_is_delivered_tells_both_in_order() {
    world(Options::default(), async |world| {
        tenant(world, "production", json!({})).await;
        world.sink("alerts").answer(Answer::status(429));
        exhausted(world, "orders").await;
        world.clear_faults();
        let webhook = world.until_reason("orders", "Active").await;
        assert!(condition(&webhook.status.as_ref().unwrap().conditions, "Stalled").is_none());
        assert_eq!(failure(&webhook).undelivered.iter().filter(|message| message.alert_state.is_some()).count(), 2);
        world.sink("alerts").answer(Answer::ok());
        let alerts = accepted(world, "alerts", 2).await;
        assert_eq!(states(&alerts), ["firing", "resolved"]);
        assert_eq!(until_told(world, "orders").await.status.unwrap().failure, None);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_webhook_waits_until_its_messages_are_delivered() {
    world(Options::default(), async |world| {
        tenant(world, "production", json!({})).await;
        world.sink("letters").answer(Answer::status(507));
        exhausted(world, "orders").await;
        world.delete::<CognigyWebhook>("orders").await;
        let webhook = world.until_reason("orders", "DeletionBlocked").await;
        assert_eq!(true_conditions(&webhook), ["Reconciling"]);
        let note = world.until_event("orders", "DeletionBlocked").await;
        for said in [message(&webhook), note] {
            assert!(said.contains("deadLetter") && said.contains("507") && said.contains("force-orphan"), "{said}");
        }
        world.sink("letters").answer(Answer::ok());
        world.until_gone::<CognigyWebhook>("orders").await;
        assert_eq!(accepted(world, "letters", 1).await.len(), 1);
        let alerts = accepted(world, "alerts", 2).await;
        assert_eq!(states(&alerts), ["firing", "resolved"]);
        assert_eq!(alerts[1].body["error_details"]["resolution"], json!("deleted"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn force_orphan_lets_go_of_messages_that_cannot_be_delivered() {
    world(Options::default(), async |world| {
        tenant(world, "production", json!({})).await;
        world.sink("letters").answer(Answer::status(500));
        exhausted(world, "orders").await;
        world.delete::<CognigyWebhook>("orders").await;
        world.until_reason("orders", "DeletionBlocked").await;
        world.annotate("orders", FORCE_ORPHAN_ANNOTATION, "true").await;
        world.until_gone::<CognigyWebhook>("orders").await;
        assert_eq!(world.sink("letters").messages().iter().filter(|message| message.is_delivered()).count(), 0);
        world.eventually("nothing waits", async || world.counted("cognigy_operator_outbox_pending{").await == 0).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_managed_policy_of_an_existing_webhook_keeps_its_object_until_its_messages_are_delivered() {
    world(Options::default(), async |world| {
        let id = world.add_integration(json!({"name": "payments", "url": world.callback_url("payments")}));
        tenant(world, "production", json!({})).await;
        world.sink("letters").answer(Answer::status(500));
        world.fault(Fault::on(Route::GetWebhook).status(503));
        let manifest = json!({
            "apiVersion": "cognigy.io/v1alpha1", "kind": "CognigyWebhook", "metadata": {"name": "payments"},
            "spec": {
                "tenantRef": {"name": "production"}, "existing": {"webhookId": id}, "retryPolicyRef": {"name": "quick"},
            },
        });
        world.apply(manifest).await;
        world.until_reason("payments", "RetriesExhausted").await;
        world.delete::<CognigyWebhook>("payments").await;
        world.until_reason("payments", "DeletionBlocked").await;
        world.sink("letters").answer(Answer::ok());
        world.until_gone::<CognigyWebhook>("payments").await;
        assert_eq!(accepted(world, "letters", 1).await[0].body["webhook_id"], json!(id));
        assert_eq!(world.integrations().len(), 1, "nothing of it is managed but the policy");
    })
    .await;
}
