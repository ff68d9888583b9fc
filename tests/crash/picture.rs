//! How a world ended, with nothing in it that differs from one play to another.

use std::collections::{BTreeMap, BTreeSet};

use cognigy_operator::api::{CognigyTenant, CognigyWebhook, RetryPolicy};
use cognigy_simulator::{Change, ChangeKind, SinkMessage};
use k8s_openapi::api::events::v1::Event;
use kube::{ResourceExt as _, api::ListParams};
use serde_json::{Map, Value, json};

use crate::harness::World;

/// Times, tags, ids of messages and counts that are gathered later.
const PASSING: [&str; 24] = [
    "api",
    "certificateExpiresAt",
    "change",
    "consecutiveFailures",
    "etag",
    "exhaustedAt",
    "failingSince",
    "fingerprint",
    "id",
    "lastCheckedAt",
    "lastHandledReconcileAt",
    "lastSyncedAt",
    "lastTransitionTime",
    "latencyMs",
    "nextAttemptAt",
    "observedGeneration",
    "request",
    "secretVersions",
    "since",
    "time",
    "tlsVersion",
    "traceId",
    "wait",
    "webhooks",
];
/// The sinks whose messages are delivered at least once.
pub const SINKS: [&str; 2] = ["alerts", "letters"];

/// What is there at the end, and how it came about as far as that counts: how often each version was created, activated,
/// deactivated and deleted.
#[derive(Clone, Debug, PartialEq)]
pub struct Picture {
    world: Value,
    /// What is told of each webhook's health; null where it was not checked since the last version or process.
    health: BTreeMap<String, Value>,
}

impl Picture {
    /// The world as it is now.
    pub async fn of(world: &World) -> Self {
        let names = Names::of(world);
        let integrations = world.integrations().into_iter().map(|one| {
            let policy = one.retry_policy.map(|policy| policy["intervalsMs"].clone());
            json!({"name": one.name, "version": one.version, "active": one.active, "url": one.url, "headers": one.headers, "intervalsMs": policy})
        });
        let mut integrations: Vec<Value> = integrations.collect();
        integrations.sort_by_key(ToString::to_string);
        let bots: Vec<Value> =
            world.bot_webhooks().into_iter().map(|one| json!({"name": one.name, "policy": one.retry_policy})).collect();
        let all = ListParams::default();
        let (mut objects, mut health) = (Map::new(), BTreeMap::new());
        for one in world.api::<CognigyWebhook>().list(&all).await.unwrap() {
            let mut status = told(&one.status, one.metadata.generation);
            health.insert(one.name_any(), names.scrubbed(take_health(&mut status)));
            let annotations = one.annotations().get(cognigy_operator::api::REGISTRATION_ANNOTATION);
            let shown = json!({"status": status, "finalizers": one.finalizers(), "claim": annotations});
            objects.insert(format!("webhook {}", one.name_any()), shown);
        }
        for one in world.api::<CognigyTenant>().list(&all).await.unwrap() {
            let shown = json!({"status": told(&one.status, one.metadata.generation), "finalizers": one.finalizers()});
            objects.insert(format!("tenant {}", one.name_any()), shown);
        }
        for one in world.api::<RetryPolicy>().list(&all).await.unwrap() {
            objects.insert(format!("policy {}", one.name_any()), told(&one.status, one.metadata.generation));
        }
        let picture = json!({
            "cognigy": integrations, "bots": bots, "kubernetes": objects, "happened": turns(&world.history()), "messages": messages(world),
        });
        Self { world: names.scrubbed(picture), health }
    }

    /// The lines in which another differs from it: `-` only here, `+` only there. The result of a health check is lost with
    /// the process that made it and had not told it; the next one tells it again.
    pub fn differences(&self, other: &Self) -> String {
        let lines = |picture: &Self| -> BTreeSet<String> {
            let known = picture
                .health
                .iter()
                .filter(|(name, _)| other.health.get(*name).is_none_or(|health| !health.is_null()));
            let health = known.flat_map(|(name, health)| {
                paths(health).into_iter().map(move |line| format!("health of {name}.{line}"))
            });
            paths(&picture.world).into_iter().chain(health).collect()
        };
        let (here, there) = (lines(self), lines(other));
        let gone = here.difference(&there).map(|line| format!("- {line}"));
        let new = there.difference(&here).map(|line| format!("+ {line}"));
        gone.chain(new).collect::<Vec<_>>().join("\n")
    }
}

/// A status, and whether it and its conditions speak of the present generation.
fn told(status: &impl serde::Serialize, generation: Option<i64>) -> Value {
    let status = serde_json::to_value(status).unwrap();
    let current = status["observedGeneration"].as_i64() == generation
        && status["conditions"]
            .as_array()
            .into_iter()
            .flatten()
            .all(|condition| condition["observedGeneration"].as_i64() == generation);
    json!({"told": status, "current": current})
}

/// Takes what is told of the health out of a webhook's status; null where nothing is.
fn take_health(status: &mut Value) -> Value {
    let Some(status) = status["told"].as_object_mut() else { return Value::Null };
    let condition = status.get_mut("conditions").and_then(Value::as_array_mut).and_then(|conditions| {
        let at = conditions.iter().position(|condition| condition["type"] == "Healthy")?;
        Some(conditions.remove(at))
    });
    status.remove("health").map(|health| json!({"result": health, "condition": condition})).unwrap_or_default()
}

