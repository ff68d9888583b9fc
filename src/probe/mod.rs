//! Callback health checks (cognigy-api.md §5), and the guard that keeps them from being turned against the cluster.
//!
//! A check goes one way: [`guard`] judges the URL → a [`Resolver`] is asked for its addresses once → the guard judges all of them →
//! [`check`] connects to one that was judged, and to no other → [`tls`] says what was negotiated → the answer's status
//! decides. Nothing is followed, repeated or resolved a second time.

pub mod check;
pub mod guard;
mod request;
pub mod tls;

pub use check::{Check, Prober, Report};
pub use guard::{Guard, HostPattern, InvalidPattern, Own, Refusal, Rule};
pub use tls::TlsVersion;

pub use crate::net::{Class, Resolver, SystemResolver};
