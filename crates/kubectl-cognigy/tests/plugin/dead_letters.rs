//! `dead-letters`.

use cognigy_operator::api::CognigyWebhook;
use cognigy_simulator::{Answer, Fault, Options, Route};
use serde_json::{Value, json};

use crate::{harness::world, scrub::scrub};

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
