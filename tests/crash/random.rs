//! Fifty webhooks through everything at once: what each of them asks for at the end is what Cognigy holds.
//!
//! `COGNIGY_TEST_SEED=<number>` replays the same changes, faults, kills and restarts; how they meet differs from run to run.

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    sync::{Arc, Mutex},
    time::Duration,
};

use cognigy_operator::api::{CognigyWebhook, webhook::State};
use cognigy_simulator::{Answer as SinkAnswer, Fault, IntegrationRecord, Options, RetryAfter, SinkMessage};
use control_plane::gateway::{Action, Answer, Gateway, Request};
use futures::StreamExt as _;
use http::StatusCode;
use kube::runtime::{WatchStreamExt as _, watcher};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng, seq::IteratorRandom as _};
use rustix::process::{Signal, kill_process};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::{
    harness::{World, world_on_its_own_plane},
    picture::broken_promises,
    play::say,
    program::Program,
};

const SEED: u64 = 5;
const WEBHOOKS: usize = 50;
const KILLS: usize = 40;
/// How many older versions each webhook keeps.
const KEPT: usize = 1;
/// Policies and Secrets are shared.
const SHARED: usize = 3;
/// After so many calls at most the next thing happens; sooner where there is nothing left to call for.
const CALLS: usize = 60;
const LULL: Duration = Duration::from_secs(2);
/// However busy the machine is.
const PATIENCE: Duration = Duration::from_mins(3);

/// What is asked for.
#[derive(Default)]
struct Model {
    webhooks: BTreeMap<String, Wanted>,
    /// How often each policy and each Secret was changed.
    policies: [usize; SHARED],
    secrets: [usize; SHARED],
    /// How many webhooks were ever made, and changes to them.
    made: usize,
    changes: usize,
}

#[derive(Clone, Debug)]
struct Wanted {
    version: i64,
    change: usize,
    policy: usize,
    secret: usize,
}

impl Model {
    /// The first policy is used up soon, the last one seldom.
    fn intervals(&self, policy: usize) -> Vec<i64> {
        let first = 50 + i64::try_from(self.policies[policy]).unwrap();
        (0..=2 * policy).map(|nth| first << nth).collect()
    }

    fn key(&self, secret: usize) -> String {
        format!("key-{}", self.secrets[secret])
    }
}

/// A user with a plan: the same one for the same seed.
struct User<'a> {
    world: &'a World,
    random: StdRng,
    model: Model,
}

