//! The operator on a real API server, against the simulator.
#![allow(clippy::unwrap_used)]

mod events;
mod harness;
mod lifecycle;
mod ownership;
mod policy;
mod process;
mod reach;
mod requests;
mod tenant;
