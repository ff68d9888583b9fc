//! The watches: one for each kind, which fill the stores, keep the index in step and say whom a change concerns.

use std::{
    fmt::{self, Debug},
    hash::Hash,
    sync::Arc,
    time::Duration,
};

use backon::ExponentialBuilder;
use futures::StreamExt as _;
use kube::{
    Api, Resource, ResourceExt as _,
    core::PartialObjectMeta,
    runtime::{
        WatchStreamExt as _,
        reflector::store::Writer,
        utils::ResetTimerBackoff,
        watcher::{self, Event, ExponentialBackoff, watcher},
    },
};
use serde::de::DeserializeOwned;

use super::{
    index::Affected,
    seen::{Change, Known, Seen},
};
use crate::{
    api::{
        CognigyTenant, CognigyWebhook, DEAD_LETTER_REQUEST_ANNOTATION, FORCE_ORPHAN_ANNOTATION, ObjectKey,
        RECONCILE_REQUESTED_ANNOTATION, RetryPolicy, webhook::HealthResult,
    },
    controller::{context::Context, office, status::is_ready},
    metrics::Metrics,
    server::Gate,
};

/// How long a watch waits before it starts anew with a list.
const ANEW: Duration = Duration::from_secs(1);
/// How long a refused or broken watch waits at first, and at most, with as much again as jitter. kube's own limit of a minute is long
/// for a person who looks on after an outage.
const PAUSES: (Duration, Duration) = (Duration::from_millis(800), Duration::from_secs(10));
/// A watch that has held for so long begins with the shortest pause again, though it told nothing.
const HELD: Duration = Duration::from_mins(1);

/// Follows a kind for ever: fills its store, then tells of each change. A relist tells of what vanished meanwhile.
/// `gate` opens when the store has been filled, and closes while the API server does not know the kind: its definition was
/// deleted. The store then stays as it was, and Cognigy with it, until the definition is there again.
async fn follow<K>(
    api: Api<K>,
    config: watcher::Config,
    mut writer: Writer<K>,
    gate: Gate,
    mut tell: impl FnMut(Change<'_, K>),
) where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
    K::DynamicType: Eq + Hash + Clone,
{
    let (mut known, mut filled, store) = (Known::default(), false, writer.as_reader());
    let start = || {
        let (first, longest) = PAUSES;
        let pauses = ExponentialBuilder::new().with_min_delay(first).with_max_delay(longest);
        let pauses = ExponentialBackoff::from(pauses.without_max_times().with_jitter());
        watcher(api.clone(), config.clone()).backoff(ResetTimerBackoff::new(pauses, HELD)).boxed()
    };
    let mut events = start();
    while let Some(event) = events.next().await {
        // Who owns which field takes more memory than all else of an object, and nobody here asks for it.
        let event = event.map(|event| event.modify(|object| object.managed_fields_mut().clear()));
        match event {
            // Nobody works before every store is filled: by then the index has to be.
            Ok(Event::InitDone) if !filled => {
                known.take(&Event::InitDone, &store, &mut tell);
                writer.apply_watcher_event(&Event::InitDone);
                filled = true;
                gate.open();
            }
            Ok(event) => {
                writer.apply_watcher_event(&event);
                known.take(&event, &store, &mut tell);
                if matches!(event, Event::InitDone) {
                    gate.open();
                }
            }
            Err(error) => {
                tracing::warn!(kind = %K::kind(&()), %error, "a watch was interrupted and starts again");
                if refusal(&error) == Some(404) {
                    gate.close(format!("the API server, which does not know {}", K::plural(&())));
                }
                if needs_list(&error) {
                    tokio::time::sleep(ANEW).await;
                    events = start();
                }
            }
        }
    }
}

/// The HTTP status with which the API server refused a watch or its list.
fn refusal(error: &watcher::Error) -> Option<u16> {
    match error {
        watcher::Error::InitialListFailed(kube::Error::Api(status))
        | watcher::Error::WatchStartFailed(kube::Error::Api(status)) => Some(status.code),
        _ => None,
    }
}

/// Whether a watch cannot go on where it was: kube's tries that for ever where the API server's refusal is the whole answer
/// and not an event. Such are versions that are too old (410), and kinds that are gone (404): they come back with another history.
fn needs_list(error: &watcher::Error) -> bool {
    matches!(error, watcher::Error::WatchStartFailed(_)) && matches!(refusal(error), Some(404 | 410))
}

/// What of an object asks for a pass when it changes: neither a status nor the operator's own annotation does.
///
/// Each pass that waits compares two of them every second, so that they are borrowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wish<'a> {
    uid: &'a str,
    generation: i64,
    leaves: bool,
    requests: [&'a str; 3],
}

/// What this object asks for.
pub(super) fn wish<K: Resource>(object: &K) -> Wish<'_> {
    let meta = object.meta();
    let annotation = |name| object.annotations().get(name).map_or("", String::as_str);
    Wish {
        uid: meta.uid.as_deref().unwrap_or_default(),
        generation: meta.generation.unwrap_or_default(),
        leaves: meta.deletion_timestamp.is_some(),
        requests: [RECONCILE_REQUESTED_ANNOTATION, FORCE_ORPHAN_ANNOTATION, DEAD_LETTER_REQUEST_ANNOTATION]
            .map(annotation),
    }
}

