//! All figures of a run.

use std::{fs, path::Path};

use demo::Result;
use serde::{Deserialize, Serialize};

use super::count;
use crate::{
    baseline::provider_http::ProviderHttp,
    chapters::{
        catalogue::Catalogue, hanging::Hanging, outage::Outage, policy::Change, quiet::Quiet, restart::Restart,
        rollout::Rollout,
    },
};

/// Everything, by the size of the fleet.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Report {
    /// The fleets are made from this number.
    pub(crate) seed: u64,
    /// What each call to Cognigy takes at least.
    pub(crate) latency_ms: u64,
    /// The machine's processors, which the operator, the control plane and the simulator share.
    pub(crate) processors: usize,
    /// In the order of their sizes.
    pub(crate) fleets: Vec<Fleet>,
}

/// What one size of fleet costs; a chapter that was left out is missing.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Fleet {
    pub(crate) webhooks: usize,
    /// The operator beside the physical limit.
    #[serde(default)]
    pub(crate) rounds: Vec<Round>,
    /// The roll-out with which all that happened to this fleet began.
    pub(crate) operator: Option<Rollout>,
    pub(crate) script: Option<Rollout>,
    pub(crate) provider_http: Option<ProviderHttp>,
    pub(crate) restart: Option<Restart>,
    pub(crate) policy: Option<Change>,
    pub(crate) outage: Option<Outage>,
    pub(crate) quiet: Option<Quiet>,
    pub(crate) deletion: Option<Change>,
    pub(crate) catalogue: Option<Catalogue>,
    pub(crate) hanging: Option<Hanging>,
}

/// The operator, and right after it the calls and writes that it made, sent bare.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Round {
    pub(crate) operator: Rollout,
    pub(crate) limit: Rollout,
}

impl Round {
    /// How much longer the operator took until all was done: Ready, and its events written.
    fn times_limit(&self) -> f64 {
        self.operator.written_seconds / self.limit.written_seconds
    }
}

impl Fleet {
    fn update(&mut self, newer: Self) {
        fn newest<T>(known: &mut Option<T>, newer: Option<T>) {
            if newer.is_some() {
                *known = newer;
            }
        }
        if !newer.rounds.is_empty() {
            self.rounds = newer.rounds;
        }
        newest(&mut self.operator, newer.operator);
        newest(&mut self.script, newer.script);
        newest(&mut self.provider_http, newer.provider_http);
        newest(&mut self.restart, newer.restart);
        newest(&mut self.policy, newer.policy);
        newest(&mut self.outage, newer.outage);
        newest(&mut self.quiet, newer.quiet);
        newest(&mut self.deletion, newer.deletion);
        newest(&mut self.catalogue, newer.catalogue);
        newest(&mut self.hanging, newer.hanging);
    }

    /// The rounds, from the best ratio of operator and limit to the worst.
    fn ordered_rounds(&self) -> Vec<&Round> {
        let mut rounds: Vec<_> = self.rounds.iter().collect();
        rounds.sort_by(|one, other| one.times_limit().total_cmp(&other.times_limit()));
        rounds
    }

    /// The round in the middle of these: what is told of operator and limit.
    pub(crate) fn round(&self) -> Option<&Round> {
        let rounds = self.ordered_rounds();
        rounds.get(rounds.len() / 2).copied()
    }

    /// The smallest, the middle and the largest ratio of operator and limit.
    pub(crate) fn times_limit(&self) -> Option<[f64; 3]> {
        let rounds = self.ordered_rounds();
        Some([rounds.first().copied()?, self.round()?, rounds.last().copied()?].map(Round::times_limit))
    }

    /// A share of all webhooks.
    pub(crate) fn each(&self, what: usize) -> f64 {
        count(what) / count(self.webhooks)
    }
}

impl Report {
    /// What an earlier run left, or an error that names the file.
    pub(crate) fn read(file: &Path) -> Result<Self> {
        let text = fs::read_to_string(file).map_err(|error| format!("cannot read {}: {error}", file.display()))?;
        Ok(serde_json::from_str(&text).map_err(|error| format!("{}: {error}", file.display()))?)
    }

    /// Keeps it for later.
    pub(crate) fn write(&self, file: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self)? + "\n";
        Ok(fs::write(file, text).map_err(|error| format!("cannot write {}: {error}", file.display()))?)
    }

    /// Takes the figures of a fleet in, in place of older ones of its size; what was not measured again stays.
    pub(crate) fn take(&mut self, fleet: Fleet) {
        match self.fleets.iter_mut().find(|one| one.webhooks == fleet.webhooks) {
            Some(known) => known.update(fleet),
            None => self.fleets.push(fleet),
        }
        self.fleets.sort_by_key(|one| one.webhooks);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_measured_again_takes_the_place_of_what_was_and_all_else_stays() {
        let rollout = |seconds| Rollout { seconds, ..Rollout::default() };
        let mut report = Report::default();
        report.take(Fleet {
            webhooks: 1_000,
            script: Some(rollout(9.0)),
            operator: Some(rollout(2.0)),
            ..Fleet::default()
        });
        report.take(Fleet { webhooks: 200, ..Fleet::default() });
        report.take(Fleet { webhooks: 1_000, operator: Some(rollout(1.0)), ..Fleet::default() });
        let seconds = |rollout: &Option<Rollout>| rollout.as_ref().map(|rollout| rollout.seconds);
        let all: Vec<_> =
            report.fleets.iter().map(|one| (one.webhooks, seconds(&one.operator), seconds(&one.script))).collect();
        assert_eq!(all, [(200, None, None), (1_000, Some(1.0), Some(9.0))]);
    }
}
