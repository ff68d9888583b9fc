//! One policy in either form, that of bots' webhooks and that of all others: written where it fits, refused where it does not.

use cognigy_simulator::Options;
use serde_json::{Value, json};

use crate::harness::{told, world};

/// A policy, what a bot webhook is then given, and what a webhook is; or the sentence that says what to change.
type Row = (&'static str, Value, Result<Value, &'static str>, Result<Vec<i64>, &'static str>);

/// One policy to either form (docs/resources.md, `RetryPolicy`).
fn matrix() -> Vec<Row> {
    let window = |strategy: &str, attempts: i64, base: i64, max: i64, seconds: i64| {
        Ok(json!({"enabled": true, "maxAttempts": attempts, "backoffStrategy": strategy, "baseDelayMs": base,
            "maxDelayMs": max, "maxRetryWindowSeconds": seconds}))
    };
    let intervals = |intervals: &[i64]| Ok::<_, &str>(intervals.to_vec());
    let backoff = |strategy: &str, retries: i64, base: i64, max: i64, seconds: i64| {
        json!({"maxRetries": retries, "backoff": {"strategy": strategy, "baseDelayMs": base, "maxDelayMs": max},
            "maxRetryWindowSeconds": seconds})
    };
    vec![
        (
            "exponential",
            backoff("Exponential", 4, 100, 30_000, 3600),
            window("exponential", 4, 100, 30_000, 3600),
            intervals(&[100, 200, 400, 800]),
        ),
        (
            "capped-once",
            backoff("Exponential", 3, 100, 300, 60),
            window("exponential", 3, 100, 300, 60),
            intervals(&[100, 200, 300]),
        ),
        (
            "capped-twice",
            backoff("Exponential", 4, 100, 300, 60),
            window("exponential", 4, 100, 300, 60),
            Err("raise spec.backoff.maxDelayMs of the RetryPolicy to at least 600, or lower spec.maxRetries to 3"),
        ),
        ("single", backoff("Exponential", 1, 100, 100, 60), window("exponential", 1, 100, 100, 60), intervals(&[100])),
        (
            "linear",
            backoff("Linear", 3, 100, 250, 60),
            window("linear", 3, 100, 250, 60),
            Err("set spec.backoff.strategy of the RetryPolicy to Exponential"),
        ),
        ("linear-single", backoff("Linear", 1, 100, 250, 60), window("linear", 1, 100, 250, 60), Err("Exponential")),
        (
            "doubling",
            json!({"intervalsMs": [100, 200, 400], "failureThresholdPercent": 50}),
            window("exponential", 3, 100, 400, 3600),
            intervals(&[100, 200, 400]),
        ),
        ("one-interval", json!({"intervalsMs": [700]}), window("exponential", 1, 700, 700, 3600), intervals(&[700])),
        (
            "growing",
            json!({"intervalsMs": [1000, 2500, 6250, 15625]}),
            Err("change spec.intervalsMs of the RetryPolicy or use spec.backoff"),
            intervals(&[1000, 2500, 6250, 15625]),
        ),
        (
            "over-an-hour",
            backoff("Exponential", 3, 1_000_000, 4_000_000, 86_400),
            window("exponential", 3, 1_000_000, 4_000_000, 86_400),
            Err("lower spec.maxRetries of the RetryPolicy to 2"),
        ),
        (
            "cut-to-the-window",
            backoff("Exponential", 5, 300, 60_000, 1),
            window("exponential", 5, 300, 60_000, 1),
            intervals(&[300, 600]),
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn every_policy_goes_where_it_is_said_to_go_and_nowhere_else() {
    world(Options::default(), async |world| {
        world.tenant("production", json!({})).await;
        let mut applied = Vec::new();
        let table = matrix();
        for (name, policy, of_bot, of_webhook) in &table {
            world.policy(name, policy.clone()).await;
            let bot = world.bot_webhook(name);
            let id = world.add_integration(json!({"name": name, "url": "https://hooks.example.com/x"}));
            let policy = json!({"retryPolicyRef": {"name": name}});
            world.existing(&format!("{name}-bot"), json!({"botId": "support", "webhookId": bot}), policy.clone()).await;
            world.existing(&format!("{name}-webhook"), json!({"webhookId": id}), policy).await;
            applied.push((*name, bot, id, of_bot, of_webhook));
        }
        for (name, bot, id, of_bot, of_webhook) in applied {
            let refused = async |resource: String, sentence: &str| {
                let webhook = world.until_reason(&resource, "RetryPolicyUnsupported").await;
                let conditions = webhook.status.unwrap().conditions;
                let message = told(&conditions, ("False", "RetryPolicyUnsupported", Some("Stalled")));
                assert!(message.contains(sentence), "{name}: {message}");
            };
            match of_bot {
                Ok(window) => {
                    world.until_reason(&format!("{name}-bot"), "Active").await;
                    assert_eq!(world.window(&bot), *window, "{name}");
                }
                Err(sentence) => {
                    refused(format!("{name}-bot"), sentence).await;
                    assert_eq!(world.window(&bot), Value::Null, "{name}");
                }
            }
            let stored = match of_webhook {
                Ok(_) => {
                    world.until_reason(&format!("{name}-webhook"), "Active").await;
                    world.integration(&id).unwrap().retry_policy.map(|policy| policy["intervalsMs"].clone())
                }
                Err(sentence) => {
                    refused(format!("{name}-webhook"), sentence).await;
                    world.integration(&id).unwrap().retry_policy
                }
            };
            assert_eq!(stored, of_webhook.as_ref().ok().map(|intervals| json!(intervals)), "{name}");
            let supports: Vec<&str> = [("BotWebhook", of_bot.is_ok()), ("Webhook", of_webhook.is_ok())]
                .iter()
                .filter(|one| one.1)
                .map(|one| one.0)
                .collect();
            world
                .until(name, |policy: &cognigy_operator::api::RetryPolicy| {
                    let status = serde_json::to_value(&policy.status).unwrap();
                    status["supports"] == json!(supports)
                })
                .await;
        }
    })
    .await;
}
