//! What is told is what is done: random states, and the operator's writes in order against the steps that were told before.

use std::collections::{BTreeMap, BTreeSet};

use cognigy_operator::api::{CognigyWebhook, RECONCILE_REQUESTED_ANNOTATION};
use cognigy_simulator::{BotWebhook, Fault, Options, Request, Route};
use kube::{ResourceExt as _, api::ListParams};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng, seq::IteratorRandom as _};
use serde_json::{Value, json};

use super::Told;
use crate::harness::{World, world_without_operator};

/// `COGNIGY_TEST_SEED` runs another one.
const SEED: u64 = 20_261_123;
const ROUNDS: usize = 14;
const WEBHOOKS: usize = 5;

/// A user, an outsider who changes things in Cognigy, and an operator that dies.
struct Play<'a> {
    world: &'a World,
    random: StdRng,
    /// What was ever registered: id to name and version.
    known: BTreeMap<String, (String, i64)>,
    specs: BTreeMap<String, Value>,
    made: usize,
    changes: usize,
}

impl Play<'_> {
    async fn settle(&mut self) {
        let world = self.world;
        world.tenant("production", json!({"circuitBreaker": {"failureThreshold": 100, "openSeconds": 1}})).await;
        world.policy("patient", json!({"intervalsMs": [100, 200, 400]})).await;
        world.policy("hasty", json!({"intervalsMs": [50]})).await;
        world.secret("orders", &[("api-key", "key-0")]).await;
        let bot = world.add_bot_webhook(BotWebhook::new("support", "one", "https://hooks.example.com/x"));
        let id = world.add_integration(json!({"name": "made-by-hand"}));
        for (name, existing) in
            [("of-bot", json!({"botId": "support", "webhookId": bot})), ("imported", json!({"webhookId": id}))]
        {
            let spec = json!({"url": null, "existing": existing, "retryPolicyRef": {"name": "patient"}});
            world.webhook(name, spec.clone()).await;
            self.specs.insert(name.to_owned(), spec);
        }
    }

    /// One thing happens.
    async fn act(&mut self) -> String {
        self.changes += 1;
        let registered: Vec<String> = self.specs.keys().filter(|name| name.starts_with("hook-")).cloned().collect();
        let name = registered.iter().choose(&mut self.random).cloned();
        let id = self.world.integrations().into_iter().map(|one| one.id).choose(&mut self.random);
        match (self.random.random_range(0..14), name, id) {
            (0..4, _, _) | (_, None, _) if registered.len() < WEBHOOKS => self.make().await,
            (0..2, Some(name), _) => {
                self.specs.remove(&name);
                self.world.delete::<CognigyWebhook>(&name).await;
                format!("delete {name}")
            }
            (2..6, Some(name), _) => {
                let version = self.random.random_range(1..4);
                self.change(&name, "version", json!(version)).await
            }
            (6, Some(name), _) => {
                let headers = json!({"X-Change": self.changes.to_string()});
                self.change(&name, "headers", headers).await
            }
            (7, Some(name), _) => {
                let enabled = self.random.random_bool(0.5);
                self.change(&name, "enabled", json!(enabled)).await
            }
            (8, Some(name), _) => {
                let keep = self.random.random_range(0..3);
                self.change(&name, "previousVersions", json!(keep)).await
            }
            (9, _, _) => {
                let first = 50 + self.changes;
                self.world.policy("patient", json!({"intervalsMs": [first, 2 * first]})).await;
                "another policy".into()
            }
            (10, _, _) => {
                self.world.secret("orders", &[("api-key", &format!("key-{}", self.changes))]).await;
                "another key".into()
            }
            (11, _, Some(id)) => {
                let enabled = self.random.random_bool(0.5);
                self.world.change_behind(&id, json!({"enabled": enabled}));
                format!("{id} is switched behind the operator's back")
            }
            (12, _, Some(id)) => {
                let url = format!("https://elsewhere.example.com/{}", self.changes);
                self.world.change_behind(&id, json!({"url": url}));
                format!("{id} is changed behind the operator's back")
            }
            (13, _, Some(id)) if self.known.get(&id).is_some_and(|(name, _)| name.starts_with("hook-")) => {
                self.world.delete_behind(&id);
                format!("{id} is deleted behind the operator's back")
            }
            _ => "nothing".into(),
        }
    }

    async fn make(&mut self) -> String {
        let name = format!("hook-{}", self.made);
        self.made += 1;
        let adoption = ["IfIdentical", "Always", "Never"].into_iter().choose(&mut self.random).unwrap();
        let policy = ["patient", "hasty"].into_iter().choose(&mut self.random).unwrap();
        let spec = json!({
            "version": self.random.random_range(1..4),
            "adoptionPolicy": adoption,
            "headersFrom": [{"name": "X-Api-Key", "secretKeyRef": {"name": "orders", "key": "api-key"}}],
            "retryPolicyRef": {"name": policy},
        });
        if self.random.random_bool(0.3) {
            let url = self.world.callback_url(&name);
            let key = format!("{name}:{}", spec["version"]);
            let key = self.random.random_bool(0.8).then_some(key);
            let other = json!({"name": name, "version": spec["version"], "url": url, "idempotencyKey": key});
            self.world.add_integration(other);
        }
        self.world.webhook(&name, spec.clone()).await;
        self.specs.insert(name.clone(), spec);
        format!("make {name}")
    }

    async fn change(&mut self, name: &str, field: &str, value: Value) -> String {
        let spec = self.specs.get_mut(name).unwrap();
        spec[field] = value.clone();
        self.world.webhook(name, spec.clone()).await;
        format!("{name}: {field} {value}")
    }

    /// An operator begins and dies somewhere on the way.
    async fn begin_and_die(&mut self) -> String {
        let world = self.world;
        let (writes, lost) = (self.random.random_range(0..4), self.random.random_bool(0.5));
        let fault = Fault::any().method(if self.random.random_bool(0.5) { "PUT" } else { "POST" });
        world.fault(if lost { fault.skip(1).lose_after() } else { fault.status(503) });
        let before = world.requests().iter().filter(|one| is_write(one)).count();
        world.start_operator().await;
        let enough =
            world.wait_until(|state| state.requests().iter().filter(|one| is_write(one)).count() >= before + writes);
        // There may be less to do: then nothing is half done.
        let _ = tokio::time::timeout(std::time::Duration::from_secs(3), enough).await;
        world.kill_operator().await;
        world.clear_faults();
        format!("an operator dies after {writes} writes")
    }

    fn remember(&mut self) {
        for one in self.world.integrations() {
            self.known.insert(one.id, (one.name, one.version));
        }
    }

    /// Everybody asks for a full pass.
    async fn ask(&self, round: usize) {
        for webhook in self.objects().await {
            self.world.annotate(&webhook.name_any(), RECONCILE_REQUESTED_ANNOTATION, &round.to_string()).await;
        }
    }

    async fn objects(&self) -> Vec<CognigyWebhook> {
        self.world.api().list(&ListParams::default()).await.unwrap().items
    }

    async fn until_handled(&self, round: usize) {
        for webhook in self.objects().await {
            let name = webhook.name_any();
            if webhook.metadata.deletion_timestamp.is_some() {
                self.world.until_gone::<CognigyWebhook>(&name).await;
                continue;
            }
            let round = round.to_string();
            self.world
                .until(&name, |one: &CognigyWebhook| {
                    let status = one.status.clone().unwrap_or_default();
                    let reason =
                        status.conditions.iter().find(|one| one.type_ == "Ready").map(|one| one.reason.clone());
                    status.last_handled_reconcile_at.as_deref() == Some(&round)
                        && status.observed_generation == one.metadata.generation
                        && reason.is_some_and(|reason| reason != "Progressing")
                })
                .await;
        }
    }

    /// The writes from this request on, by registered name, in order.
    fn done(&self, from: usize) -> BTreeMap<String, Vec<String>> {
        let mut done: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for request in self.world.requests().iter().skip(from).filter(|one| is_write(one)) {
            let body = request.json();
            let last = request.path.rsplit('/').next().unwrap_or_default().to_owned();
            let of = |id: &str| self.known.get(id).cloned().unwrap_or_else(|| ("unknown".to_owned(), 0));
            let (name, told) = match (request.route.unwrap(), request.status) {
                // A key that was used before: nothing changed.
                (Route::CreateIntegration, Some(200 | 409)) => continue,
                (Route::CreateIntegration, _) => {
                    (body["name"].as_str().unwrap().to_owned(), format!("register {}", body["version"]))
                }
                (Route::UpdateIntegration, _) => {
                    let (name, version) = of(&last);
                    (name, format!("put {version} {}", body["status"].as_str().unwrap()))
                }
                (Route::PutWebhook, _) => {
                    let (name, version) = of(&last);
                    (name, format!("policy {version}"))
                }
                (Route::PatchBotWebhook, _) => ("of-bot".to_owned(), "policy 0".to_owned()),
                (Route::DeleteIntegration, _) => {
                    let (name, version) = of(&last);
                    (name, format!("delete {version}"))
                }
                (route, status) => panic!("{route:?} {status:?}"),
            };
            done.entry(name).or_default().push(told);
        }
        done
    }
}

