//! Calls to Cognigy, from the simulators' logs.

use std::collections::BTreeMap;

use cognigy_simulator::Request;
use serde::{Deserialize, Serialize};

use crate::stage::Stage;

/// What the installations were sent.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Calls {
    /// By route.
    pub(crate) by_route: BTreeMap<String, usize>,
    /// Of all: answered 304.
    pub(crate) not_modified: usize,
    /// Of all: neither a success nor 304.
    pub(crate) failed: usize,
    /// Request lines, headers and bodies, in bytes.
    pub(crate) bytes: usize,
    /// The most in any second.
    pub(crate) busiest_second: usize,
    /// Health checks that reached their callback.
    pub(crate) health_checks: usize,
}

impl Calls {
    /// All of them; tokens apart, which no object costs.
    pub(crate) fn total(&self) -> usize {
        self.by_route.iter().filter(|(route, _)| *route != "Token").map(|(_, count)| count).sum()
    }

    /// What came after these positions in the logs.
    pub(super) fn since(stage: &Stage, positions: &[usize], callbacks: usize) -> Self {
        let mut calls = Self { health_checks: self::callbacks(stage) - callbacks, ..Self::default() };
        let mut times = Vec::new();
        for (installation, from) in stage.installations().zip(positions) {
            installation.look(|state| {
                for request in &state.requests()[*from..] {
                    calls.count(request);
                    times.push(request.at.as_millis());
                }
            });
        }
        times.sort_unstable();
        calls.busiest_second = busiest(&times);
        calls
    }

    fn count(&mut self, request: &Request) {
        let route = request.route.map_or_else(|| "Unknown".to_owned(), |route| format!("{route:?}"));
        *self.by_route.entry(route).or_default() += 1;
        self.bytes += request.bytes;
        match request.status {
            Some(304) => self.not_modified += 1,
            Some(200..300) => {}
            _ => self.failed += 1,
        }
    }
}

/// How far the logs are.
pub(super) fn positions(stage: &Stage) -> Vec<usize> {
    stage.installations().map(|one| one.look(|state| state.requests().len())).collect()
}

/// How many health checks came so far.
pub(super) fn callbacks(stage: &Stage) -> usize {
    stage.installations().map(|one| one.look(cognigy_simulator::State::callback_request_count)).sum()
}

/// The most times within any 1,000 ms, of times in order.
fn busiest(times: &[u128]) -> usize {
    let mut first = 0;
    let mut most = 0;
    for (last, time) in times.iter().enumerate() {
        while times[first] + 1000 <= *time {
            first += 1;
        }
        most = most.max(last - first + 1);
    }
    most
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_busiest_second_begins_anywhere() {
        assert_eq!(busiest(&[]), 0);
        assert_eq!(busiest(&[0, 900, 1000, 1100, 1899, 1900]), 4);
        assert_eq!(busiest(&[0, 900, 1000, 1100, 1899, 1899]), 5);
        assert_eq!(busiest(&[0, 1000, 2000]), 1);
    }
}
