//! What `cargo xtask bench` runs: what a fleet of webhooks costs, beside a script, provider-http and the physical limit.
//!
//! ```text
//! stage.rs     a control plane with an audit log, simulated installations       fleet.rs    what is wished, pure
//! objects.rs   creates and follows objects                                      operator.rs starts the operator
//! meter/       what was used between two moments: calls, writes, the process
//! chapters/    what happens to a fleet                                          baseline/   the same work by others
//! report/      the figures: JSON, tables, goals, pictures; pure
//! run.rs       all of it in order
//! ```

mod baseline;
mod chapters;
mod fleet;
mod meter;
mod objects;
mod operator;
mod progress;
mod report;
mod run;
mod stage;

use std::{path::PathBuf, process::ExitCode};

use clap::Parser;
use demo::Result;

use crate::run::Part;

/// As `cargo xtask bench` was called, and where it put the operator.
#[derive(Debug, Parser)]
struct Args {
    /// Fleets of so many webhooks
    #[arg(long, value_name = "COUNT,…", value_delimiter = ',', default_values_t = [200, 1_000, 10_000])]
    webhooks: Vec<usize>,
    /// What is measured [default: all]
    #[arg(long, value_name = "PART,…", value_delimiter = ',', value_enum)]
    parts: Vec<Part>,
    /// Fleets up to this size are also brought up one call after another, by provider-http, and with a tenant that hangs
    #[arg(long, value_name = "COUNT", default_value_t = 1_000)]
    compare_up_to: usize,
    /// So often the operator and the limit are measured one after the other; the middle of their ratios counts. Fleets that are not
    /// compared have one round
    #[arg(long, value_name = "COUNT", default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=21))]
    rounds: u8,
    /// The fleets are made from this number
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// What each call to Cognigy takes at least
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 20)]
    latency: u64,
    /// provider-http's program, for the comparison with it
    #[arg(long, value_name = "FILE", requires = "provider_http_crds")]
    provider_http: Option<PathBuf>,
    /// The folder of its definitions
    #[arg(long, value_name = "FOLDER", requires = "provider_http")]
    provider_http_crds: Option<PathBuf>,
    /// Where the figures are kept as JSON; what is there already and not measured again stays
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Measure nothing, only write the tables and pictures of the figures in --json into this folder
    #[arg(long, value_name = "FOLDER", requires = "json")]
    render: Option<PathBuf>,
    /// The operator's program
    #[arg(long, value_name = "FILE", required_unless_present = "render")]
    operator: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> ExitCode {
    match act(&Args::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn act(args: &Args) -> Result<()> {
    match (&args.render, &args.json, &args.operator) {
        (Some(folder), Some(json), _) => report::render(&report::model::Report::read(json)?, folder),
        (_, _, Some(operator)) => run::run(args, operator).await,
        _ => Err("--operator is missing".into()),
    }
}
