//! When retries happen: the delays of a policy, un-jittered for showing and compiling, jittered for waiting.

use std::{iter, time::Duration};

use super::{Backoff, Policy};

/// Jitter adds or, at the cap, takes away at most one such part of a delay: 10 % (cognigy-api.md §3).
const JITTER_PART: u32 = 10;

/// A random number from 0 to 1, drawn by the caller so that the schedule stays a pure function.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Jitter(f64);

impl Jitter {
    /// No jitter: the schedule as written.
    pub const NONE: Self = Self(0.0);
    /// All the jitter there is: a tenth of the delay.
    pub const FULL: Self = Self(1.0);

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
        let spread = delay / JITTER_PART;
        match self.backoff.cap_ms().map(milliseconds) {
            Some(cap) if delay >= cap => delay.saturating_sub(spread.mul_f64(jitter.0)),
            Some(cap) => delay + spread.min(cap.saturating_sub(delay)).mul_f64(jitter.0),
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::retry::{MAX_RETRIES, arbitrary};

    fn exponential(max_retries: u32, base_ms: i64, max_ms: i64) -> Policy {
        Policy { max_retries, backoff: Backoff::Exponential { base_ms, max_ms }, ..Policy::default() }
    }

    #[test]
    fn the_default_policy_is_that_of_the_api() {
        assert_eq!(Policy::default().delays_ms(), [1_000, 2_000, 4_000]);
        assert_eq!(Policy::default().total_delay_ms(), 7_000);
        assert_eq!(Policy::default().effective_retries(), 3);
    }

    #[test]
    fn an_exponential_backoff_doubles_until_its_cap() {
        assert_eq!(exponential(6, 1_000, 9_000).delays_ms(), [1_000, 2_000, 4_000, 8_000, 9_000, 9_000]);
    }

    #[test]
    fn a_linear_backoff_grows_by_its_base_until_its_cap() {
        let policy =
            Policy { max_retries: 5, backoff: Backoff::Linear { base_ms: 1_000, max_ms: 3_500 }, ..Policy::default() };
        assert_eq!(policy.delays_ms(), [1_000, 2_000, 3_000, 3_500, 3_500]);
    }

    #[test]
    fn intervals_are_taken_as_written_and_the_last_goes_on() {
        let policy = Policy { max_retries: 2, backoff: Backoff::Intervals(vec![100, 300]), ..Policy::default() };
        assert_eq!(policy.delays_ms(), [100, 300]);
        assert_eq!(policy.delay_before(7, Jitter::NONE), Duration::from_millis(300));
    }

    #[test]
    fn retries_that_start_after_the_window_do_not_count() {
        let policy = |seconds| Policy { window: Duration::from_secs(seconds), ..exponential(4, 1_000, 60_000) };
        let effective = [0, 1, 2, 3, 6, 7, 14, 15, 16].map(|seconds| policy(seconds).effective_retries());
        assert_eq!(effective, [0, 1, 1, 2, 2, 3, 3, 4, 4]);
    }

    #[test]
    fn jitter_lengthens_below_the_cap_and_shortens_at_it() {
        let policy = exponential(4, 1_000, 4_000);
        let waits =
            |jitter| (0..=4).map(|n| policy.delay_before(n, Jitter::new(jitter)).as_millis()).collect::<Vec<_>>();
        assert_eq!(waits(0.0), [0, 1_000, 2_000, 4_000, 4_000]);
        assert_eq!(waits(0.5), [0, 1_050, 2_100, 3_800, 3_800]);
        assert_eq!(waits(1.0), [0, 1_100, 2_200, 3_600, 3_600]);
    }

    #[test]
    fn a_jittered_delay_just_below_the_cap_does_not_pass_it() {
        assert_eq!(exponential(2, 1_000, 1_050).delay_before(1, Jitter::new(1.0)), Duration::from_millis(1_050));
    }

    #[test]
    fn what_is_no_jitter_counts_as_the_nearer_end() {
        assert_eq!([-3.0, f64::NAN, 0.25, 8.0].map(Jitter::new), [0.0, 0.0, 0.25, 1.0].map(Jitter));
    }

    proptest! {
        #[test]
        fn delays_are_as_many_as_retries_and_never_shrink(policy in arbitrary::backoff_policy()) {
            let delays = policy.delays_ms();
            prop_assert_eq!(delays.len(), policy.max_retries as usize);
            prop_assert!(delays.is_sorted());
        }

        #[test]
        fn delays_stay_within_the_cap_with_any_jitter(policy in arbitrary::backoff_policy(), share in 0.0..=1.0) {
            let cap = policy.backoff.cap_ms().map(milliseconds).unwrap();
            for retry in 1..=MAX_RETRIES {
                prop_assert!(policy.delay_before(retry, Jitter::new(share)) <= cap);
            }
        }

        #[test]
        fn jitter_moves_a_delay_by_a_tenth_at_most(policy in arbitrary::policy(), share in 0.0..=1.0) {
            for (retry, delay) in iter::zip(1.., policy.delays_ms()) {
                let delay = milliseconds(delay);
                let jittered = policy.delay_before(retry, Jitter::new(share));
                if policy.backoff.cap_ms().map(milliseconds) == Some(delay) {
                    prop_assert!(jittered <= delay && delay.abs_diff(jittered) <= delay / JITTER_PART);
                } else {
                    prop_assert!(jittered >= delay && jittered.abs_diff(delay) <= delay / JITTER_PART);
                }
            }
        }

        #[test]
        fn the_total_is_the_sum_of_the_delays(policy in arbitrary::policy()) {
            let sum: i128 = policy.delays_ms().into_iter().map(i128::from).sum();
            prop_assert_eq!(i128::from(policy.total_delay_ms()), sum);
        }

        #[test]
        fn exactly_the_effective_retries_start_within_the_window(policy in arbitrary::policy()) {
            let delays = policy.delays_ms();
            let window = i64::try_from(policy.window.as_millis()).unwrap();
            let effective = policy.effective_retries() as usize;
            prop_assert!(delays[..effective].iter().sum::<i64>() <= window);
            prop_assert!(effective == delays.len() || delays[..=effective].iter().sum::<i64>() > window);
        }

        #[test]
        fn no_number_overflows(max_retries in 0..200_u32, base_ms: i64, max_ms: i64, seconds: u64, share: f64, percent: u8) {
            for backoff in [
                Backoff::Exponential { base_ms, max_ms },
                Backoff::Linear { base_ms, max_ms },
                Backoff::Intervals(vec![base_ms, max_ms]),
            ] {
                let window = Duration::from_secs(seconds);
                let policy = Policy { max_retries, backoff, window, failure_threshold_percent: percent };
                policy.total_delay_ms();
                policy.delay_before(max_retries, Jitter::new(share));
                policy.delay_before(u32::MAX, Jitter::new(share));
                prop_assert!(policy.effective_retries() <= max_retries);
                crate::retry::supports(&policy);
            }
        }
    }
}
