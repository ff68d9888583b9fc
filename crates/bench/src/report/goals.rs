//! What the operator has to reach, and whether it does. Pure.

use super::{
    count,
    model::{Fleet, Report},
};

/// One goal at one size of fleet.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Goal {
    pub(crate) webhooks: usize,
    pub(crate) what: &'static str,
    /// At most this.
    pub(crate) limit: f64,
    pub(crate) measured: f64,
}

impl Goal {
    /// Whether it is reached.
    pub(crate) fn is_met(&self) -> bool {
        self.measured <= self.limit
    }
}

/// Growth within this is linear.
const LINEAR: f64 = 1.15;

/// All goals for which there are figures.
pub(crate) fn goals(report: &Report) -> Vec<Goal> {
    let mut goals: Vec<_> = report.fleets.iter().flat_map(of_fleet).collect();
    let size = |webhooks| report.fleets.iter().find(|fleet| fleet.webhooks == webhooks);
    if let (Some(small), Some(large)) = (size(1_000), size(10_000)) {
        goals.extend(growth(small, large));
    }
    goals
}

fn of_fleet(fleet: &Fleet) -> Vec<Goal> {
    let mut goals = Vec::new();
    let mut goal = |what, limit, measured| goals.push(Goal { webhooks: fleet.webhooks, what, limit, measured });
    if let Some([_, middle, _]) = fleet.times_limit().filter(|_| fleet.webhooks == 1_000) {
        goal("time until all is Ready and written ÷ the physical limit", 1.3, middle);
    }
    if let Some(round) = fleet.round().filter(|_| fleet.webhooks == 1_000) {
        goal("time until all are Ready ÷ the physical limit", 1.3, round.operator.seconds / round.limit.seconds);
    }
    if let Some(ours) = &fleet.operator {
        goal("calls for each webhook until it is Ready", 4.0, fleet.each(ours.usage.calls.total()));
        goal("writes to Kubernetes for each, events apart", 3.0, fleet.each(ours.usage.kubernetes.writes()));
    }
    if let Some(quiet) = &fleet.quiet {
        // To the hundredth: each webhook has a time of its own, so that a few have theirs twice between two moments.
        let each = (quiet.calls_per_object(fleet.webhooks) * 100.0).round() / 100.0;
        goal("calls for each webhook and period when quiet", 1.0, each);
        goal("writes to Kubernetes when quiet", 0.0, count(quiet.usage.kubernetes.all_writes()));
        if let (Some(process), Some(limit)) = (&quiet.usage.process, resting_mib(fleet.webhooks)) {
            goal("resting memory in MiB", limit, process.memory_mib);
        }
    }
    if let Some(catalogue) = &fleet.catalogue {
        let each = catalogue.quiet.calls_per_object(fleet.webhooks);
        goal("calls for each catalogued webhook and period when quiet", 0.01, each);
        goal("writes to Kubernetes when quiet, catalogued", 0.0, count(catalogue.quiet.usage.kubernetes.all_writes()));
    }
    if let Some(restart) = &fleet.restart {
        // The tenant is probed: that is how it is known to be there.
        goal("calls for webhooks at a restart", 0.0, count(restart.calls_for_webhooks()));
        goal("writes to Kubernetes at a restart", 0.0, count(restart.usage.kubernetes.all_writes()));
    }
    if let Some(hanging) = &fleet.hanging {
        let (well, hangs) = (&hanging.all_well, &hanging.one_hangs);
        let more = hangs.calls_for_webhooks().saturating_sub(well.calls_for_webhooks());
        goal("calls of nine tenants more because a tenth hangs", 0.0, count(more));
    }
    goals
}

fn growth(small: &Fleet, large: &Fleet) -> impl Iterator<Item = Goal> {
    let ratio = |what, each: fn(&Fleet) -> Option<f64>| {
        Some(Goal { webhooks: large.webhooks, what, limit: LINEAR, measured: each(large)? / each(small)? })
    };
    let all = [
        ratio("time for each webhook ÷ that at 1,000", |fleet| {
            Some(fleet.operator.as_ref()?.seconds / count(fleet.webhooks))
        }),
        ratio("CPU for each webhook ÷ that at 1,000", |fleet| {
            Some(fleet.operator.as_ref()?.usage.process?.cpu_seconds / count(fleet.webhooks))
        }),
        ratio("calls for each webhook ÷ those at 1,000", |fleet| {
            Some(fleet.each(fleet.operator.as_ref()?.usage.calls.total()))
        }),
    ];
    all.into_iter().flatten()
}

/// The most memory that a fleet of this size may take at rest, where a goal says it.
fn resting_mib(webhooks: usize) -> Option<f64> {
    match webhooks {
        1_000 => Some(60.0),
        10_000 => Some(150.0),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{chapters::rollout::Rollout, report::model::Round};

    fn fleet(webhooks: usize, seconds: f64) -> Fleet {
        let rollout =
            |seconds| Rollout { webhooks, ready: webhooks, seconds, written_seconds: seconds, ..Rollout::default() };
        // The rounds beside the middle one do not count.
        let round = |seconds| Round { operator: rollout(seconds), limit: rollout(10.0) };
        let rounds = [99.0, seconds, 1.0].map(round).to_vec();
        Fleet { webhooks, rounds, operator: Some(rollout(seconds)), ..Fleet::default() }
    }

    fn met(report: &Report, what: &str) -> Vec<bool> {
        goals(report).iter().filter(|goal| goal.what.starts_with(what)).map(Goal::is_met).collect()
    }

    #[test]
    fn a_goal_is_met_up_to_its_limit_and_judged_only_where_there_are_figures() {
        let report = |fleets| Report { fleets, ..Report::default() };
        assert_eq!(met(&report(vec![fleet(1_000, 13.0)]), "time until all is"), [true]);
        assert_eq!(met(&report(vec![fleet(1_000, 13.1)]), "time until all is"), [false]);
        assert_eq!(met(&report(vec![fleet(200, 99.0)]), "time until"), [false; 0]);
        assert_eq!(met(&report(vec![fleet(1_000, 10.0), fleet(10_000, 115.0)]), "time for each"), [true]);
        assert_eq!(met(&report(vec![fleet(1_000, 10.0), fleet(10_000, 116.0)]), "time for each"), [false]);
        assert_eq!(met(&report(vec![fleet(1_000, 10.0)]), "calls for webhooks at a restart"), [false; 0]);
    }
}
