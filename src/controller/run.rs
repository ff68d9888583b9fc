//! Starts the operator, and ends it in order.

use std::{io, time::Duration};

use futures::FutureExt as _;
use kube::Client;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::{context::Settings, own, work::Work};
use crate::{
    args::Run,
    cluster::{
        audit::{AuditSink, Trail, reporting_instance},
        patience::Patience,
    },
    metrics::Metrics,
    server::{self, Liveness, Readiness, Told},
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
    let cannot_listen = |error| RunError::Listen { address: args.http_listen, error };
    let listener = TcpListener::bind(args.http_listen).await.map_err(cannot_listen)?;
    let settings = Settings {
        allow_insecure_http: args.allow_insecure_http,
        private_callbacks: args.allow_private_callbacks.clone(),
        never: own::addresses(&config, listener.local_addr().map_err(cannot_listen)?).await,
    };
    let operator = Operator {
        client: Patience::default().client(config)?,
        patience: Patience::default(),
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

/// An operator that is ready to run.
pub struct Operator {
    /// The API server.
    pub client: Client,
    /// How long its watches last.
    pub patience: Patience,
    /// The operator's own settings.
    pub settings: Settings,
    /// The namespaces to watch; none means all.
    pub namespaces: Vec<String>,
    /// The labels of the resources to take care of.
    pub label_selector: Option<String>,
    /// How many passes of one kind may be at work at the same time; those that wait for Cognigy are not counted.
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
        let stop = CancellationToken::new();
        metrics.leader(true);
        // Closed before the first answer is given: an empty set of gates would count as ready.
        let started = readiness.gate("start", "the watches to begin");
        let told = Told { readiness: readiness.clone(), liveness: liveness.clone(), metrics: metrics.clone() };
        let (all_done, probes_end) = tokio::sync::oneshot::channel::<()>();
        let probes = tokio::spawn(server::serve(self.listener, told, probes_end.map(drop)));
        tokio::spawn(shutdown.map({
            let stop = stop.clone();
            move |()| stop.cancel()
        }));
        let (trail, writer) = Trail::new(self.client.clone(), self.audit, &reporting_instance());
        let writer = tokio::spawn(writer);
        let grace = self.shutdown_grace;
        let scopes: Vec<Option<String>> =
            if self.namespaces.is_empty() { vec![None] } else { self.namespaces.iter().cloned().map(Some).collect() };
        let work = Work {
            client: self.client,
            settings: self.settings,
            scopes,
            watch: self.patience.watch(),
            label_selector: self.label_selector,
            concurrency: self.max_concurrent_reconciles,
            readiness,
            started,
            metrics,
            trail: trail.clone(),
        };
        let pulse = liveness.pulse("runtime", PULSE * 3);
        let mut work = Box::pin(work.run(stop.clone()));
        let mut beats = tokio::time::interval(PULSE);
        loop {
            tokio::select! {
                () = &mut work => break,
                _ = beats.tick() => pulse.beat(),
                () = stop.cancelled() => {
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
        drop(all_done);
        probes.await.map_err(|error| RunError::Server(io::Error::other(error)))?.map_err(RunError::Server)
    }
}