impl fmt::Display for Wish<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [reconcile, orphan, letters] = self.requests;
        write!(f, "{}/{}/{}/{reconcile}/{orphan}/{letters}", self.uid, self.generation, self.leaves)
    }
}

/// Follows the webhooks.
pub async fn webhooks(
    context: Arc<Context>,
    api: Api<CognigyWebhook>,
    config: watcher::Config,
    writer: Writer<CognigyWebhook>,
    gate: Gate,
) {
    let (mut wishes, mut states) = (Seen::default(), Seen::default());
    follow(api, config, writer, gate, move |change| {
        let Affected { tenants, policies, rivals } = match change {
            Change::Applied(webhook) => {
                let key = ObjectKey::of(webhook);
                context.memos.watched(&webhook.uid().unwrap_or_default());
                let affected = context.index.record_webhook(webhook);
                let failure = webhook.status.as_ref().and_then(|status| status.failure.as_ref());
                let undelivered = failure.map(|failure| failure.undelivered.as_slice()).unwrap_or_default();
                let owner = office::owner_of_webhook(webhook);
                // What a status said before our own last write may have been delivered, or discarded, since.
                let news = || !context.memos.get(&owner.uid).wrote_after(webhook.resource_version().as_deref());
                context.outbox.courier.sync_if(news, owner.clone(), webhook.tenant_key(), undelivered);
                show_webhook(&context.metrics, &key, webhook);
                let ready = webhook.status.as_ref().is_some_and(|status| is_ready(&status.conditions));
                if states.changed(&key, &format!("{}/{ready}", webhook.uid().unwrap_or_default())) {
                    context.triggers.recount([webhook.tenant_key()], []);
                }
                if wishes.changed(&key, &wish(webhook).to_string()) {
                    context.triggers.webhooks([key]);
                }
                affected
            }
            Change::Gone(key, uid) => {
                wishes.forget(key);
                states.forget(key);
                context.memos.forget(uid);
                context.outbox.courier.forget(uid);
                context.metrics.forget("CognigyWebhook", &key.namespace, &key.name);
                let affected = context.index.forget_webhook(key);
                // A tenant that waits for its last webhook can go at once; for the others it is a change of counts.
                let waits = |tenant: &&ObjectKey| {
                    context.tenants.get(tenant).is_some_and(|one| one.metadata.deletion_timestamp.is_some())
                };
                affected.tenants.iter().filter(waits).for_each(|tenant| context.triggers.tenant(tenant.clone()));
                affected
            }
        };
        context.triggers.webhooks(rivals);
        context.triggers.recount(tenants, policies);
    })
    .await;
}

