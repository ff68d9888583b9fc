//! What Cognigy says and holds reaches people clean and short, and no callback leads to the API server or the operator
//! (docs/security.md, *Hostile callbacks and servers*).

use cognigy_operator::{api::CognigyWebhook, text::is_unfit};
use cognigy_simulator::{Fault, Options, Route};
use control_plane::User;
use serde_json::{Value, json};

use crate::{
    harness::{World, message, world, world_without_operator},
    program::{Program, free_address},
};

/// Text that paints, moves the cursor, turns directions, hides, breaks lines, and does not end.
fn hostile() -> String {
    format!(
        "bad \u{1b}[31mred\u{1b}[2J\u{7} \u{202e}txet\u{2066} \u{200b}\r\n{{\"level\":\"info\"}} {}",
        "x".repeat(200_000)
    )
}

/// Everything that a user or a log reader sees of a webhook.
async fn assert_clean(world: &World, webhook: &CognigyWebhook) {
    let status = serde_json::to_value(&webhook.status).unwrap();
    let events: Vec<Value> = world.events("orders").await.into_iter().map(|(_, note)| json!(note)).collect();
    assert!(!events.is_empty());
    for seen in [vec![status], events, world.audit_lines()].concat() {
        each_text(&seen, &mut |text| {
            assert!(!text.chars().any(is_unfit), "{text:?}");
            assert!(text.chars().count() <= 2048, "{} characters: {}…", text.len(), &text[..100]);
        });
    }
}

fn each_text(value: &Value, check: &mut impl FnMut(&str)) {
    match value {
        Value::String(text) => check(text),
        Value::Array(items) => items.iter().for_each(|item| each_text(item, check)),
        Value::Object(fields) => fields.iter().for_each(|(name, value)| {
            check(name);
            each_text(value, check);
        }),
        _ => {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_words_of_a_refusal_are_clean_and_cut_in_status_events_and_audit_lines() {
    world(Options::default(), async |world| {
        let body = json!({"detail": hostile(), "traceId": hostile()});
        world.sim.fault(Fault::on(Route::CreateIntegration).status(422).body(body));
        world.tenant("production", json!({})).await;
        world.webhook("orders", json!({})).await;
        let webhook = world.until_reason("orders", "Rejected").await;
        assert!(message(&webhook).contains("bad [31mred [2J txet {\"level\":\"info\"} xxx"), "{}", message(&webhook));
        assert!(world.until_event("orders", "Rejected").await.contains("bad [31mred"));
        assert_clean(world, &webhook).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_values_that_cognigy_holds_are_clean_and_cut_in_the_drift() {
    world(Options::default(), async |world| {
        world.tenant("production", json!({"resyncPeriodSeconds": 5})).await;
        world.policy("patient", json!({"intervalsMs": [1000, 2500]})).await;
        let spec = json!({"retryPolicyRef": {"name": "patient"}});
        world.webhook("orders", spec.clone()).await;
        let id = world.until_reason("orders", "Active").await.status.unwrap().webhook_id.unwrap();
        let mut observing = spec;
        observing["mode"] = json!("Observe");
        world.webhook("orders", observing).await;
        world.until_reason("orders", "Observing").await;
        assert!(world.change_behind(&id, json!({"name": hostile(), "retryPolicy": {"odd": hostile()}})));
        let webhook = world.until_reason("orders", "DriftDetected").await;
        let drift = webhook.status.clone().unwrap().drift;
        let actual: Vec<_> = drift.iter().filter_map(|drift| drift.actual.as_deref()).collect();
        assert!(actual.iter().any(|actual| actual.starts_with("bad [31mred")), "{drift:?}");
        assert!(actual.iter().any(|actual| actual.contains("\"odd\":\"bad ")), "{drift:?}");
        world.until_event("orders", "DriftDetected").await;
        assert_clean(world, &webhook).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_callback_leads_to_the_api_server_or_to_the_operator_whatever_is_allowed() {
    world_without_operator(Options::default(), async |world| {
        let api_server = world.plane.url().to_owned();
        let path = world.plane.write_kubeconfig(&User::admin()).unwrap();
        let own = free_address();
        let program = Program::start(&path, &own, &["--watch-namespaces", &world.namespace]);
        program.ready().await;
        world.tenant("production", json!({})).await;
        world.webhook("allowed", json!({})).await;
        world.until_reason("allowed", "Active").await;
        for (name, url) in [("at-the-api-server", api_server), ("at-the-operator", format!("https://{own}/metrics"))] {
            world.webhook(name, json!({"url": url})).await;
            let webhook = world.until_reason(name, "CallbackForbidden").await;
            let words = "belongs to the cluster's API server or to the operator itself: that is never called";
            assert!(message(&webhook).contains(words), "{}", message(&webhook));
        }
        assert_eq!(world.integrations().len(), 1, "nothing else is registered");
        program.terminate();
        program.end().await;
    })
    .await;
}
