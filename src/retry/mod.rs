//! The mathematics of retrying: pure, and knowing nobody.
//!
//! A [`Policy`] is one intent. [`schedule`] says when its retries happen, [`compile`] turns it into what each API takes
//! (cognigy-api.md §3 and §4), [`outlook`] says what becomes of a delivery under it, and [`simulate`] how many of a thousand
//! deliveries Cognigy's own formula lets through.

pub mod compile;
pub mod outlook;
pub mod schedule;
pub mod simulate;

pub use compile::{
    Intervals, MAX_WINDOW_SECONDS, Strategy, Surface, Unsupported, Window, check_bounds, supports, to_intervals,
    to_window,
};
pub use outlook::{FailureRate, Outlook, Rehearsal};
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
            window: Duration::from_hours(1),
            failure_threshold_percent: 15,
        }
    }
}

#[cfg(test)]
mod arbitrary {
    //! Policies within the bounds of the custom resource (resources.md, `RetryPolicy`).

    use proptest::prelude::*;

    use super::{Backoff, MAX_RETRIES, Policy};
    use std::time::Duration;

    const DAY_MS: i64 = 86_400_000;

    fn policy_of(backoff: impl Strategy<Value = (u32, Backoff)>) -> impl Strategy<Value = Policy> {
        (backoff, 1..=86_400_u64, 0..=100_u8).prop_map(
            |((max_retries, backoff), seconds, failure_threshold_percent)| {
                let window = Duration::from_secs(seconds);
                Policy { max_retries, backoff, window, failure_threshold_percent }
            },
        )
    }

    /// Small delays as often as large ones, so that every branch is met.
    fn delay_ms(least: i64) -> impl Strategy<Value = i64> {
        prop_oneof![least..=least.saturating_mul(64).min(DAY_MS), least..=DAY_MS]
    }

    fn with_backoff() -> impl Strategy<Value = (u32, Backoff)> {
        let bounds = delay_ms(1).prop_flat_map(|base_ms| (Just(base_ms), delay_ms(base_ms)));
        (1..=MAX_RETRIES, bounds, any::<bool>()).prop_map(|(max_retries, (base_ms, max_ms), linear)| {
            let backoff =
                if linear { Backoff::Linear { base_ms, max_ms } } else { Backoff::Exponential { base_ms, max_ms } };
            (max_retries, backoff)
        })
    }

    fn with_intervals() -> impl Strategy<Value = (u32, Backoff)> {
        let any_row = prop::collection::vec(1..=3_600_000_i64, 1..=MAX_RETRIES as usize);
        let growing = (1..=2_000_i64, 1..=MAX_RETRIES, 3..=6_i64).prop_map(|(first, count, halves)| {
            let row = std::iter::successors(Some(first), move |last| Some((last * halves + 1) / 2));
            row.take(count as usize).map(|interval| interval.min(3_600_000)).collect()
        });
        prop_oneof![any_row, growing]
            .prop_map(|row: Vec<i64>| (u32::try_from(row.len()).unwrap(), Backoff::Intervals(row)))
    }

    /// Any policy that the custom resource can state.
    pub fn policy() -> impl Strategy<Value = Policy> {
        policy_of(prop_oneof![with_backoff().boxed(), with_intervals().boxed()])
    }

    /// Any policy with an exponential or linear backoff.
    pub fn backoff_policy() -> impl Strategy<Value = Policy> {
        policy_of(with_backoff())
    }
}
