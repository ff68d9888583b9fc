//! cognigy-simulator

pub mod callbacks;
pub mod faults;
pub mod log;
pub mod options;
pub mod route;
pub mod simulator;
pub mod sinks;
pub mod state;
pub mod targets;
pub mod tls;

pub use callbacks::CallbackRequest;
pub use faults::{ActiveFault, Effect, Fault, FaultId, RetryAfter};
pub use log::Request;
pub use options::{
    ALL_SCOPES, ClientAuthentication, Credentials, CursorStyle, ErrorFormat, IdField, IdStyle, Locking, Options, Quota,
    StaleStatus, Support, TlsOptions,
};
pub use route::Route;
pub use simulator::{Callback, Error, Handle, Simulator, Sink};
pub use sinks::SinkMessage;
pub use state::{BotWebhook, Change, ChangeKind, IntegrationRecord, State};
pub use targets::Answer;
pub use tls::{Certificate, TlsVersions};
