//! The operator on a real API server, against the simulator.
#![allow(clippy::unwrap_used)]

mod callbacks;
mod catalogue;
mod conflict;
mod deletion;
mod drift;
mod errors;
mod events;
mod existing;
mod harness;
mod health;
mod lifecycle;
mod ownership;
mod policy;
mod process;
mod reach;
mod requests;
mod rollout;
mod tenant;
mod update;
