//! Several processes of the real binary on a real API server: one works, another one follows, and two never work at the same time
//! (docs/high-availability.md).
#![allow(clippy::unwrap_used)]

mod calls;
#[path = "../operator/faketime.rs"]
mod faketime;
mod faults;
mod hand_over;
#[path = "../operator/harness/mod.rs"]
#[allow(dead_code, unused_imports, reason = "shared with the tests of the operator, which use more of it")]
mod harness;
mod lease;
#[path = "../operator/program.rs"]
#[allow(dead_code, reason = "shared with the tests of the operator, which use more of it")]
mod program;
mod replica;
mod shards;
