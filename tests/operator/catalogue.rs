//! What quiet webhooks cost, on the real API server: one listing per 100 objects and resync period, however many there are.

use cognigy_operator::api::CognigyWebhook;
use cognigy_simulator::{BotWebhook, Options, Request, Route, State};
use kube::api::ListParams;
use serde_json::{Value, json};

use crate::harness::{World, world};

/// Three pages.
const MANY: usize = 250;

async fn all_ready(world: &World, count: usize) {
    world
        .eventually("all are Ready", async || {
            let all = world.api::<CognigyWebhook>().list(&ListParams::default()).await.unwrap().items;
            let ready = all.iter().filter(|webhook| {
                let conditions = webhook.status.as_ref().map(|status| status.conditions.clone()).unwrap_or_default();
                conditions.iter().any(|c| c.type_ == "Ready" && c.status == "True")
            });
            ready.count() == count
        })
        .await;
}

async fn apply_all(world: &World, specs: Vec<(String, Value)>) {
    let apply = specs.into_iter().map(|(name, spec)| async move { world.webhook(&name, spec).await });
    futures::future::join_all(apply).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bot_webhooks_of_a_bot_are_compared_from_one_listing_a_period() {
    world(Options::default(), async |world| {
        world.policy("patient", json!({"intervalsMs": [100, 200, 400]})).await;
        let specs = (0..MANY).map(|n| {
            let id = world.add_bot_webhook(BotWebhook::new("support", &format!("hook-{n}"), "https://h.example.com/x"));
            let existing = json!({"botId": "support", "webhookId": id});
            (format!("hook-{n}"), json!({"url": null, "existing": existing, "retryPolicyRef": {"name": "patient"}}))
        });
        apply_all(world, specs.collect()).await;
        world.tenant("production", json!({"resyncPeriodSeconds": 86_400})).await;
        all_ready(world, MANY).await;
        assert_eq!(world.count(Route::PatchBotWebhook), MANY, "one write each");
        assert_eq!(world.count(Route::ListBotWebhooks), 3, "one listing for all of them");

        // A quiet period: each of them is compared once, and a listing serves all.
        world.stop_operator().await;
        world.tenant("production", json!({"resyncPeriodSeconds": 30})).await;
        world.clear_log();
        world.start_operator().await;
        let listed = |count: usize| move |state: &State| state.count(Route::ListBotWebhooks) >= count;
        world.until_sim("the first listing", listed(3)).await;
        world.until_sim("the listing of the next period", listed(6)).await;
        assert_eq!(world.count(Route::ListBotWebhooks), 6);
        let routes: Vec<_> = world.requests().iter().filter_map(|request| request.route).collect();
        let others = |route: &&Route| !matches!(route, Route::Token | Route::ListBotWebhooks | Route::ListIntegrations);
        assert_eq!(routes.iter().find(others), None, "{routes:?}");
        // Drift is seen by whoever's turn it is, and corrected once.
        let id = world.bot_webhooks()[MANY / 2].id.clone();
        world.change_behind(&id, json!({"retryPolicy": {"maxAttempts": 9}}));
        world.until_sim("the correction", |state: &State| state.count(Route::PatchBotWebhook) >= 1).await;
        let name = format!("hook-{}", MANY / 2);
        assert!(world.until_event(&name, "DriftCorrected").await.contains("retryPolicy.maxAttempts 9 → 3"));
        world.until_sim("another listing", listed(12)).await;
        assert_eq!(world.count(Route::PatchBotWebhook), 1);
    })
    .await;
}

/// Pages of the listing; the tenant's probe is another call to the same route.
fn pages(requests: &[Request]) -> usize {
    let is_page = |request: &&Request| {
        request.route == Some(Route::ListIntegrations)
            && request.query.as_deref().is_some_and(|query| query.contains("pageSize=100"))
    };
    requests.iter().filter(is_page).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn integrations_are_compared_from_the_listing_where_it_carries_their_version() {
    for (carries, listings, reads) in [(true, 3, 0), (false, 1, MANY)] {
        let options = Options { integrations_carry_version: carries, ..Options::default() };
        world(options, async |world| {
            world.tenant("production", json!({"resyncPeriodSeconds": 86_400})).await;
            world.policy("patient", json!({"intervalsMs": [100, 200, 400]})).await;
            let spec = json!({"retryPolicyRef": {"name": "patient"}, "healthCheck": {"disabled": true}});
            let specs = (0..MANY).map(|n| (format!("hook-{n}"), spec.clone()));
            apply_all(world, specs.collect()).await;
            all_ready(world, MANY).await;
            world.stop_operator().await;
            world.tenant("production", json!({"resyncPeriodSeconds": 20})).await;
            world.clear_log();
            world.start_operator().await;
            let compared = |count: usize| move |state: &State| pages(state.requests()) >= count;
            world.until_sim("the comparison of a period", compared(listings)).await;
            if reads > 0 {
                world.until_sim("a read of each", |state: &State| state.count(Route::GetWebhook) >= reads).await;
            } else {
                world.until_sim("the next period's", compared(2 * listings)).await;
                assert_eq!(world.count(Route::GetWebhook), 0);
            }
            assert!(
                world
                    .requests()
                    .iter()
                    .all(|request| !request.route.is_some_and(Route::is_write) || request.route == Some(Route::Token))
            );
            assert_eq!(pages(&world.requests()), if reads > 0 { listings } else { 2 * listings });
        })
        .await;
    }
}
