//! cognigy-simulator

mod admin;
mod api;
mod auth;
pub mod callbacks;
mod exchange;
pub mod faults;
pub mod handle;
pub mod log;
pub mod options;
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

pub use admin::describe;
pub use callbacks::CallbackRequest;
pub use faults::{ActiveFault, Effect, Fault, FaultId, RetryAfter};
pub use handle::{Callback, Handle, Sink};
pub use log::Request;
pub use options::{
    ALL_SCOPES, ClientAuthentication, Credentials, CursorStyle, ErrorFormat, IdField, IdStyle, Locking, Options, Quota,
    StaleStatus, Support, TlsOptions,
};
pub use route::Route;
pub use simulator::{Error, Simulator};
pub use sinks::SinkMessage;
pub use state::{BotWebhook, Change, ChangeKind, IntegrationRecord, State};
pub use targets::Answer;
pub use tls::{Certificate, TlsVersions};
