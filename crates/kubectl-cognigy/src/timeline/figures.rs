//! The numbers as `-o json` and `-o yaml` give them; names and units stay.

use std::time::Duration;

use cognigy_operator::retry::{
    Backoff,
    outlook::{Band, Rehearsal, Try},
};
use serde::Serialize;

use super::model::{Simulation, Timeline};

/// Everything about one policy.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Figures {
    name: String,
    source: String,
    strategy: &'static str,
    max_retries: u32,
    effective_retries: u32,
    max_retry_window_seconds: u64,
    failure_threshold_percent: u8,
    simulated_deliveries_per_thousand: u32,
    failure_rate_percent: f64,
    tries: Vec<TryFigures>,
    mean_tries: f64,
    given_up: GivenUp,
    apis: Vec<Taker>,
    #[serde(skip_serializing_if = "Option::is_none")]
    simulation: Option<SimulationFigures>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TryFigures {
    r#try: u32,
    wait_ms: f64,
    wait_least_ms: f64,
    wait_most_ms: f64,
    at_ms: f64,
    at_least_ms: f64,
    at_most_ms: f64,
    made: bool,
    through_percent: f64,
}

/// What becomes of a delivery that never comes through.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct GivenUp {
    after_tries: u32,
    at_ms: f64,
    at_least_ms: f64,
    at_most_ms: f64,
    percent: f64,
}

/// An API of Cognigy, and whether the policy can go there.
#[derive(Serialize)]
struct Taker {
    api: &'static str,
    takes: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SimulationFigures {
    deliveries: u32,
    seed: u64,
    delivered: u32,
    delivered_percent: f64,
    mean_tries: f64,
    most_tries: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    time_to_delivery_ms: Option<TimeFigures>,
}

#[derive(Serialize)]
struct TimeFigures {
    median: f64,
    p95: f64,
    max: f64,
}

impl From<&Timeline> for Figures {
    fn from(timeline: &Timeline) -> Self {
        let (policy, last) = (&timeline.policy, &timeline.outlook.last);
        Self {
            name: timeline.name.clone(),
            source: timeline.source.clone(),
            strategy: match policy.backoff {
                Backoff::Exponential { .. } => "Exponential",
                Backoff::Linear { .. } => "Linear",
                Backoff::Intervals(_) => "Intervals",
            },
            max_retries: policy.max_retries,
            effective_retries: policy.effective_retries(),
            max_retry_window_seconds: policy.window.as_secs(),
            failure_threshold_percent: policy.failure_threshold_percent,
            simulated_deliveries_per_thousand: timeline.deliveries_per_thousand(),
            failure_rate_percent: percent(timeline.rate.share()),
            tries: timeline.outlook.tries.iter().map(TryFigures::from).collect(),
            mean_tries: rounded(timeline.outlook.mean_tries),
            given_up: GivenUp {
                after_tries: last.number,
                at_ms: milliseconds(last.at.planned),
                at_least_ms: milliseconds(last.at.least),
                at_most_ms: milliseconds(last.at.most),
                percent: percent(last.failing),
            },
            apis: timeline
                .apis
                .iter()
                .map(|(api, why)| Taker {
                    api: api.as_str(),
                    takes: why.is_none(),
                    why: why.as_ref().map(ToString::to_string),
                })
                .collect(),
            simulation: timeline.simulation.as_ref().map(SimulationFigures::from),
        }
    }
}

impl From<&Try> for TryFigures {
    fn from(one: &Try) -> Self {
        let [wait, at] =
            [one.wait, one.at].map(|Band { planned, least, most }| [planned, least, most].map(milliseconds));
        Self {
            r#try: one.number,
            wait_ms: wait[0],
            wait_least_ms: wait[1],
            wait_most_ms: wait[2],
            at_ms: at[0],
            at_least_ms: at[1],
            at_most_ms: at[2],
            made: one.made,
            through_percent: percent(one.through()),
        }
    }
}

impl From<&Simulation> for SimulationFigures {
    fn from(Simulation { seed, rehearsal }: &Simulation) -> Self {
        let Rehearsal { deliveries, delivered, mean_tries, most_tries, times } = *rehearsal;
        Self {
            deliveries,
            seed: *seed,
            delivered,
            delivered_percent: percent(f64::from(delivered) / f64::from(deliveries)),
            mean_tries: rounded(mean_tries),
            most_tries,
            time_to_delivery_ms: times.map(|times| TimeFigures {
                median: milliseconds(times.median),
                p95: milliseconds(times.p95),
                max: milliseconds(times.max),
            }),
        }
    }
}

fn percent(share: f64) -> f64 {
    rounded(share * 100.0)
}

/// To twelve decimals: what floats add by themselves is behind that.
fn rounded(number: f64) -> f64 {
    (number * 1e12).round() / 1e12
}

/// To the microsecond.
fn milliseconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}
