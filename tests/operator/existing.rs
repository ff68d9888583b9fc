//! Webhooks that exist already: only their retry policy is managed (docs/resources.md, `spec.existing`).

use std::collections::BTreeSet;

use cognigy_operator::api::{CognigyWebhook, FINALIZER, REGISTRATION_ANNOTATION};
use cognigy_simulator::{BotWebhook, Fault, Options, Request, Route};
use kube::ResourceExt as _;
use serde_json::{Value, json};

use crate::harness::{World, condition, message, told, true_conditions, world};

/// What goes to both surfaces.
const DOUBLING: [i64; 3] = [100, 200, 400];

impl World {
    /// A resource for a webhook that exists already.
    async fn existing(&self, name: &str, existing: Value, change: Value) {
        let mut spec = json!({"url": null, "existing": existing, "retryPolicyRef": {"name": "patient"}});
        spec.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        self.webhook(name, spec).await;
    }

    /// A tenant that is compared often, and a policy that goes to both surfaces.
    async fn house(&self) {
        self.tenant("production", json!({"resyncPeriodSeconds": 5})).await;
        self.policy("patient", json!({"intervalsMs": DOUBLING})).await;
    }

    /// A webhook of bot `support`; its id.
    fn bot_webhook(&self, name: &str) -> String {
        self.add_bot_webhook(BotWebhook::new("support", name, "https://hooks.example.com/x"))
    }

    /// A webhook of each surface with its policy; their ids. The resources are `of-bot` and `imported`.
    async fn one_of_each(&self) -> (String, String) {
        self.house().await;
        let (bot, id) = (self.bot_webhook("one"), self.add_integration(json!({"name": "made-by-hand"})));
        self.existing("of-bot", json!({"botId": "support", "webhookId": bot}), json!({})).await;
        self.existing("imported", json!({"webhookId": id}), json!({})).await;
        for name in ["of-bot", "imported"] {
            self.until_reason(name, "Active").await;
        }
        (bot, id)
    }

    /// The policy of a bot's webhook.
    fn window(&self, id: &str) -> Value {
        let all = self.bot_webhooks();
        all.into_iter().find(|one| one.id == id).unwrap().retry_policy.unwrap_or_default()
    }
}

fn doubling() -> Value {
    json!({"enabled": true, "maxAttempts": 3, "backoffStrategy": "exponential", "baseDelayMs": 100, "maxDelayMs": 400,
        "maxRetryWindowSeconds": 3600})
}

fn is_write(request: &Request) -> bool {
    request.route.is_some_and(Route::is_write)
}

