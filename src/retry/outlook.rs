//! What a policy means for one delivery: its tries in time, and how likely one of them goes through.

use std::time::Duration;

use super::{Jitter, Policy};

/// The share of tries that fail, from 0 to 1. Each try fails on its own, whatever became of the one before.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct FailureRate(f64);

impl FailureRate {
    /// Takes a percentage from 0 to 100; `None` for what is none.
    pub fn from_percent(percent: f64) -> Option<Self> {
        (0.0..=100.0).contains(&percent).then_some(Self(percent / 100.0))
    }

    /// The failure rate that the policy itself reckons with.
    pub fn of(policy: &Policy) -> Self {
        Self(f64::from(policy.failure_threshold_percent.min(100)) / 100.0)
    }

    /// From 0 to 1.
    pub const fn share(self) -> f64 {
        self.0
    }
}

/// A time, and between which times jitter puts it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Band {
    /// Without jitter.
    pub planned: Duration,
    /// The earliest with jitter.
    pub least: Duration,
    /// The latest with jitter.
    pub most: Duration,
}

impl Band {
    fn then(self, next: Self) -> Self {
        Self {
            planned: self.planned.saturating_add(next.planned),
            least: self.least.saturating_add(next.least),
            most: self.most.saturating_add(next.most),
        }
    }
}

/// One try of a delivery.
#[derive(Clone, Debug, PartialEq)]
pub struct Try {
    /// Which one: 1 is the first try, 2 the first retry.
    pub number: u32,
    /// How long it waits after the try before it.
    pub wait: Band,
    /// When it is made, counted from the first try; the time that tries themselves take is left out.
    pub at: Band,
    /// Whether it is made at all: it starts within the policy's window.
    pub made: bool,
    /// The share of deliveries that have not come through when it is over, from 0 to 1: the failure rate to the power of the tries made.
    pub failing: f64,
}

impl Try {
    /// The share of deliveries that have come through when it is over, from 0 to 1.
    pub fn through(&self) -> f64 {
        1.0 - self.failing
    }
}

/// All tries of a delivery under one policy.
#[derive(Clone, Debug, PartialEq)]
pub struct Outlook {
    /// The first try and each retry, also those that the window leaves out.
    pub tries: Vec<Try>,
    /// The last try that is made: what it leaves undone is given up.
    pub last: Try,
    /// How many tries a delivery takes on average.
    pub mean_tries: f64,
}

impl Outlook {
    /// What the policy means where so many tries fail.
    pub fn of(policy: &Policy, rate: FailureRate) -> Self {
        let effective = policy.effective_retries();
        let mut last = Try { number: 1, wait: Band::default(), at: Band::default(), made: true, failing: rate.share() };
        let (mut tries, mut mean_tries, mut at) = (vec![last.clone()], 1.0, Band::default());
        for retry in 1..=policy.max_retries {
            let wait = policy.wait_before(retry);
            at = at.then(wait);
            let made = retry <= effective;
            let failing = if made { last.failing * rate.share() } else { last.failing };
            let next = Try { number: retry + 1, wait, at, made, failing };
            if made {
                mean_tries += last.failing;
                last = next.clone();
            }
            tries.push(next);
        }
        Self { tries, last, mean_tries }
    }
}

impl Policy {
    /// How long the wait before a retry (from 1) is, and between which times jitter puts it.
    pub fn wait_before(&self, retry: u32) -> Band {
        let (planned, jittered) = (self.delay_before(retry, Jitter::NONE), self.delay_before(retry, Jitter::FULL));
        Band { planned, least: planned.min(jittered), most: planned.max(jittered) }
    }

    /// One delivery: tried until a try goes through or no retry is left. `draw` gives numbers from 0 to 1, all equally likely.
    pub fn deliver(&self, rate: FailureRate, mut draw: impl FnMut() -> f64) -> Delivery {
        let retries = self.effective_retries();
        let mut elapsed = Duration::ZERO;
        for retry in 0..=retries {
            elapsed = elapsed.saturating_add(self.delay_before(retry, Jitter::new(draw())));
            if draw() >= rate.share() {
                return Delivery { delivered: true, tries: retry + 1, elapsed };
            }
        }
        Delivery { delivered: false, tries: retries + 1, elapsed }
    }
}

