//! What every pass shares.

use std::{
    collections::HashMap,
    fmt::Debug,
    sync::{Arc, Mutex},
};

use ipnet::IpNet;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::{
    Api, Client, Resource, ResourceExt as _,
    core::PartialObjectMeta,
    runtime::reflector::{ObjectRef, Store},
};

use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

use super::{
    door::Doors,
    figures::Figures,
    index::Index,
    memo::{self, Memos},
    observer::Observer,
    office::{Office, Outbox},
    sessions::Sessions,
    tenant::Bundles,
    triggers::Triggers,
};
use crate::{
    api::{CognigyTenant, CognigyWebhook, ObjectKey, RetryPolicy},
    cluster::audit::Trail,
    cognigy::{CallObserver, Hosts},
    metrics::Metrics,
    probe::{Own, Prober},
};

/// What every pass shares.
pub struct Context {
    /// The API server.
    pub client: Client,
    /// The tenants, as watched.
    pub tenants: Cache<CognigyTenant>,
    /// The retry policies, as watched.
    pub policies: Cache<RetryPolicy>,
    /// The webhooks, as watched.
    pub webhooks: Cache<CognigyWebhook>,
    /// The metadata of the Secrets, as watched; their data is read on use and, but for CA bundles, never kept.
    pub secrets: Cache<PartialObjectMeta<Secret>>,
    /// The metadata of the `ConfigMap`s, as watched.
    pub config_maps: Cache<PartialObjectMeta<ConfigMap>>,
    /// The tenants' CA bundles.
    pub bundles: Arc<Bundles>,
    /// Who uses what.
    pub index: Index,
    /// Which passes over webhooks may be under way.
    pub doors: Arc<Doors>,
    /// The tenants' connections.
    pub sessions: Sessions,
    /// The rate limits, one for each host and port.
    pub hosts: Hosts,
    /// Told of every call to Cognigy.
    pub observer: Arc<dyn CallObserver>,
    /// Success rate and latency of each tenant.
    pub figures: Arc<Figures>,
    /// Callback health checks.
    pub prober: Prober,
    /// Events and audit lines.
    pub trail: Trail,
    /// The figures.
    pub metrics: Metrics,
    /// What goes out to the user's own systems.
    pub outbox: Outbox,
    /// What is remembered of each object between passes; all of it can be lost.
    pub memos: Memos,
    /// How passes of other objects are asked for.
    pub triggers: Arc<Triggers>,
    /// The operator's own settings.
    pub settings: Settings,
    /// The operator is ending: who waits goes.
    pub stop: CancellationToken,
}

/// The objects of all kinds, as watched.
pub struct Caches {
    /// The tenants.
    pub tenants: Cache<CognigyTenant>,
    /// The retry policies.
    pub policies: Cache<RetryPolicy>,
    /// The webhooks.
    pub webhooks: Cache<CognigyWebhook>,
    /// The metadata of the Secrets.
    pub secrets: Cache<PartialObjectMeta<Secret>>,
    /// The metadata of the `ConfigMap`s.
    pub config_maps: Cache<PartialObjectMeta<ConfigMap>>,
}

/// How the process is set up.
pub struct Equipment {
    /// The API server.
    pub client: Client,
    /// The operator's own settings.
    pub settings: Settings,
    /// The figures.
    pub metrics: Metrics,
    /// Events and audit lines.
    pub trail: Trail,
    /// The operator is ending.
    pub stop: CancellationToken,
}