/// How often each version was created, activated, deactivated and deleted.
fn turns(history: &[Change]) -> BTreeMap<String, usize> {
    let mut active = BTreeSet::new();
    let mut turns = BTreeMap::new();
    for change in history {
        let turned = if change.active { active.insert(&change.id) } else { active.remove(&change.id) };
        let what = match (change.kind, turned, change.active) {
            (ChangeKind::Created, _, _) => "created",
            (ChangeKind::Deleted, _, _) => "deleted",
            (ChangeKind::Updated, true, true) => "activated",
            (ChangeKind::Updated, true, false) => "deactivated",
            (ChangeKind::Updated, false, _) => continue,
        };
        *turns.entry(format!("{} version {} {what}", change.name, change.version)).or_default() += 1;
    }
    turns
}

/// The messages that each sink has accepted, each once however often it came: by type and state.
fn messages(world: &World) -> BTreeMap<&'static str, Vec<String>> {
    let accepted = |name| {
        let messages = world.sink(name).messages().into_iter().filter(SinkMessage::is_delivered);
        let header = |message: &SinkMessage, name| message.header(name).unwrap_or_default().to_owned();
        let by_id = messages.map(|one| {
            (header(&one, "ce-id"), format!("{} {}", header(&one, "ce-type"), header(&one, "ce-alertstate")))
        });
        let mut kinds: Vec<String> = by_id.collect::<BTreeMap<_, _>>().into_values().collect();
        kinds.sort();
        kinds
    };
    SINKS.into_iter().map(|name| (name, accepted(name))).collect()
}

/// Cognigy's trace ids differ from call to call.
fn without_trace_ids(text: String) -> String {
    match text.split_once(" (trace id ") {
        Some((before, rest)) => format!("{before}{}", rest.split_once(')').map_or("", |(_, after)| after)),
        None => text,
    }
}

/// What is called differently in each play.
struct Names(Vec<(String, String)>);

impl Names {
    fn of(world: &World) -> Self {
        let ids = world.history().into_iter().map(|one| (one.id, format!("({} version {})", one.name, one.version)));
        let bots = world.bot_webhooks().into_iter().map(|one| (one.id, format!("({} of {})", one.name, one.bot_id)));
        let origin = |url: url::Url| url.origin().ascii_serialization();
        let places = [
            (world.namespace.clone(), "(namespace)".to_owned()),
            (origin(world.base_url()), "(http)".to_owned()),
            (origin(world.https_base_url().unwrap()), "(https)".to_owned()),
            (origin(world.callback_url("")), "(callbacks)".to_owned()),
        ];
        Self(ids.chain(bots).chain(places).collect())
    }

    fn scrubbed(&self, value: Value) -> Value {
        match value {
            Value::String(text) => {
                self.0.iter().fold(without_trace_ids(text), |text, (name, stands)| text.replace(name, stands)).into()
            }
            Value::Array(list) => list.into_iter().map(|item| self.scrubbed(item)).collect(),
            Value::Object(fields) => {
                let kept = fields.into_iter().filter(|(name, _)| !PASSING.contains(&name.as_str()));
                kept.map(|(name, value)| (name, self.scrubbed(value))).collect::<Map<_, _>>().into()
            }
            other => other,
        }
    }
}

/// Every leaf with its path.
fn paths(value: &Value) -> Vec<String> {
    let below = |name: String, value: &Value| paths(value).into_iter().map(move |rest| format!("{name}.{rest}"));
    match value {
        Value::Object(fields) => fields.iter().flat_map(|(name, value)| below(name.clone(), value)).collect(),
        Value::Array(list) => list.iter().enumerate().flat_map(|(at, value)| below(at.to_string(), value)).collect(),
        leaf => vec![format!("= {leaf}")],
    }
}

/// How often each event was told, by object and reason.
pub async fn events(world: &World) -> BTreeMap<String, usize> {
    let mut told = BTreeMap::new();
    for event in world.api::<Event>().list(&ListParams::default()).await.unwrap() {
        let object = event.regarding.and_then(|object| object.name).unwrap_or_default();
        *told.entry(format!("{object} {}", event.reason.unwrap_or_default())).or_default() += 1;
    }
    told
}

/// What must hold at every moment, whatever happens: see docs/reliability.md.
pub fn broken_promises(world: &World, served: impl Fn(&str) -> bool) -> Vec<String> {
    let history = world.history();
    let mut broken = Vec::new();
    let names: BTreeSet<&str> = history.iter().map(|change| change.name.as_str()).collect();
    for name in names {
        for change in world.interruptions(name).into_iter().filter(|_| served(name)) {
            broken.push(format!("none was active once one was: {change:?}"));
        }
        let (mut there, mut active) = (BTreeMap::new(), BTreeSet::new());
        for change in history.iter().filter(|change| change.name == name) {
            match change.kind {
                ChangeKind::Deleted => _ = there.remove(&change.version),
                ChangeKind::Created | ChangeKind::Updated => {
                    let before = there.insert(change.version, &change.id);
                    if before.is_some_and(|id| *id != change.id) {
                        broken.push(format!("one version is there twice: {change:?}"));
                    }
                }
            }
            if change.active {
                active.insert(&change.id)
            } else {
                active.remove(&change.id)
            };
            if active.len() > 2 {
                broken.push(format!("more than two were active: {change:?}"));
            }
            if change.active && !change.has_policy && change.by_api {
                broken.push(format!("it was active without its policy: {change:?}"));
            }
        }
    }
    broken
}