/// What became of one delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Whether a try went through.
    pub delivered: bool,
    /// How many tries were made.
    pub tries: u32,
    /// When the last of them was made, counted from the first.
    pub elapsed: Duration,
}

/// What became of many deliveries.
#[derive(Clone, Debug, PartialEq)]
pub struct Rehearsal {
    /// How many there were.
    pub deliveries: u32,
    /// How many came through.
    pub delivered: u32,
    /// How many tries one took on average.
    pub mean_tries: f64,
    /// How many tries one took at most.
    pub most_tries: u32,
    /// How long those that came through took; `None` where none did.
    pub times: Option<Times>,
}

/// How long deliveries took that came through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// Half of them took no longer.
    pub median: Duration,
    /// Of a hundred, 95 took no longer.
    pub p95: Duration,
    /// The longest.
    pub max: Duration,
}

impl Rehearsal {
    /// Makes so many deliveries; `draw` as for [`Policy::deliver`].
    pub fn of(policy: &Policy, rate: FailureRate, deliveries: u32, mut draw: impl FnMut() -> f64) -> Self {
        let (mut tries, mut most_tries, mut delivered, mut times) = (0_u64, 0, 0, Vec::new());
        for _ in 0..deliveries {
            let delivery = policy.deliver(rate, &mut draw);
            tries += u64::from(delivery.tries);
            most_tries = most_tries.max(delivery.tries);
            if delivery.delivered {
                delivered += 1;
                times.push(delivery.elapsed);
            }
        }
        times.sort_unstable();
        // Counts of tries are far below what a float holds exactly.
        #[allow(clippy::cast_precision_loss)]
        let mean_tries = tries as f64 / f64::from(deliveries.max(1));
        Self { deliveries, delivered, mean_tries, most_tries, times: Times::of(&times) }
    }
}

impl Times {
    /// By nearest rank, from times in order.
    fn of(sorted: &[Duration]) -> Option<Self> {
        let at = |percent: usize| sorted.get((sorted.len() * percent).div_ceil(100).saturating_sub(1)).copied();
        Some(Self { median: at(50)?, p95: at(95)?, max: at(100)? })
    }
}

#[cfg(test)]
mod tests {
    use std::iter;

    use proptest::prelude::*;

    use super::*;
    use crate::retry::{Backoff, arbitrary};

    fn rate() -> impl Strategy<Value = FailureRate> {
        prop_oneof![Just(0.0), Just(100.0), 0.0..=100.0].prop_map(|percent| FailureRate::from_percent(percent).unwrap())
    }

    /// The numbers one after the other, then from the start again.
    fn cycle(numbers: &[f64]) -> impl FnMut() -> f64 {
        let mut numbers = numbers.iter().copied().cycle();
        move || numbers.next().unwrap()
    }

    #[test]
    fn what_is_no_percentage_is_no_failure_rate() {
        let shares = [-0.1, 0.0, 12.5, 100.0, 100.1, f64::NAN].map(|percent| {
            let rate = FailureRate::from_percent(percent);
            rate.map(FailureRate::share)
        });
        assert_eq!(shares, [None, Some(0.0), Some(0.125), Some(1.0), None, None]);
    }

    #[test]
    fn the_worked_example_is_through_as_often_as_independent_tries_are() {
        let policy = Policy { max_retries: 2, backoff: Backoff::Intervals(vec![1_000, 2_500]), ..Policy::default() };
        let outlook = Outlook::of(&policy, FailureRate::of(&policy));
        let through: Vec<String> = outlook.tries.iter().map(|one| format!("{:.6}", one.through())).collect();
        assert_eq!(through, ["0.850000", "0.977500", "0.996625"]);
        assert_eq!(format!("{:.4}", outlook.mean_tries), "1.1725"); // 1 + 0.15 + 0.15²
        let second = outlook.last.at;
        assert_eq!([second.planned, second.least, second.most].map(|time| time.as_millis()), [3_500, 3_500, 3_850]);
    }

