//! What goes out to the user's own systems (cognigy-api.md §6): monitoring, alerts and dead letters, as CloudEvents.
//!
//! ```text
//!  a pass ──► message.rs ──► status ──► watch ──► courier.rs ──► sink.rs ──► the user's system     alerts, dead letters
//!     │           │                                   └──► a pass notes in the status what was delivered
//!     └───────────┴──────► monitoring.rs ────────────────► sink.rs                                 monitoring
//! ```
//!
//! Alerts and dead letters live in the status of their object until they are delivered, and the [`courier`] knows them from
//! there only: what a process that dies leaves behind is seen by the next one. Monitoring messages are best effort. Neither
//! is ever waited for by a pass. Where the sinks are, and what is to be told of a delivery, is the [`Office`]'s business.

pub mod courier;
mod lanes;
pub mod message;
pub mod monitoring;
pub mod sink;

use futures::future::BoxFuture;

pub use courier::{Courier, Owner, OwnerKind, Progress, Settled, settle};
pub use message::CloudEvent;
pub use monitoring::Monitor;
pub use sink::{Sink, SinkError};

use crate::api::{ObjectKey, SinkKind};

/// What became of a try to deliver a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The sink accepted it.
    Delivered,
    /// It did not.
    Failed,
}

impl Outcome {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Delivered, Self::Failed];

    /// The metric label `outcome`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Failed => "failed",
        }
    }
}

/// Knows the tenants' sinks, and is told what becomes of messages.
pub trait Office: Send + Sync {
    /// A tenant's sink as it is now, its headers read just now.
    fn sink<'a>(&'a self, tenant: &'a ObjectKey, kind: SinkKind) -> BoxFuture<'a, Result<Sink, SinkError>>;

    /// There is something to note in the status of this object.
    fn told(&self, owner: &Owner);

    /// So many messages of this kind wait now.
    fn pending(&self, kind: SinkKind, count: usize);

    /// A try to deliver a message of this kind ended.
    fn tried(&self, kind: SinkKind, outcome: Outcome);

    /// A message of this kind was given up before it was tried.
    fn dropped(&self, kind: SinkKind);
}
