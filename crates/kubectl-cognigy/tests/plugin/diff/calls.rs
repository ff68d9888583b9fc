//! What a rehearsal costs Cognigy: what serves all webhooks is read once.

use std::{collections::BTreeMap, fs};

use cognigy_operator::api::RECONCILE_REQUESTED_ANNOTATION;
use cognigy_simulator::{BotWebhook, Options, Route};
use serde_json::{Value, json};

use crate::harness::{World, world};

/// Of each sort: more than are looked at at the same time.
const WEBHOOKS: usize = 20;
/// With what is there besides, a listing has two pages.
const OTHERS: usize = 100;

fn manifest(world: &World, name: &str) -> Value {
    let spec = json!({
        "tenantRef": {"name": "production"}, "url": world.sim.callback_url(name), "retryPolicyRef": {"name": "patient"},
    });
    let metadata = json!({"name": name, "namespace": world.namespace});
    json!({"apiVersion": "cognigy.io/v1alpha1", "kind": "CognigyWebhook", "metadata": metadata, "spec": spec})
}

/// How often each call was made, by its path and query, or by its route where each is about another object.
fn calls(world: &World) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for request in world.requests() {
        let call = match request.route {
            Some(Route::ListIntegrations | Route::ListBotWebhooks) => {
                format!("{} {}", request.path, request.query.unwrap_or_default())
            }
            route => format!("{route:?}"),
        };
        *counts.entry(call).or_default() += 1;
    }
    counts
}

#[tokio::test(flavor = "multi_thread")]
async fn listings_are_read_once_for_all_webhooks_of_a_folder() {
    world(Options::default(), async |world| {
        world.tenant("production", json!({})).await;
        world.policy("patient", json!({"intervalsMs": [1000, 2000]})).await;
        for nth in 0..OTHERS {
            world.add_integration(json!({"name": format!("other-{nth}")}));
        }
        let folder = tempfile::tempdir().unwrap();
        let write = |manifest: &Value| {
            let file = format!("{}.json", manifest["metadata"]["name"].as_str().unwrap());
            fs::write(folder.path().join(file), manifest.to_string()).unwrap();
        };
        let (mut names, mut of_bot) = (Vec::new(), Vec::new());
        for nth in 0..WEBHOOKS {
            let name = format!("there-{nth}");
            world.apply(manifest(world, &name)).await;
            write(&manifest(world, &name));
            names.push(name);
            let name = format!("of-bot-{nth}");
            let id = world.add_bot_webhook(BotWebhook::new("support", &name, "https://hooks.example.com/x"));
            let existing = json!({"botId": "support", "webhookId": id});
            world
                .webhook(&name, json!({"url": null, "existing": existing, "retryPolicyRef": {"name": "patient"}}))
                .await;
            of_bot.push(name);
            write(&manifest(world, &format!("new-{nth}")));
        }
        for name in names.iter().chain(&of_bot) {
            world.until_reason(name, "Active").await;
        }
        world.stop_operator().await;
        for name in &of_bot {
            // Who asked for a pass gets one that looks for itself.
            world.annotate(name, RECONCILE_REQUESTED_ANNOTATION, "now").await;
        }
        world.clear_log();
        let of_bot: Vec<&str> = of_bot.iter().map(String::as_str).collect();
        let told = world.diff(&[&["-f", folder.path().to_str().unwrap()], &of_bot[..]].concat()).await;
        let results = |result: &str| {
            told.value["items"].as_array().unwrap().iter().filter(|item| item["result"] == result).count()
        };
        assert_eq!((told.code, results("differs"), results("same")), (1, WEBHOOKS, 2 * WEBHOOKS), "{:#}", told.value);
        let mut calls = calls(world);
        assert_eq!([calls.remove("Some(GetWebhook)"), calls.remove("Some(GetIntegration)")], [Some(WEBHOOKS); 2]);
        let pages = calls.keys().filter(|call| call.contains("/integrations pageSize=100")).count();
        assert!(pages == 2 && calls.values().all(|&count| count == 1), "{calls:#?}");
    })
    .await;
}
