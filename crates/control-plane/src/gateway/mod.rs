//! A gateway in front of the API server that can fail in every way that a network and a busy API server can.
//!
//! ```text
//! client ──http──► Gateway ──https, as the user──► kube-apiserver
//!                    │ act(|request| Action)      what happens to a request: answered otherwise, cut, hung, delayed …
//!                    │ once(matching, Action)     the same for the next matching request only
//!                    │ hold(Stage, matching)      stops the next matching request until the test lets it go
//!                    └ log()                      all requests and what became of them
//! ```
//!
//! ```no_run
//! # async fn example(plane: control_plane::ControlPlane) -> Result<(), Box<dyn std::error::Error>> {
//! use control_plane::{User, gateway::{Action, Answer, Stage}};
//! use http::StatusCode;
//!
//! let gateway = plane.gateway(&User::named("operator").group("system:masters")).await?;
//! let kubeconfig = gateway.kubeconfig()?; // for a client in this process; gateway.kubeconfig_file() for a program
//!
//! // The next write of a status is refused as if somebody had been faster.
//! gateway.once(
//!     |request| request.is_write() && request.subresource.as_deref() == Some("status"),
//!     Answer::error(StatusCode::CONFLICT, "Conflict", "the object has been modified"),
//! );
//! // From now on no event can be written.
//! gateway.act(|request| match request.resource.as_str() {
//!     "events" => Answer::error(StatusCode::FORBIDDEN, "Forbidden", "no events here").into(),
//!     _ => Action::Pass,
//! });
//! gateway.pass_all();
//!
//! // Stops the third write after the API server has made it, before the client knows.
//! let stopped = gateway.hold(Stage::AfterAnswer, {
//!     let writes = std::sync::atomic::AtomicUsize::new(0);
//!     move |request| request.is_write() && writes.fetch_add(1, std::sync::atomic::Ordering::Relaxed) == 2
//! });
//! let held = stopped.reached().await?;
//! println!("{} {:?} was answered {:?}", held.request.verb, held.request.name, held.status);
//! // … kill the client's process here …
//! held.cut(); // or held.release()
//!
//! gateway.wait_until(|log| log.iter().any(|exchange| exchange.request.is("watch", "cognigywebhooks"))).await;
//! gateway.disconnect(); // closes all connections, as a restarted load balancer does
//! # Ok(()) }
//! ```

mod request;
mod rules;
mod serve;

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use hyper::body::Bytes;
use tokio::{
    net::TcpListener,
    sync::{oneshot, watch},
    task::JoinHandle,
};

pub use request::Request;
pub use rules::{Action, Answer, Held, Hold, Stage};

use crate::{ControlPlane, Result, User, error::IoContext, kubeconfig::plain_kubeconfig};

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is not answered yet.
    Pending,
    /// The client was given this status, by the API server or by the gateway itself. A watch may still go on.
    Answered(u16),
    /// The connection was closed instead of an answer; with the API server's status if it had answered.
    Cut(Option<u16>),
    /// The API server could not be reached, or went away in the middle; the connection was closed.
    Unreachable,
}

/// A request and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// What was asked.
    pub request: Request,
    /// How it ended.
    pub outcome: Outcome,
}

/// A running gateway; it ends, with all of its connections, when it is dropped.
#[derive(Debug)]
pub struct Gateway {
    url: String,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
    kubeconfig_file: PathBuf,
}

type Matcher = Box<dyn Fn(&Request) -> bool + Send + Sync>;
type Decider = Box<dyn Fn(&Request) -> Action + Send + Sync>;

/// What the connections and the test share.
struct Shared {
    rules: Mutex<Rules>,
    log: watch::Sender<Vec<Exchange>>,
    /// Changes when all connections are to be closed.
    connections: watch::Sender<()>,
}

#[derive(Default)]
struct Rules {
    act: Option<Decider>,
    once: Vec<(Matcher, Action)>,
    holds: Vec<(Stage, Matcher, oneshot::Sender<Held>)>,
}

