//! The simulator's strictness, proved over HTTP: each refusal, each variant, each fault.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod admin;
mod auth;
mod bot_webhooks;
mod client;
mod faults;
mod integrations;
mod log;
mod passage;
mod program;
mod targets;
mod tls;
mod webhooks;
