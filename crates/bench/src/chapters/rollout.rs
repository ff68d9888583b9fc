//! From nothing to all Ready.

use std::time::Duration;

use demo::{Result, operator::Operator};
use kube::api::DynamicObject;
use serde::{Deserialize, Serialize};

use crate::{
    fleet,
    meter::{Meter, Usage},
    objects::{self, Follow, Times, is_ready},
    operator,
    progress::Progress,
    stage::Stage,
};

/// How somebody brought a fleet up.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Rollout {
    /// Who.
    pub(crate) contender: String,
    /// How many there were to be.
    pub(crate) webhooks: usize,
    /// How many became ready.
    pub(crate) ready: usize,
    /// From the first wish until the last of those was ready.
    pub(crate) seconds: f64,
    /// From the first wish until all that was to be written about them was written: events too, which nobody waits for.
    pub(crate) written_seconds: f64,
    /// Half of them were ready so long after they were wished for.
    pub(crate) p50_seconds: f64,
    /// And 99 of 100.
    pub(crate) p99_seconds: f64,
    pub(crate) usage: Usage,
}

impl Rollout {
    /// `ready`: when each was, from the beginning; `took`: from the moment when each was wished for.
    pub(crate) fn new(contender: &str, webhooks: usize, ready: &[Duration], took: &[Duration], usage: Usage) -> Self {
        let mut took = took.to_vec();
        took.sort();
        let quantile = |percent: usize| {
            let at = (took.len() * percent).div_ceil(100).saturating_sub(1);
            took.get(at).map_or(0.0, Duration::as_secs_f64)
        };
        Self {
            contender: contender.to_owned(),
            webhooks,
            ready: ready.len(),
            seconds: ready.iter().max().map_or(0.0, Duration::as_secs_f64),
            written_seconds: usage.seconds,
            p50_seconds: quantile(50),
            p99_seconds: quantile(99),
            usage,
        }
    }

    /// Of objects whose creation and readiness were seen.
    pub(crate) fn of_objects(contender: &str, webhooks: usize, created: &Times, ready: &Times, usage: Usage) -> Self {
        let took: Vec<_> = ready
            .by_name()
            .iter()
            .map(|(name, at)| at.saturating_sub(created.by_name().get(name).copied().unwrap_or_default()))
            .collect();
        Self::new(contender, webhooks, &ready.sorted(), &took, usage)
    }
}

/// Tenant and policy, which have to be there before a fleet.
pub(crate) async fn prepare(stage: &Stage, resync: Duration) -> Result<()> {
    for (nth, installation) in stage.installations().enumerate() {
        for (resource, object) in fleet::access(nth, &installation)? {
            objects::create(&objects::api(&stage.owner, &resource), [Ok(object)], |_| {}).await?;
        }
        let tenants = objects::api(&stage.owner, &fleet::resource("CognigyTenant"));
        objects::create(&tenants, [fleet::tenant(nth, &installation, resync)], |_| {}).await?;
    }
    let policies = objects::api(&stage.owner, &fleet::resource("RetryPolicy"));
    objects::create(&policies, [fleet::policy(&fleet::DELAYS)], |_| {}).await?;
    let tenants = stage.installations().count();
    let api = objects::api(&stage.owner, &fleet::resource("CognigyTenant"));
    let progress = Progress::start("connecting", tenants);
    let ready = Follow::start(api, is_ready).reach(tenants, CONNECT_WITHIN, &progress).await;
    if ready.sorted().len() < tenants { Err("not every tenant is connected".into()) } else { Ok(()) }
}

/// How long the tenants may take.
const CONNECT_WITHIN: Duration = Duration::from_mins(1);

/// How many webhooks are brought up, and taken down again, before anything is measured: connections are made, and the API server
/// learns how to write these kinds.
pub(crate) const WARM: usize = 64;
/// How long they may take.
pub(crate) const WARM_WITHIN: Duration = Duration::from_mins(2);

/// Warms the operator and its surroundings up, with webhooks that the fleet of so many does not have.
pub(crate) async fn warm_up(stage: &Stage, webhooks: usize) -> Result<()> {
    let progress = Progress::start("warming up", WARM);
    let api = objects::api(&stage.owner, &fleet::resource("CognigyWebhook"));
    let (ready, gone) = (Follow::start(api.clone(), is_ready), Follow::until_gone(api.clone()));
    let warm = webhooks..webhooks + WARM;
    objects::create(&api, warm.clone().map(|nth| wish(stage, nth)), |_| {}).await?;
    if ready.reach(WARM, WARM_WITHIN, &progress).await.sorted().len() < WARM {
        return Err("the operator does not bring webhooks up".into());
    }
    objects::delete(&api, warm.map(fleet::webhook_name)).await?;
    if gone.reach(WARM, WARM_WITHIN, &progress).await.sorted().len() < WARM {
        return Err("the operator does not let webhooks go".into());
    }
    Ok(())
}

/// The nth webhook of the one tenant.
pub(crate) fn wish(stage: &Stage, nth: usize) -> Result<DynamicObject> {
    fleet::webhook(stage.conditions.seed, nth, 0, &stage.installation(0))
}

/// The operator brings so many webhooks up, of one tenant.
pub(crate) async fn run(stage: &Stage, operator: &Operator, webhooks: usize, within: Duration) -> Result<Rollout> {
    warm_up(stage, webhooks).await?;
    operator::quiet_events(operator, WARM_WITHIN).await?;
    stage.settle().await?;
    let progress = Progress::start(&format!("the operator, {webhooks} webhooks"), webhooks);
    let api = objects::api(&stage.owner, &fleet::resource("CognigyWebhook"));
    let follow = Follow::start(api.clone(), is_ready);
    let meter = Meter::start(stage, Some(operator.id()))?;
    let objects = (0..webhooks).map(|nth| wish(stage, nth));
    let (created, ready) =
        tokio::join!(objects::create(&api, objects, |_| {}), follow.reach(webhooks, within, &progress));
    let (created, seconds) = (created?, meter.elapsed());
    operator::quiet_events(operator, within.saturating_sub(seconds)).await?;
    Ok(Rollout::of_objects("operator", webhooks, &created, &ready, meter.read(stage)?))
}
