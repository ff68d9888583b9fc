//! One fair gate per installation: who goes first, what a 429 means for everybody, and that waiting holds up nobody else.

use std::time::Duration;

use cognigy_operator::api::{CognigyTenant, CognigyWebhook};
use cognigy_simulator::{Answer, BotWebhook, Fault, Options, Request, RetryAfter, Route, Simulator, State};
use control_plane::User;
use serde_json::{Value, json};

use crate::harness::{World, true_conditions, world, world_without_operator};

/// More than the operator's places at work (16, see the harness).
const MANY: usize = 100;
/// More than the passes of one namespace that may be calling (256).
const BEFORE_THE_DOOR: usize = 280;
const RATE: &str = "api_rate_limit_per_minute";

/// A tenant for all namespaces with one call under way at a time, which may take long.
async fn narrow_tenant(world: &World) {
    let limits = json!({"maxConcurrentRequests": 1, "requestTimeoutSeconds": 120});
    world.tenant("production", json!({"limits": limits, "allowedNamespaces": {"from": "All"}})).await;
    world.until_tenant("production", "Connected").await;
}

/// Whether `/metrics` shows this figure of a host.
async fn shows(world: &World, name: &str, host: &str, figure: u32) -> bool {
    let line = format!("cognigy_operator_{name}{{host=\"{host}\"}} {figure}");
    world.http("/metrics").await.1.lines().any(|shown| shown == line)
}

/// Another installation, and what a tenant's spec needs to be there.
async fn elsewhere(world: &World) -> (Simulator, Value) {
    let sim = Simulator::start(Options::default()).unwrap();
    world.config_map("both-ca", "ca.crt", &format!("{}{}", sim.ca_pem(), world.ca_pem())).await;
    let bundle = json!({"configMapRef": {"name": "both-ca", "key": "ca.crt"}});
    let spec = json!({"baseUrl": sim.https_base_url().unwrap(), "caBundle": bundle});
    (sim, spec)
}

/// A webhook without health check.
fn plain(tenant_namespace: &str) -> Value {
    json!({"tenantRef": {"name": "production", "namespace": tenant_namespace}, "healthCheck": {"disabled": true}})
}

/// Waits until a webhook's pass has recorded its claim: the registration is the next thing that it does.
async fn until_claimed(world: &World, namespace: &str, name: &str) {
    world
        .until_in(namespace, name, |webhook: &CognigyWebhook| {
            webhook.metadata.annotations.iter().flatten().any(|(key, _)| key == "cognigy.io/registration")
        })
        .await;
}

