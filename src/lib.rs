//! The operator as a library: see `docs/design.md`.

pub mod api;
pub mod args;
pub mod cluster;
pub mod cognigy;
pub mod controller;
pub mod metrics;
pub mod probe;
pub mod retry;
pub mod server;
pub mod telemetry;
