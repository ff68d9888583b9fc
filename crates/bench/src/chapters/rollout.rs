//! From nothing to all Ready.

use std::time::Duration;

use demo::{Result, operator::Operator};
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

/// The operator brings so many webhooks up, of one tenant.
pub(crate) async fn run(stage: &Stage, operator: &Operator, webhooks: usize, within: Duration) -> Result<Rollout> {
    let progress = Progress::start(&format!("the operator, {webhooks} webhooks"), webhooks);
    let installation = stage.installation(0);
    let api = objects::api(&stage.owner, &fleet::resource("CognigyWebhook"));
    let follow = Follow::start(api.clone(), is_ready);
    let meter = Meter::start(stage, Some(operator.id()))?;
    let objects = (0..webhooks).map(|nth| fleet::webhook(stage.conditions.seed, nth, 0, &installation));
    let (created, ready) =
        tokio::join!(objects::create(&api, objects, |_| {}), follow.reach(webhooks, within, &progress));
    let (created, seconds) = (created?, meter.elapsed());
    operator::quiet_events(operator, within.saturating_sub(seconds)).await?;
    Ok(Rollout::of_objects("operator", webhooks, &created, &ready, meter.read(stage)?))
}
