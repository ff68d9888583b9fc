//! The plugin as a process, on a real API server with the operator at work and a simulated Cognigy.
//!
//! Golden output stands in `snapshots/`; `INSTA_UPDATE=always cargo test -p kubectl-cognigy` writes it anew.
#![allow(clippy::unwrap_used)]

mod actions;
mod check;
mod completion;
mod dead_letters;
mod diff;
mod doctor;
mod documents;
#[path = "../../../../tests/operator/harness/mod.rs"]
#[allow(dead_code, unused_imports, reason = "shared with the tests of the operator, which use more of it")]
mod harness;
mod import;
mod plugin;
mod scrub;
mod status;
mod timeline;