impl Context {
    /// A context in which no pass was made yet.
    pub fn new(caches: Caches, equipment: Equipment) -> Self {
        let Caches { tenants, policies, webhooks, secrets, config_maps } = caches;
        let Equipment { client, settings, metrics, trail, stop } = equipment;
        let triggers = Arc::new(Triggers::default());
        let bundles = Bundles::new(client.clone(), tenants.clone(), secrets.clone(), config_maps.clone());
        let bundles = Arc::new(bundles);
        let outbox = Outbox::new(Office {
            client: client.clone(),
            tenants: tenants.clone(),
            bundles: bundles.clone(),
            triggers: triggers.clone(),
            metrics: metrics.clone(),
            allow_insecure_http: settings.allow_insecure_http,
            clients: Mutex::default(),
        });
        let figures = Arc::new(Figures::new(metrics.clone()));
        let observer = Observer { metrics: metrics.clone(), figures: figures.clone(), triggers: triggers.clone() };
        Self {
            client,
            tenants,
            policies,
            webhooks,
            secrets,
            config_maps,
            bundles,
            index: Index::default(),
            doors: Arc::default(),
            sessions: Sessions::default(),
            hosts: Hosts::new(),
            observer: Arc::new(observer),
            figures,
            prober: Prober::new(),
            trail,
            metrics,
            outbox,
            memos: Memos::default(),
            triggers,
            settings,
            stop,
        }
    }

    /// The object as it is after our own last write: the watch may lag behind it, and a pass that failed may have written
    /// without an answer. `None` where it is gone.
    pub async fn fresh<K>(&self, api: &Api<K>, object: Arc<K>) -> kube::Result<Option<Arc<K>>>
    where
        K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug,
    {
        let uid = object.uid().unwrap_or_default();
        let memo = self.memos.get(&uid);
        let lags = memo.written.is_some_and(|written| memo::is_older(object.resource_version().as_deref(), &written));
        if !lags && !memo.in_doubt {
            return Ok(Some(object));
        }
        let mut read = Box::pin(api.get_opt(&object.name_any())).await?;
        if let Some(read) = &mut read {
            read.managed_fields_mut().clear();
        }
        if memo.in_doubt {
            self.memos.update(&uid, |memo| memo.in_doubt = false);
        }
        Ok(read.filter(|read| read.uid().as_deref() == Some(&uid)).map(Arc::new))
    }

    /// Remembers our own write, as the API server answered it.
    pub fn wrote<K: Resource>(&self, written: &K) {
        let version = written.resource_version();
        self.memos.update(&written.uid().unwrap_or_default(), |memo| memo.written = version);
    }
}

/// The operator's own settings, from its command line.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// `--allow-insecure-http`.
    pub allow_insecure_http: bool,
    /// `--allow-private-callbacks`.
    pub private_callbacks: Vec<IpNet>,
    /// Where no callback may be: the API server and the operator's own pod.
    pub never: Vec<Own>,
}

/// The objects of a kind in all watched namespaces: one store for each, since a relist replaces a whole store.
#[derive(Clone)]
pub struct Cache<K>
where
    K: Resource<DynamicType = ()> + Clone + 'static,
{
    stores: HashMap<Option<String>, Store<K>>,
}

impl<K> Cache<K>
where
    K: Resource<DynamicType = ()> + Clone + Send + Sync + 'static,
{
    /// A cache of these stores, by namespace; `None` is the store of all namespaces.
    pub fn new(stores: HashMap<Option<String>, Store<K>>) -> Self {
        Self { stores }
    }

    /// The object, where it is watched and there.
    pub fn get(&self, key: &ObjectKey) -> Option<Arc<K>> {
        let store = self.stores.get(&None).or_else(|| self.stores.get(&Some(key.namespace.clone())))?;
        store.get(&reference(key))
    }

    /// All that are there now.
    pub fn keys(&self) -> impl Iterator<Item = ObjectKey> {
        self.stores.values().flat_map(Store::state).map(|object| ObjectKey::of(&*object))
    }

    /// The store of one watched namespace, or of all.
    pub fn store(&self, namespace: Option<&String>) -> Option<Store<K>> {
        self.stores.get(&namespace.cloned()).cloned()
    }

    /// Waits until every store has been filled once.
    pub async fn ready(&self) {
        for store in self.stores.values() {
            // A dropped writer means that the process is ending.
            let _ = store.wait_until_ready().await;
        }
    }
}

/// A reference to the object with this key.
pub fn reference<K: Resource<DynamicType = ()>>(key: &ObjectKey) -> ObjectRef<K> {
    ObjectRef::new(&key.name).within(&key.namespace)
}