    #[test]
    fn a_delivery_ends_with_the_first_try_that_goes_through() {
        let policy = Policy { max_retries: 3, backoff: Backoff::Intervals(vec![10, 20, 40]), ..Policy::default() };
        let half = FailureRate::from_percent(50.0).unwrap();
        // Jitter and fate in turn: no jitter, then fails, fails, goes through.
        let delivery = policy.deliver(half, cycle(&[0.0, 0.1, 0.0, 0.49, 0.0, 0.5]));
        assert_eq!(delivery, Delivery { delivered: true, tries: 3, elapsed: Duration::from_millis(30) });
        let given_up = policy.deliver(half, cycle(&[0.0]));
        assert_eq!(given_up, Delivery { delivered: false, tries: 4, elapsed: Duration::from_millis(70) });
    }

    #[test]
    fn times_are_by_nearest_rank_and_nothing_delivered_has_none() {
        let times: Vec<Duration> = (1..=20).map(Duration::from_secs).collect();
        let [median, p95, max] = [10, 19, 20].map(Duration::from_secs);
        assert_eq!(Times::of(&times), Some(Times { median, p95, max }));
        let never = FailureRate::from_percent(100.0).unwrap();
        let rehearsal = Rehearsal::of(&Policy::default(), never, 50, cycle(&[0.5]));
        assert_eq!((rehearsal.delivered, rehearsal.most_tries, rehearsal.times), (0, 4, None));
    }

    proptest! {
        #[test]
        fn the_tries_are_those_of_the_schedule(policy in arbitrary::policy(), rate in rate()) {
            let outlook = Outlook::of(&policy, rate);
            let mut sum = 0_i64;
            for (one, delay) in iter::zip(&outlook.tries, iter::once(0).chain(policy.delays_ms())) {
                sum += delay;
                prop_assert_eq!(one.wait.planned.as_millis(), delay.cast_unsigned().into());
                prop_assert_eq!(one.at.planned.as_millis(), sum.cast_unsigned().into());
                prop_assert!(one.at.least <= one.at.planned && one.at.planned <= one.at.most);
            }
            prop_assert_eq!(sum, policy.total_delay_ms());
            prop_assert_eq!(outlook.tries.len(), policy.max_retries as usize + 1);
            prop_assert_eq!(outlook.tries.iter().filter(|one| one.made).count(), policy.effective_retries() as usize + 1);
            prop_assert_eq!(outlook.last.number, policy.effective_retries() + 1);
        }

        #[test]
        fn each_try_brings_more_through_and_takes_longer(policy in arbitrary::policy(), rate in rate()) {
            let tries = Outlook::of(&policy, rate).tries;
            for pair in tries.windows(2) {
                prop_assert!((0.0..=1.0).contains(&pair[1].through()) && pair[1].failing <= pair[0].failing);
                prop_assert!(pair[0].at.least < pair[1].at.least && pair[0].at.most < pair[1].at.most);
            }
        }

        #[test]
        fn any_delivery_keeps_within_what_the_outlook_says(
            policy in arbitrary::policy(), rate in rate(), draws in prop::collection::vec(0.0..1.0, 1..40),
        ) {
            let delivery = policy.deliver(rate, cycle(&draws));
            let outlook = Outlook::of(&policy, rate);
            let at = outlook.tries[delivery.tries as usize - 1].at;
            prop_assert!(at.least <= delivery.elapsed && delivery.elapsed <= at.most);
            prop_assert!(delivery.tries <= outlook.last.number);
            prop_assert!(delivery.delivered || delivery.tries == outlook.last.number);
        }
    }
}
