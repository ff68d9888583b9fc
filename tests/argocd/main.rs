//! What is made for Argo CD (`deploy/argocd/`), as Argo CD uses it.
#![allow(clippy::unwrap_used)]

mod actions;
mod config_map;
mod customizations;
mod diff;
#[path = "../operator/harness/mod.rs"]
#[allow(dead_code, unused_imports, reason = "shared with the tests of the operator, which use more of it")]
mod harness;
mod kubectl;
mod live;
mod recorder;
mod rules;
mod sandbox;
mod scenes;
