//! What a simulator holds at one moment: one lock, one look.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    auth::Tokens,
    callbacks::CallbackRequest,
    collection::Collection,
    faults::Faults,
    log::{Log, Request},
    options::Options,
    passage::Hook,
    quota::Quotas,
    route::Route,
    sinks::SinkMessage,
    store::{Cause, Store},
    targets::Target,
};

/// An integration and, under the same id, its webhook (cognigy-api.md §2 and §4).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IntegrationRecord {
    /// Opaque id, of the integration and of the webhook.
    pub id: String,
    /// Name; several versions may share it.
    pub name: String,
    /// Where events are delivered.
    pub url: String,
    /// `POST`, `PUT` or `PATCH`.
    pub method: String,
    /// Headers of deliveries.
    pub headers: Map<String, Value>,
    /// Media type of deliveries.
    pub payload_format: String,
    /// Version, from 1.
    pub version: i64,
    /// `status` of §2 and `enabled` of §4: one fact.
    pub active: bool,
    /// The key of its registration; none for an object made by hand.
    pub idempotency_key: Option<String>,
    /// The retry policy of §4 as it was written.
    pub retry_policy: Option<Value>,
    /// Fields of the §4 view that no guide mentions.
    pub unknown: Map<String, Value>,
    /// Counts changes, from 1.
    pub revision: u64,
    /// Milliseconds since 1970 of the last change; never the same twice.
    pub last_changed: u64,
}

/// A webhook of a bot (cognigy-api.md §3).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BotWebhook {
    /// The bot.
    pub bot_id: String,
    /// Opaque id; made up where empty.
    pub id: String,
    /// Name; need not be unique.
    pub name: String,
    /// Where events are delivered.
    pub url: String,
    /// The retry policy of §3 as it was written.
    pub retry_policy: Option<Value>,
}

impl BotWebhook {
    /// A webhook without a policy; its id is made up.
    pub fn new(bot_id: &str, name: &str, url: &str) -> Self {
        Self { bot_id: bot_id.into(), name: name.into(), url: url.into(), ..Self::default() }
    }
}

/// What happened to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum ChangeKind {
    /// It was registered or added.
    Created,
    /// It was changed.
    Updated,
    /// It was deleted.
    Deleted,
}

/// One entry of the history: an integration right after a change.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Change {
    /// Its place in the one order of everything that happens in a simulator.
    pub seq: u64,
    /// What happened.
    pub kind: ChangeKind,
    /// The object.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: i64,
    /// Whether it is active now; false once deleted.
    pub active: bool,
    /// Whether it has a retry policy now.
    pub has_policy: bool,
    /// Whether it was changed by an API call rather than behind everybody's back.
    pub by_api: bool,
}

/// Everything, under one lock: what a predicate of [`crate::Handle::wait_until`] looks at.
#[derive(Debug)]
pub struct State {
    pub(crate) options: Options,
    pub(crate) store: Store,
    pub(crate) log: Log,
    pub(crate) faults: Faults,
    pub(crate) hook: Option<Hook>,
    pub(crate) tokens: Tokens,
    pub(crate) quotas: Quotas,
    pub(crate) callbacks: BTreeMap<String, Target<CallbackRequest>>,
    pub(crate) sinks: BTreeMap<String, Target<SinkMessage>>,
    /// Trace ids of health checks: each must be new.
    pub(crate) trace_ids: BTreeSet<String>,
    last_seq: u64,
    started: Instant,
}

impl State {
    pub(crate) fn new(mut options: Options) -> Self {
        let mut store = Store::default();
        for webhook in std::mem::take(&mut options.bot_webhooks) {
            store.add_bot_webhook(webhook, options.id_style);
        }
        Self {
            options,
            store,
            log: Log::default(),
            faults: Faults::default(),
            hook: None,
            tokens: Tokens::default(),
            quotas: Quotas::default(),
            callbacks: BTreeMap::new(),
            sinks: BTreeMap::new(),
            trace_ids: BTreeSet::new(),
            last_seq: 0,
            started: Instant::now(),
        }
    }

    /// The next place in the one order of everything.
    pub(crate) fn next_seq(&mut self) -> u64 {
        self.last_seq += 1;
        self.last_seq
    }

    /// How long the simulator has been there.
    pub(crate) fn age(&self) -> Duration {
        self.started.elapsed()
    }

    /// A change that no API call makes.
    pub(crate) fn behind(&mut self) -> Cause {
        Cause { seq: self.next_seq(), by_api: false }
    }

    /// All API requests in order.
    pub fn requests(&self) -> &[Request] {
        self.log.requests()
    }

    /// How many API requests a route got, refused ones included.
    pub fn count(&self, route: Route) -> usize {
        self.log.count(route)
    }

    /// All integrations in the order of their creation.
    pub fn integrations(&self) -> &Collection<IntegrationRecord> {
        &self.store.integrations
    }

    /// One integration.
    pub fn integration(&self, id: &str) -> Option<&IntegrationRecord> {
        self.store.find(id)
    }

    /// The versions of a name that are active, ascending.
    pub fn active_versions(&self, name: &str) -> Vec<i64> {
        let active = self.store.named(name).filter(|one| one.active);
        let mut versions: Vec<i64> = active.map(|one| one.version).collect();
        versions.sort_unstable();
        versions
    }

    /// All webhooks of bots.
    pub fn bot_webhooks(&self) -> &Collection<BotWebhook> {
        &self.store.bot_webhooks
    }

    /// All changes of integrations in order.
    pub fn history(&self) -> &[Change] {
        self.store.history.all()
    }

    /// The changes that left no version of a name active although one was before: empty where service was never interrupted.
    pub fn interruptions(&self, name: &str) -> Vec<&Change> {
        let mut active = BTreeSet::new();
        self.store
            .history
            .of(name)
            .filter(|change| {
                let was_active = !active.is_empty();
                if change.active {
                    active.insert(&change.id);
                } else {
                    active.remove(&change.id);
                }
                was_active && active.is_empty()
            })
            .collect()
    }

    /// What reached a callback.
    pub fn callback_requests(&self, name: &str) -> &[CallbackRequest] {
        self.callbacks.get(name).map_or(&[], |target| &target.received)
    }

    /// How many requests reached callbacks, all together.
    pub fn callback_request_count(&self) -> usize {
        self.callbacks.values().map(|target| target.received.len()).sum()
    }

    /// What reached a sink.
    pub fn sink_messages(&self, name: &str) -> &[SinkMessage] {
        self.sinks.get(name).map_or(&[], |target| &target.received)
    }
}
