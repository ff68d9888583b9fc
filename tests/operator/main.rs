//! The operator on a real API server, against the simulator.
#![allow(clippy::unwrap_used)]

mod callbacks;
mod conflict;
mod deletion;
mod drift;
mod errors;
mod harness;
mod health;
mod lifecycle;
mod rollout;
mod update;
