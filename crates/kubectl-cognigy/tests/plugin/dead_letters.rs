//! `dead-letters`.

use cognigy_operator::api::{CognigyTenant, CognigyWebhook, DEAD_LETTER_REQUEST_ANNOTATION, webhook::Failure};
use cognigy_simulator::{Answer, Fault, Options, Route, SinkMessage};
use kube::ResourceExt as _;
use serde_json::{Value, json};

use crate::{
    harness::{World, world},
    plugin::Ran,
    scrub::scrub,
};

fn failure(webhook: &CognigyWebhook) -> Failure {
    webhook.status.clone().unwrap_or_default().failure.unwrap_or_default()
}

/// Webhooks that were given up, and whose dead letters the sink refuses; the ids of the letters.
async fn given_up(world: &World, names: &[&str], sinks: &[&str]) -> Vec<String> {
    let sinks: serde_json::Map<_, _> =
        sinks.iter().map(|name| ((*name).to_owned(), json!({"url": world.https_sink_url(name)}))).collect();
    world.tenant("production", json!({"circuitBreaker": {"failureThreshold": 100}, "sinks": sinks})).await;
    world.policy("quick", json!({"intervalsMs": [50, 100]})).await;
    for sink in ["deadLetter", "alerts"] {
        world.sink(sink).answer(Answer::status(503));
    }
    world.fault(Fault::on(Route::CreateIntegration).status(503));
    let mut letters = Vec::new();
    for name in names {
        world.webhook(name, json!({"retryPolicyRef": {"name": "quick"}})).await;
        let refused =
            |webhook: &CognigyWebhook| failure(webhook).undelivered.iter().any(|message| message.last_error.is_some());
        letters.push(failure(&world.until(name, refused).await).dead_letter.unwrap().id);
    }
    letters
}

fn accepted(world: &World) -> Vec<SinkMessage> {
    world.sink("deadLetter").messages().into_iter().filter(SinkMessage::is_delivered).collect()
}

