//! Rehearsals: what the operator would do with objects as they are given, without writing anything anywhere.
//!
//! The passes are the operator's own ([`super::webhook::rehearsal`]), in a context of their own whose API server is the given
//! objects in memory (`kubernetes.rs`). Cognigy is only read.

mod kubernetes;
mod recognise;
mod registered;

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Secret};
use kube::{
    Resource,
    core::{PartialObjectMeta, PartialObjectMetaExt as _},
    runtime::{reflector, watcher},
};
use tokio_util::sync::CancellationToken;

pub(super) use self::registered::Registered;
pub use super::webhook::rehearsal::{Act, Action, End, Rehearsed};
use super::{
    context::{Cache, Caches, Context, Equipment, Settings},
    tenant, webhook,
};
use crate::{
    api::{CognigyTenant, CognigyWebhook, ObjectKey, RetryPolicy},
    cluster::audit::{AuditSink, Trail},
    cognigy::Session,
    metrics::Metrics,
};

/// The objects that a rehearsal is about, and those that they refer to, as they stand or are to stand in a cluster.
#[derive(Clone, Default)]
pub struct Scene {
    /// The tenants.
    pub tenants: Vec<CognigyTenant>,
    /// The retry policies.
    pub policies: Vec<RetryPolicy>,
    /// The webhooks; also those that nothing is asked of, since they may have a name that another one wants.
    pub webhooks: Vec<CognigyWebhook>,
    /// The Secrets with their data.
    pub secrets: Vec<Secret>,
    /// The `ConfigMap`s.
    pub config_maps: Vec<ConfigMap>,
    /// The namespaces, for tenants that choose them by label.
    pub namespaces: Vec<Namespace>,
    /// Sessions with tenants whose Secrets are not there. Of what such a tenant's webhooks registered nothing is known but
    /// what Cognigy lists: it is taken for their own.
    pub sessions: HashMap<ObjectKey, Session>,
}

/// A scene with the tenants connected.
pub struct Rehearsal {
    context: Arc<Context>,
    /// What the tenants hold, each read when the first webhook asks for it.
    registered: HashMap<ObjectKey, Arc<Registered>>,
    /// The tenants of given sessions.
    without_cluster: HashSet<ObjectKey>,
}

impl Rehearsal {
    /// Sets the scene up and connects the tenants that these webhooks use: each is asked for a token and sent one cheap read.
    /// `settings` are those of the operator that is rehearsed. The error is that of two metrics with one name.
    pub async fn new(scene: Scene, webhooks: &[ObjectKey], settings: Settings) -> prometheus::Result<Self> {
        let metrics = Metrics::new()?;
        let client = kubernetes::client(&scene);
        // Nothing is recorded in a rehearsal: the task that would write events never runs.
        let (trail, _) = Trail::new(client.clone(), AuditSink::new(std::io::sink()), "rehearsal");
        let Scene { tenants, policies, webhooks: all, secrets, config_maps, mut sessions, .. } = scene;
        let caches = Caches {
            tenants: cache(tenants.clone()),
            policies: cache(policies),
            webhooks: cache(all.clone()),
            secrets: cache(secrets.into_iter().map(|secret| partial(secret.metadata)).collect()),
            config_maps: cache(config_maps.into_iter().map(|map| partial(map.metadata)).collect()),
        };
        let stop = CancellationToken::new();
        let context = Context::new(caches, Equipment { client, settings, metrics, trail, stop });
        for webhook in &all {
            context.index.record_webhook(webhook);
        }
        let (mut registered, mut without_cluster) = (HashMap::new(), HashSet::new());
        for tenant in &tenants {
            let key = ObjectKey::of(tenant);
            if context.index.webhooks_of_tenant(&key).iter().any(|user| webhooks.contains(user)) {
                let given = sessions.remove(&key);
                if given.is_some() {
                    without_cluster.insert(key.clone());
                }
                let connection = tenant::rehearse(tenant, &context, given).await;
                context.sessions.put(&key, connection);
                registered.insert(key, Arc::default());
            }
        }
        Ok(Self { context: Arc::new(context), registered, without_cluster })
    }

    /// What a full pass over this webhook would do now; `None` where it is not in the scene.
    pub async fn of(&self, webhook: &ObjectKey) -> Option<Rehearsed> {
        let mut webhook = self.context.webhooks.get(webhook)?;
        let tenant = webhook.tenant_key();
        let registered = self.registered.get(&tenant).cloned().unwrap_or_default();
        // Where it cannot be read, the pass fails on the same.
        if let Some(session) = self.session_without_cluster(&tenant)
            && let Ok(listed) = registered.all(&session).await
        {
            webhook = Arc::new(recognise::recognised(&webhook, listed));
        }
        Some(webhook::rehearsal::rehearse(&webhook, &self.context, registered).await)
    }

    fn session_without_cluster(&self, tenant: &ObjectKey) -> Option<Session> {
        self.without_cluster.contains(tenant).then(|| self.context.sessions.get(tenant)?.session).flatten()
    }
}

fn partial<K>(metadata: kube::api::ObjectMeta) -> PartialObjectMeta<K>
where
    K: Resource<DynamicType = ()>,
{
    metadata.into_response_partial()
}

/// A cache that is filled once.
fn cache<K>(objects: Vec<K>) -> Cache<K>
where
    K: Resource<DynamicType = ()> + Clone + Send + Sync + 'static,
{
    let (store, mut writer) = reflector::store();
    writer.apply_watcher_event(&watcher::Event::Init);
    for object in objects {
        writer.apply_watcher_event(&watcher::Event::InitApply(object));
    }
    writer.apply_watcher_event(&watcher::Event::InitDone);
    Cache::new(HashMap::from([(None, store)]))
}