fn is_write(request: &Request) -> bool {
    request.route.is_some_and(Route::is_write)
}

/// The writes that the steps announce, by registered name, in order. A put that does not change the state keeps it.
fn announced(told: &Value, known: &BTreeMap<String, (String, i64)>) -> BTreeMap<String, Vec<String>> {
    let mut announced = BTreeMap::new();
    for item in told["items"].as_array().unwrap() {
        let mut name = item["name"].as_str().unwrap().to_owned();
        let mut writes = Vec::new();
        for step in item["steps"].as_array().unwrap() {
            let mut version = step["version"].as_i64();
            if name == "imported" {
                let (known, of) = known[step["webhookId"].as_str().unwrap()].clone();
                (name, version) = (known, Some(of));
            }
            let version = version.unwrap_or_default();
            let status = step["fields"].as_array().unwrap().iter().find(|field| field["path"] == "status");
            let status = status.map_or("", |field| field["desired"].as_str().unwrap());
            match step["action"].as_str().unwrap() {
                "register" => writes.push(format!("register {version}")),
                "update" | "activate" | "deactivate" => writes.push(format!("put {version} {status}")),
                "writeRetryPolicy" => writes.push(format!("policy {version}")),
                "delete" => writes.push(format!("delete {version}")),
                "claim" | "adopt" | "checkHealth" | "release" => {}
                other => panic!("{other}"),
            }
        }
        if !writes.is_empty() {
            announced.insert(name, writes);
        }
    }
    announced
}

