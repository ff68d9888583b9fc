use cognigy_simulator::{BotWebhook, Fault, Options, Route};
use reqwest::Method;
use serde_json::{Value, json};

use crate::client::{Answered, Client, send, start, started};

fn window() -> Value {
    json!({"retryPolicy": {"enabled": true, "maxAttempts": 3, "backoffStrategy": "exponential", "baseDelayMs": 1000,
                           "maxDelayMs": 30000, "maxRetryWindowSeconds": 3600}})
}

async fn patch(client: &Client, id: &str, key: Option<&str>, body: &Value) -> Answered {
    let mut request = client.call(Method::PATCH, &format!("/api/v2/bots/bot-1/webhooks/{id}")).json(body);
    if let Some(key) = key {
        request = request.header("idempotency-key", key);
    }
    send(request).await
}

#[tokio::test]
async fn a_bots_webhooks_are_listed_and_patched() {
    let webhook = BotWebhook::new("bot-1", "orders", "https://h.example/");
    let client = start(Options { bot_webhooks: vec![webhook], ..Options::default() }).await;
    client.sim.add_bot_webhook(BotWebhook::new("bot-2", "other", "https://h.example/"));
    let listed = client.get("/api/v2/bots/bot-1/webhooks?pageSize=100").await.json();
    assert_eq!(listed["pagination"], json!({"nextCursor": null}));
    assert_eq!(listed["items"].as_array().unwrap().len(), 1);
    let id = listed["items"][0]["id"].as_str().unwrap();

    let patched = patch(&client, id, Some("k1"), &window()).await;
    assert_eq!((patched.status, &patched.json()["retryPolicy"]), (200, &window()["retryPolicy"]));
    assert_eq!(client.sim.bot_webhooks()[0].retry_policy, Some(window()["retryPolicy"].clone()));
}

#[tokio::test]
async fn a_patch_needs_a_key_that_belongs_to_its_payload() {
    let client = started().await;
    let id = client.sim.add_bot_webhook(BotWebhook::new("bot-1", "orders", "https://h.example/"));
    let second = client.sim.add_bot_webhook(BotWebhook::new("bot-1", "more", "https://h.example/"));
    let other = json!({"retryPolicy": {"enabled": false, "backoffStrategy": "linear"}});
    assert_eq!(patch(&client, &id, None, &window()).await.status, 400);
    assert_eq!(patch(&client, &id, Some("k"), &window()).await.status, 200);
    assert_eq!(patch(&client, &id, Some("k"), &window()).await.status, 200);
    assert_eq!(patch(&client, &id, Some("k"), &other).await.status, 409);
    assert_eq!(patch(&client, &second, Some("k"), &other).await.status, 200, "keys are per webhook");
    assert_eq!(patch(&client, &id, Some("k2"), &other).await.status, 200);
}

#[tokio::test]
async fn bad_patches_and_unknown_webhooks_are_refused() {
    let client = started().await;
    let id = client.sim.add_bot_webhook(BotWebhook::new("bot-1", "orders", "https://h.example/"));
    let mut bad = window();
    bad["retryPolicy"]["maxRetryWindowSeconds"] = json!(86401);
    let refused = patch(&client, &id, Some("k"), &bad).await;
    assert_eq!((refused.status, refused.detail().contains("86400")), (422, true));
    assert_eq!(patch(&client, "nobody", Some("k"), &window()).await.status, 404);
    assert_eq!(client.get("/api/v2/bots/nobody/webhooks").await.status, 404);
    client.sim.delete_behind(&id);
    assert_eq!(client.get("/api/v2/bots/bot-1/webhooks").await.json()["items"], json!([]));
}

#[tokio::test]
async fn a_webhook_may_be_locked_by_another_process() {
    let client = started().await;
    let id = client.sim.add_bot_webhook(BotWebhook::new("bot-1", "orders", "https://h.example/"));
    client.sim.fault(Fault::on(Route::PatchBotWebhook).locked().times(1));
    let locked = patch(&client, &id, Some("k"), &window()).await;
    assert_eq!((locked.status, locked.detail().contains("locked by another process")), (409, true));
    assert_eq!(patch(&client, &id, Some("k"), &window()).await.status, 200);
}

#[tokio::test]
async fn a_bots_webhook_changes_behind() {
    let client = started().await;
    let id = client.sim.add_bot_webhook(BotWebhook::new("bot-1", "orders", "https://h.example/"));
    patch(&client, &id, Some("k"), &window()).await;
    assert!(client.sim.change_behind(&id, json!({"retryPolicy": {"maxAttempts": 9}})));
    assert_eq!(client.sim.bot_webhooks()[0].retry_policy.as_ref().unwrap()["maxAttempts"], 9);
}