impl ControlPlane {
    /// A gateway on a free loopback port whose clients are this user to the API server. It may be started while the API server is stopped.
    pub async fn gateway(&self, user: &User) -> Result<Gateway> {
        let action = || "start a gateway".to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.while_trying(action)?;
        let url = format!("http://{}", listener.local_addr().while_trying(action)?);
        let upstream = serve::Upstream::new(self.url(), self.ca_pem(), &self.identity(user)?).while_trying(action)?;
        let shared = Arc::new(Shared {
            rules: Mutex::default(),
            log: watch::Sender::default(),
            connections: watch::Sender::default(),
        });
        let task = tokio::spawn(serve::serve(listener, Arc::new(upstream), Arc::clone(&shared)));
        let kubeconfig_file = self.put_kubeconfig(&plain_kubeconfig(&url)?)?;
        Ok(Gateway { url, shared, task, kubeconfig_file })
    }
}

impl Gateway {
    /// `http://127.0.0.1:<port>`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A kubeconfig for its clients: without TLS and credentials, which the gateway adds.
    pub fn kubeconfig(&self) -> Result<String> {
        plain_kubeconfig(&self.url)
    }

    /// [`Self::kubeconfig`] as a file that lasts as long as the control plane.
    pub fn kubeconfig_file(&self) -> &Path {
        &self.kubeconfig_file
    }

    /// From now on this decides about each request, in place of what decided before.
    pub fn act(&self, decide: impl Fn(&Request) -> Action + Send + Sync + 'static) {
        self.shared.rules().act = Some(Box::new(decide));
    }

    /// Does this to the next matching request, and once; such rules go before [`Self::act`], the oldest first.
    pub fn once(&self, matching: impl Fn(&Request) -> bool + Send + Sync + 'static, action: impl Into<Action>) {
        self.shared.rules().once.push((Box::new(matching), action.into()));
    }

    /// From now on every request passes; what is hung or held stays so.
    pub fn pass_all(&self) {
        let mut rules = self.shared.rules();
        rules.act = None;
        rules.once.clear();
    }

    /// Holds the next matching request at this stage. What [`Self::act`] or [`Self::once`] say happens to it besides: a
    /// request that is not forwarded never reaches [`Stage::AfterAnswer`].
    pub fn hold(&self, stage: Stage, matching: impl Fn(&Request) -> bool + Send + Sync + 'static) -> Hold {
        let (reached, hold) = oneshot::channel();
        self.shared.rules().holds.push((stage, Box::new(matching), reached));
        Hold(hold)
    }

    /// Closes all client connections: watches end, idle connections are gone. New ones are taken as ever.
    pub fn disconnect(&self) {
        self.shared.connections.send_replace(());
    }

    /// All requests so far, in the order of their arrival.
    pub fn log(&self) -> Vec<Exchange> {
        self.shared.log.borrow().clone()
    }

    /// Waits until the log is as described.
    pub async fn wait_until(&self, mut described: impl FnMut(&[Exchange]) -> bool) {
        // The sender lives as long as `self`.
        let _ = self.shared.log.subscribe().wait_for(|log| described(log)).await;
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    fn rules(&self) -> MutexGuard<'_, Rules> {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a request.
    fn arrived(&self, method: &http::Method, uri: &http::Uri, body: Bytes) -> Request {
        let mut request = Request::new(0, method, uri, body);
        self.log.send_modify(|log| {
            request.number = log.len();
            log.push(Exchange { request: request.clone(), outcome: Outcome::Pending });
        });
        request
    }

    fn ended(&self, request: &Request, outcome: Outcome) {
        self.log.send_modify(|log| log[request.number].outcome = outcome);
    }

    fn action(&self, request: &Request) -> Action {
        let mut rules = self.rules();
        match rules.once.iter().position(|(matching, _)| matching(request)) {
            Some(first) => rules.once.remove(first).1,
            None => rules.act.as_ref().map(|act| act(request)).unwrap_or_default(),
        }
    }

    /// Waits while the request is held; whether it may go on.
    async fn pass(&self, stage: Stage, request: &Request, status: Option<u16>) -> bool {
        let held = {
            let mut rules = self.rules();
            let first = rules.holds.iter().position(|(at, matching, _)| *at == stage && matching(request));
            first.map(|first| rules.holds.remove(first).2)
        };
        let Some(reached) = held else { return true };
        let (verdict, decided) = oneshot::channel();
        let held = Held { request: request.clone(), status, verdict };
        // Nobody waits any more: then nobody wants it held.
        reached.send(held).is_err() || !matches!(decided.await, Ok(rules::Verdict::Cut))
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Shared").field("requests", &self.log.borrow().len()).finish_non_exhaustive()
    }
}