impl User<'_> {
    async fn settle(&mut self) {
        let spec = json!({
            "limits": {"requestTimeoutSeconds": 5}, "circuitBreaker": {"failureThreshold": 20, "openSeconds": 1},
            "resyncPeriodSeconds": 5,
            "sinks": {"alerts": {"url": self.world.https_sink_url("alerts")}, "deadLetter": {"url": self.world.https_sink_url("letters")}},
        });
        self.world.sink("letters").answer(SinkAnswer::status(503));
        self.world.tenant("production", spec).await;
        for nth in 0..SHARED {
            self.write_policy(nth).await;
            self.write_secret(nth).await;
        }
    }

    async fn write_policy(&self, nth: usize) {
        self.world.policy(&format!("policy-{nth}"), json!({"intervalsMs": self.model.intervals(nth)})).await;
    }

    async fn write_secret(&self, nth: usize) {
        self.world.secret(&format!("secret-{nth}"), &[("api-key", &self.model.key(nth))]).await;
    }

    async fn write_webhook(&self, name: &str, wanted: &Wanted) {
        let key = json!({"name": format!("secret-{}", wanted.secret), "key": "api-key"});
        let spec = json!({
            "version": wanted.version, "previousVersions": KEPT, "headers": {"X-Change": wanted.change.to_string()},
            "headersFrom": [{"name": "X-Api-Key", "secretKeyRef": key}],
            "retryPolicyRef": {"name": format!("policy-{}", wanted.policy)},
        });
        self.world.webhook(name, spec).await;
    }

    /// Does one thing.
    async fn act(&mut self) {
        let named = self.model.webhooks.keys().choose(&mut self.random).cloned();
        self.model.changes += 1;
        let change = self.model.changes;
        let shared = self.random.random_range(0..SHARED);
        match (self.random.random_range(0..20), named) {
            (_, None) | (0..6, _) if self.model.made < WEBHOOKS => self.make().await,
            (0..10, Some(name)) => self.change(&name, |wanted, _| wanted.change = change).await,
            (10..15, Some(name)) => {
                self.change(&name, |wanted, random| wanted.version = random.random_range(1..5)).await;
            }
            (15, Some(name)) => self.change(&name, |wanted, _| wanted.policy = shared).await,
            (16..18, Some(name)) if self.model.made > WEBHOOKS / 2 => {
                self.model.webhooks.remove(&name);
                self.world.delete::<CognigyWebhook>(&name).await;
            }
            (18, _) => {
                self.model.policies[shared] += 1;
                self.write_policy(shared).await;
            }
            (19, _) => {
                self.model.secrets[shared] += 1;
                self.write_secret(shared).await;
            }
            _ => {}
        }
    }

    async fn make(&mut self) {
        let name = World::nth(self.model.made);
        self.model.made += 1;
        let random = &mut self.random;
        let (version, policy, secret) =
            (random.random_range(1..5), random.random_range(0..SHARED), random.random_range(0..SHARED));
        let wanted = Wanted { version, change: self.model.changes, policy, secret };
        self.write_webhook(&name, &wanted).await;
        self.model.webhooks.insert(name, wanted);
    }

    async fn change(&mut self, name: &str, change: impl FnOnce(&mut Wanted, &mut StdRng)) {
        let Some(mut wanted) = self.model.webhooks.get(name).cloned() else { return };
        change(&mut wanted, &mut self.random);
        self.write_webhook(name, &wanted).await;
        self.model.webhooks.insert(name.to_owned(), wanted);
    }
}

/// Everything that Cognigy's side does wrong, each now and then.
fn trouble_cognigy(world: &World, seed: u64) {
    for (fault, share) in [
        (Fault::any().times(3).status(429).retry_after(RetryAfter::Seconds(1)), 0.01),
        (Fault::any().status(503), 0.03),
        (Fault::any().status(500).after_commit(), 0.02),
        (Fault::any().lose_before(), 0.02),
        (Fault::any().lose_after(), 0.03),
        (Fault::any().cut_body(), 0.02),
        (Fault::any().malformed_json(), 0.01),
        (Fault::any().delay(Duration::from_millis(300)), 0.05),
    ] {
        world.fault(fault.probability(share, seed));
    }
}

/// The same for the API server's side; watches and lists are cut too.
fn trouble_kubernetes(gateway: &Gateway, seed: u64) {
    let random = Arc::new(Mutex::new(StdRng::seed_from_u64(seed)));
    gateway.act(move |request: &Request| {
        let mut random = random.lock().unwrap();
        match random.random_range(0..100) {
            0 => Action::Cut,
            1..4 if request.is_write() => Action::CutAfterCommit,
            4 if request.is_write() => Answer::error(StatusCode::CONFLICT, "Conflict", "somebody was faster").into(),
            5 => Answer::error(StatusCode::INTERNAL_SERVER_ERROR, "InternalError", "etcd has no leader").into(),
            6 => {
                let busy = Answer::error(StatusCode::TOO_MANY_REQUESTS, "TooManyRequests", "busy");
                busy.header("retry-after", "1").into()
            }
            7..12 => Action::Delay(Duration::from_millis(random.random_range(10..300))),
            _ => Action::Pass,
        }
    });
}

/// Lets the program work for a while.
async fn work(world: &World, calls: usize) {
    let enough = world.requests().len() + calls;
    // In a lull nothing is left to wait for.
    let _ = tokio::time::timeout(LULL, world.wait_until(|state| state.requests().len() >= enough)).await;
}

