//! The operator on a real API server, against the simulator.
#![allow(clippy::unwrap_used)]

mod breaker;
mod callbacks;
mod catalogue;
mod clocks;
mod conflict;
mod deletion;
mod drift;
mod errors;
mod events;
mod existing;
mod fairness;
mod figures;
mod harness;
mod health;
mod health_over_time;
mod hostile;
mod kubernetes;
mod lifecycle;
mod namespaces;
mod outage;
mod outbox;
mod ownership;
mod policy;
mod process;
mod program;
mod reach;
mod requests;
mod rights;
mod rollout;
mod secrets;
mod tenancy;
mod tenant;
mod update;
mod variants;
mod versions;
