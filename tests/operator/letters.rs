//! What people ask about single messages: to send a dead letter again, or to throw it away (docs/outbox.md).

use cognigy_operator::api::{
    CognigyTenant, CognigyWebhook, DEAD_LETTER_REQUEST_ANNOTATION, webhook::HandledLetterRequest,
};
use cognigy_simulator::{Answer, Fault, Options, Route};
use serde_json::json;

use crate::{
    harness::{World, world},
    outbox::{accepted, exhausted, failure, ids, quick, tenant, undelivered, until_told},
};

/// Asks, and waits until it is handled.
async fn ask(world: &World, name: &str, asked: &str) -> (CognigyWebhook, HandledLetterRequest) {
    world.annotate(name, DEAD_LETTER_REQUEST_ANNOTATION, asked).await;
    let handled = |webhook: &CognigyWebhook| webhook.status.clone()?.last_handled_dead_letter_request;
    let is_handled = |webhook: &CognigyWebhook| handled(webhook).is_some_and(|handled| handled.request == asked);
    let webhook = world.until(name, is_handled).await;
    let handled = handled(&webhook).unwrap();
    (webhook, handled)
}

/// A webhook whose dead letter the sink refuses.
async fn refused(world: &World) -> CognigyWebhook {
    tenant(world, "production", json!({})).await;
    world.sink("letters").answer(Answer::status(503));
    exhausted(world, "orders").await;
    world.until_event("orders", "DeadLetterFailed").await;
    // The alert is out of the way.
    world.until("orders", |webhook: &CognigyWebhook| undelivered(webhook).len() == 1).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivered_letter_is_sent_again_once_with_the_same_id_and_body() {
    world(Options::default(), async |world| {
        tenant(world, "production", json!({})).await;
        let letter = failure(&exhausted(world, "orders").await).dead_letter.unwrap();
        until_told(world, "orders").await;
        let (_, handled) = ask(world, "orders", &format!("replay {} by hand", letter.id)).await;
        assert_eq!(handled.refused, None);
        let letters = accepted(world, "letters", 2).await;
        assert_eq!(ids(&letters), [letter.id.as_str(), letter.id.as_str()]);
        assert_eq!(letters[0].body, letters[1].body);
        for header in ["ce-time", "ce-type", "ce-source", "content-type"] {
            assert_eq!(letters[0].header(header), letters[1].header(header));
        }
        let webhook = until_told(world, "orders").await;
        assert!(failure(&webhook).dead_letter.unwrap().delivered);
        let note = world.until_event("orders", "DeadLetterReplayed").await;
        assert!(note.contains(&letter.id) && note.contains("by hand"), "{note}");

        // Another process finds the same annotation, and leaves it at that.
        world.stop_operator().await;
        world.start_operator().await;
        world.full_pass("orders", "after a restart").await;
        assert_eq!(world.event_count("orders", "DeadLetterReplayed").await, 1);
        // A new value is a new request: so the one before was not repeated in the meantime.
        ask(world, "orders", &format!("replay {} again", letter.id)).await;
        assert_eq!(accepted(world, "letters", 3).await.len(), 3);
        until_told(world, "orders").await;
        assert_eq!(world.sink("letters").messages().len(), 3);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_waiting_letter_that_is_replayed_is_as_if_it_had_never_been_tried() {
    world(Options::default(), async |world| {
        let letter = failure(&refused(world).await).dead_letter.unwrap();
        ask(world, "orders", &format!("replay {}", letter.id)).await;
        world
            .eventually("its failure is told anew", async || world.event_count("orders", "DeadLetterFailed").await == 2)
            .await;
        world.sink("letters").answer(Answer::ok());
        assert_eq!(ids(&accepted(world, "letters", 1).await), [letter.id.as_str()]);
        until_told(world, "orders").await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_discarded_letter_is_never_sent_and_its_event_has_what_it_said() {
    world(Options::default(), async |world| {
        let webhook = refused(world).await;
        let letter = failure(&webhook).undelivered[0].clone();
        let (webhook, handled) = ask(world, "orders", &format!("discard {} by hand", letter.id)).await;
        assert_eq!((handled.refused, undelivered(&webhook)), (None, vec![]));
        let kept = failure(&webhook).dead_letter.unwrap();
        assert_eq!((kept.discarded, kept.delivered), (true, false));
        let note = world.until_event("orders", "DeadLetterDiscarded").await;
        assert!(
            note.contains(&letter.id) && note.contains("by hand") && note.contains("max_attempts_reached"),
            "{note}"
        );
        assert_eq!(world.counted("cognigy_operator_outbox_pending{sink=\"deadLetter\"}").await, 0);

        world.stop_operator().await;
        world.sink("letters").answer(Answer::ok());
        world.start_operator().await;
        // Messages of an object keep their order: the next letter would come after it.
        let mut change = quick();
        change["headers"] = json!({"X-Stage": "live"});
        world.webhook("orders", change).await;
        accepted(world, "letters", 1).await;
        let webhook = until_told(world, "orders").await;
        let next = failure(&webhook).dead_letter.unwrap();
        assert_ne!(next.id, letter.id);
        assert_eq!(ids(&accepted(world, "letters", 1).await), [next.id.as_str()]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_webhook_goes_when_what_it_waits_for_is_discarded_though_its_tenant_is_away() {
    world(Options::default(), async |world| {
        tenant(world, "production", json!({})).await;
        for sink in ["letters", "alerts"] {
            world.sink(sink).answer(Answer::status(507));
        }
        // What might be registered is to stay: its deletion needs nobody but the sinks.
        world.fault(Fault::on(Route::CreateIntegration).status(503));
        let mut spec = quick();
        spec["deletionPolicy"] = json!("Orphan");
        world.webhook("orders", spec).await;
        world.until_reason("orders", "RetriesExhausted").await;
        world.delete::<CognigyWebhook>("orders").await;
        let webhook = world.until_reason("orders", "DeletionBlocked").await;
        tenant(world, "production", json!({"suspend": true})).await;
        world.until_tenant("production", "Suspended").await;
        let waiting = undelivered(&webhook);
        assert_eq!(waiting.len(), 3, "the letter, the alert and its end: {waiting:?}");
        let asked = format!("discard {}", waiting.join(","));
        world.annotate("orders", DEAD_LETTER_REQUEST_ANNOTATION, &asked).await;
        world.until_gone::<CognigyWebhook>("orders").await;
        world
            .eventually("each message has its event", async || {
                let count = async |reason| world.event_count("orders", reason).await;
                (count("DeadLetterDiscarded").await, count("AlertDiscarded").await) == (1, 2)
            })
            .await;
        assert_eq!(
            world.look(|state| state.sink_messages("letters").iter().filter(|one| one.is_delivered()).count()),
            0
        );
        world.eventually("nothing waits", async || world.counted("cognigy_operator_outbox_pending{").await == 0).await;
        world.delete::<CognigyTenant>("production").await;
        world.until_gone::<CognigyTenant>("production").await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspended_webhook_discards_and_replays_without_being_resumed() {
    world(Options::default(), async |world| {
        let letter = failure(&refused(world).await).dead_letter.unwrap();
        let mut spec = quick();
        spec["suspend"] = json!(true);
        world.webhook("orders", spec).await;
        world.until_reason("orders", "Suspended").await;
        let (webhook, _) = ask(world, "orders", &format!("discard {}", letter.id)).await;
        assert_eq!(undelivered(&webhook).len(), 0);
        // Who discarded it by mistake has it back.
        world.sink("letters").answer(Answer::ok());
        let calls = world.requests().len();
        ask(world, "orders", &format!("replay {}", letter.id)).await;
        assert_eq!(ids(&accepted(world, "letters", 1).await), [letter.id.as_str()]);
        let webhook = until_told(world, "orders").await;
        assert!(failure(&webhook).dead_letter.is_some_and(|letter| letter.delivered && !letter.discarded));
        world.until_reason("orders", "Suspended").await;
        assert_eq!(world.requests().len(), calls, "Cognigy is not asked: {:?}", world.requests());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_done_is_said_in_the_status_and_as_an_event() {
    world(Options::default(), async |world| {
        tenant(world, "production", json!({})).await;
        let letter = failure(&exhausted(world, "orders").await).dead_letter.unwrap().id;
        let before = until_told(world, "orders").await;
        for (asked, why) in [
            ("forget it".to_owned(), "it reads `replay ID` or `discard ID`"),
            ("replay another".to_owned(), "cannot replay another: no dead letter with this id is known"),
            (format!("discard {letter}"), "no message with this id waits to be delivered"),
        ] {
            let (webhook, handled) = ask(world, "orders", &asked).await;
            assert!(handled.refused.as_ref().is_some_and(|refused| refused.contains(why)), "{handled:?}");
            let of = |webhook: &CognigyWebhook| (failure(webhook).dead_letter, undelivered(webhook));
            assert_eq!(of(&webhook), of(&before));
        }
        let others = json!({"alerts": {"url": world.https_sink_url("alerts")}});
        tenant(world, "production", json!({"sinks": others})).await;
        world
            .eventually("the sink is gone", async || {
                let (_, handled) = ask(world, "orders", &format!("replay {letter} {}", uuid::Uuid::new_v4())).await;
                handled.refused.is_some_and(|refused| refused.contains("production has no spec.sinks.deadLetter"))
            })
            .await;
        world
            .eventually("each refusal has its event", async || {
                world.event_count("orders", "DeadLetterRequestRefused").await == 4
            })
            .await;
    })
    .await;
}
