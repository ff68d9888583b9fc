//! The Helm chart: what it renders, what it refuses, and what the real Helm makes of it on a real API server.
#![allow(clippy::unwrap_used)]

mod chart;
#[path = "../operator/harness/mod.rs"]
#[allow(dead_code, unused_imports, reason = "shared with the tests of the operator, which use more of it")]
mod harness;
mod judges;
mod pod;
#[path = "../operator/program.rs"]
#[allow(dead_code, reason = "shared with the tests of the operator, which use more of it")]
mod program;
mod refusals;
mod releases;
mod render;
mod rights;
mod schemas;
mod wait;
