//! Where connections may lead: what kind of network an address belongs to, and names that are judged as they are resolved.
//!
//! Two rules build on it. Health checks of callbacks go to the public Internet only, unless operator and tenant open a range
//! ([`crate::probe::guard`]). Calls to what a tenant names as its own (`baseUrl`, `tokenUrl`, sinks) may stay within private
//! networks, but never go to an address whose class is never allowed ([`judged`]).

pub mod address;
pub mod judged;
pub mod resolve;

pub use address::Class;
pub use judged::{JudgedNames, NeverCalled, judge_literal};
pub use resolve::{Resolver, SystemResolver};
