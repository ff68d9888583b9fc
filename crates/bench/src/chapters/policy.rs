//! One policy that all use is changed.

use std::time::Duration;

use demo::{Result, operator::Operator};
use kube::api::DynamicObject;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    fleet::{self, POLICY},
    meter::{Meter, Usage},
    objects::{self, Follow, is_ready},
    operator,
    progress::Progress,
    stage::Stage,
};

/// What a change of everything costs.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Change {
    /// How many have it.
    pub(crate) ready: usize,
    /// Until the last one has it and is Ready.
    pub(crate) seconds: f64,
    pub(crate) usage: Usage,
}

/// Whether a webhook has the policy as it was written for the `generation`th time.
pub(super) fn has(generation: u64) -> impl Fn(&DynamicObject) -> bool + Send {
    move |object| is_ready(object) && object.data["status"]["retryPolicy"]["generation"] == generation
}

/// Gives the policy other delays.
pub(super) async fn change(stage: &Stage, delays: &[u64]) -> Result<()> {
    let policies = objects::api(&stage.owner, &fleet::resource("RetryPolicy"));
    objects::change(&policies, POLICY, &json!({"spec": {"intervalsMs": delays}})).await
}

/// Changes it for the first time.
pub(crate) async fn run(stage: &Stage, operator: &Operator, webhooks: usize, within: Duration) -> Result<Change> {
    let progress = Progress::start("another policy for all", webhooks);
    let meter = Meter::start(stage, Some(operator.id()))?;
    let follow = Follow::start(objects::api(&stage.owner, &fleet::resource("CognigyWebhook")), has(2));
    change(stage, &fleet::OTHER_DELAYS).await?;
    let times = follow.reach(webhooks, within, &progress).await.sorted();
    operator::quiet_events(operator, within).await?;
    Ok(Change {
        ready: times.len(),
        seconds: times.last().map_or(0.0, Duration::as_secs_f64),
        usage: meter.read(stage)?,
    })
}
