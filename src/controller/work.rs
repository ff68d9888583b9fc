//! The watches and controllers, from their stores to their end.

use std::{
    collections::HashMap,
    fmt::Debug,
    future::ready,
    hash::Hash,
    sync::Arc,
    time::{Duration, Instant},
};

use futures::{FutureExt as _, StreamExt as _, future::BoxFuture};
use k8s_openapi::{
    NamespaceResourceScope,
    api::core::v1::{ConfigMap, Secret},
};
use kube::{
    Api, Client, Resource, ResourceExt as _,
    core::PartialObjectMeta,
    runtime::{
        Controller,
        controller::{self, Action},
        reflector::{self, Store, store::Writer},
        watcher,
    },
};
use serde::de::DeserializeOwned;
use tokio::{sync::Semaphore, task::JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use super::{
    backoff,
    context::{Cache, Caches, Context, Equipment, Settings, reference},
    gauges,
    pass::PassError,
    rates, retry_policy, tenant,
    triggers::Queue,
    watches, webhook,
};
use crate::{
    api::{CognigyTenant, CognigyWebhook, ObjectKey, RetryPolicy},
    cluster::{audit::Trail, crds, lease::Term},
    cognigy::Place,
    metrics::Metrics,
    server::{Gate, Readiness},
    traces,
};

/// The watches and controllers.
pub struct Work {
    /// The API server.
    pub client: Client,
    /// The operator's own settings.
    pub settings: Settings,
    /// The namespaces to watch; `None` is all of them.
    pub scopes: Vec<Option<String>>,
    /// How things are watched.
    pub watch: watcher::Config,
    /// The labels of the resources to take care of.
    pub label_selector: Option<String>,
    /// How many passes of one kind may be at work at the same time; those that wait for Cognigy are not counted.
    pub concurrency: u16,
    /// What `/readyz` says.
    pub readiness: Readiness,
    /// Opened when every watch has been in sync once.
    pub started: Gate,
    /// The figures.
    pub metrics: Metrics,
    /// Events and audit lines.
    pub trail: Trail,
    /// When the work may be done: before, the stores are filled and nothing else happens.
    pub term: Term,
}

/// The writing ends of the stores, for the watches.
struct Writers {
    tenants: ScopedWriters<CognigyTenant>,
    policies: ScopedWriters<RetryPolicy>,
    webhooks: ScopedWriters<CognigyWebhook>,
    secrets: ScopedWriters<PartialObjectMeta<Secret>>,
    config_maps: ScopedWriters<PartialObjectMeta<ConfigMap>>,
}

type ScopedWriters<K> = Vec<(Option<String>, Writer<K>)>;

impl Work {
    /// Runs until it is asked to stop and all passes under way have ended.
    pub async fn run(self, stop: CancellationToken) {
        tokio::select! {
            () = crds::wait_until_served(&self.client, &self.readiness) => {}
            () = stop.cancelled() => return,
        }
        let (context, writers) = self.context(&stop);
        let mut tasks = JoinSet::new();
        let triggers = context.triggers.clone();
        tasks.spawn(async move { triggers.run_recounts().await });
        let triggers = context.triggers.clone();
        tasks.spawn(async move { triggers.run_later().await });
        tasks.spawn(rates::follow(context.clone()));
        gauges::show(&context);
        // What the leader before wrote last may have come after them, and may not have been told by the watches yet.
        let lists_may_be_old = !self.term.holds();
        self.watch(&mut tasks, &context, writers);
        let filled = async {
            context.tenants.ready().await;
            context.policies.ready().await;
            context.webhooks.ready().await;
            context.secrets.ready().await;
            context.config_maps.ready().await;
        };
        tokio::select! {
            () = filled => tracing::info!("all watches are in sync"),
            () = stop.cancelled() => return,
        }
        self.started.open();
        tokio::select! {
            () = self.term.begins() => {}
            () = stop.cancelled() => return,
        }
        if lists_may_be_old {
            context.memos.doubt_all();
        }
        // Only now: before, a tenant and its sinks may not be known yet.
        let (term, courier) = (self.term.clone(), context.outbox.courier.clone());
        tasks.spawn(async move { term.within(courier.run()).await.unwrap_or(()) });
        let (term, monitor) = (self.term.clone(), context.outbox.monitor.clone());
        tasks.spawn(async move { term.within(monitor.run()).await.unwrap_or(()) });
        let queues: Vec<_> = self.scopes.iter().map(|scope| context.triggers.queues(scope.as_deref())).collect();
        context.tenants.keys().for_each(|key| context.triggers.tenant(key));
        context.policies.keys().for_each(|key| context.triggers.policy(key));
        context.triggers.webhooks(context.webhooks.keys());
        let controllers = self.scopes.iter().zip(queues).flat_map(|(scope, queues)| {
            let scope = scope.as_ref();
            [
                self.control(context.tenants.store(scope), queues.tenants, &stop, tenant::reconcile, &context),
                self.control(context.policies.store(scope), queues.policies, &stop, retry_policy::reconcile, &context),
                self.control(context.webhooks.store(scope), queues.webhooks, &stop, webhook::reconcile, &context),
            ]
        });
        futures::future::join_all(controllers).await;
        tasks.shutdown().await;
    }

    /// What every pass shares, and the writing ends of its stores.
    fn context(&self, stop: &CancellationToken) -> (Arc<Context>, Writers) {
        let (tenants, tenant_writers) = stores(&self.scopes);
        let (policies, policy_writers) = stores(&self.scopes);
        let (webhooks, webhook_writers) = stores(&self.scopes);
        let (secrets, secret_writers) = stores(&self.scopes);
        let (config_maps, config_map_writers) = stores(&self.scopes);
        let caches = Caches { tenants, policies, webhooks, secrets, config_maps };
        let context = Context::new(
            caches,
            Equipment {
                client: self.client.clone(),
                settings: self.settings.clone(),
                metrics: self.metrics.clone(),
                trail: self.trail.clone(),
                stop: stop.clone(),
            },
        );
        let writers = Writers {
            tenants: tenant_writers,
            policies: policy_writers,
            webhooks: webhook_writers,
            secrets: secret_writers,
            config_maps: config_map_writers,
        };
        (Arc::new(context), writers)
    }

    /// Starts one watch for each kind and namespace.
    fn watch(&self, tasks: &mut JoinSet<()>, context: &Arc<Context>, writers: Writers) {
        let ours = watcher::Config { label_selector: self.label_selector.clone(), ..self.watch.clone() };
        for (scope, writer) in writers.tenants {
            let gate = self.gate("CognigyTenants", scope.as_deref());
            let api = self.api(scope.as_deref());
            tasks.spawn(watches::tenants(context.clone(), api, ours.clone(), writer, gate));
        }
        for (scope, writer) in writers.policies {
            let gate = self.gate("RetryPolicies", scope.as_deref());
            let api = self.api(scope.as_deref());
            tasks.spawn(watches::policies(context.clone(), api, ours.clone(), writer, gate));
        }
        for (scope, writer) in writers.webhooks {
            let gate = self.gate("CognigyWebhooks", scope.as_deref());
            let api = self.api(scope.as_deref());
            tasks.spawn(watches::webhooks(context.clone(), api, ours.clone(), writer, gate));
        }
        for (scope, writer) in writers.secrets {
            let gate = self.gate("Secrets", scope.as_deref());
            let of = context.clone();
            let concern = move |key: &ObjectKey| {
                of.index.tenants_of_secret(key).into_iter().for_each(|tenant| of.triggers.tenant(tenant));
                of.index.sinks_of_secret(key).iter().for_each(|tenant| of.outbox.courier.retry_now(tenant));
                of.triggers.webhooks(of.index.webhooks_of_secret(key));
            };
            tasks.spawn(watches::sources(self.api(scope.as_deref()), self.watch.clone(), writer, gate, concern));
        }
        for (scope, writer) in writers.config_maps {
            let gate = self.gate("ConfigMaps", scope.as_deref());
            let of = context.clone();
            let concern = move |key: &ObjectKey| {
                of.index.tenants_of_config_map(key).into_iter().for_each(|tenant| of.triggers.tenant(tenant));
            };
            tasks.spawn(watches::sources(self.api(scope.as_deref()), self.watch.clone(), writer, gate, concern));
        }
    }

    fn gate(&self, kinds: &str, scope: Option<&str>) -> Gate {
        let place = scope.map_or_else(|| "all namespaces".to_owned(), |name| format!("namespace {name}"));
        self.readiness.gate(format!("{kinds} in {place}"), format!("the first list of {kinds} in {place}"))
    }

    fn api<K>(&self, scope: Option<&str>) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        scope.map_or_else(|| Api::all(self.client.clone()), |namespace| Api::namespaced(self.client.clone(), namespace))
    }

    /// Runs a controller for each queue until they are asked to stop and their passes have ended.
    fn control<K, F>(
        &self,
        store: Option<Store<K>>,
        queues: Vec<Queue<K>>,
        stop: &CancellationToken,
        reconcile: impl Fn(Arc<K>, Arc<Context>, Place) -> F + Send + Sync + Copy + 'static,
        context: &Arc<Context>,
    ) -> BoxFuture<'static, ()>
    where
        K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
        F: Future<Output = Result<Action, PassError>> + Send + 'static,
    {
        let Some(store) = store else { return ready(()).boxed() };
        let (places, seen) = (Arc::new(Semaphore::new(self.concurrency.into())), store.clone());
        let term = self.term.clone();
        let pass = move |object: Arc<K>, context: Arc<Context>| {
            let (places, seen, term) = (places.clone(), seen.clone(), term.clone());
            async move {
                let pass = async {
                    context.trail.room().await;
                    let place = Place::take(&places).await;
                    // It may have changed while it waited for its place.
                    match seen.get(&reference(&ObjectKey::of(&*object))) {
                        Some(object) => measured(object, context, place, reconcile).await,
                        None => Ok(Action::await_change()),
                    }
                };
                // After the term another one does it.
                term.within(pass).await.unwrap_or(Ok(Action::await_change()))
            }
        };
        // A queue ends with the stop, so that nothing new begins; the watch behind `store` goes on.
        let controllers = queues.into_iter().map(|queue| {
            Controller::for_shared_stream(futures::stream::pending(), store.clone())
                // Not bounded here: a pass that waits for Cognigy gives its place to another one.
                .with_config(controller::Config::default().concurrency(0))
                .reconcile_on(queue)
                .graceful_shutdown_on(stop.clone().cancelled_owned())
                .run(pass.clone(), again, context.clone())
                .for_each(|outcome| {
                    if let Err(error) = outcome {
                        tracing::debug!(%error, "pass");
                    }
                    ready(())
                })
        });
        futures::future::join_all(controllers).map(drop).boxed()
    }
}

