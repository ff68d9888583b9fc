//! How fast a host may be called, and what its 429 answers teach.

use std::num::NonZeroU32;
use std::time::Duration;

use tokio::time::Instant;

/// How long no 429 must come for the rate to rise by one step.
const QUIET: Duration = Duration::from_mins(1);
/// The configured rate, in steps.
const WHOLE: u32 = 10;

/// A rate as a tenant sets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cognigy) struct Rate {
    pub per_minute: NonZeroU32,
    pub burst: NonZeroU32,
}

/// How much of the configured rate is used: halved by a 429, not below a tenth, and raised by a tenth for each minute
/// without one. Only time in which the gate is open counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Learned {
    tenths: u32,
    quiet_since: Option<Instant>,
}

impl Default for Learned {
    fn default() -> Self {
        Self { tenths: WHOLE, quiet_since: None }
    }
}

impl Learned {
    /// A 429 has come; the gate opens again at `reopens`.
    pub fn throttled(&mut self, reopens: Instant) {
        self.tenths = (self.tenths / 2).max(1);
        self.quiet_since = Some(reopens);
    }

    /// A 429 of calls that were under way when the gate closed: it teaches nothing new, but the gate opens later.
    pub fn prolonged(&mut self, reopens: Instant) {
        if let Some(since) = &mut self.quiet_since {
            *since = reopens.max(*since);
        }
    }

    /// Counts the quiet minutes until now.
    pub fn advance(&mut self, now: Instant) {
        while let Some(since) = self.quiet_since {
            let Some(next) = since.checked_add(QUIET).filter(|next| *next <= now) else { return };
            self.tenths += 1;
            self.quiet_since = (self.tenths < WHOLE).then_some(next);
        }
    }

    /// What is left of a configured rate; never nothing.
    pub fn share_of(&self, rate: Rate) -> Rate {
        let share = |figure: NonZeroU32| {
            let share = u64::from(figure.get()) * u64::from(self.tenths) / u64::from(WHOLE);
            u32::try_from(share).ok().and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MIN)
        };
        Rate { per_minute: share(rate.per_minute), burst: share(rate.burst) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(per_minute: u32) -> Rate {
        Rate { per_minute: NonZeroU32::new(per_minute).unwrap(), burst: NonZeroU32::new(per_minute).unwrap() }
    }

    fn figure(learned: &Learned) -> u32 {
        learned.share_of(of(180)).per_minute.get()
    }

    #[test]
    fn each_429_halves_the_rate_and_a_tenth_always_stays() {
        let (mut learned, now) = (Learned::default(), Instant::now());
        let figures: Vec<_> = (0..5)
            .map(|_| {
                learned.throttled(now);
                figure(&learned)
            })
            .collect();
        assert_eq!(figures, [90, 36, 18, 18, 18]);
        assert_eq!(learned.share_of(of(1)), of(1), "never nothing");
    }

    #[test]
    fn each_quiet_minute_after_the_pause_gives_a_tenth_back_until_the_configured_rate() {
        let (mut learned, now) = (Learned::default(), Instant::now());
        let opens = now + Duration::from_mins(5);
        learned.throttled(opens);
        learned.advance(opens + Duration::from_secs(59));
        assert_eq!(figure(&learned), 90, "a pause is no quiet minute");
        learned.advance(opens + QUIET);
        assert_eq!(figure(&learned), 108);
        learned.advance(opens + Duration::from_mins(4));
        assert_eq!(figure(&learned), 162);
        learned.advance(opens + Duration::from_hours(9));
        assert_eq!(learned, Learned::default());
    }

    #[test]
    fn a_429_begins_the_quiet_minute_anew_and_those_of_one_burst_count_once() {
        let (mut learned, now) = (Learned::default(), Instant::now());
        learned.throttled(now);
        learned.prolonged(now + Duration::from_secs(30));
        assert_eq!(figure(&learned), 90);
        learned.advance(now + Duration::from_secs(80));
        assert_eq!(figure(&learned), 90);
        learned.advance(now + Duration::from_secs(90));
        assert_eq!(figure(&learned), 108);
        learned.throttled(now + Duration::from_secs(91));
        learned.advance(now + Duration::from_secs(150));
        assert_eq!(figure(&learned), 54);
    }

    proptest! {
        #[test]
        fn the_rate_stays_between_a_tenth_and_the_configured_one_and_comes_back(
            events in prop::collection::vec((0u64..200, any::<bool>()), 0..60), configured in 1u32..600_000
        ) {
            let (mut learned, mut now) = (Learned::default(), Instant::now());
            for (seconds, throttled) in events {
                now += Duration::from_secs(seconds);
                learned.advance(now);
                if throttled {
                    let before = learned.share_of(of(configured)).per_minute;
                    learned.throttled(now);
                    prop_assert!(learned.share_of(of(configured)).per_minute <= before);
                }
                let effective = learned.share_of(of(configured)).per_minute.get();
                prop_assert!(effective >= (configured / 10).max(1) && effective <= configured);
            }
            learned.advance(now + QUIET * 9);
            prop_assert_eq!(learned.share_of(of(configured)), of(configured));
        }
    }
}
