//! When retries happen: the delays of a policy, un-jittered for showing and compiling, jittered for waiting.

use std::{iter, time::Duration};

use super::{Backoff, Policy};

/// The share of a delay that jitter may add or, at the cap, take away (cognigy-api.md §3).
const JITTER_SHARE: f64 = 0.1;

/// A random number from 0 to 1, drawn by the caller so that the schedule stays a pure function.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Jitter(f64);

impl Jitter {
    /// No jitter: the schedule as written.
    pub const NONE: Self = Self(0.0);

    /// Takes a number from 0 to 1; what lies outside counts as the nearer end, and what is no number as 0.
    pub fn new(share: f64) -> Self {
        if share.is_nan() { Self::NONE } else { Self(share.clamp(0.0, 1.0)) }
    }
}

impl Policy {
    /// The un-jittered delays before each retry in milliseconds, cap applied; as many as `max_retries`.
    pub fn delays_ms(&self) -> Vec<i64> {
        (1..=self.max_retries).map(|retry| self.delay_ms(retry)).collect()
    }

    /// The sum of [`Self::delays_ms`] in milliseconds: how long the last retry comes after the first failure, without
    /// jitter and without the time that the tries take.
    pub fn total_delay_ms(&self) -> i64 {
        self.delays_ms().into_iter().fold(0, i64::saturating_add)
    }

    /// How many retries start within the window; `max_retries` where all do.
    pub fn effective_retries(&self) -> u32 {
        let window_ms = i64::try_from(self.window.as_millis()).unwrap_or(i64::MAX);
        let starts = self.delays_ms().into_iter().scan(0_i64, |elapsed, delay| {
            *elapsed = elapsed.saturating_add(delay);
            Some(*elapsed)
        });
        iter::zip(1.., starts).take_while(|(_, start)| *start <= window_ms).last().map_or(0, |(retry, _)| retry)
    }

    /// How long to wait before retry `attempt` (from 1; 0 is the first try, which waits for nothing).
    ///
    /// Jitter adds up to 10 % but never passes the cap; a delay that is at the cap is shortened by up to 10 % instead, so
    /// that a capped schedule still spreads (cognigy-api.md §3). Past `max_retries` the schedule goes on by the same rule,
    /// a list of intervals with its last one.
    pub fn delay_before(&self, attempt: u32, jitter: Jitter) -> Duration {
        if attempt == 0 {
            return Duration::ZERO;
        }
        let delay = milliseconds(self.delay_ms(attempt));
        let spread = delay.mul_f64(JITTER_SHARE);
        match self.backoff.cap_ms().map(milliseconds) {
            Some(cap) if delay >= cap => cap.saturating_sub(cap.mul_f64(JITTER_SHARE * jitter.0)),
            Some(cap) => delay + spread.min(cap - delay).mul_f64(jitter.0),
            None => delay + spread.mul_f64(jitter.0),
        }
    }

    fn delay_ms(&self, retry: u32) -> i64 {
        match &self.backoff {
            Backoff::Exponential { base_ms, max_ms } => {
                let factor =
                    1_i64.checked_shl(retry.saturating_sub(1)).filter(|factor| *factor > 0).unwrap_or(i64::MAX);
                base_ms.saturating_mul(factor).min(*max_ms)
            }
            Backoff::Linear { base_ms, max_ms } => base_ms.saturating_mul(i64::from(retry)).min(*max_ms),
            Backoff::Intervals(intervals) => {
                let index = usize::try_from(retry.saturating_sub(1)).unwrap_or(usize::MAX);
                intervals.get(index).or(intervals.last()).copied().unwrap_or(0)
            }
        }
    }
}

impl Backoff {
    fn cap_ms(&self) -> Option<i64> {
        match self {
            Self::Exponential { max_ms, .. } | Self::Linear { max_ms, .. } => Some(*max_ms),
            Self::Intervals(_) => None,
        }
    }
}

fn milliseconds(value: i64) -> Duration {
    Duration::from_millis(u64::try_from(value).unwrap_or(0))
}
