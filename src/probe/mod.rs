//! Callback health checks (cognigy-api.md §5), and the guard that keeps them from being turned against the cluster.
//!
//! A check goes one way: [`guard`] judges the URL → [`resolve`] asks for its addresses once → the guard judges all of them →
//! [`check`] connects to one that was judged, and to no other → [`tls`] says what was negotiated → the answer's status
//! decides. Nothing is followed, repeated or resolved a second time.

pub mod address;
pub mod check;
pub mod guard;
mod request;
pub mod resolve;
pub mod tls;

pub use address::Class;
pub use check::{Check, Prober, Report};
pub use guard::{Guard, HostPattern, InvalidPattern, Refusal, Rule};
pub use resolve::{Resolver, SystemResolver};
pub use tls::TlsVersion;
