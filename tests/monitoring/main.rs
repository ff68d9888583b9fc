//! What the operator is watched by: metrics, rules and dashboard say the same.
#![allow(clippy::unwrap_used)]

mod dashboard;
mod exported;
#[path = "../operator/harness/mod.rs"]
#[allow(dead_code, unused_imports, reason = "shared with the tests of the operator, which use more of it")]
mod harness;
#[path = "../operator/program.rs"]
#[allow(dead_code, reason = "shared with the tests of the operator, which use more of it")]
mod program;
mod promtool;
mod queries;
mod rules;
mod runbooks;
mod table;
