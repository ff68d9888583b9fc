//! The watches: one for each kind, which fill the stores, keep the index in step and say whom a change concerns.

use std::{collections::BTreeMap, fmt::Debug, hash::Hash, sync::Arc};

use futures::StreamExt as _;
use kube::{
    Api, Resource, ResourceExt as _,
    core::PartialObjectMeta,
    runtime::{
        WatchStreamExt as _,
        reflector::store::Writer,
        watcher::{self, Event, watcher},
    },
};
use serde::de::DeserializeOwned;

use super::{index::Affected, seen::Seen};
use crate::{
    api::{
        CognigyTenant, CognigyWebhook, FORCE_ORPHAN_ANNOTATION, ObjectKey, RECONCILE_REQUESTED_ANNOTATION, RetryPolicy,
        webhook::HealthResult,
    },
    controller::{context::Context, office, status::is_ready},
    metrics::Metrics,
    server::Gate,
};

/// What a watch tells.
enum Change<'a, K> {
    /// The object is there, perhaps as before.
    Applied(&'a K),
    /// The object with this uid is gone.
    Gone(&'a ObjectKey, &'a str),
}

/// Follows a kind for ever: fills its store, then tells of each change. A relist tells of what vanished meanwhile.
/// `gate` opens when the store has been filled once.
async fn follow<K>(
    api: Api<K>,
    config: watcher::Config,
    writer: Writer<K>,
    gate: Gate,
    mut tell: impl FnMut(Change<'_, K>),
) where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
    K::DynamicType: Eq + Hash + Clone,
{
    let mut known: BTreeMap<ObjectKey, String> = BTreeMap::new();
    let mut listed = BTreeMap::new();
    let mut events = watcher(api, config).default_backoff().reflect(writer).boxed();
    while let Some(event) = events.next().await {
        match event {
            Ok(Event::Init) => listed = BTreeMap::new(),
            Ok(Event::InitApply(object)) => {
                listed.insert(ObjectKey::of(&object), object.uid().unwrap_or_default());
                tell(Change::Applied(&object));
            }
            Ok(Event::InitDone) => {
                let vanished = known.iter().filter(|(key, _)| !listed.contains_key(*key));
                vanished.for_each(|(key, uid)| tell(Change::Gone(key, uid)));
                known = std::mem::take(&mut listed);
                gate.open();
            }
            Ok(Event::Apply(object)) => {
                known.insert(ObjectKey::of(&object), object.uid().unwrap_or_default());
                tell(Change::Applied(&object));
            }
            Ok(Event::Delete(object)) => {
                let key = ObjectKey::of(&object);
                known.remove(&key);
                tell(Change::Gone(&key, &object.uid().unwrap_or_default()));
            }
            Err(error) => tracing::warn!(kind = %K::kind(&()), %error, "a watch was interrupted and starts again"),
        }
    }
}

/// What of an object asks for a pass when it changes: neither a status nor the operator's own annotation does.
pub(super) fn wish<K: Resource>(object: &K) -> String {
    let annotation = |name| object.annotations().get(name).map_or("", String::as_str);
    format!(
        "{}/{}/{}/{}/{}",
        object.uid().unwrap_or_default(),
        object.meta().generation.unwrap_or_default(),
        object.meta().deletion_timestamp.is_some(),
        annotation(RECONCILE_REQUESTED_ANNOTATION),
        annotation(FORCE_ORPHAN_ANNOTATION),
    )
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
                let affected = context.index.record_webhook(webhook);
                let failure = webhook.status.as_ref().and_then(|status| status.failure.as_ref());
                let undelivered = failure.map(|failure| failure.undelivered.as_slice()).unwrap_or_default();
                context.outbox.courier.sync(office::owner_of_webhook(webhook), webhook.tenant_key(), undelivered);
                show_webhook(&context.metrics, &key, webhook);
                let ready = webhook.status.as_ref().is_some_and(|status| is_ready(&status.conditions));
                if states.changed(&key, &format!("{}/{ready}", webhook.uid().unwrap_or_default())) {
                    context.triggers.recount([webhook.tenant_key()], []);
                }
                if wishes.changed(&key, &wish(webhook)) {
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
                // A tenant that waits for its last webhook can go at once.
                affected.tenants.iter().for_each(|tenant| context.triggers.tenant(tenant.clone()));
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
            context.index.record_tenant(tenant);
            context.figures.watched(&key, tenant.status.as_ref().and_then(|status| status.api));
            if let Some(status) = &tenant.status {
                context.metrics.conditions("CognigyTenant", &key.namespace, &key.name, &status.conditions);
            }
            let alerts = tenant.status.as_ref().and_then(|status| status.alerts.as_ref());
            let undelivered = alerts.map(|alerts| alerts.undelivered.as_slice()).unwrap_or_default();
            context.outbox.courier.sync(office::owner_of_tenant(tenant), key.clone(), undelivered);
            if wishes.changed(&key, &wish(tenant)) {
                context.outbox.courier.retry_now(&key);
                context.triggers.tenant(key);
            }
        }
        Change::Gone(key, uid) => {
            wishes.forget(key);
            context.memos.forget(uid);
            context.outbox.courier.forget(uid);
            context.outbox.forget_tenant(key);
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
                if let Some(status) = &policy.status {
                    context.metrics.conditions("RetryPolicy", &key.namespace, &key.name, &status.conditions);
                }
                if !wishes.changed(&key, &wish(policy)) {
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
    writer: Writer<PartialObjectMeta<K>>,
    gate: Gate,
    mut concern: impl FnMut(&ObjectKey),
) where
    K: Resource<DynamicType = ()> + Clone + Debug + Send + Sync + 'static,
{
    let mut versions = Seen::default();
    follow(api, watcher::Config::default(), writer, gate, move |change| match change {
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