/// Whether what was done is what was announced; a put without a state matches either.
fn equal(announced: &BTreeMap<String, Vec<String>>, done: &BTreeMap<String, Vec<String>>) -> bool {
    let same = |(told, is): (&String, &String)| is == told || (told.ends_with(' ') && is.starts_with(told.as_str()));
    announced.keys().collect::<BTreeSet<_>>() == done.keys().collect()
        && announced.iter().all(|(name, told)| {
            let is = &done[name];
            told.len() == is.len() && told.iter().zip(is).all(same)
        })
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_does_what_was_told_and_nothing_else_whatever_state_it_finds() {
    let seed = std::env::var("COGNIGY_TEST_SEED").map_or(SEED, |seed| seed.parse().unwrap());
    world_without_operator(Options::default(), async |world| {
        let random = StdRng::seed_from_u64(seed);
        let (known, specs) = (BTreeMap::new(), BTreeMap::new());
        let mut play = Play { world, random, known, specs, made: 0, changes: 0 };
        play.settle().await;
        let mut announcements = 0;
        for round in 1..=ROUNDS {
            let mut history = Vec::new();
            for _ in 0..play.random.random_range(1..5) {
                history.push(play.act().await);
            }
            if play.random.random_bool(0.4) {
                history.push(play.begin_and_die().await);
                history.push(play.act().await);
            }
            play.ask(round).await;
            play.remember();
            let Told { code, value: told } = world.diff(&["--all"]).await;
            let from = world.requests().len();
            world.start_operator().await;
            play.until_handled(round).await;
            world.stop_operator().await;
            play.remember();
            let (announced, done) = (announced(&told, &play.known), play.done(from));
            let said =
                || format!("seed {seed}, round {round}: {history:#?}\ntold: {announced:#?}\ndone: {done:#?}\n{told:#}");
            assert!(code < 2 && equal(&announced, &done), "{}", said());
            announcements += announced.values().map(Vec::len).sum::<usize>();
            let again = world.diff(&["--all"]).await;
            let still = again.value["items"].as_array().unwrap().iter().any(|item| item["result"] == "differs");
            assert!(again.code < 2 && !still, "{}\nand then {:#}", said(), again.value);
        }
        assert!(announcements > ROUNDS, "seed {seed} shows too little: {announcements}");
    })
    .await;
}
