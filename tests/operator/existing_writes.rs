//! The policy of a webhook that exists already is written again: after drift, another change of the policy, a lock, a lost answer
//! or somebody else's write.

use std::collections::BTreeSet;

use cognigy_operator::api::CognigyWebhook;
use cognigy_simulator::{Fault, Options, Route};
use serde_json::json;

use crate::{
    existing::{DOUBLING, doubling, keys},
    harness::{told, true_conditions, world},
};

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
