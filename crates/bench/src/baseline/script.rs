//! A straightforward script: register, attach the policy, check, activate; one call after another, one webhook after another.
//! It has no Kubernetes, repeats nothing and remembers nothing.

use demo::Result;

use super::wire::Wire;
use crate::{chapters::rollout::Rollout, meter::Meter, progress::Progress, stage::Stage};

/// Brings so many webhooks up.
pub(crate) async fn run(stage: &Stage, webhooks: usize) -> Result<Rollout> {
    let progress = Progress::start(&format!("a script, {webhooks} webhooks"), webhooks);
    let wire = Wire::new(stage)?;
    let meter = Meter::start(stage, None)?;
    let mut times = Vec::with_capacity(webhooks);
    for nth in 0..webhooks {
        let registered = wire.register(nth).await?;
        wire.activate(nth, registered).await?;
        times.push(meter.elapsed());
        progress.at(nth + 1);
    }
    // One after another: each is as old as the run when it is ready, since all were wished for at its beginning.
    Ok(Rollout::new("script", webhooks, &times, &times, meter.read(stage)?))
}
