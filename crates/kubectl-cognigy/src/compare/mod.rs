//! `kubectl cognigy compare`: two policies in one picture and one table.

use std::path::PathBuf;

use clap::{Args as ClapArgs, ValueHint};
use cognigy_operator::retry::FailureRate;
use serde::Serialize;

use crate::{
    candidates,
    common::Common,
    exit::{Ending, Error, Result},
    output,
    timeline::{self, Figures, Found, How, Timeline},
};

/// The command line of `compare`.
#[derive(Clone, Debug, ClapArgs)]
pub struct Args {
    /// Retry policies of the cluster
    #[arg(value_name = "POLICY", add = candidates::policies(), num_args = 0..=2, required_unless_present = "filename")]
    pub names: Vec<String>,
    /// A file with manifests of others (- is standard input); may be given twice
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub filename: Vec<PathBuf>,
    /// What is reckoned with, and where it is drawn.
    #[command(flatten)]
    pub how: How,
}

/// What `-o json` gives.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Comparison {
    policies: Vec<Figures>,
}

/// Runs the command.
pub async fn run(args: Args, common: &Common) -> Result {
    let mut found = timeline::in_cluster(&args.names, &common.cluster).await?;
    found.extend(timeline::in_files(&args.filename)?);
    if found.len() != 2 {
        let held = timeline::names(&found);
        return Err(Error::Told(format!("two RetryPolicies can be compared, and {} are given: {held}", found.len())));
    }
    let rate = args.how.failure_rate.or_else(|| found.first().map(|one| FailureRate::of(&one.policy)));
    let mut timelines: Vec<Timeline> = labels(&found)
        .into_iter()
        .zip(found)
        .map(|(name, one)| Timeline::of(name, one.source, one.policy, rate))
        .collect();
    args.how.simulate(&mut timelines);
    args.how.draw(&timelines)?;
    let comparison = Comparison { policies: timelines.iter().map(Figures::from).collect() };
    let text = match common.output.machine(&comparison)? {
        Some(text) => text,
        None => timeline::comparison(&timelines)?,
    };
    output::print(&text)?;
    Ok(Ending::Good)
}

/// What the policies are called: their names, and where they come from too if the names are the same.
fn labels(found: &[Found]) -> Vec<String> {
    let alone = |one: &Found| found.iter().filter(|other| other.name == one.name).count() == 1;
    found
        .iter()
        .map(|one| if alone(one) { one.name.clone() } else { format!("{} ({})", one.name, one.source) })
        .collect()
}
