//! What is known of a policy: plain data, from which tables, pictures and JSON are made.

use cognigy_operator::retry::{
    Backoff, FailureRate, Outlook, Policy, Rehearsal, Surface, Unsupported, deliveries_per_thousand,
};
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use super::words;

/// A policy and what it means.
#[derive(Clone, Debug)]
pub struct Timeline {
    /// What it is called in tables and pictures.
    pub name: String,
    /// Where it was found: `namespace/name`, or the file.
    pub source: String,
    /// The policy.
    pub policy: Policy,
    /// The share of tries that is taken to fail.
    pub rate: FailureRate,
    /// Its tries.
    pub outlook: Outlook,
    /// The APIs of Cognigy, with the reason where one does not take it.
    pub apis: Vec<(Surface, Option<Unsupported>)>,
    /// Deliveries by lot, where they were asked for.
    pub simulation: Option<Simulation>,
}

/// Deliveries by lot.
#[derive(Clone, Debug)]
pub struct Simulation {
    /// What the draws come from; the same seed gives the same draws on every machine.
    pub seed: u64,
    /// What became of them.
    pub rehearsal: Rehearsal,
}

impl Timeline {
    /// What a policy means; `rate` is the policy's own where it is not given.
    pub fn of(name: String, source: String, policy: Policy, rate: Option<FailureRate>) -> Self {
        let rate = rate.unwrap_or_else(|| FailureRate::of(&policy));
        let outlook = Outlook::of(&policy, rate);
        let apis = Surface::ALL.map(|surface| (surface, surface.takes(&policy).err())).to_vec();
        Self { name, source, policy, rate, outlook, apis, simulation: None }
    }

    /// Makes so many deliveries, with draws from this seed.
    pub fn simulate(&mut self, deliveries: u32, seed: u64) {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let rehearsal = Rehearsal::of(&self.policy, self.rate, deliveries, || random.random());
        self.simulation = Some(Simulation { seed, rehearsal });
    }

    /// Of a thousand deliveries, how many Cognigy's own formula lets through: what the policy's status says.
    pub fn deliveries_per_thousand(&self) -> u32 {
        deliveries_per_thousand(self.policy.failure_threshold_percent, self.policy.max_retries)
    }

    /// How the delays come about.
    pub fn delays(&self) -> String {
        let milliseconds = |value: i64| words::time(std::time::Duration::from_millis(value.cast_unsigned()));
        match &self.policy.backoff {
            Backoff::Exponential { base_ms, max_ms } => {
                format!("Exponential from {}, at most {}", milliseconds(*base_ms), milliseconds(*max_ms))
            }
            Backoff::Linear { base_ms, max_ms } => {
                format!("Linear by {}, at most {}", milliseconds(*base_ms), milliseconds(*max_ms))
            }
            Backoff::Intervals(intervals) => {
                let listed: Vec<String> = intervals.iter().copied().map(milliseconds).collect();
                format!("intervals {}", listed.join(", "))
            }
        }
    }

    /// How many retries there are, and what the window leaves of them.
    pub fn retries(&self) -> String {
        let (all, made) = (self.policy.max_retries, self.policy.effective_retries());
        let window = words::time(self.policy.window);
        if all == made {
            format!("{} within {window}", words::retries(all))
        } else {
            format!("{made} of {} fit within {window}", words::retries(all))
        }
    }

    /// When a delivery is given up that never comes through.
    pub fn worst(&self) -> String {
        words::between(self.outlook.last.at.least, self.outlook.last.at.most)
    }

    /// Whether an API takes it, in one word.
    pub fn takes(&self, api: Surface) -> &'static str {
        if self.apis.iter().any(|(surface, why)| *surface == api && why.is_none()) { "yes" } else { "no" }
    }
}

impl Simulation {
    /// What became of the deliveries, in one sentence.
    pub fn told(&self) -> String {
        let Rehearsal { deliveries, delivered, mean_tries, most_tries, times } = &self.rehearsal;
        let missing = f64::from(deliveries - delivered) / f64::from(*deliveries);
        let times = times.map_or_else(String::new, |times| {
            let [median, p95, max] = [times.median, times.p95, times.max].map(words::time);
            format!("; time to delivery: median {median}, p95 {p95}, max {max}")
        });
        format!(
            "{} simulated deliveries (seed {}): {} through{times}; {} tries on average, {most_tries} at most",
            words::grouped(&deliveries.to_string()),
            self.seed,
            words::all_but(missing),
            words::decimals(*mean_tries, 3),
        )
    }
}
