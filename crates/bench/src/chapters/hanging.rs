//! Ten tenants, of which one does not answer: what that costs the others.

use std::{collections::BTreeMap, path::Path, time::Duration};

use cognigy_simulator::Fault;
use demo::Result;
use serde::{Deserialize, Serialize};

use super::rollout::{self, Rollout};
use crate::{
    fleet,
    meter::Meter,
    objects::{self, Follow, Times, is_ready},
    operator,
    progress::Progress,
    stage::{Conditions, Stage},
};

const TENANTS: usize = 10;

/// The others, with and without the one that hangs.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Hanging {
    pub(crate) all_well: Nine,
    pub(crate) one_hangs: Nine,
}

/// How the nine did.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Nine {
    pub(crate) rollout: Rollout,
    /// Calls to the nine, by route.
    pub(crate) calls: BTreeMap<String, usize>,
    /// By how many places a webhook became Ready before or after its place in the order of creation, on average.
    pub(crate) mean_displacement: f64,
}

impl Nine {
    /// Calls to the nine, tokens apart.
    pub(crate) fn calls_for_webhooks(&self) -> usize {
        self.calls.iter().filter(|(route, _)| *route != "Token").map(|(_, count)| count).sum()
    }
}

/// Brings the fleet up twice, each time from nothing.
pub(crate) async fn run(conditions: Conditions, program: &Path, webhooks: usize, within: Duration) -> Result<Hanging> {
    Ok(Hanging {
        all_well: nine(conditions, program, webhooks, false, within).await?,
        one_hangs: nine(conditions, program, webhooks, true, within).await?,
    })
}

async fn nine(conditions: Conditions, program: &Path, webhooks: usize, hangs: bool, within: Duration) -> Result<Nine> {
    let stage = Stage::start(TENANTS, conditions).await?;
    let operator = operator::start(&stage, program).await?;
    rollout::prepare(&stage, fleet::NEVER).await?;
    stage.settle().await?;
    let what = if hangs { "of which one hangs" } else { "all well" };
    let progress = Progress::start(&format!("{webhooks} webhooks of ten tenants, {what}"), webhooks);
    let installations: Vec<_> = stage.installations().collect();
    if hangs {
        installations[0].fault(Fault::any().hang());
    }
    let api = objects::api(&stage.owner, &fleet::resource("CognigyWebhook"));
    let others = webhooks - webhooks.div_ceil(TENANTS);
    let of_first = |name: &str| {
        name.rsplit('-').next().and_then(|nth| nth.parse::<usize>().ok()).is_some_and(|nth| nth % TENANTS == 0)
    };
    let follow = Follow::start(api.clone(), move |object| {
        is_ready(object) && !object.metadata.name.as_deref().is_some_and(of_first)
    });
    let meter = Meter::start(&stage, Some(operator.id()))?;
    let objects = (0..webhooks).map(|nth| {
        let tenant = nth % TENANTS;
        fleet::webhook(conditions.seed, nth, tenant, &installations[tenant])
    });
    let (created, ready) =
        tokio::join!(objects::create(&api, objects, |_| {}), follow.reach(others, within, &progress));
    let usage = meter.read(&stage)?;
    let mut calls = BTreeMap::<String, usize>::new();
    for installation in &installations[1..] {
        installation.look(|state| {
            for request in state.requests() {
                let route = request.route.map_or_else(|| "Unknown".to_owned(), |route| format!("{route:?}"));
                *calls.entry(route).or_default() += 1;
            }
        });
    }
    let mean_displacement = displacement(&ready);
    operator.stop().await?;
    Ok(Nine { rollout: Rollout::of_objects("operator", others, &created?, &ready, usage), calls, mean_displacement })
}

/// Names are in the order of creation.
#[allow(clippy::cast_precision_loss, reason = "counts")]
fn displacement(ready: &Times) -> f64 {
    let names: Vec<_> = ready.by_name().keys().collect();
    let mut order: Vec<_> = ready.by_name().iter().map(|(name, at)| (at, name)).collect();
    order.sort();
    let moved: usize = order
        .iter()
        .enumerate()
        .map(|(place, (_, name))| names.binary_search(name).map_or(0, |wished| wished.abs_diff(place)))
        .sum();
    moved as f64 / names.len().max(1) as f64
}