fn start(world: &World, gateway: &Gateway) -> Program {
    Program::start(gateway.kubeconfig_file(), "127.0.0.1:0", &["--watch-namespaces", &world.namespace])
}

async fn run(seed: u64) {
    say(&format!("COGNIGY_TEST_SEED={seed}"));
    world_on_its_own_plane(Options::default(), async |world| {
        let gateway = world.gateway().await;
        let (told, watch) = messages_told(world);
        let mut program = start(world, &gateway);
        let mut user = User { world, random: StdRng::seed_from_u64(seed), model: Model::default() };
        user.settle().await;
        trouble_cognigy(world, seed);
        trouble_kubernetes(&gateway, seed);
        for kill in 1..=KILLS {
            for _ in 0..user.random.random_range(3..8) {
                user.act().await;
            }
            work(world, user.random.random_range(1..CALLS)).await;
            kill_process(program.id(), Signal::KILL).unwrap();
            program.end().await;
            match kill % 10 {
                0 => world.plane.restart_apiserver().await.unwrap(),
                5 => {
                    world.sim.stop().await;
                    program = start(world, &gateway);
                    user.act().await;
                    work(world, CALLS).await;
                    world.sim.restart().await.unwrap();
                    continue;
                }
                _ => {}
            }
            program = start(world, &gateway);
        }
        world.clear_faults();
        gateway.pass_all();
        world.sink("letters").answer(SinkAnswer::ok());
        let made = user.model.made;
        let (there, changes) = (user.model.webhooks.len(), user.model.changes);
        as_asked_for(world, &user.model).await;
        program.terminate();
        let (status, lines) = program.end().await;
        assert_eq!(status.code(), Some(0), "{}", lines.join("\n"));
        assert_eq!(differences(world, &user.model).await, Vec::<String>::new());
        watch.abort();
        let told = told.lock().unwrap().clone();
        assert_eq!(lost(world, &told), Vec::<String>::new());
        let served = |name: &str| user.model.webhooks.contains_key(name);
        assert_eq!(broken_promises(world, served), Vec::<String>::new());
        say(&format!(
            "random run {seed}: {made} webhooks of which {there} stayed, {changes} changes, {KILLS} kills, {} calls to Cognigy, {} messages, all as asked for",
            world.requests().len(),
            told.len()
        ));
    })
    .await;
}

/// Collects the ids of all messages that any status was seen to hold.
fn messages_told(world: &World) -> (Arc<Mutex<BTreeSet<String>>>, JoinHandle<()>) {
    let told = Arc::<Mutex<BTreeSet<String>>>::default();
    let (into, api) = (Arc::clone(&told), world.api::<CognigyWebhook>());
    let watch = tokio::spawn(async move {
        let versions = watcher(api, watcher::Config::default()).default_backoff().touched_objects();
        let failures = versions.filter_map(async |webhook| webhook.ok()?.status?.failure);
        let collect = failures.for_each(async |failure| {
            into.lock().unwrap().extend(failure.undelivered.into_iter().map(|message| message.id));
        });
        collect.await;
    });
    (told, watch)
}

/// What was told to be sent and did not arrive, and alerts without an end.
fn lost(world: &World, told: &BTreeSet<String>) -> Vec<String> {
    let accepted = |sink| world.sink(sink).messages().into_iter().filter(SinkMessage::is_delivered);
    let id = |message: &SinkMessage| message.header("ce-id").unwrap_or_default().to_owned();
    let arrived: BTreeSet<String> = accepted("alerts").chain(accepted("letters")).map(|message| id(&message)).collect();
    let lost = told.difference(&arrived).map(|id| format!("message {id} never arrived"));
    // An alert that is told anew, for another change, has another id and the same fingerprint.
    let mut states = BTreeMap::new();
    for alert in accepted("alerts").filter(|one| one.header("ce-type").is_some_and(|kind| kind.contains(".webhook."))) {
        let header = |name| alert.header(name).unwrap_or_default().to_owned();
        states.insert(header("ce-fingerprint"), header("ce-alertstate"));
    }
    let unended = states.into_iter().filter(|(_, state)| state != "resolved");
    lost.chain(unended.map(|(fingerprint, state)| format!("alert {fingerprint} is {state}, not over"))).collect()
}