/// One pass, counted, timed and traced.
async fn measured<K, F>(
    object: Arc<K>,
    context: Arc<Context>,
    place: Place,
    reconcile: impl Fn(Arc<K>, Arc<Context>, Place) -> F,
) -> Result<Action, PassError>
where
    K: Resource<DynamicType = ()>,
    F: Future<Output = Result<Action, PassError>>,
{
    let started = Instant::now();
    let key = ObjectKey::of(&*object);
    let span = traces::pass(&K::kind(&()), &key.namespace, &key.name, object.meta().generation);
    // Those that wait for a place wait without it.
    let outcome = Box::pin(reconcile(object, context.clone(), place)).instrument(span.clone()).await;
    span.record("cognigy.outcome", if outcome.is_ok() { "ok" } else { "error" });
    context.metrics.reconcile(&K::kind(&()), outcome.is_ok(), started.elapsed());
    if let Err(error) = &outcome {
        traces::fail(&span, "kubernetes", error);
        tracing::warn!(kind = %K::kind(&()), object = %key, %error, "a pass failed and is repeated");
    }
    outcome
}

/// When a pass that failed on Kubernetes itself is repeated: soon, then less and less often.
#[allow(clippy::needless_pass_by_value, reason = "the signature is kube's")]
fn again<K: Resource>(object: Arc<K>, _: &PassError, context: Arc<Context>) -> Action {
    let failures = context.memos.update(&object.uid().unwrap_or_default(), |memo| {
        memo.kubernetes_failures += 1;
        memo.in_doubt = true;
        memo.kubernetes_failures
    });
    Action::requeue(backoff::after_failures(failures, Duration::from_millis(200), Duration::from_secs(30)))
}

fn stores<K>(scopes: &[Option<String>]) -> (Cache<K>, ScopedWriters<K>)
where
    K: Resource<DynamicType = ()> + Clone + Send + Sync + 'static,
    K::DynamicType: Eq + Hash + Clone + Default,
{
    let (readers, writers): (HashMap<_, _>, Vec<_>) = scopes
        .iter()
        .map(|scope| {
            let (reader, writer) = reflector::store::<K>();
            ((scope.clone(), reader), (scope.clone(), writer))
        })
        .unzip();
    (Cache::new(readers), writers)
}