/// The place of the first request that is as described.
fn place(requests: &[Request], described: impl Fn(&Request) -> bool) -> usize {
    requests.iter().position(described).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_webhooks_of_a_small_namespace_and_a_deletion_do_not_wait_for_a_hundred_of_a_big_one() {
    world_without_operator(Options::default(), async |world| {
        let big = world.namespace.clone();
        let small = world.another_namespace(&[]).await;
        let admin = User::named(&world.user).group("system:masters");
        world.start_operator_as(&admin, &[&big, &small]).await;
        narrow_tenant(world).await;
        world.webhook("leaving", plain(&big)).await;
        let leaving = world.until_reason("leaving", "Active").await.status.unwrap().webhook_id.unwrap();

        let hang = world.fault(Fault::on(Route::CreateIntegration).times(1).hang());
        world.webhooks(MANY, plain(&big)).await;
        // All of them wait for the one call under way, and none of them keeps a place at work.
        for nth in 0..MANY {
            until_claimed(world, &big, &World::nth(nth)).await;
        }
        world.delete::<CognigyWebhook>("leaving").await;
        for name in ["few-1", "few-2"] {
            world.webhook_in(&small, name, plain(&big)).await;
            until_claimed(world, &small, name).await;
        }
        assert_eq!(world.count(Route::CreateIntegration), 2, "the first one's, and the one that hangs");
        world.clear_log();
        world.remove_fault(hang);
        for name in ["few-1", "few-2"] {
            world.until_reason_in(&small, name, "Active").await;
        }
        for nth in 0..MANY {
            world.until_reason(&World::nth(nth), "Active").await;
        }
        let requests = world.requests();
        let deletion = place(&requests, |request| {
            request.route == Some(Route::DeleteIntegration) && request.path.ends_with(&leaving)
        });
        assert!(deletion < 5, "the deletion went {deletion} of {}", requests.len());
        let posts = world.requests_to(Route::CreateIntegration);
        for name in ["few-1", "few-2"] {
            let turn = place(&posts, |request| request.json()["name"] == name);
            assert!(turn < 8, "{name} went {turn} of {}", posts.len());
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_webhook_of_a_mass_is_live_before_the_last_one_is_registered() {
    let slow = Options { latency: Duration::from_millis(20), ..Options::default() };
    world(slow, async |world| {
        narrow_tenant(world).await;
        world.clear_log();
        let hang = world.fault(Fault::on(Route::CreateIntegration).times(1).hang());
        world.webhooks(MANY, plain(&world.namespace)).await;
        for nth in 0..MANY {
            until_claimed(world, &world.namespace, &World::nth(nth)).await;
        }
        world.remove_fault(hang);
        for nth in 0..MANY {
            world.until_reason(&World::nth(nth), "Active").await;
        }
        let requests = world.requests();
        let live = place(&requests, |request| {
            request.route == Some(Route::UpdateIntegration) && request.json()["status"] == "active"
        });
        let last = requests.iter().rposition(|request| request.route == Some(Route::CreateIntegration));
        assert!(live < last.unwrap(), "the first was live after {live} of {} calls", requests.len());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn more_passes_than_may_call_at_once_are_all_made_and_a_verdict_without_a_call_does_not_wait_for_them() {
    world(Options::default(), async |world| {
        narrow_tenant(world).await;
        let hang = world.fault(Fault::on(Route::CreateIntegration).hang());
        world.webhooks(BEFORE_THE_DOOR, plain(&world.namespace)).await;
        // Those before the door have not begun: one of them is suspended, one is deleted, and one of another kind of trouble comes.
        let (suspended, leaving) = (World::nth(BEFORE_THE_DOOR - 1), World::nth(BEFORE_THE_DOOR - 2));
        world.webhook(&suspended, json!({"suspend": true})).await;
        world.until_reason(&suspended, "Suspended").await;
        world.delete::<CognigyWebhook>(&leaving).await;
        world.until_gone::<CognigyWebhook>(&leaving).await;
        world.webhook("lonely", json!({"retryPolicyRef": {"name": "missing"}})).await;
        world.until_reason("lonely", "RetryPolicyNotFound").await;
        assert_eq!(world.count(Route::CreateIntegration), 1, "the one that hangs");
        world.remove_fault(hang);
        for nth in 0..BEFORE_THE_DOOR - 2 {
            world.until_reason(&World::nth(nth), "Active").await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hanging_tenant_does_not_hold_up_another_one() {
    world(Options::default(), async |world| {
        let limits = json!({"requestTimeoutSeconds": 120});
        world.tenant("production", json!({"limits": limits})).await;
        let (alive, there) = elsewhere(world).await;
        world.tenant("alive", there).await;
        for tenant in ["production", "alive"] {
            world.until_tenant(tenant, "Connected").await;
        }
        let hang = world.fault(Fault::on(Route::CreateIntegration).hang());
        world.webhooks(MANY, plain(&world.namespace)).await;
        // As many calls as the tenant allows hang, which is as many as there are places at work.
        world.until_sim("hanging calls", |state| state.count(Route::CreateIntegration) == 16).await;
        for name in ["orders", "refunds", "returns"] {
            world.webhook(name, json!({"tenantRef": {"name": "alive"}})).await;
        }
        for name in ["orders", "refunds", "returns"] {
            world.until_reason(name, "Active").await;
        }
        let hanging = world.requests_to(Route::CreateIntegration);
        assert!(hanging.iter().all(|request| request.status.is_none()), "all others still hang: {hanging:?}");
        assert_eq!(hanging.len(), 16);
        assert_eq!(alive.integrations().len(), 3);
        world.remove_fault(hang);
        for nth in 0..MANY {
            world.until_reason(&World::nth(nth), "Active").await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hanging_callbacks_do_not_hold_up_another_tenant() {
    world(Options::default(), async |world| {
        for tenant in ["production", "neighbour"] {
            world.tenant(tenant, json!({})).await;
            world.until_tenant(tenant, "Connected").await;
        }
        let names: Vec<_> = (0..40).map(World::nth).collect();
        for name in &names {
            world.callback(name).answer(Answer::hang());
        }
        world.webhooks(names.len(), json!({"healthCheck": {"timeoutSeconds": 30}})).await;
        let checks = |state: &State| names.iter().map(|name| state.callback_requests(name).len()).sum::<usize>();
        world.until_sim("hanging checks", |state| checks(state) == 16).await;
        world.webhook("orders", json!({"tenantRef": {"name": "neighbour"}})).await;
        world.until_reason("orders", "Active").await;
        let mut unanswered = 0;
        for name in &names {
            unanswered += usize::from(world.get(name).await.status.unwrap_or_default().health.is_none());
        }
        assert!(unanswered > 0, "there are checks that hang, or wait for their turn: nobody waited for them all");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn those_who_wait_for_one_shared_listing_hold_up_nobody() {
    world(Options::default(), async |world| {
        for tenant in ["production", "neighbour"] {
            world.tenant(tenant, json!({"limits": {"requestTimeoutSeconds": 120}})).await;
            world.until_tenant(tenant, "Connected").await;
        }
        world.policy("patient", json!({"maxRetries": 3, "backoff": {"baseDelayMs": 1000, "maxDelayMs": 30000}})).await;
        let hang = world.fault(Fault::on(Route::ListBotWebhooks).hang());
        let names: Vec<_> = (0..40).map(World::nth).collect();
        for name in &names {
            world.add_bot_webhook(BotWebhook::new("bot-1", name, "https://bot.example.com/hook"));
            let existing = json!({"botId": "bot-1", "name": name});
            let spec = json!({"url": null, "existing": existing, "retryPolicyRef": {"name": "patient"}});
            world.webhook(name, spec).await;
        }
        world.until_sim("the listing", |state| state.count(Route::ListBotWebhooks) >= 1).await;
        world.webhook("orders", json!({"tenantRef": {"name": "neighbour"}})).await;
        world.until_reason("orders", "Active").await;
        let listings = world.requests_to(Route::ListBotWebhooks);
        assert!(listings.iter().all(|request| request.status.is_none()), "it still hangs: {listings:?}");
        // The first webhook of a bot asks for other scopes, and so for another session with a listing of its own.
        assert!(listings.len() <= 2, "all others share it: {listings:?}");
        world.remove_fault(hang);
        for name in &names {
            world.until_reason(name, "Active").await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_429_of_one_tenant_pauses_and_slows_all_of_its_host_and_both_are_shown() {
    world(Options::default(), async |world| {
        let (other, there) = elsewhere(world).await;
        for name in ["production", "neighbour"] {
            world.tenant(name, json!({})).await;
            world.until_tenant(name, "Connected").await;
        }
        world.tenant("elsewhere", there).await;
        world.until_tenant("elsewhere", "Connected").await;
        let host = |sim: &Simulator| format!("127.0.0.1:{}", sim.https_base_url().unwrap().port().unwrap());
        let (here, there) = (host(&world.sim), host(&other));
        world.eventually("the configured rate", async || shows(world, RATE, &here, 60_000).await).await;

        world.fault(Fault::on(Route::CreateIntegration).times(1).retry_after(RetryAfter::Seconds(300)));
        world.webhook("orders", plain(&world.namespace)).await;
        world.until_reason("orders", "RateLimited").await;
        let sent = world.requests().len();
        world.webhook("others", json!({"tenantRef": {"name": "neighbour"}})).await;
        let others = world
            .until("others", |webhook: &CognigyWebhook| {
                webhook.status.as_ref().is_some_and(|status| !status.conditions.is_empty())
            })
            .await;
        assert_eq!(true_conditions(&others), ["Reconciling"]);
        world.webhook("apart", json!({"tenantRef": {"name": "elsewhere"}})).await;
        world.until_reason("apart", "Active").await;
        assert_eq!(world.requests().len(), sent, "nothing is sent during the pause");

        world.eventually("half the rate", async || shows(world, RATE, &here, 30_000).await).await;
        assert!(shows(world, "api_throttled_total", &here, 1).await);
        assert!(shows(world, RATE, &there, 60_000).await);
        for (tenant, rate) in [("production", 30_000), ("neighbour", 30_000), ("elsewhere", 60_000)] {
            world
                .until(tenant, |tenant: &CognigyTenant| {
                    let api = tenant.status.as_ref().and_then(|status| status.api);
                    api.and_then(|api| api.requests_per_minute) == Some(rate)
                })
                .await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pass_that_waits_for_its_turn_is_given_up_when_its_object_or_tenant_changes() {
    world(Options::default(), async |world| {
        narrow_tenant(world).await;
        let (other, there) = elsewhere(world).await;
        world.fault(Fault::on(Route::CreateIntegration).hang());
        world.webhook("first", plain(&world.namespace)).await;
        world.until_sim("the call that hangs", |state| state.count(Route::CreateIntegration) == 1).await;
        for name in ["orders", "leaving"] {
            world.webhook(name, plain(&world.namespace)).await;
            until_claimed(world, &world.namespace, name).await;
        }
        world.delete::<CognigyWebhook>("leaving").await;
        world.annotate("leaving", "cognigy.io/force-orphan", "true").await;
        world.until_gone::<CognigyWebhook>("leaving").await;
        // The tenant moves: who waits at the old address goes to the new one.
        world.tenant("production", there).await;
        world.until_reason("orders", "Active").await;
        assert_eq!(other.active_versions("orders"), [1]);
        assert_eq!(world.count(Route::CreateIntegration), 1, "nothing else was sent to the old address");
    })
    .await;
}