/// Waits until Cognigy and the statuses are as the model.
async fn as_asked_for(world: &World, model: &Model) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let differences = differences(world, model).await;
        if differences.is_empty() {
            return;
        }
        assert!(tokio::time::Instant::now() < deadline, "{}", differences.join("\n"));
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Where the world is not as the model.
async fn differences(world: &World, model: &Model) -> Vec<String> {
    let mut differences = Vec::new();
    let all = kube::api::ListParams::default();
    let objects = world.api::<CognigyWebhook>().list(&all).await.unwrap().items;
    let objects: BTreeMap<String, CognigyWebhook> =
        objects.into_iter().filter_map(|one| Some((one.metadata.name.clone()?, one))).collect();
    let there = world.integrations();
    let names: BTreeSet<&str> =
        objects.keys().map(String::as_str).chain(there.iter().map(|one| one.name.as_str())).collect();
    for name in names.into_iter().filter(|name| !model.webhooks.contains_key(*name)) {
        differences.push(format!("{name} was deleted, and is still there"));
    }
    for (name, wanted) in &model.webhooks {
        let Some(object) = objects.get(name) else {
            differences.push(format!("{name} is not there"));
            continue;
        };
        let versions: Vec<_> = there.iter().filter(|one| one.name == *name).collect();
        let mut differs = |what: &str, is: Value, should: Value| {
            if is != should {
                differences.push(format!("{name}: {what} is {is}, and should be {should}"));
            }
        };
        told(object, wanted, &versions, &mut differs);
        held(model, wanted, &versions, &mut differs);
    }
    differences
}

/// What the status says, against what there is.
fn told(
    object: &CognigyWebhook,
    wanted: &Wanted,
    versions: &[&IntegrationRecord],
    differs: &mut impl FnMut(&str, Value, Value),
) {
    let status = object.status.clone().unwrap_or_default();
    let ready = status.conditions.iter().find(|condition| condition.type_ == "Ready");
    differs("Ready", json!(ready.map(|ready| (&ready.status, &ready.reason))), json!(("True", "Active")));
    differs("observedGeneration", json!(status.observed_generation), json!(object.metadata.generation));
    differs("failure", json!(status.failure), Value::Null);
    let kept = status.versions.iter().map(|kept| (i64::from(kept.version), kept.webhook_id.clone(), kept.state));
    let own = (wanted.version, status.webhook_id.unwrap_or_default(), status.state);
    let told: BTreeSet<String> = kept.chain([own]).map(|version| format!("{version:?}")).collect();
    let state = |active| if active { State::Active } else { State::Inactive };
    let there = versions.iter().map(|one| format!("{:?}", (one.version, one.id.clone(), Some(state(one.active)))));
    differs("what the status names", json!(told), json!(there.collect::<BTreeSet<_>>()));
}

/// What Cognigy holds of a name, against what is asked for.
fn held(model: &Model, wanted: &Wanted, versions: &[&IntegrationRecord], differs: &mut impl FnMut(&str, Value, Value)) {
    let active: Vec<_> = versions.iter().filter(|one| one.active).collect();
    differs(
        "the active version",
        json!(active.iter().map(|one| one.version).collect::<Vec<_>>()),
        json!([wanted.version]),
    );
    differs("that there are too many", json!(versions.len() > KEPT + 1), json!(false));
    for one in active {
        let headers = json!({"X-Change": wanted.change.to_string(), "X-Api-Key": model.key(wanted.secret)});
        differs("its headers", json!(one.headers), headers);
        let intervals = one.retry_policy.as_ref().map(|policy| policy["intervalsMs"].clone());
        differs("its policy", json!(intervals), json!(model.intervals(wanted.policy)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_webhooks_end_as_asked_for_whatever_dies_meanwhile() {
    run(env::var("COGNIGY_TEST_SEED").map_or(SEED, |seed| seed.parse().unwrap())).await;
}
