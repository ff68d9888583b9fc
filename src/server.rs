//! What Kubernetes and Prometheus ask over HTTP: `/livez`, `/readyz`, `/metrics` (docs/resources.md, «The operator's
//! command line»).

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::{
    Router,
    extract::{Query, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use tokio::{net::TcpListener, time::Instant};

use crate::metrics::Metrics;

/// How long connections may take to end by themselves once the server is asked to stop.
const DRAIN: Duration = Duration::from_secs(3);

/// What must be in place before the operator counts as ready: a set of named gates, each open or closed with a reason.
/// Cheap to clone; every clone is the same set. With no gates at all it is ready.
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<Mutex<BTreeMap<String, Option<String>>>>);

/// One thing that is waited for. It stays as it is when this handle is dropped.
#[derive(Clone, Debug)]
pub struct Gate {
    name: String,
    readiness: Readiness,
}

impl Readiness {
    /// Adds a gate, closed, because of `waiting_for`: a phrase such as `the first list of CognigyWebhooks`.
    pub fn gate(&self, name: impl Into<String>, waiting_for: impl Into<String>) -> Gate {
        let gate = Gate { name: name.into(), readiness: self.clone() };
        gate.close(waiting_for);
        gate
    }

    /// The closed gates with their reasons, by name.
    pub fn waiting(&self) -> Vec<(String, String)> {
        self.gates().iter().filter_map(|(name, why)| Some((name.clone(), why.clone()?))).collect()
    }

    /// Whether all gates are open.
    pub fn is_ready(&self) -> bool {
        self.gates().values().all(Option::is_none)
    }

    fn gates(&self) -> MutexGuard<'_, BTreeMap<String, Option<String>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Gate {
    /// What was waited for is there.
    pub fn open(&self) {
        self.readiness.gates().insert(self.name.clone(), None);
    }

    /// It has to be waited for (again), because of `waiting_for`.
    pub fn close(&self, waiting_for: impl Into<String>) {
        self.readiness.gates().insert(self.name.clone(), Some(waiting_for.into()));
    }
}

/// Whether the tasks that must always run still do. Cheap to clone; every clone is the same set.
#[derive(Clone, Debug, Default)]
pub struct Liveness(Arc<Mutex<BTreeMap<String, Beat>>>);

#[derive(Clone, Debug)]
enum Beat {
    Until(Instant),
    Ended,
}

/// Held by a task for as long as it runs. Dropped without [`Pulse::finish`] (the task returned or panicked), the process
/// is no longer alive.
#[derive(Debug)]
pub struct Pulse {
    name: String,
    silence: Duration,
    liveness: Liveness,
    finished: bool,
}

impl Liveness {
    /// A task that promises to [`beat`](Pulse::beat) at least every `silence`.
    pub fn pulse(&self, name: impl Into<String>, silence: Duration) -> Pulse {
        let pulse = Pulse { name: name.into(), silence, liveness: self.clone(), finished: false };
        pulse.beat();
        pulse
    }

    /// The tasks that ended or hang, each with a sentence; empty while all is well.
    pub fn stuck(&self) -> Vec<String> {
        self.stuck_at(Instant::now())
    }

    fn stuck_at(&self, now: Instant) -> Vec<String> {
        let sentence = |(name, beat): (&String, &Beat)| match beat {
            Beat::Until(deadline) if *deadline >= now => None,
            Beat::Until(_) => Some(format!("{name}: no progress")),
            Beat::Ended => Some(format!("{name}: ended unexpectedly")),
        };
        self.tasks().iter().filter_map(sentence).collect()
    }

    fn tasks(&self) -> MutexGuard<'_, BTreeMap<String, Beat>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pulse {
    /// The task made progress.
    pub fn beat(&self) {
        self.liveness.tasks().insert(self.name.clone(), Beat::Until(Instant::now() + self.silence));
    }

    /// The task ends as it should.
    pub fn finish(mut self) {
        self.finished = true;
    }
}

impl Drop for Pulse {
    fn drop(&mut self) {
        let mut tasks = self.liveness.tasks();
        if self.finished {
            tasks.remove(&self.name);
        } else {
            tasks.insert(self.name.clone(), Beat::Ended);
        }
    }
}

/// What the server tells.
#[derive(Clone, Debug)]
pub struct Told {
    /// Behind `/readyz`.
    pub readiness: Readiness,
    /// Behind `/livez`.
    pub liveness: Liveness,
    /// Behind `/metrics`.
    pub metrics: Metrics,
}

/// Answers on `listener` until `shutdown` resolves; then open requests are finished, for at most three seconds.
pub async fn serve(
    listener: TcpListener,
    told: Told,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let (stopping, stopped) = tokio::sync::oneshot::channel();
    let shutdown = async move {
        shutdown.await;
        let _ = stopping.send(());
    };
    let drained = async {
        // The sender is only dropped unsent when the server ended first.
        if stopped.await.is_ok() {
            tokio::time::sleep(DRAIN).await;
        } else {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        ended = axum::serve(listener, router(told)).with_graceful_shutdown(shutdown) => ended,
        () = drained => Ok(()),
    }
}

fn router(told: Told) -> Router {
    Router::new()
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(told)
}

async fn livez(State(told): State<Told>) -> Response {
    let stuck = told.liveness.stuck();
    if stuck.is_empty() {
        (StatusCode::OK, "ok\n").into_response()
    } else {
        (StatusCode::INTERNAL_SERVER_ERROR, format!("not alive\n{}\n", stuck.join("\n"))).into_response()
    }
}

async fn readyz(State(told): State<Told>, Query(query): Query<BTreeMap<String, String>>) -> Response {
    let gates = told.readiness.gates().clone();
    let ready = gates.values().all(Option::is_none);
    let mut body = String::from(if ready { "ok\n" } else { "not ready\n" });
    for (name, why) in gates {
        // Writing to a string cannot fail.
        let _ = match why {
            Some(why) => writeln!(body, "[-] {name}: waiting for {why}"),
            None if query.contains_key("verbose") => writeln!(body, "[+] {name}: ok"),
            None => Ok(()),
        };
    }
    (if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, body).into_response()
}

async fn metrics(State(told): State<Told>) -> Response {
    match told.metrics.render() {
        Ok(text) => ([(header::CONTENT_TYPE, prometheus::TEXT_FORMAT)], text).into_response(),
        Err(error) => {
            (StatusCode::INTERNAL_SERVER_ERROR, format!("cannot render the metrics: {error}\n")).into_response()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Running {
        told: Told,
        base: String,
        stop: tokio::sync::oneshot::Sender<()>,
        server: tokio::task::JoinHandle<io::Result<()>>,
    }

    async fn start() -> Running {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let told =
            Told { readiness: Readiness::default(), liveness: Liveness::default(), metrics: Metrics::new().unwrap() };
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let server = tokio::spawn(serve(listener, told.clone(), async {
            let _ = stopped.await;
        }));
        Running { told, base, stop, server }
    }

    impl Running {
        async fn get(&self, path: &str) -> (u16, String) {
            let client = reqwest::Client::builder().no_proxy().build().unwrap();
            let answer = client.get(format!("{}{path}", self.base)).send().await.unwrap();
            (answer.status().as_u16(), answer.text().await.unwrap())
        }
    }

    #[tokio::test]
    async fn readyz_names_what_is_waited_for_and_turns_ready_when_it_is_there() {
        let running = start().await;
        let watch = running.told.readiness.gate("webhooks", "the first list of CognigyWebhooks");
        running.told.readiness.gate("tenants", "the first list of CognigyTenants").open();
        let (status, body) = running.get("/readyz").await;
        assert_eq!(status, 503);
        assert_eq!(body, "not ready\n[-] webhooks: waiting for the first list of CognigyWebhooks\n");
        watch.open();
        assert_eq!(running.get("/readyz").await, (200, "ok\n".into()));
        assert_eq!(running.get("/readyz?verbose").await, (200, "ok\n[+] tenants: ok\n[+] webhooks: ok\n".into()));
        watch.close("the watch to be restored");
        assert_eq!(running.get("/readyz").await.0, 503);
    }

    #[tokio::test]
    async fn livez_names_the_task_that_ended_unexpectedly() {
        let running = start().await;
        let minute = Duration::from_mins(1);
        let done = running.told.liveness.pulse("a finished task", minute);
        let crashed = running.told.liveness.pulse("the event writer", minute);
        assert_eq!(running.get("/livez").await, (200, "ok\n".into()));
        done.finish();
        drop(crashed);
        assert_eq!(running.get("/livez").await, (500, "not alive\nthe event writer: ended unexpectedly\n".into()));
    }

    #[test]
    fn a_task_that_is_silent_for_too_long_is_named() {
        let liveness = Liveness::default();
        let pulse = liveness.pulse("the controllers", Duration::from_mins(1));
        let start = Instant::now();
        assert_eq!(liveness.stuck_at(start + Duration::from_secs(30)), Vec::<String>::new());
        assert_eq!(liveness.stuck_at(start + Duration::from_secs(61)), ["the controllers: no progress"]);
        pulse.beat();
        assert!(liveness.stuck_at(start + Duration::from_secs(30)).is_empty());
    }

    #[tokio::test]
    async fn metrics_are_prometheus_text_and_unknown_paths_are_not_found() {
        let running = start().await;
        running.told.metrics.leader(true);
        let (status, body) = running.get("/metrics").await;
        assert_eq!(status, 200);
        assert!(body.contains("# TYPE cognigy_operator_leader gauge\ncognigy_operator_leader 1\n"), "{body}");
        assert_eq!(running.get("/").await.0, 404);
    }

    #[tokio::test]
    async fn the_server_ends_when_it_is_asked_to() {
        let running = start().await;
        assert_eq!(running.get("/livez").await.0, 200);
        running.stop.send(()).unwrap();
        running.server.await.unwrap().unwrap();
    }
}
