//! The operator on a real API server, against the simulator.
#![allow(clippy::unwrap_used)]

mod harness;
mod lifecycle;
