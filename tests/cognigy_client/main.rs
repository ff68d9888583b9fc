//! The Cognigy client against the simulator: each row of `docs/cognigy-api.md` §7, each variant of §8 and each fault.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod authentication;
mod bot_webhooks;
mod catalogue;
mod errors;
mod fixture;
mod integrations;
mod secrets;
mod throttling;
mod tls;
mod webhooks;
mod wire;
