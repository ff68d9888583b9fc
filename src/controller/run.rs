//! Starts the operator, and ends it in order.

use std::{io, time::Duration};

use futures::FutureExt as _;
use kube::Client;
use thiserror::Error;
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use super::{context::Settings, own, work::Work};
use crate::{
    args::Run,
    cluster::{
        audit::{AuditSink, Trail, reporting_instance},
        lease::{Election, Lost, Term, lease_name},
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
    /// Another process may work from now on: what this one knows is worth nothing any more, and it ends.
    #[error("{0}: this process does no more work, and ends to begin anew as a standby")]
    Lost(#[from] Lost),
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
    let election = if args.leader_elect {
        let namespace = args.leader_election_namespace.as_ref().unwrap_or(&config.default_namespace);
        let name = lease_name(&args.watch_namespaces, args.watch_label_selector.as_deref());
        Some(Election::new(config.clone(), namespace, &name, &reporting_instance())?)
    } else {
        None
    };
    let operator = Operator {
        election,
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
    /// The Lease without which nothing is done; none where no other process takes care of the same.
    pub election: Option<Election>,
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
    /// Runs until `shutdown` resolves: then nothing new begins, passes under way end, events are written, the Lease is released, and
    /// the server of the probes goes last. Where the Lease is lost everything is dropped at once.
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send + 'static) -> Result<(), RunError> {
        let (readiness, liveness, metrics) = (Readiness::default(), Liveness::default(), Metrics::new()?);
        let stop = CancellationToken::new();
        metrics.leader(self.election.is_none());
        // Closed before the first answer is given: an empty set of gates would count as ready.
        let started = readiness.gate("start", "the watches to begin");
        let told = Told { readiness: readiness.clone(), liveness: liveness.clone(), metrics: metrics.clone() };
        let (all_done, probes_end) = tokio::sync::oneshot::channel::<()>();
        let probes = tokio::spawn(server::serve(self.listener, told, probes_end.map(drop)));
        tokio::spawn(shutdown.map({
            let stop = stop.clone();
            move |()| stop.cancel()
        }));
        let (term, mut elected) = Elected::start(self.election);
        let (trail, writer) = Trail::new(self.client.clone(), self.audit, &reporting_instance());
        let writer = tokio::spawn({
            let term = term.clone();
            async move {
                term.begins().await;
                term.within(writer).await
            }
        });
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
            metrics: metrics.clone(),
            trail: trail.clone(),
            term: term.clone(),
        };
        let pulse = liveness.pulse("runtime", PULSE * 3);
        let mut work = Box::pin(work.run(stop.clone()));
        let mut beats = tokio::time::interval(PULSE);
        let mut leads = false;
        loop {
            tokio::select! {
                () = &mut work => break,
                _ = beats.tick() => pulse.beat(),
                () = term.begins(), if !leads => {
                    leads = true;
                    metrics.leader(true);
                }
                // Work, and with it all that is under way, is dropped.
                lost = elected.lost() => return Err(lost.into()),
                () = stop.cancelled() => {
                    tracing::info!("stopping: passes under way may end within {} s", grace.as_secs());
                    tokio::select! {
                        () = &mut work => {}
                        () = tokio::time::sleep(grace) => {
                            tracing::warn!("passes were still under way at the end of the grace period; their objects are looked at again at the next start");
                        }
                        lost = elected.lost() => tracing::warn!("{lost}: passes under way are dropped"),
                    }
                    break;
                }
            }
        }
        pulse.finish();
        drop(work);
        if term.holds() {
            trail.flush().await;
        }
        writer.abort();
        elected.resign().await;
        drop(all_done);
        probes.await.map_err(|error| RunError::Server(io::Error::other(error)))?.map_err(RunError::Server)
    }
}

/// The task that stands by, leads and lets go.
struct Elected {
    task: Option<JoinHandle<Result<(), Lost>>>,
    end: CancellationToken,
}

impl Elected {
    /// Stands for election; without one the term has begun already.
    fn start(election: Option<Election>) -> (Term, Self) {
        let end = CancellationToken::new();
        match election {
            Some(election) => {
                let term = Term::new();
                // A task of its own: whatever the operator does, renewals come in time.
                let task = tokio::spawn(election.run(term.clone(), end.clone()));
                (term, Self { task: Some(task), end })
            }
            None => (Term::endless(), Self { task: None, end }),
        }
    }

    /// Waits until the Lease is lost.
    async fn lost(&mut self) -> Lost {
        let Some(task) = &mut self.task else { return std::future::pending().await };
        let ended = task.await;
        self.task = None;
        match ended {
            Ok(Err(lost)) => lost,
            // Nobody asked it to end yet.
            Ok(Ok(())) => Lost::Ended("its task ended".to_owned()),
            Err(error) => Lost::Ended(error.to_string()),
        }
    }

    /// Lets go of the Lease, so that the next one can begin at once.
    async fn resign(mut self) {
        self.end.cancel();
        if let Some(task) = self.task.take()
            && let Err(error) = task.await
        {
            tracing::warn!(%error, "the Lease was not released");
        }
    }
}
