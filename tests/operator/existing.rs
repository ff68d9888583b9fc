//! Webhooks that exist already: only their retry policy is managed (docs/resources.md, `spec.existing`).

use std::collections::BTreeSet;

use cognigy_operator::api::{CognigyWebhook, FINALIZER, REGISTRATION_ANNOTATION};
use cognigy_simulator::{BotWebhook, Options, Request, Route};
use kube::ResourceExt as _;
use serde_json::{Value, json};

use crate::harness::{World, condition, message, told, true_conditions, world};

/// What goes to both surfaces.
pub const DOUBLING: [i64; 3] = [100, 200, 400];

impl World {
    /// A resource for a webhook that exists already.
    pub async fn existing(&self, name: &str, existing: Value, change: Value) {
        let mut spec = json!({"url": null, "existing": existing, "retryPolicyRef": {"name": "patient"}});
        spec.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        self.webhook(name, spec).await;
    }

    /// A tenant that is compared often, and a policy that goes to both surfaces.
    pub async fn house(&self) {
        self.tenant("production", json!({"resyncPeriodSeconds": 5})).await;
        self.policy("patient", json!({"intervalsMs": DOUBLING})).await;
    }

    /// A webhook of bot `support`; its id.
    pub fn bot_webhook(&self, name: &str) -> String {
        self.add_bot_webhook(BotWebhook::new("support", name, "https://hooks.example.com/x"))
    }

    /// A webhook of each surface with its policy; their ids. The resources are `of-bot` and `imported`.
    pub async fn one_of_each(&self) -> (String, String) {
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
    pub fn window(&self, id: &str) -> Value {
        let all = self.bot_webhooks();
        all.into_iter().find(|one| one.id == id).unwrap().retry_policy.unwrap_or_default()
    }
}

/// The same as a bot's webhook has it.
pub fn doubling() -> Value {
    json!({"enabled": true, "maxAttempts": 3, "backoffStrategy": "exponential", "baseDelayMs": 100, "maxDelayMs": 400,
        "maxRetryWindowSeconds": 3600})
}

fn is_write(request: &Request) -> bool {
    request.route.is_some_and(Route::is_write)
}

/// The key of each write to a bot's webhook.
pub fn keys(world: &World) -> Vec<String> {
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
