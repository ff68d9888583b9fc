//! From one intent to what each API takes: the window form (cognigy-api.md §3) and the interval form (§4).

use std::{error::Error, fmt};

use super::Policy;

/// Where a policy can go (`status.supports`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Surface {
    /// Bot webhooks: the window form (cognigy-api.md §3).
    BotWebhook,
    /// Webhooks: the interval form (cognigy-api.md §4).
    Webhook,
}

/// A policy in the interval form (cognigy-api.md §4); it always satisfies the limits given there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Intervals {
    /// How many retries, 1–10: exactly the number of intervals.
    pub max_retries: u32,
    /// The delay before each retry in milliseconds, each at least 1.5 times the one before.
    pub intervals_ms: Vec<i64>,
    /// The share of failed deliveries in percent that Cognigy reckons with.
    pub failure_threshold_percent: u8,
}

/// A policy in the window form (cognigy-api.md §3); it always satisfies the limits given there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// How many retries, 1–10.
    pub max_attempts: u32,
    /// How the delays grow.
    pub strategy: Strategy,
    /// The delay before the first retry in milliseconds.
    pub base_delay_ms: i64,
    /// The cap on every delay in milliseconds.
    pub max_delay_ms: i64,
    /// How long after the failure retries may still start, in seconds, 1–86400.
    pub max_retry_window_seconds: u32,
}

/// How the delays of the window form grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strategy {
    /// Each delay is twice the one before.
    Exponential,
    /// Each delay is longer than the one before by the base delay.
    Linear,
}

/// Why a policy cannot go to a [`Surface`]; its text says what to change (Ready reason `RetryPolicyUnsupported`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unsupported {}

impl fmt::Display for Unsupported {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {}
    }
}

impl Error for Unsupported {}

/// Compiles a policy to the interval form of cognigy-api.md §4.
pub fn to_intervals(_policy: &Policy) -> Result<Intervals, Unsupported> {
    todo!()
}

/// Compiles a policy to the window form of cognigy-api.md §3.
pub fn to_window(_policy: &Policy) -> Result<Window, Unsupported> {
    todo!()
}

/// Where a policy can go, for `status.supports`.
pub fn supports(policy: &Policy) -> Vec<Surface> {
    let bot = to_window(policy).is_ok().then_some(Surface::BotWebhook);
    bot.into_iter().chain(to_intervals(policy).is_ok().then_some(Surface::Webhook)).collect()
}