/// It was not done, for this reason.
#[track_caller]
fn refused(ran: &Ran, code: i32, why: &str) {
    assert!(ran.code == code && ran.err.contains(why) && ran.out.is_empty(), "{ran:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn letters_are_listed_and_shown_while_they_wait_and_after() {
    world(Options::default(), async |world| {
        let none = world.plugin(&["dead-letters", "list"]).await;
        assert_eq!((none.code, none.out.as_str(), none.err.as_str()), (0, "", "No dead letters found.\n"));

        let sinks = json!({"deadLetter": {"url": world.https_sink_url("letters")}});
        world.tenant("production", json!({"circuitBreaker": {"failureThreshold": 100}, "sinks": sinks})).await;
        world.policy("quick", json!({"intervalsMs": [50, 100]})).await;
        world.sink("letters").answer(Answer::status(503));
        world.fault(Fault::on(Route::CreateIntegration).status(503));
        world.webhook("orders", json!({"retryPolicyRef": {"name": "quick"}})).await;
        let refused = |webhook: &CognigyWebhook| {
            let failure = webhook.status.clone().unwrap_or_default().failure.unwrap_or_default();
            failure.undelivered.iter().any(|message| message.last_error.is_some())
        };
        let webhook = world.until("orders", refused).await;
        let letter = webhook.status.unwrap().failure.unwrap().dead_letter.unwrap().id;
        let known = [(letter.as_str(), "LETTER")];

        let list = world.plugin(&["dead-letters", "list"]).await.good();
        insta::assert_snapshot!("letters_waiting", scrub(world, &list, &known));
        let shown = world.plugin(&["dead-letters", "show", "orders"]).await.good();
        insta::assert_snapshot!("letter_waiting", scrub(world, &shown, &known));
        let told: Vec<Value> =
            serde_json::from_str(&world.plugin(&["dead-letters", "show", "orders", "-o", "json"]).await.good())
                .unwrap();
        let body: Value = serde_json::from_str(told[0]["body"].as_str().unwrap()).unwrap();
        assert_eq!(Some(&body), world.sink("letters").messages().first().map(|message| &message.body), "what is sent");

        world.sink("letters").answer(Answer::ok());
        world.until_event("orders", "DeadLetterDelivered").await;
        world
            .until("orders", |webhook: &CognigyWebhook| {
                let failure = webhook.status.clone().unwrap_or_default().failure.unwrap_or_default();
                failure.dead_letter.is_some_and(|letter| letter.delivered)
            })
            .await;
        let everywhere = world.plugin(&["dead-letters", "list", "-A", "-o", "json"]).await.good();
        let told: Vec<Value> = serde_json::from_str(&everywhere).unwrap();
        let ours: Vec<&Value> = told.iter().filter(|letter| letter["namespace"] == world.namespace.as_str()).collect();
        assert_eq!((ours.len(), &ours[0]["id"], &ours[0]["delivered"]), (1, &json!(letter), &json!(true)));
        let shown = world.plugin(&["dead-letters", "show", "cwh/orders"]).await.good();
        insta::assert_snapshot!("letter_delivered", scrub(world, &shown, &known));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivered_letter_is_replayed_under_its_id_and_the_command_waits_for_it() {
    world(Options::default(), async |world| {
        let letter = given_up(world, &["orders"], &["deadLetter"]).await.remove(0);
        world.sink("deadLetter").answer(Answer::ok());
        world.until_event("orders", "DeadLetterDelivered").await;
        let ran = world.plugin(&["dead-letters", "replay", "orders"]).await;
        assert_eq!(ran.good(), format!("cwh/orders replayed: {letter}\n"));
        world.eventually("it comes again", async || accepted(world).len() == 2).await;
        let came = accepted(world);
        assert!(came[0].header("ce-id") == Some(&*letter) && came[1].header("ce-id") == Some(&*letter), "{came:?}");
        assert_eq!(came[0].body, came[1].body);
        let note = world.until_event("orders", "DeadLetterReplayed").await;
        assert!(note.contains(" admin)"), "who asked: {note}");

        refused(
            &world.plugin(&["dead-letters", "replay", "orders", "--id", "nobody"]).await,
            2,
            "cwh/orders has no message nobody; see: kubectl cognigy dead-letters show orders",
        );
        refused(
            &world.plugin(&["dead-letters", "discard", "orders", "--yes"]).await,
            2,
            "cwh/orders has no dead letter that waits",
        );
        refused(
            &world.plugin(&["dead-letters", "replay", "ctenant/production"]).await,
            2,
            "ctenant/production has no dead letters: name a webhook",
        );
        world.tenant("production", json!({"sinks": {"alerts": {"url": world.https_sink_url("alerts")}}})).await;
        refused(
            &world.plugin(&["dead-letters", "replay", "orders"]).await,
            2,
            "production has no spec.sinks.deadLetter, so nobody takes its dead letter",
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn discarding_needs_a_yes_and_is_seen_afterwards() {
    world(Options::default(), async |world| {
        let letters = given_up(world, &["orders", "payments"], &["deadLetter"]).await;
        let asked = world.plugin(&["dead-letters", "discard", "orders"]).await;
        refused(&asked, 1, "to discard 1 message of 1 webhook without a terminal, add --yes");
        assert!(asked.err.contains(&format!("deadLetter {}: the sink answered 503", letters[0])), "{asked:?}");
        let dry = world.plugin(&["dead-letters", "discard", "--all", "--dry-run"]).await.good();
        let told: Vec<String> = ["orders", "payments"]
            .iter()
            .zip(&letters)
            .map(|(name, id)| format!("cwh/{name} discard requested: {id} (server dry run)"))
            .collect();
        assert_eq!(dry.lines().collect::<Vec<_>>(), told);
        assert!(!world.get("orders").await.annotations().contains_key(DEAD_LETTER_REQUEST_ANNOTATION));

        let ran = world.plugin(&["dead-letters", "discard", "orders", "--yes"]).await;
        assert_eq!(ran.good(), format!("cwh/orders discarded: {}\n", letters[0]));
        assert_eq!(failure(&world.get("orders").await).undelivered.len(), 0);
        let note = world.until_event("orders", "DeadLetterDiscarded").await;
        assert!(note.contains(&letters[0]) && note.contains("max_attempts_reached"), "{note}");
        let known = [(letters[0].as_str(), "LETTER"), (letters[1].as_str(), "OTHER")];
        let list = world.plugin(&["dead-letters", "list"]).await.good();
        insta::assert_snapshot!("letters_discarded", scrub(world, &list, &known));
        refused(&world.plugin(&["dead-letters", "replay", "orders"]).await, 2, "its dead letter was discarded");

        // What is left of all of them; the discarded one only by its id.
        world.sink("deadLetter").answer(Answer::ok());
        world.until_event("payments", "DeadLetterDelivered").await;
        let ran = world.plugin(&["dead-letters", "replay", "--all", "--yes"]).await;
        assert!(ran.err.contains("passed over: cwh/orders: its dead letter was discarded"), "{ran:?}");
        assert_eq!(ran.good(), format!("cwh/payments replayed: {}\n", letters[1]));
        let ran = world.plugin(&["dead-letters", "replay", "orders", "--id", &letters[0]]).await;
        assert_eq!(ran.good(), format!("cwh/orders replayed: {}\n", letters[0]));
        world.until_event("orders", "DeadLetterDelivered").await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_that_waits_for_its_messages_goes_when_all_of_them_are_discarded() {
    world(Options::default(), async |world| {
        given_up(world, &["orders"], &["deadLetter", "alerts"]).await;
        world.delete::<CognigyWebhook>("orders").await;
        world.until_reason("orders", "DeletionBlocked").await;
        world.plugin(&["dead-letters", "discard", "orders", "--yes"]).await.good();
        refused(
            &world.plugin(&["dead-letters", "discard", "orders", "--yes"]).await,
            2,
            "cwh/orders has no dead letter that waits, only alerts: --alerts discards them",
        );
        let ran = world.plugin(&["dead-letters", "discard", "orders", "--alerts", "--yes"]).await;
        assert!(ran.good().starts_with("cwh/orders discarded: "));
        world.until_gone::<CognigyWebhook>("orders").await;
        world.delete::<CognigyTenant>("production").await;
        world.until_gone::<CognigyTenant>("production").await;
        let none = world.plugin(&["dead-letters", "discard", "--all"]).await;
        assert_eq!((none.code, none.err.as_str()), (0, "No dead letters found.\n"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_operator_the_wait_ends_and_the_request_stands() {
    world(Options::default(), async |world| {
        let letter = given_up(world, &["orders"], &["deadLetter"]).await.remove(0);
        world.stop_operator().await;
        let alone = world.plugin(&["dead-letters", "discard", "orders", "--yes", "--timeout", "1s"]).await;
        refused(&alone, 2, "cwh/orders: nobody did it within 1 s; it is done as soon as the operator is there");
        let asked = world.plugin(&["dead-letters", "discard", "orders", "--yes", "--wait=false", "-o", "json"]).await;
        let told: Vec<Value> = serde_json::from_str(&asked.good()).unwrap();
        assert_eq!(told[0]["result"], json!(format!("discard requested: {letter}")));
        world.start_operator().await;
        world.until_event("orders", "DeadLetterDiscarded").await;
    })
    .await;
}
