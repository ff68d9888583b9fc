//! The controllers: how a change of a resource becomes calls to Cognigy and a status (docs/design.md).
//!
//! ```text
//!  watches.rs ──► stores, index.rs ──► triggers.rs ──► queues ──► reconcile: tenant / retry_policy / webhook
//!                                          ▲                          │ one pass: observe → plan → apply → report
//!                                          └── sessions.rs ◄──────────┘
//! ```
//!
//! One watch per kind fills a store and says whom a change concerns; the queues drop what is asked for twice; one object
//! is never in two passes at once.

mod backoff;
mod context;
mod door;
mod error;
pub mod figures;
mod gauges;
mod index;
mod memo;
mod observer;
mod office;
mod own;
mod pass;
mod rates;
pub mod rehearsal;
pub mod retry_policy;
mod run;
mod seen;
mod sessions;
mod status;
mod tell;
pub mod tenant;
mod triggers;
mod watches;
pub mod webhook;
mod work;

pub use context::Settings;
pub use error::Failure;
pub use run::{Operator, RunError, run};
