//! The installation fails for a while, just when all webhooks want something of it.

use std::time::Duration;

use cognigy_simulator::Fault;
use demo::{Result, operator::Operator};
use serde::{Deserialize, Serialize};
use tokio::time::sleep;

use super::policy;
use crate::{
    fleet,
    meter::{Meter, Usage},
    objects::{self, Follow},
    operator,
    progress::Progress,
    stage::Stage,
};

/// How long nothing but 503 is answered.
const LENGTH: Duration = Duration::from_secs(30);

/// What an outage costs.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Outage {
    /// How long it lasted.
    pub(crate) length_seconds: f64,
    /// What was used while it lasted: each call is wasted.
    pub(crate) during: Usage,
    /// How many are as wished in the end.
    pub(crate) ready: usize,
    /// From the end of the outage until the last one is.
    pub(crate) seconds: f64,
    /// What was used from its end on.
    pub(crate) after: Usage,
}

/// Changes the policy of all while the installation is out.
pub(crate) async fn run(stage: &Stage, operator: &Operator, webhooks: usize, within: Duration) -> Result<Outage> {
    let progress = Progress::start("an outage of 30 s while all get another policy", webhooks);
    let installation = stage.installation(0);
    let fault = installation.fault(Fault::any().status(503));
    let during = Meter::start(stage, Some(operator.id()))?;
    policy::change(stage, &fleet::DELAYS).await?;
    sleep(LENGTH).await;
    let during = during.read(stage)?;
    let after = Meter::start(stage, Some(operator.id()))?;
    let follow = Follow::start(objects::api(&stage.owner, &fleet::resource("CognigyWebhook")), policy::has(3));
    installation.remove_fault(fault);
    let times = follow.reach(webhooks, within, &progress).await.sorted();
    operator::quiet_events(operator, within).await?;
    Ok(Outage {
        length_seconds: LENGTH.as_secs_f64(),
        during,
        ready: times.len(),
        seconds: times.last().map_or(0.0, Duration::as_secs_f64),
        after: after.read(stage)?,
    })
}
