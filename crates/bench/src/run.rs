//! All parts in order, each size of fleet on control planes of its own.

use std::{path::Path, thread::available_parallelism, time::Duration};

use clap::ValueEnum;
use demo::Result;

use crate::{
    Args,
    baseline::{
        limit,
        provider_http::{self, Provider},
        script,
    },
    chapters::{catalogue, deletion, hanging, outage, policy, quiet, restart, rollout},
    fleet, operator,
    report::{
        model::{Fleet, Report, Round},
        table,
    },
    stage::{Conditions, Stage},
};

/// Something that can be left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    /// The same calls and writes, sent bare
    Limit,
    /// One call after another
    Script,
    /// Crossplane's provider-http
    ProviderHttp,
    /// The operator is started again
    Restart,
    /// One policy that all use is changed
    Policy,
    /// The installation fails for 30 s
    Outage,
    /// Nothing is changed for two resync periods
    Quiet,
    /// All are deleted
    Deletion,
    /// Webhooks of a bot that exist already
    Catalogue,
    /// Ten tenants, of which one does not answer
    Hanging,
}

/// How long a fleet may take: longer than it would one call after another.
fn patience(webhooks: usize) -> Duration {
    Duration::from_mins(5) + Duration::from_millis(500) * u32::try_from(webhooks).unwrap_or(u32::MAX)
}

/// Measures, and tells what it measured.
pub(crate) async fn run(args: &Args, program: &Path) -> Result<()> {
    let conditions = Conditions { seed: args.seed, latency: Duration::from_millis(args.latency) };
    println!("seed {}: the same fleets again with --seed {}", args.seed, args.seed);
    let earlier = args.json.as_deref().filter(|file| file.exists()).map(Report::read).transpose()?;
    let mut report = Report {
        seed: args.seed,
        latency_ms: args.latency,
        processors: available_parallelism()?.get(),
        fleets: earlier.map(|report| report.fleets).unwrap_or_default(),
    };
    for &webhooks in &args.webhooks {
        report.take(Box::pin(one(args, program, conditions, webhooks)).await?);
        // What was measured is kept, whatever comes.
        if let Some(file) = &args.json {
            report.write(file)?;
        }
    }
    println!("{}", table::markdown(&report));
    Ok(())
}

async fn one(args: &Args, program: &Path, conditions: Conditions, webhooks: usize) -> Result<Fleet> {
    let wanted = |part| args.parts.is_empty() || args.parts.contains(&part);
    let compared = |part| wanted(part) && webhooks <= args.compare_up_to;
    let within = patience(webhooks);
    let mut fleet = Fleet { webhooks, ..Fleet::default() };
    if wanted(Part::Limit) {
        for _ in 0..if webhooks <= args.compare_up_to { args.rounds } else { 1 } {
            fleet.rounds.push(round(program, conditions, webhooks, within).await?);
        }
    }
    story(&mut fleet, &wanted, program, conditions, within).await?;
    if compared(Part::Script) {
        let stage = Stage::start(1, conditions).await?;
        fleet.script = Some(script::run(&stage, webhooks).await?);
    }
    if let (Some(program), Some(crds)) = (&args.provider_http, &args.provider_http_crds)
        && compared(Part::ProviderHttp)
    {
        let stage = Stage::start(1, conditions).await?;
        let provider = Provider { program: program.clone(), crds: crds.clone() };
        fleet.provider_http = Some(provider_http::run(&stage, &provider, webhooks, within).await?);
    }
    if wanted(Part::Catalogue) {
        fleet.catalogue = Some(catalogue::run(conditions, program, webhooks, within).await?);
    }
    if compared(Part::Hanging) {
        fleet.hanging = Some(hanging::run(conditions, program, webhooks, within).await?);
    }
    Ok(fleet)
}

/// The operator, and right after it what it did sent bare.
async fn round(program: &Path, conditions: Conditions, webhooks: usize, within: Duration) -> Result<Round> {
    let (operator, recipe) = {
        let stage = Stage::start(1, conditions).await?;
        let operator = operator::start(&stage, program).await?;
        rollout::prepare(&stage, fleet::NEVER).await?;
        let rollout = rollout::run(&stage, &operator, webhooks, within).await?;
        let recipe = limit::Recipe::read(&stage, webhooks, &rollout.usage).await?;
        operator.stop().await?;
        (rollout, recipe)
    };
    let stage = Stage::start(1, conditions).await?;
    Ok(Round { operator, limit: limit::run(&stage, webhooks, &recipe, within).await? })
}

/// What one fleet lives through, from its creation to its deletion.
async fn story(
    fleet: &mut Fleet,
    wanted: &impl Fn(Part) -> bool,
    program: &Path,
    conditions: Conditions,
    within: Duration,
) -> Result<()> {
    let webhooks = fleet.webhooks;
    let stage = Stage::start(1, conditions).await?;
    let mut operator = operator::start(&stage, program).await?;
    rollout::prepare(&stage, fleet::NEVER).await?;
    fleet.operator = Some(rollout::run(&stage, &operator, webhooks, within).await?);
    if wanted(Part::Restart) {
        let (again, restart) = restart::run(&stage, operator, program, webhooks, within).await?;
        operator = again;
        fleet.restart = Some(restart);
    }
    if wanted(Part::Policy) {
        fleet.policy = Some(policy::run(&stage, &operator, webhooks, within).await?);
    }
    if wanted(Part::Outage) {
        fleet.outage = Some(outage::run(&stage, &operator, webhooks, within).await?);
    }
    if wanted(Part::Quiet) {
        fleet.quiet = Some(quiet::run(&stage, &operator, webhooks).await?);
    }
    if wanted(Part::Deletion) {
        fleet.deletion = Some(deletion::run(&stage, &operator, webhooks, within).await?);
    }
    operator.stop().await
}
