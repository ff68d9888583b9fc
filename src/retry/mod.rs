//! The mathematics of retrying: pure, and knowing nobody.
//!
//! A [`Policy`] is one intent. [`schedule`] says when its retries happen, [`compile`] turns it into what each API takes
//! (cognigy-api.md §3 and §4), and [`simulate`] says how many of a thousand deliveries Cognigy expects to come through.

pub mod compile;
pub mod schedule;
pub mod simulate;

pub use compile::{Intervals, Strategy, Surface, Unsupported, Window, supports, to_intervals, to_window};
pub use schedule::Jitter;
pub use simulate::deliveries_per_thousand;

use std::time::Duration;

/// The most retries either API takes (cognigy-api.md §3 `maxAttempts`, §4 `maxRetries`).
pub const MAX_RETRIES: u32 = 10;

/// One retry intent, as a `RetryPolicy` states it (resources.md, `RetryPolicy`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// How many times a failed try is repeated, 1–10.
    pub max_retries: u32,
    /// How long each repeat waits.
    pub backoff: Backoff,
    /// How long after the failure repeats may still start, whole seconds, 1–86400 s.
    pub window: Duration,
    /// The share of failed deliveries, in percent, that Cognigy reckons with (cognigy-api.md §4), 0–100.
    pub failure_threshold_percent: u8,
}

/// How the delays of a [`Policy`] grow. All values are milliseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Backoff {
    /// `base · 2^(n-1)` before retry *n*, never more than `max_ms`.
    Exponential {
        /// The delay before the first retry.
        base_ms: i64,
        /// The cap on every un-jittered delay.
        max_ms: i64,
    },
    /// `base · n` before retry *n*, never more than `max_ms`.
    Linear {
        /// The delay before the first retry.
        base_ms: i64,
        /// The cap on every un-jittered delay.
        max_ms: i64,
    },
    /// The delays written out, one for each retry.
    Intervals(Vec<i64>),
}

impl Default for Policy {
    /// What Cognigy itself does without a policy (cognigy-api.md §3 and resources.md, `RetryPolicy`).
    fn default() -> Self {
        Self {
            max_retries: 3,
            backoff: Backoff::Exponential { base_ms: 1_000, max_ms: 30_000 },
            window: Duration::from_secs(3_600),
            failure_threshold_percent: 15,
        }
    }
}
