//! Whether what is measured ends where it began: under faults the first third against the last one, at rest before against after; of each the
//! lower quartile. Pure.

use serde::Serialize;

use crate::sample::Sample;

/// What is compared, and how much more there may be at the end: a share of what there was, and something for what is few.
struct Bound {
    what: &'static str,
    of: fn(&Sample) -> f64,
    share: f64,
    slack: f64,
}

const MEMORY: Bound = Bound { what: "memory (MiB)", of: |sample| sample.memory_mib, share: 0.10, slack: 6.0 };
const THREADS: Bound = Bound { what: "threads", of: |sample| sample.threads, share: 0.0, slack: 4.0 };
const REMEMBERED: Bound = Bound { what: "objects remembered", of: |sample| sample.remembered, share: 0.02, slack: 5.0 };

/// Under faults. What is under way at a moment depends on how busy the machine is: as many more tasks as there are webhooks, and events that
/// wait, are no leak. Those are found at rest.
const UNDER_FAULTS: [Bound; 7] = [
    MEMORY,
    Bound { what: "open files", of: |sample| sample.files, share: 0.10, slack: 20.0 },
    THREADS,
    Bound { what: "tasks", of: |sample| sample.tasks, share: 0.10, slack: 300.0 },
    Bound { what: "events pending", of: |sample| sample.events_pending, share: 0.0, slack: 1000.0 },
    Bound { what: "outbox pending", of: |sample| sample.outbox_pending, share: 0.0, slack: 100.0 },
    REMEMBERED,
];

/// At rest, before and after: a connection that is kept for its next use is an open file and a task or two.
const AT_REST: [Bound; 5] = [
    MEMORY,
    Bound { what: "open files", of: |sample| sample.files, share: 0.0, slack: 16.0 },
    THREADS,
    Bound { what: "tasks", of: |sample| sample.tasks, share: 0.0, slack: 32.0 },
    REMEMBERED,
];

/// Fewer samples in a third are no measurement.
const LEAST: usize = 3;

/// One figure at the beginning and at the end.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Comparison {
    pub(crate) what: &'static str,
    pub(crate) before: f64,
    pub(crate) after: f64,
    pub(crate) allowed: f64,
}

impl Comparison {
    /// The lower quartile of what was measured early against that of what was measured late.
    fn of(bound: &Bound, early: &[Sample], late: &[Sample]) -> Self {
        let quartile = |samples: &[Sample]| lower_quartile(samples.iter().map(|sample| (bound.of)(sample)).collect());
        let before = quartile(early);
        Self { what: bound.what, before, after: quartile(late), allowed: before * (1.0 + bound.share) + bound.slack }
    }

    /// Whether it ended where it began.
    pub(crate) fn holds(&self) -> bool {
        self.after <= self.allowed
    }
}

/// Compares the thirds of what was measured after the warm-up, which is in seconds.
pub(crate) fn under_faults(samples: &[Sample], warm_up: f64) -> Result<Vec<Comparison>, String> {
    let judged: Vec<_> = samples.iter().filter(|sample| sample.seconds >= warm_up).copied().collect();
    let third = judged.len() / 3;
    if third < LEAST {
        let missing = LEAST * 3 - judged.len();
        return Err(format!("too short to be judged: {missing} samples more are needed; give more --minutes"));
    }
    let (first, last) = (&judged[..third], &judged[judged.len() - third..]);
    Ok(UNDER_FAULTS.iter().map(|bound| Comparison::of(bound, first, last)).collect())
}

/// Compares the rest before all faults with that after them.
pub(crate) fn at_rest(before: &[Sample], after: &[Sample]) -> Vec<Comparison> {
    AT_REST.iter().map(|bound| Comparison::of(bound, before, after)).collect()
}

/// What there is while little is under way: bursts come and go with the faults, whereas a leak raises this like everything else.
fn lower_quartile(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 4).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTHING: [&str; 0] = [];

    /// One sample every 5 s of 10 minutes, changed by `change` from the time that has passed, in minutes.
    fn samples(change: impl Fn(&mut Sample, f64)) -> Vec<Sample> {
        let sample = |nth: u32| {
            let seconds = f64::from(nth) * 5.0;
            let mut sample = Sample { seconds, memory_mib: 60.0, files: 80.0, tasks: 400.0, ..Sample::default() };
            change(&mut sample, seconds / 60.0);
            sample
        };
        (0..120).map(sample).collect()
    }

    fn failing(samples: &[Sample]) -> Vec<&'static str> {
        let comparisons = under_faults(samples, 60.0).unwrap();
        comparisons.into_iter().filter(|one| !one.holds()).map(|one| one.what).collect()
    }

    #[test]
    fn what_stays_level_is_good_however_it_jumps_about() {
        assert_eq!(failing(&samples(|_, _| {})), NOTHING);
        let jumping = samples(|sample, minutes| {
            sample.files += 200.0 * f64::from(u8::from(minutes.fract() < 0.3));
            sample.memory_mib += 3.0 * (minutes * 7.0).sin();
        });
        assert_eq!(failing(&jumping), NOTHING);
    }

    #[test]
    fn growth_before_the_end_of_the_warm_up_is_none() {
        assert_eq!(failing(&samples(|sample, minutes| sample.memory_mib -= 40.0 * (1.0 - minutes).max(0.0))), NOTHING);
    }

    #[test]
    fn each_leak_is_found_alone() {
        type Leak = fn(&mut Sample, f64);
        let leaks: [(&str, Leak); 7] = [
            ("memory (MiB)", |sample, minutes| sample.memory_mib += 3.0 * minutes),
            ("open files", |sample, minutes| sample.files += 6.0 * minutes),
            ("threads", |sample, minutes| sample.threads += minutes),
            ("tasks", |sample, minutes| sample.tasks += 80.0 * minutes),
            ("events pending", |sample, minutes| sample.events_pending += 200.0 * minutes),
            ("outbox pending", |sample, minutes| sample.outbox_pending += 20.0 * minutes),
            ("objects remembered", |sample, minutes| sample.remembered += 2.0 * minutes),
        ];
        for (what, leak) in leaks {
            assert_eq!(failing(&samples(leak)), [what]);
        }
    }

    #[test]
    fn a_run_that_is_too_short_is_not_called_good() {
        let error = under_faults(&samples(|_, _| {})[..18], 60.0).unwrap_err();
        assert!(error.contains("3 samples more") && error.contains("--minutes"), "{error}");
    }

    #[test]
    fn a_leak_too_small_to_be_told_from_bursts_is_found_at_rest() {
        let rest = |tasks, files| [Sample { memory_mib: 60.0, tasks, files, ..Sample::default() }; 4];
        let found = |after: &[Sample]| -> Vec<_> {
            let comparisons = at_rest(&rest(60.0, 50.0), after);
            comparisons.into_iter().filter(|one| !one.holds()).map(|one| one.what).collect()
        };
        assert_eq!(found(&rest(80.0, 60.0)), NOTHING);
        assert_eq!(found(&rest(100.0, 60.0)), ["tasks"]);
        assert_eq!(found(&rest(60.0, 70.0)), ["open files"]);
    }
}
