//! All are deleted.

use std::time::Duration;

use demo::{Result, operator::Operator};

use super::policy::Change;
use crate::{
    fleet::{self, webhook_name},
    meter::Meter,
    objects::{self, Follow},
    operator,
    progress::Progress,
    stage::Stage,
};

/// Deletes them and waits until they are gone; `ready` of the outcome says how many are.
pub(crate) async fn run(stage: &Stage, operator: &Operator, webhooks: usize, within: Duration) -> Result<Change> {
    let progress = Progress::start("deletion of all", webhooks);
    let api = objects::api(&stage.owner, &fleet::resource("CognigyWebhook"));
    let meter = Meter::start(stage, Some(operator.id()))?;
    let follow = Follow::until_gone(api.clone());
    let (deleted, gone) =
        tokio::join!(objects::delete(&api, (0..webhooks).map(webhook_name)), follow.reach(webhooks, within, &progress));
    deleted?;
    operator::quiet_events(operator, within).await?;
    let times = gone.sorted();
    Ok(Change {
        ready: times.len(),
        seconds: times.last().map_or(0.0, Duration::as_secs_f64),
        usage: meter.read(stage)?,
    })
}
