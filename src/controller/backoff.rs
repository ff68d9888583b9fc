//! When to look again.

use std::{
    hash::{DefaultHasher, Hash as _, Hasher as _},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use backon::{BackoffBuilder as _, ExponentialBuilder};

/// How long until the object's next resync. Each object has its own phase within the period, from its uid, so that
/// neither a restart nor a mass creation makes a wave; up to 2 % of jitter keeps periods from lining up.
///
/// Never shorter than a quarter of the period: a pass that just ended is not repeated at once.
pub fn until_resync(uid: &str, period: Duration, now: SystemTime, jitter: f64) -> Duration {
    let period_ms = u64::try_from(period.as_millis()).unwrap_or(u64::MAX).max(1);
    let mut hasher = DefaultHasher::new();
    uid.hash(&mut hasher);
    let phase = hasher.finish() % period_ms;
    let now_ms = now.duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX));
    let passed = (now_ms % period_ms + period_ms - phase) % period_ms;
    let left = period_ms - passed;
    let wait = if left < period_ms / 4 { left + period_ms } else { left };
    Duration::from_millis(wait) + period.mul_f64(0.02 * jitter.clamp(0.0, 1.0))
}

/// The longest that [`until_resync`] can give.
pub fn longest_resync(period: Duration) -> Duration {
    period.mul_f64(1.25 + 0.02) + Duration::from_millis(1)
}

/// How long to wait after this many consecutive failures that have no schedule of their own: `first`, doubled each time,
/// at most `longest`, with jitter.
pub fn after_failures(failures: u32, first: Duration, longest: Duration) -> Duration {
    let nth = usize::try_from(failures.saturating_sub(1)).unwrap_or(usize::MAX);
    let steps = ExponentialBuilder::new().with_min_delay(first).with_max_delay(longest).without_max_times();
    let delay = steps.build().nth(nth.min(32)).unwrap_or(longest);
    delay + delay.mul_f64(0.1 * rand::random::<f64>())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_next_resync_is_at_the_objects_own_phase(uid in "[a-f0-9]{8}", period in 5u64..86_400, now in 0u64..4_000_000_000) {
            let period = Duration::from_secs(period);
            let now = UNIX_EPOCH + Duration::from_secs(now);
            let wait = until_resync(&uid, period, now, 0.0);
            prop_assert!(wait >= period / 4 && until_resync(&uid, period, now, 1.0) <= longest_resync(period));
            let later = until_resync(&uid, period, now + wait, 0.0);
            prop_assert_eq!(later, period);
        }

        #[test]
        fn waiting_grows_to_its_limit(failures in 1u32..100) {
            let (first, longest) = (Duration::from_secs(1), Duration::from_mins(1));
            let wait = after_failures(failures, first, longest);
            prop_assert!(wait >= first && wait <= longest.mul_f64(1.1));
        }
    }
}
