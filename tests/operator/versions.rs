//! Any sequence of versions, faults and restarts: what serves is never interrupted, and the end is as asked for.
//!
//! `COGNIGY_TEST_SEED=<number>` replays one sequence.

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
};

use cognigy_operator::api::{CognigyWebhook, webhook::State};
use cognigy_simulator::{Answer, Change, Fault, Options, RetryAfter, Route};
use rand::{Rng, SeedableRng as _, rngs::StdRng, seq::IndexedRandom as _};
use serde_json::json;

use crate::harness::{World, condition, world};

const STEPS: usize = 25;
const SEEDS: [u64; 3] = [1, 2, 3];
/// Ten retries that are over soon.
const QUICK: [i64; 10] = [20, 30, 45, 68, 102, 153, 230, 345, 518, 777];

/// Calls about a webhook; the tenant's own are the others.
const ROUTES: [Route; 7] = [
    Route::CreateIntegration,
    Route::UpdateIntegration,
    Route::GetIntegration,
    Route::DeleteIntegration,
    Route::GetWebhook,
    Route::PutWebhook,
    Route::ListIntegrations,
];

/// A fault that meets few calls and then is over.
fn fault(random: &mut StdRng) -> Fault {
    let route = *ROUTES.choose(random).unwrap();
    let fault = Fault::on(route).skip(random.random_range(0..2)).times(random.random_range(1..3));
    // Refused credentials or scopes at its own read hold the whole tenant back for a minute: not what is looked at here.
    let refusals: &[u16] = if route == Route::ListIntegrations { &[503] } else { &[403, 409, 422] };
    match random.random_range(0..9) {
        0 => fault.status(*refusals.choose(random).unwrap()),
        1 => fault.status(500),
        2 => fault.status(503).after_commit(),
        3 => fault.lose_before(),
        4 | 5 => fault.lose_after(),
        6 => fault.cut_body(),
        7 => fault.malformed_json(),
        _ => fault.times(1).status(429).retry_after(RetryAfter::Seconds(1)),
    }
}

/// How many versions were active at most at the same time.
fn most_active(history: &[Change]) -> usize {
    let mut active = BTreeSet::new();
    let counts = history.iter().map(|change| {
        if change.active {
            active.insert(&change.id);
        } else {
            active.remove(&change.id);
        }
        active.len()
    });
    counts.max().unwrap_or_default()
}

/// Waits until nothing goes on by itself any more.
async fn steady(world: &World) {
    world
        .until("orders", |webhook: &CognigyWebhook| {
            let status = webhook.status.clone().unwrap_or_default();
            let ready = condition(&status.conditions, "Ready").map(|ready| ready.reason.as_str());
            status.observed_generation == webhook.metadata.generation
                && ready.is_some_and(|reason| ["Active", "Rejected"].contains(&reason))
        })
        .await;
}

/// Lets the operator work for a while: until it is done, or has made some more calls.
async fn work(world: &World, calls: usize) {
    let enough = world.requests().len() + calls;
    tokio::select! {
        () = steady(world) => {}
        () = world.wait_until(|state| state.requests().len() >= enough) => {}
    }
}

async fn sequence(seed: u64) {
    eprintln!("COGNIGY_TEST_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let kept: usize = random.random_range(0..3);
    world(Options::default(), async |world| {
        let limits = json!({"requestTimeoutSeconds": 2});
        let breaker = json!({"failureThreshold": 100});
        world.tenant("production", json!({"resyncPeriodSeconds": 5, "limits": limits, "circuitBreaker": breaker})).await;
        world.policy("quick", json!({"intervalsMs": QUICK})).await;
        let ask = async |version: i64, step: usize| {
            let headers = json!({"X-Step": step.to_string()});
            let spec = json!({"version": version, "previousVersions": kept, "headers": headers, "retryPolicyRef": {"name": "quick"}});
            world.webhook("orders", spec).await;
        };
        ask(1, 0).await;
        steady(world).await;
        for step in 1..=STEPS {
            for _ in 0..random.random_range(0..3) {
                let fault = fault(&mut random);
                eprintln!("{seed}, step {step}: {fault:?}");
                world.fault(fault);
            }
            if random.random_bool(0.15) {
                world.callback("orders").answers([Answer::status(500)]);
            }
            let version = random.random_range(1..5);
            eprintln!("{seed}, step {step}: version {version}");
            ask(version, step).await;
            match random.random_range(0..4) {
                0 => steady(world).await,
                1 => {
                    work(world, random.random_range(1..8)).await;
                    eprintln!("{seed}, step {step}: restart");
                    world.stop_operator().await;
                    world.start_operator().await;
                }
                _ => work(world, random.random_range(1..12)).await,
            }
            assert_eq!(world.interruptions("orders"), [], "step {step}");
            assert!(most_active(&world.history()) <= 2, "step {step}: {:#?}", world.history());
            if random.random_bool(0.3) {
                world.clear_faults();
            }
        }
        world.clear_faults();
        let last = random.random_range(1..5);
        ask(last, STEPS + 1).await;
        world.until_reason("orders", "Active").await;
        finished(world, last, kept).await;
    })
    .await;
}

async fn finished(world: &World, last: i64, kept: usize) {
    assert_eq!(world.interruptions("orders"), []);
    assert!(most_active(&world.history()) <= 2, "{:#?}", world.history());
    assert_eq!(world.active_versions("orders"), [last]);
    let there: Vec<_> = world.integrations().iter().map(|one| (one.version, one.id.clone())).collect();
    let by_version: BTreeMap<_, _> = there.iter().cloned().collect();
    assert_eq!(by_version.len(), there.len(), "no version is there twice: {there:?}");
    assert!(there.len() <= kept + 1, "{kept} are to be kept: {there:?}");
    let status = world.get("orders").await.status.unwrap();
    assert_eq!((status.version.map(i64::from), status.state), (Some(last), Some(State::Active)));
    let told = status.versions.iter().map(|kept| (i64::from(kept.version), kept.webhook_id.clone()));
    let told: BTreeMap<_, _> = told.chain([(last, status.webhook_id.clone().unwrap())]).collect();
    assert_eq!(told, by_version, "the status names all that is there");
    world.delete::<CognigyWebhook>("orders").await;
    world.until_gone::<CognigyWebhook>("orders").await;
    assert_eq!(world.integrations(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn over_any_sequence_of_versions_and_faults_one_version_always_serves_and_never_more_than_two() {
    let seeds = env::var("COGNIGY_TEST_SEED").map_or(SEEDS.to_vec(), |seed| vec![seed.parse().unwrap()]);
    futures::future::join_all(seeds.into_iter().map(sequence)).await;
}
