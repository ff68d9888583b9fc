//! A Cognigy installation in memory: every route, header, limit and error of cognigy-api.md §1–§5, the habits of §8 as
//! [`Options`], and faults on demand. Strict, so that it refuses what Cognigy would refuse; deterministic, so that a test that
//! failed once fails again.
//!
//! ```text
//!   Simulator ── listeners (server.rs) ──┬─ /_sim/…       admin.rs: this Rust API over HTTP
//!       │ derefs to                      ├─ /callbacks/…  callbacks.rs: takes health checks only
//!     Handle ──────────┐                 ├─ /sinks/…      sinks.rs: records everything
//!                      ▼                 └─ else          api.rs: log → quota → latency → fault → routes/
//!              Shared: one lock around State (options, store, log, faults, …), one signal "changed"
//! ```
//!
//! Everything lies under one lock, so a look at it is a look at one moment, and a test waits for what it wants to see:
//!
//! ```
//! # tokio::runtime::Runtime::new().unwrap().block_on(async {
//! use cognigy_simulator::{Answer, Fault, Options, Route, Simulator};
//! use serde_json::json;
//!
//! let sim = Simulator::start(Options { post_carries_etag: true, ..Options::default() })?;
//! sim.fault(Fault::on(Route::PutWebhook).times(2).status(503));
//! sim.callback("orders").answers([Answer::status(500), Answer::hang()]);
//!
//! let id = sim.add_integration(json!({"name": "orders", "url": sim.callback_url("orders").as_str(), "status": "active"}));
//! sim.change_behind(&id, json!({"status": "inactive"}));
//! sim.wait_until(|state| state.active_versions("orders").is_empty()).await;
//! assert_eq!(sim.interruptions("orders").len(), 1);
//! # Ok::<_, cognigy_simulator::Error>(())
//! # }).unwrap();
//! ```
//!
//! Requests, callbacks, messages and changes share one sequence (`seq`), so "the check came before the activation" is a
//! comparison of two numbers. README.md lists the admin API and says how the simulator decides where the contract leaves room.

mod admin;
mod api;
mod auth;
pub mod callbacks;
pub mod collection;
mod echo;
mod exchange;
pub mod faults;
pub mod handle;
mod history;
pub mod log;
pub mod options;
pub mod passage;
mod port;
mod problem;
mod quota;
pub mod route;
mod routes;
mod server;
mod shared;
pub mod simulator;
pub mod sinks;
pub mod state;
mod store;
pub mod targets;
pub mod tls;
pub mod validate;
mod views;

pub use admin::describe;
pub use callbacks::CallbackRequest;
pub use collection::Collection;
pub use faults::{ActiveFault, Effect, Fault, FaultId, RetryAfter};
pub use handle::{Callback, Handle, Sink};
pub use log::Request;
pub use options::{
    ALL_SCOPES, ClientAuthentication, Credentials, CursorStyle, ErrorFormat, IdField, IdStyle, Locking, LogDetail,
    Options, Quota, StaleStatus, Support, TlsOptions,
};
pub use passage::{Destination, Moment, Passage, Verdict};
pub use route::Route;
pub use simulator::{Error, Simulator};
pub use sinks::SinkMessage;
pub use state::{BotWebhook, Change, ChangeKind, IntegrationRecord, State};
pub use targets::Answer;
pub use tls::{Certificate, TlsVersions};
