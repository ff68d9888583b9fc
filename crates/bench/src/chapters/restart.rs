//! The operator is started again when everything is as wished: nothing is due.

use std::{path::Path, time::Duration};

use demo::{Result, operator::Operator};
use kube::api::DynamicObject;
use serde::{Deserialize, Serialize};
use tokio::time::{sleep, timeout};

use crate::{
    fleet,
    meter::{Meter, Usage},
    objects::{self, Follow},
    operator,
    progress::Progress,
    stage::Stage,
};

/// What a new process costs.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Restart {
    /// From its start until it says that it is ready: all objects are known.
    pub(crate) seconds_to_ready: f64,
    /// Until each object has had its pass.
    pub(crate) seconds: f64,
    pub(crate) usage: Usage,
}

impl Restart {
    /// Calls besides the one that the tenant is probed with.
    pub(crate) fn calls_for_webhooks(&self) -> usize {
        self.usage.calls.total().saturating_sub(1)
    }
}

/// Waits until tenant and policy tell how many webhooks use them: that is written at most every 10 s, and what is left of the roll-out
/// would be written after the restart.
async fn counted(stage: &Stage, webhooks: usize, within: Duration) -> Result<()> {
    let progress = Progress::start("the counts of all", 2);
    let tenants = objects::api(&stage.owner, &fleet::resource("CognigyTenant"));
    let policies = objects::api(&stage.owner, &fleet::resource("RetryPolicy"));
    let ready = move |tenant: &DynamicObject| tenant.data["status"]["webhooks"]["ready"] == webhooks;
    let users = move |policy: &DynamicObject| policy.data["status"]["webhooks"] == webhooks;
    for follow in [Follow::start(tenants, ready), Follow::start(policies, users)] {
        if follow.reach(1, within, &progress).await.sorted().is_empty() {
            return Err("the counts of webhooks are not told".into());
        }
    }
    Ok(())
}

/// Ends the operator and starts it again.
pub(crate) async fn run(
    stage: &Stage,
    operator: Operator,
    program: &Path,
    webhooks: usize,
    within: Duration,
) -> Result<(Operator, Restart)> {
    counted(stage, webhooks, within).await?;
    let progress = Progress::start("a restart", webhooks);
    operator.stop().await?;
    let mut meter = Meter::start(stage, None)?;
    let operator = operator::start(stage, program).await?;
    meter.follow_new_process(operator.id());
    let seconds_to_ready = meter.elapsed().as_secs_f64();
    let passes = async {
        loop {
            let passes = operator::sum(&operator.metrics().await?, "reconciles_total{kind=\"CognigyWebhook\"");
            progress.at(passes);
            if passes >= webhooks {
                return Result::Ok(());
            }
            sleep(Duration::from_millis(100)).await;
        }
    };
    timeout(within, passes).await.map_err(|_| "not every webhook had a pass after the restart")??;
    let seconds = meter.elapsed().as_secs_f64();
    operator::quiet_events(&operator, within).await?;
    Ok((operator, Restart { seconds_to_ready, seconds, usage: meter.read(stage)? }))
}
