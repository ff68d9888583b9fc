//! Starts everything, and ends it in order.

use std::{collections::HashMap, fmt::Debug, hash::Hash, io, net::IpAddr, sync::Arc, time::Duration, time::Instant};

use futures::{FutureExt as _, StreamExt as _, future::BoxFuture};
use k8s_openapi::{NamespaceResourceScope, api::core::v1::ConfigMap};
use kube::{
    Api, Client, Resource, ResourceExt as _,
    core::PartialObjectMeta,
    runtime::{
        Controller,
        controller::{self, Action},
        reflector::{self, ObjectRef, Store, store::Writer},
        watcher,
    },
};
use serde::de::DeserializeOwned;
use thiserror::Error;
use tokio::{net::TcpListener, sync::watch, task::JoinSet};

use super::{
    backoff,
    context::{Cache, Context, Settings},
    index::Index,
    memo::Memos,
    observer::Observer,
    pass::PassError,
    retry_policy,
    sessions::Sessions,
    tenant,
    triggers::Triggers,
    watches, webhook,
};
use crate::{
    args::Run,
    cluster::{
        audit::{AuditSink, Trail, reporting_instance},
        crds,
    },
    cognigy::Hosts,
    metrics::Metrics,
    probe::Prober,
    server::{self, Gate, Liveness, Readiness, Told},
};

/// How often the process shows that it is alive; `/livez` fails after three misses.
const PULSE: Duration = Duration::from_secs(10);