/// Shows a webhook's state as figures: from its status, so that a restart shows them before the first pass.
fn show_webhook(metrics: &Metrics, key: &ObjectKey, webhook: &CognigyWebhook) {
    let Some(status) = &webhook.status else { return };
    let state = status.state.map(|state| format!("{state:?}"));
    metrics.conditions("CognigyWebhook", &key.namespace, &key.name, &status.conditions);
    metrics.webhook(&key.namespace, &key.name, &webhook.tenant_key().to_string(), state.as_deref());
    let health = status.health.as_ref();
    let result = health.map(|health| health.result == HealthResult::Passing);
    let expires = health.and_then(|health| health.certificate_expires_at.as_ref()).map(|expires| expires.0);
    metrics.health_as_told(&key.namespace, &key.name, result, expires);
}

/// Follows the tenants.
pub async fn tenants(
    context: Arc<Context>,
    api: Api<CognigyTenant>,
    config: watcher::Config,
    writer: Writer<CognigyTenant>,
    gate: Gate,
) {
    let mut wishes = Seen::default();
    follow(api, config, writer, gate, move |change| match change {
        Change::Applied(tenant) => {
            let key = ObjectKey::of(tenant);
            context.memos.watched(&tenant.uid().unwrap_or_default());
            context.index.record_tenant(tenant);
            context.metrics.tenant(&key.to_string());
            context.figures.watched(&key, tenant.status.as_ref().and_then(|status| status.api));
            if let Some(status) = &tenant.status {
                context.metrics.conditions("CognigyTenant", &key.namespace, &key.name, &status.conditions);
            }
            let alerts = tenant.status.as_ref().and_then(|status| status.alerts.as_ref());
            let undelivered = alerts.map(|alerts| alerts.undelivered.as_slice()).unwrap_or_default();
            context.outbox.courier.sync(office::owner_of_tenant(tenant), key.clone(), undelivered);
            if wishes.changed(&key, &wish(tenant).to_string()) {
                context.outbox.courier.retry_now(&key);
                context.triggers.tenant(key);
            }
        }
        Change::Gone(key, uid) => {
            wishes.forget(key);
            context.memos.forget(uid);
            context.outbox.courier.forget(uid);
            context.outbox.forget_tenant(key);
            context.bundles.forget(key);
            context.index.forget_tenant(key);
            context.sessions.forget(key);
            context.figures.forget(key);
            context.metrics.forget("CognigyTenant", &key.namespace, &key.name);
            context.metrics.forget_tenant(&key.to_string());
            context.triggers.webhooks(context.index.webhooks_of_tenant(key));
        }
    })
    .await;
}

/// Follows the retry policies.
pub async fn policies(
    context: Arc<Context>,
    api: Api<RetryPolicy>,
    config: watcher::Config,
    writer: Writer<RetryPolicy>,
    gate: Gate,
) {
    let mut wishes = Seen::default();
    follow(api, config, writer, gate, move |change| {
        let key = match change {
            Change::Applied(policy) => {
                let key = ObjectKey::of(policy);
                context.memos.watched(&policy.uid().unwrap_or_default());
                if let Some(status) = &policy.status {
                    context.metrics.conditions("RetryPolicy", &key.namespace, &key.name, &status.conditions);
                }
                if !wishes.changed(&key, &wish(policy).to_string()) {
                    return;
                }
                context.triggers.policy(key.clone());
                key
            }
            Change::Gone(key, uid) => {
                wishes.forget(key);
                context.memos.forget(uid);
                context.metrics.forget("RetryPolicy", &key.namespace, &key.name);
                key.clone()
            }
        };
        context.triggers.webhooks(context.index.webhooks_of_policy(&key));
    })
    .await;
}

/// Follows the metadata of Secrets or `ConfigMap`s: whoever reads a changed one looks again at once.
pub async fn sources<K>(
    api: Api<PartialObjectMeta<K>>,
    config: watcher::Config,
    writer: Writer<PartialObjectMeta<K>>,
    gate: Gate,
    mut concern: impl FnMut(&ObjectKey),
) where
    K: Resource<DynamicType = ()> + Clone + Debug + Send + Sync + 'static,
{
    let mut versions = Seen::default();
    follow(api, config, writer, gate, move |change| match change {
        Change::Applied(source) => {
            let key = ObjectKey::of(source);
            if versions.changed(&key, &source.resource_version().unwrap_or_default()) {
                concern(&key);
            }
        }
        Change::Gone(key, _) => {
            versions.forget(key);
            concern(key);
        }
    })
    .await;
}