fn keys(world: &World) -> Vec<String> {
    let patches = world.requests_to(Route::PatchBotWebhook);
    patches.iter().map(|patch| patch.header("idempotency-key").unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_existing_webhook_gets_its_policy_and_keeps_everything_else() {
    world(Options::default(), async |world| {
        world.house().await;
        let id = world.add_integration(json!({"name": "made-by-hand", "url": "https://hooks.example.com/x",
            "enabled": false, "team": {"owner": "cx"}}));
        let before = world.sim.webhook(&id);
        world.existing("imported", json!({"webhookId": id}), json!({})).await;
        let webhook = world.until_reason("imported", "Active").await;
        let conditions = &webhook.status.as_ref().unwrap().conditions;
        assert_eq!(true_conditions(&webhook), ["Ready", "Registered", "RetryPolicyApplied"]);
        assert_eq!(condition(conditions, "Healthy").unwrap().reason, "NotChecked");
        assert!(message(&webhook).contains(&format!("{id} has retry policy patient")), "{}", message(&webhook));

        let mut after = world.sim.webhook(&id).unwrap();
        let policy = after.as_object_mut().unwrap().remove("retryPolicy").unwrap();
        let mut before = before.unwrap();
        before["_version"] = after["_version"].clone();
        assert_eq!(after, before, "nothing but the policy changed");
        assert_eq!((&policy["intervalsMs"], &policy["webhookId"]), (&json!(DOUBLING), &json!(id)));
        let routes: Vec<_> = world.requests().iter().filter(|r| is_write(r)).filter_map(|r| r.route).collect();
        assert_eq!(routes, [Route::PutWebhook]);
        assert!(world.requests_to(Route::PutWebhook)[0].header("if-match").is_some());

        let status = webhook.status.clone().unwrap();
        assert_eq!((status.webhook_id.as_ref(), status.version), (Some(&id), None));
        assert_eq!(status.etag, world.etag(&id));
        assert_eq!(status.retry_policy.unwrap().name, "patient");
        assert_eq!(serde_json::to_value(status.state).unwrap(), json!("Inactive"));
        assert!(webhook.finalizers().is_empty() && !webhook.annotations().contains_key(REGISTRATION_ANNOTATION));
        assert!(world.until_event("imported", "RetryPolicyApplied").await.contains("entity tag"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bots_webhook_gets_its_policy_by_id_or_by_name() {
    world(Options::default(), async |world| {
        world.house().await;
        let (one, two) = (world.bot_webhook("one"), world.bot_webhook("two"));
        world.existing("by-id", json!({"botId": "support", "webhookId": one}), json!({})).await;
        world.existing("by-name", json!({"botId": "support", "name": "two"}), json!({})).await;
        for (name, id) in [("by-id", &one), ("by-name", &two)] {
            let webhook = world.until_reason(name, "Active").await;
            assert_eq!(true_conditions(&webhook), ["Ready", "Registered", "RetryPolicyApplied"]);
            assert_eq!(webhook.status.as_ref().unwrap().webhook_id.as_ref(), Some(id));
            assert_eq!(world.window(id), doubling());
            assert!(world.until_event(name, "RetryPolicyApplied").await.contains("bot support"));
            assert!(!webhook.finalizers().iter().any(|finalizer| finalizer == FINALIZER));
        }
        // Both have the same body: a key of its own for each.
        assert_eq!(keys(world).into_iter().collect::<BTreeSet<_>>().len(), 2);
        assert_eq!(world.count(Route::PatchBotWebhook), 2);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_webhook_is_waited_for_and_found_as_soon_as_it_appears() {
    world(Options::default(), async |world| {
        world.house().await;
        world.existing("by-id", json!({"webhookId": "wh_late"}), json!({})).await;
        world.existing("in-bot", json!({"botId": "support", "webhookId": "wh_later"}), json!({})).await;
        world.existing("by-name", json!({"botId": "support", "name": "latest"}), json!({})).await;
        for (name, sentence) in [
            ("by-id", "Cognigy has no webhook wh_late"),
            ("in-bot", "bot support has no webhook wh_later"),
            ("by-name", "bot support has no webhook with the name \"latest\""),
        ] {
            let webhook = world.until_reason(name, "WebhookNotFound").await;
            let conditions = webhook.status.unwrap().conditions;
            let message = told(&conditions, ("False", "WebhookNotFound", Some("Reconciling")));
            assert!(message.contains(sentence), "{message}");
            assert_eq!(condition(&conditions, "Registered").unwrap().status, "False");
            assert!(world.until_event(name, "WebhookNotFound").await.contains(sentence));
        }
        assert!(!world.requests().iter().any(is_write));
        world.add_integration(json!({"id": "wh_late", "name": "late", "url": "https://hooks.example.com/x"}));
        world.add_bot_webhook(BotWebhook {
            id: "wh_later".into(),
            ..BotWebhook::new("support", "later", "https://h.example.com")
        });
        let named = world.bot_webhook("latest");
        for name in ["by-id", "in-bot", "by-name"] {
            world.until_reason(name, "Active").await;
        }
        assert_eq!(world.window("wh_later"), doubling());
        assert_eq!(world.window(&named), doubling());
        assert_eq!(world.integration("wh_late").unwrap().retry_policy.unwrap()["intervalsMs"], json!(DOUBLING));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_several_webhooks_carry_is_not_guessed_at() {
    world(Options::default(), async |world| {
        world.house().await;
        let ids = [world.bot_webhook("twin"), world.bot_webhook("twin")];
        world.existing("twin", json!({"botId": "support", "name": "twin"}), json!({})).await;
        let webhook = world.until_reason("twin", "WebhookNotFound").await;
        let text = message(&webhook);
        assert!(ids.iter().all(|id| text.contains(id.as_str())) && text.contains("spec.existing.webhookId"), "{text}");
        assert!(!world.requests().iter().any(is_write));
        world.delete_behind(&ids[0]);
        world.until_reason("twin", "Active").await;
        assert_eq!(world.window(&ids[1]), doubling());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_that_vanishes_is_told_and_never_registered() {
    world(Options::default(), async |world| {
        let (bot, id) = world.one_of_each().await;
        world.delete_behind(&bot);
        world.delete_behind(&id);
        for name in ["of-bot", "imported"] {
            let webhook = world.until_reason(name, "WebhookNotFound").await;
            let status = webhook.status.unwrap();
            assert_eq!((status.webhook_id, status.retry_policy), (None, None));
        }
        assert_eq!(world.count(Route::CreateIntegration), 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drifted_policy_is_restored_and_nothing_else_each_time_that_it_drifts() {
    world(Options::default(), async |world| {
        let (bot, id) = world.one_of_each().await;
        for round in 1..=2 {
            world.change_behind(&bot, json!({"name": "renamed", "retryPolicy": {"maxAttempts": 9}}));
            world.change_behind(
                &id,
                json!({"name": "renamed", "enabled": true, "retryPolicy": {"failureThresholdPercent": 50}}),
            );
            for (name, change) in [
                ("of-bot", "retryPolicy.maxAttempts 9 → 3"),
                ("imported", "retryPolicy.failureThresholdPercent 50 → 15"),
            ] {
                world
                    .eventually("the drift is corrected", async || {
                        let events = world.events(name).await;
                        let told =
                            events.iter().filter(|(reason, note)| reason == "DriftCorrected" && note.contains(change));
                        told.count() == round
                    })
                    .await;
            }
            assert_eq!(world.window(&bot), doubling());
            let there = world.integration(&id).unwrap();
            assert_eq!(there.retry_policy.unwrap()["failureThresholdPercent"], json!(15.0));
            assert_eq!((there.name.as_str(), there.active), ("renamed", true), "these are not ours");
        }
        let keys = keys(world);
        assert_eq!(keys.iter().collect::<BTreeSet<_>>().len(), 3, "a key that was used would write nothing: {keys:?}");
        assert!(true_conditions(&world.get("of-bot").await).contains(&"Ready"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_policy_is_put_back_before_any_listing_ever_showed_one() {
    world(Options::default(), async |world| {
        world.house().await;
        let id = world.bot_webhook("one");
        world.existing("of-bot", json!({"botId": "support", "webhookId": id}), json!({})).await;
        world.until_reason("of-bot", "Active").await;
        world.change_behind(&id, json!({"retryPolicy": null}));
        world.until_event("of-bot", "DriftCorrected").await;
        assert_eq!(world.window(&id), doubling());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_only_observed_is_compared_and_never_written() {
    world(Options::default(), async |world| {
        world.house().await;
        let (bot, id) = (world.bot_webhook("one"), world.add_integration(json!({"name": "made-by-hand"})));
        let observe = json!({"mode": "Observe"});
        world.existing("of-bot", json!({"botId": "support", "webhookId": bot}), observe.clone()).await;
        world.existing("imported", json!({"webhookId": id}), observe).await;
        for name in ["of-bot", "imported"] {
            let webhook = world.until_reason(name, "DriftDetected").await;
            let drift = webhook.status.unwrap().drift;
            assert_eq!((drift.len(), drift[0].path.as_str(), drift[0].actual.as_ref()), (1, "retryPolicy", None));
        }
        let interval = json!({"webhookId": id, "maxRetries": 3, "backoffType": "exponential", "intervalsMs": DOUBLING,
            "failureThresholdPercent": 15.0});
        world.change_behind(&bot, json!({"retryPolicy": doubling()}));
        world.change_behind(&id, json!({"retryPolicy": interval}));
        for name in ["of-bot", "imported"] {
            let webhook = world.until_reason(name, "Observing").await;
            assert!(webhook.status.unwrap().drift.is_empty());
        }
        assert!(!world.requests().iter().any(is_write));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deleting_the_resource_touches_nothing_and_waits_for_nothing() {
    world(Options::default(), async |world| {
        world.house().await;
        let id = world.bot_webhook("one");
        world
            .existing("of-bot", json!({"botId": "support", "webhookId": id}), json!({"deletionPolicy": "Delete"}))
            .await;
        world.until_reason("of-bot", "Active").await;
        let calls = world.count(Route::PatchBotWebhook);
        world.delete::<CognigyWebhook>("of-bot").await;
        world.until_gone::<CognigyWebhook>("of-bot").await;
        assert_eq!(world.window(&id), doubling());
        assert_eq!(world.count(Route::PatchBotWebhook), calls);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_is_changed_and_changed_back_arrives_each_time() {
    world(Options::default(), async |world| {
        world.house().await;
        let id = world.bot_webhook("one");
        world.existing("of-bot", json!({"botId": "support", "webhookId": id}), json!({})).await;
        for (generation, intervals) in (1..).zip([vec![100, 200, 400], vec![50, 100], vec![100, 200, 400]]) {
            world.policy("patient", json!({"intervalsMs": intervals})).await;
            world
                .until("of-bot", |webhook: &CognigyWebhook| {
                    let applied = webhook.status.as_ref().and_then(|status| status.retry_policy.as_ref());
                    applied.is_some_and(|applied| applied.generation == generation)
                })
                .await;
            assert_eq!(world.window(&id)["maxAttempts"], json!(intervals.len()), "generation {generation}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locked_webhook_is_written_again_under_the_same_key() {
    world(Options::default(), async |world| {
        world.house().await;
        let id = world.bot_webhook("one");
        world.fault(Fault::on(Route::PatchBotWebhook).times(1).locked());
        world.existing("of-bot", json!({"botId": "support", "webhookId": id}), json!({})).await;
        world.until_reason("of-bot", "Active").await;
        assert_eq!(world.window(&id), doubling());
        assert!(world.until_event("of-bot", "Conflict").await.contains(&id));
        let keys = keys(world);
        assert_eq!((keys.len(), keys.iter().collect::<BTreeSet<_>>().len()), (2, 1));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_that_stays_locked_is_a_conflict_and_goes_on_by_itself() {
    world(Options::default(), async |world| {
        world.house().await;
        let id = world.bot_webhook("one");
        world.fault(Fault::on(Route::PatchBotWebhook).times(4).locked());
        world.existing("of-bot", json!({"botId": "support", "webhookId": id}), json!({})).await;
        let webhook = world.until_reason("of-bot", "Conflict").await;
        told(&webhook.status.unwrap().conditions, ("False", "Conflict", Some("Reconciling")));
        world.until_reason("of-bot", "Active").await;
        assert_eq!(world.window(&id), doubling());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_whose_answer_is_lost_is_repeated_under_the_same_key() {
    world(Options::default(), async |world| {
        world.house().await;
        let id = world.bot_webhook("one");
        world.fault(Fault::on(Route::PatchBotWebhook).times(1).lose_after());
        world.existing("of-bot", json!({"botId": "support", "webhookId": id}), json!({})).await;
        world.until_reason("of-bot", "Active").await;
        let keys = keys(world);
        assert_eq!((keys.len(), keys.iter().collect::<BTreeSet<_>>().len()), (2, 1));
        assert_eq!(world.window(&id), doubling());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_elses_change_between_read_and_write_is_read_again_and_kept() {
    world(Options::default(), async |world| {
        world.house().await;
        let id = world.add_integration(json!({"name": "made-by-hand", "url": "https://hooks.example.com/x"}));
        world.fault(Fault::on(Route::PutWebhook).times(1).change_behind(json!({"name": "renamed"})));
        world.existing("imported", json!({"webhookId": id}), json!({})).await;
        world.until_reason("imported", "Active").await;
        assert_eq!(world.count(Route::PutWebhook), 2);
        let there = world.integration(&id).unwrap();
        assert_eq!((there.name.as_str(), &there.retry_policy.unwrap()["intervalsMs"]), ("renamed", &json!(DOUBLING)));
        assert!(world.until_event("imported", "Conflict").await.contains(&id));
    })
    .await;
}

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

#[tokio::test(flavor = "multi_thread")]
async fn the_first_webhooks_of_bots_wait_for_a_session_with_their_scopes_and_none_of_their_calls_is_refused() {
    world(Options::default(), async |world| {
        for (name, scopes) in [("production", json!([])), ("named", json!(cognigy_simulator::ALL_SCOPES))] {
            world.tenant(name, json!({"auth": {"oauth2": {"scopes": scopes}}})).await;
        }
        world.policy("patient", json!({"intervalsMs": DOUBLING})).await;
        for (tenant, registered) in [("production", "orders"), ("named", "refunds")] {
            world.webhook(registered, json!({"tenantRef": {"name": tenant}})).await;
            world.until_reason(registered, "Active").await;
        }
        let tokens = world.requests_to(Route::Token).len();
        let of_bots: Vec<_> = (0..8).map(|nth| (World::nth(nth), ["production", "named"][nth % 2])).collect();
        for (name, tenant) in &of_bots {
            let id = world.bot_webhook(name);
            let change = json!({"tenantRef": {"name": tenant}});
            world.existing(name, json!({"botId": "support", "webhookId": id}), change).await;
        }
        for (name, _) in &of_bots {
            world.until_reason(name, "Active").await;
        }
        let refused: Vec<_> = world.requests().into_iter().filter(|request| request.status == Some(403)).collect();
        assert!(refused.is_empty(), "{refused:#?}");
        // A tenant that names its scopes keeps the session that it has.
        assert_eq!(world.requests_to(Route::Token).len(), tokens + 1);
    })
    .await;
}
