//! Retry policies: what they amount to, where they can go, and who uses them.

use std::time::Instant;

use cognigy_operator::api::{CognigyWebhook, RetryPolicy};
use cognigy_simulator::{Options, Route};
use serde_json::{Value, json};

use crate::harness::{World, condition, told, world};

impl World {
    /// Waits until a policy's status speaks of its present generation.
    async fn until_judged(&self, name: &str) -> Value {
        let policy = self
            .until(name, |policy: &RetryPolicy| {
                policy.status.as_ref().and_then(|status| status.observed_generation) == policy.metadata.generation
            })
            .await;
        told(&policy.status.as_ref().unwrap().conditions, ("True", "Accepted", None));
        serde_json::to_value(policy.status).unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policys_figures_are_those_of_the_formulas() {
    world(Options::default(), async |world| {
        // The worked example of docs/cognigy-api.md §4, and the formulas of §3 and §4 by hand.
        for (name, spec, delays, effective, deliveries, supports) in [
            (
                "worked-example",
                json!({"intervalsMs": [1000, 2500, 6250, 15625], "failureThresholdPercent": 15}),
                vec![1000, 2500, 6250, 15625],
                4,
                522,
                json!(["Webhook"]),
            ),
            (
                "doubling",
                json!({"intervalsMs": [100, 200, 400], "failureThresholdPercent": 50}),
                vec![100, 200, 400],
                3,
                125,
                json!(["BotWebhook", "Webhook"]),
            ),
            ("defaults", json!({"backoff": {}}), vec![1000, 2000, 4000], 3, 614, json!(["BotWebhook", "Webhook"])),
            (
                "capped",
                json!({"maxRetries": 5, "backoff": {"baseDelayMs": 1000, "maxDelayMs": 4000}}),
                vec![1000, 2000, 4000, 4000, 4000],
                5,
                444,
                json!(["BotWebhook"]),
            ),
            (
                "linear",
                json!({"maxRetries": 4, "backoff": {"strategy": "Linear", "baseDelayMs": 100, "maxDelayMs": 300}}),
                vec![100, 200, 300, 300],
                4,
                522,
                json!(["BotWebhook"]),
            ),
            (
                "windowed",
                json!({"maxRetries": 5, "backoff": {"baseDelayMs": 1000, "maxDelayMs": 60000}, "maxRetryWindowSeconds": 8}),
                vec![1000, 2000, 4000, 8000, 16000],
                3,
                444,
                json!(["BotWebhook", "Webhook"]),
            ),
        ] {
            world.policy(name, spec).await;
            let status = world.until_judged(name).await;
            assert_eq!(status["delaysMs"], json!(delays), "{name}");
            assert_eq!(status["totalDelayMs"], json!(delays.iter().sum::<i32>()), "{name}");
            assert_eq!(status["effectiveRetries"], json!(effective), "{name}");
            assert_eq!(status["simulatedDeliveriesPerThousand"], json!(deliveries), "{name}");
            assert_eq!(status["supports"], supports, "{name}");
            assert_eq!(status["webhooks"], json!(0), "{name}");
        }
        assert_eq!(world.requests().len(), 0, "a policy of its own calls nobody");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_policy_is_judged_anew() {
    world(Options::default(), async |world| {
        world.policy("patient", json!({"intervalsMs": [50, 100, 200]})).await;
        assert_eq!(world.until_judged("patient").await["totalDelayMs"], json!(350));
        world.policy("patient", json!({"intervalsMs": [50, 100]})).await;
        let policy = world
            .until("patient", |policy: &RetryPolicy| {
                policy.status.as_ref().and_then(|status| status.observed_generation) == Some(2)
            })
            .await;
        let status = policy.status.unwrap();
        assert_eq!(status.total_delay_ms, Some(150));
        assert_eq!(condition(&status.conditions, "Ready").unwrap().observed_generation, Some(2));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_users_of_a_policy_are_counted_and_the_count_is_not_written_for_each() {
    world(Options::default(), async |world| {
        let started = Instant::now();
        world.policy("patient", json!({"intervalsMs": [50, 100, 200]})).await;
        // Without a tenant: who refers to a policy uses it, ready or not.
        let names: Vec<_> = (0..12).map(|number| format!("orders-{number}")).collect();
        for name in &names {
            world.webhook(name, json!({"retryPolicyRef": {"name": "patient"}})).await;
        }
        let counted =
            |count| move |policy: &RetryPolicy| policy.status.as_ref().is_some_and(|s| s.webhooks == Some(count));
        world.until("patient", counted(12)).await;
        world.delete::<CognigyWebhook>("orders-0").await;
        world.webhook("orders-1", json!({})).await;
        world.until("patient", counted(10)).await;
        // One write for the figures, one for each period of ten seconds.
        let allowed = 3 + started.elapsed().as_secs() / 10;
        let writes = world.writes("patient");
        assert!(writes.len() as u64 <= allowed, "{} writes in {:?}: {writes:?}", writes.len(), started.elapsed());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_a_webhook_cannot_take_stalls_it_and_says_what_to_change() {
    world(Options::default(), async |world| {
        world.tenant("production", json!({})).await;
        for (name, unsupported, sentence, repaired, intervals) in [
            (
                "linear",
                json!({"backoff": {"strategy": "Linear", "baseDelayMs": 20, "maxDelayMs": 100}}),
                "set spec.backoff.strategy of the RetryPolicy to Exponential",
                json!({"backoff": {"strategy": "Exponential", "baseDelayMs": 20, "maxDelayMs": 100}}),
                json!([20, 40, 80]),
            ),
            (
                "capped",
                json!({"maxRetries": 4, "backoff": {"baseDelayMs": 20, "maxDelayMs": 40}}),
                "raise spec.backoff.maxDelayMs of the RetryPolicy to at least 120, or lower spec.maxRetries to 2",
                json!({"maxRetries": 4, "backoff": {"baseDelayMs": 20, "maxDelayMs": 120}}),
                json!([20, 40, 80, 120]),
            ),
        ] {
            world.clear_log();
            world.policy(name, unsupported).await;
            world.webhook(name, json!({"retryPolicyRef": {"name": name}})).await;
            let webhook = world.until_reason(name, "RetryPolicyUnsupported").await;
            let conditions = webhook.status.unwrap().conditions;
            let message = told(&conditions, ("False", "RetryPolicyUnsupported", Some("Stalled")));
            assert!(message.contains(sentence), "{message}");
            assert!(world.until_event(name, "RetryPolicyUnsupported").await.contains(sentence));
            assert_eq!(world.count(Route::CreateIntegration), 0, "nothing is registered that cannot have its policy");
            world.policy(name, repaired).await;
            world.until_reason(name, "Active").await;
            let integration = world.integrations().into_iter().find(|one| one.name == name).unwrap();
            assert_eq!(integration.retry_policy.unwrap()["intervalsMs"], intervals, "{name}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_webhook_keeps_its_policy_when_the_new_one_cannot_be_applied() {
    world(Options::default(), async |world| {
        world.tenant("production", json!({})).await;
        world.policy("patient", json!({"intervalsMs": [50, 100, 200]})).await;
        world.webhook("orders", json!({"retryPolicyRef": {"name": "patient"}})).await;
        world.until_reason("orders", "Active").await;
        world.clear_log();
        world.policy("patient", json!({"backoff": {"strategy": "Linear"}})).await;
        let webhook = world.until_reason("orders", "RetryPolicyUnsupported").await;
        told(&webhook.status.unwrap().conditions, ("False", "RetryPolicyUnsupported", Some("Stalled")));
        let integration = &world.integrations()[0];
        assert!(integration.active);
        assert_eq!(integration.retry_policy.as_ref().unwrap()["intervalsMs"], json!([50, 100, 200]));
        assert_eq!(world.requests().len(), 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_fit_into_the_window_is_cut_before_it_goes_out() {
    world(Options::default(), async |world| {
        world.tenant("production", json!({})).await;
        let backoff = json!({"baseDelayMs": 300, "maxDelayMs": 60000});
        world.policy("short", json!({"maxRetries": 5, "backoff": backoff, "maxRetryWindowSeconds": 1})).await;
        world.webhook("orders", json!({"retryPolicyRef": {"name": "short"}})).await;
        world.until_reason("orders", "Active").await;
        let policy = world.integrations()[0].retry_policy.clone().unwrap();
        assert_eq!((&policy["maxRetries"], &policy["intervalsMs"]), (&json!(2), &json!([300, 600])));
        assert_eq!(world.until_judged("short").await["effectiveRetries"], json!(2));
    })
    .await;
}
