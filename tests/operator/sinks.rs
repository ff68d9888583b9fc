//! Sinks: what monitoring is told, what one that hangs or is full holds up, and what it takes to reach one (docs/outbox.md).

use cognigy_operator::api::{CognigyTenant, CognigyWebhook};
use cognigy_simulator::{Answer, Options};
use serde_json::{Value, json};

use crate::{
    harness::{World, told, world},
    outbox::{accepted, delivered, exhausted, failure, quick, tenant, until_told},
};

#[tokio::test(flavor = "multi_thread")]
async fn monitoring_is_told_of_first_and_other_results_of_policies_and_of_replaced_versions() {
    world(Options::default(), async |world| {
        tenant(world, "production", json!({})).await;
        world.callback("orders").answers([Answer::status(503)]);
        world.webhook("orders", quick()).await;
        world.until_reason("orders", "Active").await;
        let mut next = quick();
        next["version"] = json!(2);
        world.webhook("orders", next).await;
        world.until_reason("orders", "Active").await;
        let messages = accepted(world, "monitoring", 6).await;
        let bodies: Vec<_> = messages.iter().map(|message| message.body.clone()).collect();
        let id = &world.integrations()[0].id;
        let without = |body: &Value, fields: &[&str]| {
            let mut body = body.clone();
            for field in fields {
                assert!(body.as_object_mut().unwrap().remove(*field).is_some_and(|value| !value.is_null()), "{field}");
            }
            body
        };
        let policy = json!({
            "event": "webhook.policy.updated", "webhookId": id, "name": "orders", "success": true, "maxRetries": 2,
            "backoffType": "exponential",
        });
        assert_eq!(without(&bodies[0], &["latencyMs"]), policy);
        let measured = ["latency_ms", "exported_at"];
        let result = |version, status| json!({"integration": "orders", "version": version, "health_status": status});
        assert_eq!(without(&bodies[1], &measured), result(1, "fail"));
        assert_eq!(without(&bodies[2], &measured), result(1, "pass"));
        let deprecated = json!({"event": "webhook_deprecated", "name": "orders", "old_version": 1});
        assert_eq!(without(&bodies[3], &["timestamp"]), deprecated);
        assert_eq!(bodies[4]["event"], json!("webhook.policy.updated"));
        assert_eq!(without(&bodies[5], &measured), result(2, "pass"));
        assert_eq!(bodies.len(), 6, "{bodies:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_monitoring_queue_drops_and_counts_messages_and_the_work_goes_on() {
    world(Options::default(), async |world| {
        tenant(world, "production", json!({})).await;
        world.sink("monitoring").answer(Answer::hang());
        world.webhooks(30, quick()).await;
        // The sink takes none, so that each round fills the queue further.
        for round in 1..=20 {
            let policy = json!({"intervalsMs": [50 + round, 100 + 2 * round]});
            world.policy("quick", policy.clone()).await;
            for nth in 0..30 {
                let written = |webhook: &cognigy_simulator::IntegrationRecord| {
                    webhook.name == World::nth(nth)
                        && webhook
                            .retry_policy
                            .as_ref()
                            .is_some_and(|kept| kept["intervalsMs"] == policy["intervalsMs"])
                };
                world.until_sim("the policy", |state| state.integrations().iter().any(written)).await;
            }
            if world.counted("cognigy_operator_outbox_dropped_total{sink=\"monitoring\"}").await > 0 {
                assert!(world.counted("cognigy_operator_outbox_pending{sink=\"monitoring\"}").await > 90);
                return;
            }
        }
        panic!("nothing was dropped");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sink_that_hangs_delays_no_pass_and_no_other_tenant() {
    world(Options::default(), async |world| {
        tenant(world, "production", json!({})).await;
        let letters = json!({"deadLetter": {"url": world.https_sink_url("others")}});
        tenant(world, "other", json!({"sinks": letters})).await;
        for sink in ["letters", "alerts", "monitoring"] {
            world.sink(sink).answer(Answer::hang());
        }
        exhausted(world, "orders").await;
        world.until_sim("the letter hangs", |state| !state.sink_messages("letters").is_empty()).await;
        let mut elsewhere = quick();
        elsewhere["tenantRef"] = json!({"name": "other"});
        world.webhook("refunds", elsewhere).await;
        accepted(world, "others", 1).await;
        world.clear_faults();
        world.until_reason("orders", "Active").await;
        world.webhook("tickets", quick()).await;
        world.until_reason("tickets", "Active").await;
        assert_eq!(world.look(|state| delivered(state, "letters") + delivered(state, "monitoring")), 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_without_sinks_makes_no_messages() {
    world(Options::default(), async |world| {
        tenant(world, "production", json!({"sinks": {}})).await;
        let webhook = exhausted(world, "orders").await;
        let failure = failure(&webhook);
        assert_eq!((failure.undelivered, failure.alert, failure.dead_letter), (vec![], None, None));
        world.delete::<CognigyWebhook>("orders").await;
        world.until_gone::<CognigyWebhook>("orders").await;
    })
    .await;
}

/// All that users can read of a world: objects, events, audit lines, metrics.
async fn all_that_is_told(world: &World, name: &str) -> String {
    let tenant: CognigyTenant = world.until("production", |_| true).await;
    let objects = format!("{} {}", json!(world.get(name).await), json!(tenant));
    format!("{objects} {:?} {:?} {:?}", world.events(name).await, world.audit_lines(), world.http("/metrics").await)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotated_header_of_a_sink_is_used_at_once_and_never_shown() {
    world(Options::default(), async |world| {
        world.secret("sink", &[("token", "first-sink-token")]).await;
        let header = json!([{"name": "X-Token", "secretKeyRef": {"name": "sink", "key": "token"}}]);
        let letters = json!({"deadLetter": {"url": world.https_sink_url("letters"), "headersFrom": header}});
        tenant(world, "production", json!({"sinks": letters})).await;
        world.sink("letters").answer(Answer::status(401));
        exhausted(world, "orders").await;
        world.until_event("orders", "DeadLetterFailed").await;
        world.secret("sink", &[("token", "second-sink-token")]).await;
        world
            .until_sim("the other header", |state| {
                state.sink_messages("letters").iter().any(|one| one.header("x-token") == Some("second-sink-token"))
            })
            .await;
        world.sink("letters").answer(Answer::ok());
        until_told(world, "orders").await;
        world.until_event("orders", "DeadLetterDelivered").await;
        let messages = world.sink("letters").messages();
        assert_eq!(messages[0].header("x-token"), Some("first-sink-token"));
        let told = all_that_is_told(world, "orders").await;
        assert!(!told.contains("sink-token"), "{told}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_secret_of_a_sink_is_told_with_its_letter_and_leaves_the_tenant_alone() {
    world(Options::default(), async |world| {
        let header = json!([{"name": "X-Token", "secretKeyRef": {"name": "sink", "key": "token"}}]);
        let letters = json!({"deadLetter": {"url": world.https_sink_url("letters"), "headersFrom": header}});
        tenant(world, "production", json!({"sinks": letters})).await;
        exhausted(world, "orders").await;
        let note = world.until_event("orders", "DeadLetterFailed").await;
        assert!(note.contains("/sink does not exist"), "{note}");
        world.until_tenant("production", "Connected").await;
        world.secret("sink", &[("token", "t")]).await;
        assert_eq!(accepted(world, "letters", 1).await[0].header("x-token"), Some("t"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sink_over_plain_http_needs_the_operators_flag() {
    world(Options::default(), async |world| {
        tenant(world, "production", json!({"sinks": {"alerts": {"url": world.sink_url("alerts")}}})).await;
        let tenant = world.until_tenant("production", "InvalidSpec").await;
        let said = told(&tenant.status.as_ref().unwrap().conditions, ("False", "InvalidSpec", Some("Stalled")));
        assert!(said.contains("spec.sinks.alerts.url") && said.contains("--allow-insecure-http"), "{said}");
    })
    .await;
}
