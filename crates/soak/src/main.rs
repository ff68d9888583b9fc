//! What `cargo xtask soak` runs: the operator, as a process, for a long time under steady faults; memory, open files and tasks
//! have to end where they began, and nothing may be lost.
//!
//! ```text
//! stage.rs    a control plane, three simulated installations, the operator
//! model.rs    what is wished, and what happens next: pure, from a seed      act.rs      makes it happen
//! weather.rs  the standing faults                                           sample.rs   what is measured
//! judge.rs    the first third against the last one, pure                    outcome.rs  is the world as it is wished?
//! report.rs   lines, table, JSON
//! ```

mod act;
mod judge;
mod model;
mod outcome;
mod report;
mod sample;
mod stage;
mod weather;

use std::{
    collections::BTreeMap,
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant},
};

use clap::Parser;
use demo::Result;
use tokio::time::{interval, sleep};

use crate::{model::Model, report::Report, sample::Sample, stage::Stage};

/// How often something happens.
const STEP: Duration = Duration::from_millis(250);
/// The part of the time that is not judged: pools and caches fill.
const WARM_UP: f64 = 0.1;
/// How often is measured at rest, before and after the faults.
const REST_SAMPLES: usize = 12;
/// How long everything may take to be as wished: at the beginning, and when the faults have stopped.
const SETTLE_WITHIN: Duration = Duration::from_mins(5);

/// As `cargo xtask soak` was called, and where it put the operator.
#[derive(Debug, Parser)]
struct Args {
    /// How long the faults last
    #[arg(long, default_value_t = 10.0)]
    minutes: f64,
    /// What happens is made from this number; a new one when it is not given
    #[arg(long)]
    seed: Option<u64>,
    /// How many webhooks there are at any time
    #[arg(long, default_value_t = 300)]
    webhooks: usize,
    /// Where the measurements are written
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// The operator's program
    #[arg(long, value_name = "FILE")]
    operator: PathBuf,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(&Args::parse()).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Whether all went well.
async fn run(args: &Args) -> Result<bool> {
    let stage = Stage::start(&args.operator).await?;
    let good = story(args, &stage).await;
    stage.close(matches!(good, Ok(true))).await?;
    good
}

async fn story(args: &Args, stage: &Stage) -> Result<bool> {
    let seed = args.seed.unwrap_or_else(rand::random);
    println!("seed {seed}: the same again with --seed {seed}");
    let mut model = Model::new(seed, args.webhooks);
    act::begin(stage, &model).await?;
    println!("{} webhooks are being registered", args.webhooks);
    let complaints = until_settled(stage, &model).await?;
    if !complaints.is_empty() {
        return Err(format!("not everything is as wished before any fault:\n  {}", complaints.join("\n  ")).into());
    }
    // What a list of everything takes is no leak: it is in the memory from the beginning.
    stage.plane.restart_apiserver().await?;
    until_settled(stage, &model).await?;
    let before = at_rest(stage).await?;
    println!("all is as wished; faults for {} minutes\n\n{}", args.minutes, report::HEAD);
    let length = Duration::from_secs_f64(args.minutes * 60.0);
    let (happened, samples) = under_faults(stage, &mut model, (seed, length)).await?;
    println!("\nno more faults: is everything as wished?");
    let complaints = until_settled(stage, &model).await?;
    let at_rest = judge::at_rest(&before, &at_rest(stage).await?);
    let under_faults = judge::under_faults(&samples, length.as_secs_f64() * WARM_UP)?;
    let (minutes, webhooks) = (args.minutes, args.webhooks);
    let delivered = outcome::delivered(stage);
    let report = Report { seed, minutes, webhooks, happened, delivered, samples, under_faults, at_rest, complaints };
    println!("\n{report}");
    if let Some(file) = &args.json {
        report.write(file)?;
    }
    Ok(report.is_good())
}

/// Lets things happen and measures, for that long.
async fn under_faults(
    stage: &Stage,
    model: &mut Model,
    (seed, length): (u64, Duration),
) -> Result<(BTreeMap<&'static str, u32>, Vec<Sample>)> {
    let begin = Instant::now();
    weather::begin(stage, seed);
    let happening = async {
        let mut happened = BTreeMap::new();
        let mut beat = interval(STEP);
        while begin.elapsed() < length {
            beat.tick().await;
            let step = model.next();
            *happened.entry(step.name()).or_default() += 1;
            act::carry_out(stage, step).await?;
        }
        Result::Ok(happened)
    };
    let measuring = async {
        let mut samples = Vec::new();
        let mut beat = interval(sample::PERIOD);
        while begin.elapsed() < length {
            beat.tick().await;
            let sample = Sample::take(&stage.operator, begin.elapsed()).await?;
            println!("{sample}");
            samples.push(sample);
            stage.simulators.iter().for_each(|simulator| simulator.clear_log());
        }
        Ok(samples)
    };
    let outcome = tokio::try_join!(happening, measuring);
    weather::end(stage);
    outcome
}

/// Some samples while nothing happens.
async fn at_rest(stage: &Stage) -> Result<Vec<Sample>> {
    let mut samples = Vec::new();
    for _ in 0..REST_SAMPLES {
        sleep(sample::PERIOD).await;
        samples.push(Sample::take(&stage.operator, Duration::ZERO).await?);
    }
    Ok(samples)
}

/// Waits until all is as wished; what is not when the time is over.
async fn until_settled(stage: &Stage, model: &Model) -> Result<Vec<String>> {
    let begin = Instant::now();
    loop {
        let complaints = outcome::complaints(stage, model).await?;
        if complaints.is_empty() || begin.elapsed() > SETTLE_WITHIN {
            println!("{} after {} s", if complaints.is_empty() { "yes," } else { "no," }, begin.elapsed().as_secs());
            return Ok(complaints);
        }
        sleep(Duration::from_secs(2)).await;
    }
}
