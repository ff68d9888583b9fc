//! Plays a scenario: once undisturbed, then once for each point, and compares.

use std::{
    collections::BTreeMap,
    io::Write as _,
    panic::AssertUnwindSafe,
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use cognigy_operator::api::CognigyWebhook;
use cognigy_simulator::Options;
use futures::{FutureExt as _, StreamExt as _};
use kube::{ResourceExt as _, api::ListParams};
use tokio::sync::Semaphore;

use crate::{
    harness::{World, world_without_operator},
    picture::{Picture, broken_promises, events},
    points::{Blow, Point},
    stage::Stage,
};

/// How many plays run at the same time, those of all scenarios together.
static PLACES: Semaphore = Semaphore::const_new(4);
/// No world takes longer to end as it should.
const PATIENCE: Duration = Duration::from_secs(90);
/// How often a point may fail to come up before that is a failure: the order of calls is not always the same.
const TRIES: usize = 3;
/// After so many problems no more plays begin.
const ENOUGH: usize = 3;

/// Facts that are told once more where the process died before the status had them, and each health check, which is a new one.
const TOLD_AGAIN: [&str; 7] = [
    "Registered",
    "VersionDeprecated",
    "HealthCheckPassed",
    "HealthCheckFailed",
    "Deleted",
    "DeletionBlocked",
    "RetriesExhausted",
];
/// What a process tells of an answer that it lost.
const LOST: [&str; 2] = ["Recovered", "DeadLetterFailed"];

/// Something that happens in a world.
pub trait Scenario {
    /// The simulated installation.
    fn options(&self) -> Options {
        Options::default()
    }

    /// Whether a call of the program belongs to what is played.
    fn counts(call: &str) -> bool {
        is_of_webhooks(call)
    }

    /// Whether the answer to a call is lost once as well.
    fn loses(_call: &str) -> bool {
        true
    }

    /// Whether there is never a moment with no active version once one was.
    const SERVED: bool = true;

    /// What is there already.
    async fn given(&self, world: &World);

    /// What is done; from here on there are points.
    async fn when(&self, world: &World);

    /// Waits until it has come about, as far as can be seen.
    async fn then(&self, world: &World);
}

/// Whether a call is about webhooks: not a count in the status of their tenant or policy, which is written when there is time.
pub fn is_of_webhooks(call: &str) -> bool {
    !["cognigytenants", "retrypolicies"].iter().any(|other| call.contains(other))
}

/// How a play went.
struct Played {
    passed: Vec<Point>,
    sprung: bool,
    picture: Picture,
    events: BTreeMap<String, usize>,
    broken: Vec<String>,
}

/// Kills the program at every point of the scenario, and loses every answer once.
pub async fn at_every_point<S: Scenario>(name: &str, scenario: S) {
    let begin = Instant::now();
    let model = play(&scenario, None, None).await.unwrap();
    assert!(model.broken.is_empty(), "{:#?}", model.broken);
    let kills = model.passed.iter().map(|point| (point.clone(), Blow::Kill));
    let losses = model
        .passed
        .iter()
        .filter(|point| point.after && S::loses(&point.call))
        .map(|point| (point.clone(), Blow::Lose));
    let plays: Vec<_> = kills.chain(losses).collect();
    let (points, count) = (model.passed.len(), plays.len());
    let (runs, failed) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let problems: Vec<String> = futures::stream::iter(plays)
        // What is wrong at one point often is at many, and each costs its patience.
        .take_while(|_| std::future::ready(failed.load(Ordering::Relaxed) < ENOUGH))
        .map(|(point, blow)| try_point(&scenario, &model, (point, blow), &runs))
        .buffer_unordered(4)
        .filter_map(async |problem| problem.inspect(|_| _ = failed.fetch_add(1, Ordering::Relaxed)))
        .collect()
        .await;
    say(&format!(
        "crash points, {name}: {points} points, {count} kills and lost answers in {} plays, {} problems ({} s)",
        runs.into_inner(),
        problems.len(),
        begin.elapsed().as_secs()
    ));
    assert!(problems.is_empty(), "{}", problems.join("\n\n"));
}

async fn try_point(
    scenario: &impl Scenario,
    model: &Played,
    blow: (Point, Blow),
    runs: &AtomicUsize,
) -> Option<String> {
    let what = format!("{:?} at {}", blow.1, blow.0);
    for _ in 0..TRIES {
        runs.fetch_add(1, Ordering::Relaxed);
        let playing = AssertUnwindSafe(play(scenario, Some(blow.clone()), Some(&model.picture)));
        let played = match playing.catch_unwind().await {
            Ok(Ok(played)) => played,
            Ok(Err(problem)) => return Some(format!("{what}: {problem}")),
            Err(panic) => {
                let text = panic.downcast_ref::<String>().cloned();
                return Some(format!(
                    "{what}: {}",
                    text.or(panic.downcast_ref().map(|text: &&str| (*text).to_owned())).unwrap_or_default()
                ));
            }
        };
        if !played.sprung {
            say(&format!("{what} did not come up"));
            continue;
        }
        let mut problems = played.broken;
        problems.extend(told_too_often(&played.events, &model.events, blow.1));
        return (!problems.is_empty()).then(|| format!("{what}: {}", problems.join("\n")));
    }
    Some(format!("{what}: the point did not come up in {TRIES} plays"))
}

/// The facts that were told more often than they happened.
fn told_too_often(events: &BTreeMap<String, usize>, model: &BTreeMap<String, usize>, blow: Blow) -> Vec<String> {
    let may_be = |event: &str| {
        TOLD_AGAIN.iter().any(|reason| event.ends_with(reason))
            || (blow == Blow::Lose && LOST.iter().any(|reason| event.ends_with(reason)))
    };
    let more = events.iter().filter(|(event, count)| **count > model.get(*event).copied().unwrap_or_default());
    more.filter(|(event, _)| !may_be(event)).map(|(event, count)| format!("told {count} times: {event}")).collect()
}

/// One play; fails where the world does not end as it should.
async fn play<S: Scenario>(
    scenario: &S,
    blow: Option<(Point, Blow)>,
    model: Option<&Picture>,
) -> Result<Played, String> {
    let _place = PLACES.acquire().await.unwrap();
    let mut played = Err("it was not played".to_owned());
    world_without_operator(scenario.options(), async |world| {
        let mut stage = Stage::open(world, S::counts).await;
        stage.start();
        scenario.given(world).await;
        stage.quiet().await;
        let told_before = events(world).await;
        let kind = blow.as_ref().map(|(_, blow)| *blow);
        stage.trap.arm(blow);
        scenario.when(world).await;
        let trap = stage.trap.clone();
        tokio::select! {
            biased;
            () = trap.sprung() => {}
            () = scenario.then(world) => stage.end().await,
        }
        if kind == Some(Blow::Kill) && trap.is_sprung() {
            stage.bury().await;
        }
        let passed = trap.disarm();
        if !stage.runs() {
            stage.start();
        }
        scenario.then(world).await;
        if let Err(differences) = until_alike(world, model).await {
            played = Err(format!("it ended otherwise:\n{differences}\n{}", stage.lines().join("\n")));
            return;
        }
        full_passes(world).await;
        stage.end().await;
        let picture = Picture::of(world).await;
        let differences = model.map(|model| model.differences(&picture)).unwrap_or_default();
        played = if differences.is_empty() {
            let mut events = events(world).await;
            for (event, count) in &mut events {
                *count -= told_before.get(event).copied().unwrap_or_default();
            }
            let broken = broken_promises(world, |_| S::SERVED);
            Ok(Played { passed, sprung: trap.is_sprung(), picture, events, broken })
        } else {
            Err(format!("it did not stay as it should:\n{differences}"))
        };
    })
    .await;
    played
}

/// Waits until the world is as in the model.
async fn until_alike(world: &World, model: Option<&Picture>) -> Result<(), String> {
    let Some(model) = model else { return Ok(()) };
    let deadline = Instant::now() + PATIENCE;
    loop {
        let differences = model.differences(&Picture::of(world).await);
        if differences.is_empty() {
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err(differences);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Has every webhook looked at in full, so that nothing that is still to come stays unseen.
async fn full_passes(world: &World) {
    for webhook in world.api::<CognigyWebhook>().list(&ListParams::default()).await.unwrap() {
        world.full_pass(&webhook.name_any(), "at the end").await;
    }
}

/// Says something in any case, also where the output of tests that pass is not shown.
pub fn say(text: &str) {
    // Not `eprintln!`, which the test harness keeps to itself.
    std::io::stderr().write_all(format!("{text}\n").as_bytes()).unwrap();
}
