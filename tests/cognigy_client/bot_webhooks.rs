//! cognigy-api.md §3.

use std::collections::BTreeSet;

use cognigy_operator::cognigy::{BackoffStrategy, BotId, ErrorKind, IdempotencyKey, WindowPolicy};
use cognigy_simulator as simulator;
use cognigy_simulator::{BotWebhook, Fault};
use serde_json::json;

use crate::fixture::Fixture;

fn policy(max_attempts: u32) -> WindowPolicy {
    WindowPolicy {
        enabled: true,
        max_attempts,
        backoff_strategy: BackoffStrategy::Linear,
        base_delay_ms: 1000,
        max_delay_ms: 30_000,
        max_retry_window_seconds: 3600,
    }
}

/// A bot with one webhook more than a page holds.
fn fixture() -> (Fixture, BotId) {
    let fixture = Fixture::with(|options| {
        options.bot_webhooks =
            (0..=100).map(|n| BotWebhook::new("bot-1", &format!("hook-{n}"), "https://api.example.com/hook")).collect();
    });
    (fixture, BotId::new("bot-1").unwrap())
}

#[tokio::test]
async fn all_webhooks_of_a_bot_are_listed_page_by_page() {
    let (fixture, bot) = fixture();
    let listed = fixture.session().list_bot_webhooks(&bot).await.unwrap().value;
    let names: BTreeSet<_> = listed.into_iter().filter_map(|one| one.name).collect();
    assert_eq!(names, (0..=100).map(|n| format!("hook-{n}")).collect());
    assert_eq!(fixture.sim.count(simulator::Route::ListBotWebhooks), 2);
}

#[tokio::test]
async fn a_policy_is_written_under_its_idempotency_key() {
    let (fixture, bot) = fixture();
    let session = fixture.session();
    let id = session.list_bot_webhooks(&bot).await.unwrap().value.remove(0).id;
    let key = IdempotencyKey::new("wh-1.generation-3").unwrap();
    session.patch_bot_webhook(&bot, &id, &policy(3), &key).await.unwrap();
    let sent = &fixture.sim.requests_to(simulator::Route::PatchBotWebhook)[0];
    assert_eq!(sent.header("idempotency-key"), Some("wh-1.generation-3"));
    assert_eq!(
        sent.json(),
        json!({"retryPolicy": {"enabled": true, "maxAttempts": 3, "backoffStrategy": "linear",
        "baseDelayMs": 1000, "maxDelayMs": 30000, "maxRetryWindowSeconds": 3600}})
    );
    let listed = session.list_bot_webhooks(&bot).await.unwrap().value;
    let written = listed.into_iter().find(|one| one.id == id).unwrap();
    assert_eq!(written.retry_policy, Some(policy(3)));
}

#[tokio::test]
async fn a_lock_and_a_key_used_for_another_policy_are_conflicts() {
    let (fixture, bot) = fixture();
    let session = fixture.session();
    let id = session.list_bot_webhooks(&bot).await.unwrap().value.remove(0).id;
    let key = IdempotencyKey::new("key").unwrap();
    fixture.sim.fault(Fault::on(simulator::Route::PatchBotWebhook).times(1).locked());
    let locked = session.patch_bot_webhook(&bot, &id, &policy(3), &key).await.unwrap_err();
    assert_eq!(locked.kind, ErrorKind::Conflict);
    assert!(locked.to_string().contains("locked"), "{locked}");
    session.patch_bot_webhook(&bot, &id, &policy(3), &key).await.unwrap();
    let reused = session.patch_bot_webhook(&bot, &id, &policy(4), &key).await.unwrap_err();
    assert_eq!(reused.kind, ErrorKind::Conflict);
}
