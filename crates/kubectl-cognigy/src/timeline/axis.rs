//! The axis of time, which charts and pictures share.

use std::time::Duration;

use super::model::Timeline;

/// Where the shortest wait would take less than this part of a linear axis, the axis is logarithmic.
const LEAST_PART: f64 = 1.0 / 60.0;

/// Distances between marks and, on a logarithmic axis, the marks themselves, in milliseconds.
const ROUND_MS: [u64; 32] = [
    1,
    2,
    5,
    10,
    20,
    50,
    100,
    200,
    500,
    1_000,
    2_000,
    5_000,
    10_000,
    15_000,
    30_000,
    60_000,
    120_000,
    300_000,
    600_000,
    900_000,
    1_800_000,
    3_600_000,
    7_200_000,
    10_800_000,
    21_600_000,
    43_200_000,
    86_400_000,
    172_800_000,
    345_600_000,
    432_000_000,
    864_000_000,
    1_728_000_000,
];

/// Time since the first try, from 0 to the end of everything that is drawn.
#[derive(Clone, Copy, Debug)]
pub struct Axis {
    end: f64,
    /// The wait from which on equal ratios are equal lengths; `None`: equal times are equal lengths.
    unit: Option<f64>,
}

impl Axis {
    /// An axis on which all tries of these policies have their place.
    pub fn over(timelines: &[Timeline]) -> Self {
        let tries = || timelines.iter().flat_map(|timeline| &timeline.outlook.tries);
        let end = tries().map(|one| seconds(one.at.most)).fold(0.001, f64::max);
        let waits = tries().filter(|one| one.number > 1).map(|one| seconds(one.wait.planned));
        let shortest = waits.fold(end, f64::min);
        Self { end, unit: (shortest / end < LEAST_PART).then_some(shortest) }
    }

    /// Whether equal ratios, not equal times, are equal lengths.
    pub const fn is_logarithmic(&self) -> bool {
        self.unit.is_some()
    }

    /// The place of a time, from 0 to 1; over 1 is after the end.
    pub fn place(&self, at: Duration) -> f64 {
        let at = seconds(at);
        match self.unit {
            Some(unit) => (at / unit).ln_1p() / (self.end / unit).ln_1p(),
            None => at / self.end,
        }
    }

    /// Round times to mark, each at least such a part of the axis after the one before; the first is 0.
    pub fn marks(&self, apart: f64) -> Vec<Duration> {
        let round = || ROUND_MS.into_iter().map(Duration::from_millis);
        let mut marks = vec![Duration::ZERO];
        if self.is_logarithmic() {
            let mut last = 0.0;
            for mark in round() {
                let place = self.place(mark);
                if place - last >= apart && place <= 1.0 {
                    marks.push(mark);
                    last = place;
                }
            }
        } else if let Some(step) = round().find(|step| self.place(*step) >= apart) {
            marks.extend((1..).map(|count| step * count).take_while(|mark| self.place(*mark) <= 1.0));
        }
        marks
    }
}

fn seconds(time: Duration) -> f64 {
    time.as_secs_f64()
}

#[cfg(test)]
mod tests {
    use cognigy_operator::retry::{Backoff, Policy};

    use super::*;

    fn over(intervals: &[i64]) -> Axis {
        let max_retries = u32::try_from(intervals.len()).unwrap();
        let policy = Policy { max_retries, backoff: Backoff::Intervals(intervals.to_vec()), ..Policy::default() };
        Axis::over(&[Timeline::of("a".into(), "a.yaml".into(), policy, None)])
    }

    #[test]
    fn places_begin_at_0_end_at_1_and_grow_on_both_scales() {
        for (axis, logarithmic) in [(over(&[1_000, 9_000]), false), (over(&[10, 100_000]), true)] {
            assert_eq!(axis.is_logarithmic(), logarithmic);
            let places: Vec<f64> =
                (0..=100).map(|part| axis.place(Duration::from_secs_f64(axis.end * f64::from(part) / 100.0))).collect();
            assert!(places[0] == 0.0 && (places[100] - 1.0).abs() < 1e-9 && places.is_sorted(), "{places:?}");
        }
    }

    #[test]
    fn a_backoff_that_doubles_is_a_straight_stair_on_the_logarithmic_scale() {
        let axis = over(&[1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 64_000]);
        let places: Vec<f64> = [0, 1, 3, 7, 15, 31].map(|at| axis.place(Duration::from_secs(at))).to_vec();
        let steps: Vec<f64> = places.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(axis.is_logarithmic() && steps.iter().all(|step| (step - steps[0]).abs() < 1e-9), "{steps:?}");
    }

    #[test]
    fn marks_are_round_and_as_far_apart_as_asked() {
        for axis in [over(&[1_000, 9_000]), over(&[10, 100_000]), over(&[3_600_000]), over(&[1])] {
            let marks = axis.marks(0.1);
            let places: Vec<f64> = marks.iter().map(|mark| axis.place(*mark)).collect();
            let apart = places.windows(2).all(|pair| pair[1] - pair[0] > 0.099);
            assert!(
                places[0] == 0.0 && apart && places.len() <= 11 && places.iter().all(|place| *place <= 1.0),
                "{marks:?}"
            );
        }
        assert_eq!(over(&[1_000, 9_000]).marks(0.2).iter().map(Duration::as_secs).collect::<Vec<_>>(), [0, 5, 10]);
    }
}
