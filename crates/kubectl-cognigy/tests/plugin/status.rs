//! `status`.

use cognigy_operator::api::CognigyWebhook;
use cognigy_simulator::{Fault, Options, Route};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};

use crate::{
    harness::{World, world, world_without_operator},
    scrub::scrub,
};

/// One webhook that is live, one whose attempts are used up and whose dead letter nobody takes, one without its tenant.
async fn three_webhooks(world: &World) -> CognigyWebhook {
    world
        .tenant("production", json!({"circuitBreaker": {"failureThreshold": 100}, "sinks": {"deadLetter": {"url": world.https_sink_url("letters")}}}))
        .await;
    world.policy("quick", json!({"intervalsMs": [50, 100]})).await;
    world.webhook("orders", json!({"retryPolicyRef": {"name": "quick"}})).await;
    world.until_reason("orders", "Active").await;
    world.fault(Fault::on(Route::CreateIntegration).status(503));
    world.webhook("payments", json!({"retryPolicyRef": {"name": "quick"}})).await;
    world.webhook("stray", json!({"tenantRef": {"name": "nowhere"}})).await;
    world.until_reason("stray", "TenantNotFound").await;
    world.until_reason("payments", "RetriesExhausted").await;
    world.until_event("payments", "DeadLetterDelivered").await;
    world
        .until("payments", |webhook: &CognigyWebhook| {
            let failure = webhook.status.clone().unwrap().failure.unwrap_or_default();
            failure.dead_letter.is_some_and(|letter| letter.delivered)
        })
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn webhooks_stand_under_their_tenants_with_what_is_wrong_below_them() {
    world(Options::default(), async |world| {
        let payments = three_webhooks(world).await;
        let orders = world.full_pass("orders", "the tag is read").await.status.unwrap();
        let letter = payments.status.unwrap().failure.unwrap().dead_letter.unwrap().id;
        let known = [
            (letter.as_str(), "LETTER"),
            (orders.etag.as_deref().unwrap(), "ETAG"),
            (orders.webhook_id.as_deref().unwrap(), "ID"),
        ];
        world
            .eventually("the counts", async || {
                let tenant = world.api::<cognigy_operator::api::CognigyTenant>().get("production").await.unwrap();
                tenant
                    .status
                    .and_then(|status| status.webhooks)
                    .is_some_and(|counts| (counts.ready, counts.total) == (1, 2))
            })
            .await;
        let tree = world.plugin(&["status"]).await;
        assert_eq!(tree.code, 1, "{tree:?}");
        insta::assert_snapshot!("tree", scrub(world, &tree.out, &known));
        let wide = world.plugin(&["status", "-o", "wide"]).await;
        insta::assert_snapshot!("tree_wide", scrub(world, &wide.out, &known));

        let told: Value = serde_json::from_str(&world.plugin(&["status", "-o", "json"]).await.out).unwrap();
        let tenants = told["tenants"].as_array().unwrap();
        assert_eq!((&tenants[0]["name"], &tenants[0]["presence"]), (&json!("nowhere"), &json!("Missing")));
        let webhooks = tenants[1]["webhooks"].as_array().unwrap();
        assert_eq!((&webhooks[0]["state"], &webhooks[0]["ready"]["status"]), (&json!("Active"), &json!("True")));
        assert_eq!(webhooks[1]["deadLetter"], json!({"id": letter, "delivered": true}));
        let everywhere = world.plugin(&["status", "-A", "-o", "yaml"]).await;
        assert!(everywhere.out.contains(&world.namespace), "{everywhere:?}");

        let one = world.plugin(&["status", "payments"]).await;
        assert_eq!(one.code, 1);
        insta::assert_snapshot!("webhook", scrub(world, &one.out, &known));
        let tenant = world.plugin(&["status", "ctenant/production"]).await.good();
        insta::assert_snapshot!("tenant", scrub(world, &tenant, &known));
        assert_eq!(world.plugin(&["status", "orders"]).await.code, 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_said_and_a_new_object_is_not_taken_for_ready() {
    world_without_operator(Options::default(), async |world| {
        let empty = world.plugin(&["status"]).await;
        assert_eq!((empty.code, empty.out.as_str()), (0, ""));
        assert_eq!(empty.err, format!("No tenants or webhooks found in namespace {}.\n", world.namespace));
        let missing = world.plugin(&["status", "orders"]).await;
        let told = format!("error: there is no CognigyWebhook orders in namespace {}\n", world.namespace);
        assert_eq!((missing.code, missing.err), (2, told));
        world.tenant("production", json!({})).await;
        let unseen = world.plugin(&["status", "-o", "json"]).await;
        let told: Value = serde_json::from_str(&unseen.out).unwrap();
        assert_eq!((unseen.code, &told["tenants"][0]["ready"]["status"]), (1, &json!("Unknown")));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watched_tree_is_told_again_at_each_change_until_it_is_interrupted() {
    world(Options::default(), async |world| {
        world.tenant("production", json!({})).await;
        world.until_tenant("production", "Connected").await;
        let mut command = world.plugin_command(&["status", "--watch"]);
        let mut plugin = command.stdout(std::process::Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(plugin.stdout.take().unwrap()).lines();
        let mut until = async |words: &[&str]| loop {
            let line =
                tokio::time::timeout(crate::plugin::PATIENCE, lines.next_line()).await.unwrap().unwrap().unwrap();
            if words.iter().all(|word| line.contains(word)) {
                break;
            }
        };
        until(&["production", "Connected"]).await;
        world.webhook("orders", json!({})).await;
        until(&["orders", "True", "Active"]).await;
        world.webhook("orders", json!({"suspend": true})).await;
        until(&["orders", "False", "Suspended"]).await;
        world.tenant("production", json!({"suspend": true})).await;
        until(&["production", "False", "Suspended"]).await;
        kill_process(Pid::from_raw(plugin.id().unwrap().cast_signed()).unwrap(), Signal::INT).unwrap();
        assert_eq!(plugin.wait().await.unwrap().code(), Some(0));
    })
    .await;
}