/// Why the operator could not run.
#[derive(Debug, Error)]
pub enum RunError {
    /// No kubeconfig and no service account.
    #[error("cannot find a Kubernetes API server: {0}; set KUBECONFIG, or run in a pod with a service account")]
    Config(#[from] kube::config::InferConfigError),
    /// The client could not be made.
    #[error("cannot make a client for the Kubernetes API server: {0}")]
    Client(#[from] kube::Error),
    /// The address of the probes and metrics is taken.
    #[error("cannot listen on {address}: {error}; choose another --http-listen")]
    Listen {
        /// The address.
        address: std::net::SocketAddr,
        /// Why.
        error: io::Error,
    },
    /// A metric family could not be made.
    #[error("cannot make the metrics: {0}")]
    Metrics(#[from] prometheus::Error),
    /// The probes' server ended.
    #[error("the server of probes and metrics failed: {0}")]
    Server(#[source] io::Error),
}

/// Runs the operator as its command line says, until `shutdown` resolves.
pub async fn run(args: Run, shutdown: impl Future<Output = ()> + Send + 'static) -> Result<(), RunError> {
    let config = kube::Config::infer().await?;
    let mut settings = Settings {
        allow_insecure_http: args.allow_insecure_http,
        private_callbacks: args.allow_private_callbacks.clone(),
        never: own_addresses(&config).await,
    };
    // Rehearsals on one machine have the API server on loopback, where their callbacks are too.
    settings.never.retain(|address| !address.is_loopback());
    let listener = TcpListener::bind(args.http_listen)
        .await
        .map_err(|error| RunError::Listen { address: args.http_listen, error })?;
    let operator = Operator {
        client: Client::try_from(config)?,
        settings,
        namespaces: args.watch_namespaces.clone(),
        label_selector: args.watch_label_selector.clone(),
        max_concurrent_reconciles: args.max_concurrent_reconciles,
        shutdown_grace: args.shutdown_grace(),
        audit: AuditSink::stdout(),
        listener,
    };
    operator.run(shutdown).await
}

/// The API server's addresses and the operator's own: no callback may lead there.
async fn own_addresses(config: &kube::Config) -> Vec<IpAddr> {
    let host = config.cluster_url.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    let port = config.cluster_url.port_u16().unwrap_or(443);
    let named = tokio::net::lookup_host((host, port)).await.into_iter().flatten().map(|address| address.ip());
    let own = ["POD_IP", "POD_IPS", "KUBERNETES_SERVICE_HOST"];
    let told = own.into_iter().filter_map(|name| std::env::var(name).ok());
    let told: Vec<String> = told.flat_map(|list| list.split(',').map(str::to_owned).collect::<Vec<_>>()).collect();
    named.chain(told.iter().filter_map(|address| address.trim().parse().ok())).collect()
}

/// An operator that is ready to run.
pub struct Operator {
    /// The API server.
    pub client: Client,
    /// The operator's own settings.
    pub settings: Settings,
    /// The namespaces to watch; none means all.
    pub namespaces: Vec<String>,
    /// The labels of the resources to take care of.
    pub label_selector: Option<String>,
    /// How many passes of one kind may be under way at the same time.
    pub max_concurrent_reconciles: u16,
    /// How long passes under way may take to end.
    pub shutdown_grace: Duration,
    /// Where audit lines go.
    pub audit: AuditSink,
    /// Where probes and metrics are answered.
    pub listener: TcpListener,
}

impl Operator {
    /// Runs until `shutdown` resolves: then nothing new begins, passes under way end, events are written, and the server
    /// of the probes goes last.
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send + 'static) -> Result<(), RunError> {
        let (readiness, liveness, metrics) = (Readiness::default(), Liveness::default(), Metrics::new()?);
        let (stop, stopping) = watch::channel(false);
        metrics.leader(true);
        // Closed before the first answer is given: an empty set of gates would count as ready.
        let started = readiness.gate("start", "the watches to begin");
        let told = Told { readiness: readiness.clone(), liveness: liveness.clone(), metrics: metrics.clone() };
        let (served, serving) = tokio::sync::oneshot::channel::<()>();
        let server = tokio::spawn(server::serve(self.listener, told, serving.map(drop)));
        tokio::spawn(async move {
            shutdown.await;
            let _ = stop.send(true);
        });
        let (trail, writer) = Trail::new(self.client.clone(), self.audit, &reporting_instance());
        let writer = tokio::spawn(writer);
        let grace = self.shutdown_grace;
        let scopes: Vec<Option<String>> =
            if self.namespaces.is_empty() { vec![None] } else { self.namespaces.iter().cloned().map(Some).collect() };
        let work = Work {
            client: self.client,
            settings: self.settings,
            scopes,
            watch: watcher::Config { label_selector: self.label_selector, ..watcher::Config::default() },
            concurrency: self.max_concurrent_reconciles,
            readiness,
            started,
            metrics,
            trail: trail.clone(),
        };
        let pulse = liveness.pulse("runtime", PULSE * 3);
        let mut work = Box::pin(work.run(stopping.clone()));
        let mut beats = tokio::time::interval(PULSE);
        let mut asked = stopped(stopping);
        loop {
            tokio::select! {
                () = &mut work => break,
                _ = beats.tick() => pulse.beat(),
                () = &mut asked => {
                    tracing::info!("stopping: passes under way may end within {} s", grace.as_secs());
                    if tokio::time::timeout(grace, &mut work).await.is_err() {
                        tracing::warn!("passes were still under way at the end of the grace period; their objects are looked at again at the next start");
                    }
                    break;
                }
            }
        }
        pulse.finish();
        drop(work);
        trail.flush().await;
        writer.abort();
        drop(served);
        server.await.map_err(|error| RunError::Server(io::Error::other(error)))?.map_err(RunError::Server)
    }
}

/// The watches and controllers.
struct Work {
    client: Client,
    settings: Settings,
    scopes: Vec<Option<String>>,
    watch: watcher::Config,
    concurrency: u16,
    readiness: Readiness,
    started: Gate,
    metrics: Metrics,
    trail: Trail,
}

impl Work {
    async fn run(self, stopping: watch::Receiver<bool>) {
        let mut asked = stopped(stopping.clone());
        tokio::select! {
            () = crds::wait_until_served(&self.client, &self.readiness) => {}
            () = &mut asked => return,
        }
        let triggers = Arc::new(Triggers::default());
        let (tenants, tenant_writers) = stores(&self.scopes);
        let (policies, policy_writers) = stores(&self.scopes);
        let (webhooks, webhook_writers) = stores(&self.scopes);
        let (secrets, secret_writers) = stores(&self.scopes);
        let (config_maps, config_map_writers) = stores::<PartialObjectMeta<ConfigMap>>(&self.scopes);
        let queues: Vec<_> = self
            .scopes
            .iter()
            .map(|scope| {
                let scope = scope.as_deref();
                (triggers.tenant_queue(scope), triggers.policy_queue(scope), triggers.webhook_queue(scope))
            })
            .collect();
        let context = Arc::new(Context {
            client: self.client.clone(),
            tenants: tenants.clone(),
            policies: policies.clone(),
            webhooks: webhooks.clone(),
            secrets: secrets.clone(),
            index: Arc::new(Index::default()),
            sessions: Sessions::default(),
            hosts: Hosts::new(),
            observer: Arc::new(Observer { metrics: self.metrics.clone(), triggers: triggers.clone() }),
            prober: Prober::new(),
            trail: self.trail.clone(),
            metrics: self.metrics.clone(),
            memos: Memos::default(),
            triggers: triggers.clone(),
            settings: self.settings.clone(),
        });
        let mut tasks = JoinSet::new();
        let recounts = triggers.clone();
        tasks.spawn(async move { recounts.run_recounts().await });
        let gate = |kind: &str, scope: &Option<String>| {
            let place = scope.as_ref().map_or_else(|| "all namespaces".to_owned(), |name| format!("namespace {name}"));
            self.readiness.gate(format!("{kind} in {place}"), format!("the first list of {kind} in {place}"))
        };
        for (scope, writer) in tenant_writers {
            let gate = gate("CognigyTenants", &scope);
            tasks.spawn(watches::tenants(
                context.clone(),
                self.api(scope.as_deref()),
                self.watch.clone(),
                writer,
                gate,
            ));
        }
        for (scope, writer) in policy_writers {
            let gate = gate("RetryPolicies", &scope);
            tasks.spawn(watches::policies(
                context.clone(),
                self.api(scope.as_deref()),
                self.watch.clone(),
                writer,
                gate,
            ));
        }
        for (scope, writer) in webhook_writers {
            let gate = gate("CognigyWebhooks", &scope);
            tasks.spawn(watches::webhooks(
                context.clone(),
                self.api(scope.as_deref()),
                self.watch.clone(),
                writer,
                gate,
            ));
        }
        let all = watcher::Config::default();
        for (scope, writer) in secret_writers {
            let gate = gate("Secrets", &scope);
            let of = context.clone();
            let concern = move |key: &crate::api::ObjectKey| {
                of.index.tenants_of_secret(key).into_iter().for_each(|tenant| of.triggers.tenant(tenant));
                of.triggers.webhooks(of.index.webhooks_of_secret(key));
            };
            tasks.spawn(watches::sources(self.api(scope.as_deref()), all.clone(), writer, gate, concern));
        }
        for (scope, writer) in config_map_writers {
            let gate = gate("ConfigMaps", &scope);
            let of = context.clone();
            let concern = move |key: &crate::api::ObjectKey| {
                of.index.tenants_of_config_map(key).into_iter().for_each(|tenant| of.triggers.tenant(tenant));
            };
            tasks.spawn(watches::sources(self.api(scope.as_deref()), all.clone(), writer, gate, concern));
        }
        let filled = async {
            tenants.ready().await;
            policies.ready().await;
            webhooks.ready().await;
            secrets.ready().await;
            config_maps.ready().await;
        };
        tokio::select! {
            () = filled => tracing::info!("all watches are in sync"),
            () = &mut asked => return,
        }
        self.started.open();
        let mut controllers = Vec::new();
        for (scope, (tenant_queue, policy_queue, webhook_queue)) in self.scopes.iter().zip(queues) {
            let stop = || stopped(stopping.clone());
            controllers.push(self.control(
                tenants.store(scope.as_ref()),
                tenant_queue,
                stop(),
                tenant::reconcile,
                &context,
            ));
            controllers.push(self.control(
                policies.store(scope.as_ref()),
                policy_queue,
                stop(),
                retry_policy::reconcile,
                &context,
            ));
            controllers.push(self.control(
                webhooks.store(scope.as_ref()),
                webhook_queue,
                stop(),
                webhook::reconcile,
                &context,
            ));
        }
        futures::future::join_all(controllers).await;
        tasks.shutdown().await;
    }

    fn api<K>(&self, scope: Option<&str>) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        scope.map_or_else(|| Api::all(self.client.clone()), |namespace| Api::namespaced(self.client.clone(), namespace))
    }

    /// Runs one controller until it is asked to stop and its passes have ended.
    fn control<K, F>(
        &self,
        store: Option<Store<K>>,
        queue: impl futures::Stream<Item = ObjectRef<K>> + Send + 'static,
        stop: BoxFuture<'static, ()>,
        reconcile: impl Fn(Arc<K>, Arc<Context>) -> F + Send + Sync + Copy + 'static,
        context: &Arc<Context>,
    ) -> BoxFuture<'static, ()>
    where
        K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
        F: Future<Output = Result<Action, PassError>> + Send + 'static,
    {
        let Some(store) = store else { return futures::future::ready(()).boxed() };
        let stop = stop.shared();
        let pass = move |object: Arc<K>, context: Arc<Context>| measured(object, context, reconcile);
        // The queue ends with the stop, so that nothing new begins; the watch behind `store` goes on.
        Controller::for_shared_stream(futures::stream::pending(), store)
            .with_config(controller::Config::default().concurrency(self.concurrency))
            .reconcile_on(queue)
            .graceful_shutdown_on(stop)
            .run(pass, again, context.clone())
            .for_each(|outcome| {
                if let Err(error) = outcome {
                    tracing::debug!(%error, "pass");
                }
                std::future::ready(())
            })
            .boxed()
    }
}

/// One pass, counted and timed.
async fn measured<K, F>(
    object: Arc<K>,
    context: Arc<Context>,
    reconcile: impl Fn(Arc<K>, Arc<Context>) -> F,
) -> Result<Action, PassError>
where
    K: Resource<DynamicType = ()>,
    F: Future<Output = Result<Action, PassError>>,
{
    let started = Instant::now();
    let key = crate::api::ObjectKey::of(&*object);
    let outcome = reconcile(object, context.clone()).await;
    let label = if outcome.is_ok() { "ok" } else { "error" };
    context.metrics.reconcile(&K::kind(&()), label, started.elapsed());
    if let Err(error) = &outcome {
        tracing::warn!(kind = %K::kind(&()), object = %key, %error, "a pass failed and is repeated");
    }
    outcome
}

/// When a pass that failed on Kubernetes itself is repeated: soon, then less and less often.
#[allow(clippy::needless_pass_by_value, reason = "the signature is kube's")]
fn again<K: Resource>(object: Arc<K>, _: &PassError, context: Arc<Context>) -> Action {
    let failures = context.memos.update(&object.uid().unwrap_or_default(), |memo| {
        memo.kubernetes_failures += 1;
        memo.kubernetes_failures
    });
    Action::requeue(backoff::after_failures(failures, Duration::from_millis(200), Duration::from_secs(30)))
}

fn stopped(mut stopping: watch::Receiver<bool>) -> BoxFuture<'static, ()> {
    async move {
        // An error means that the sender is gone: the process is ending.
        let _ = stopping.wait_for(|stop| *stop).await;
    }
    .boxed()
}

type Writers<K> = Vec<(Option<String>, Writer<K>)>;

fn stores<K>(scopes: &[Option<String>]) -> (Cache<K>, Writers<K>)
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
