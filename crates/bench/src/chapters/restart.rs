//! The operator is started again when everything is as wished: nothing is due.

use std::{path::Path, time::Duration};

use demo::{Result, operator::Operator};
use serde::{Deserialize, Serialize};
use tokio::time::{sleep, timeout};

use crate::{
    meter::{Meter, Usage},
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

/// Ends the operator and starts it again.
pub(crate) async fn run(
    stage: &Stage,
    operator: Operator,
    program: &Path,
    webhooks: usize,
    within: Duration,
) -> Result<(Operator, Restart)> {
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
