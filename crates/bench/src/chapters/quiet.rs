//! Nothing is changed by anybody: what keeping watch costs.

use std::time::Duration;

use demo::{Result, operator::Operator};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::time::sleep;

use crate::{
    fleet,
    meter::{Meter, Usage},
    objects, operator,
    progress::Progress,
    stage::Stage,
};

/// How many resync periods are measured.
const PERIODS: u32 = 2;
/// Webhooks that come due in a second: an hour would be the same, only longer.
const DUE_PER_SECOND: usize = 100;
const SHORTEST: Duration = Duration::from_secs(20);

/// What was used in a quiet time.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Quiet {
    pub(crate) periods: u32,
    /// How long one is.
    pub(crate) period_seconds: u64,
    pub(crate) usage: Usage,
}

impl Quiet {
    /// Calls to Cognigy for each object and period.
    #[allow(clippy::cast_precision_loss, reason = "counts")]
    pub(crate) fn calls_per_object(&self, webhooks: usize) -> f64 {
        self.usage.calls.total() as f64 / webhooks as f64 / f64::from(self.periods)
    }
}

/// Gives the tenant a short resync period, waits until all is settled in it, and measures.
pub(crate) async fn run(stage: &Stage, operator: &Operator, webhooks: usize) -> Result<Quiet> {
    let seconds = u64::try_from(webhooks / DUE_PER_SECOND)?.max(SHORTEST.as_secs());
    let period = Duration::from_secs(seconds);
    let progress = Progress::start(&format!("quiet, {PERIODS} resync periods of {seconds} s"), 1 + PERIODS as usize);
    let tenants = objects::api(&stage.owner, &fleet::resource("CognigyTenant"));
    objects::change(&tenants, &fleet::tenant_name(0), &json!({"spec": {"resyncPeriodSeconds": seconds}})).await?;
    // The change of the tenant makes a pass for all; after one period each has its new time.
    sleep(period).await;
    operator::quiet_events(operator, period).await?;
    let meter = Meter::start(stage, Some(operator.id()))?;
    for nth in 1..=PERIODS {
        progress.at(nth as usize);
        sleep(period).await;
    }
    Ok(Quiet { periods: PERIODS, period_seconds: seconds, usage: meter.read(stage)? })
}
