//! `kubectl cognigy timeline`: what a policy does, before it is applied.
//!
//! ```text
//! source.rs  policies from the cluster and from files     model.rs   what is known of one, plain data
//! text.rs    tables and sentences                         chart.rs   the chart in the terminal
//! figures.rs JSON and YAML                                picture/   SVG and PNG
//! axis.rs    time, which chart and picture share          words.rs   times, shares, odds
//! ```
//!
//! All mathematics is the library's (`cognigy_operator::retry`).

mod axis;
mod chart;
mod figures;
mod model;
mod picture;
mod source;
mod text;
mod words;

use std::path::{Path, PathBuf};

use clap::{Args as ClapArgs, ValueHint};
use cognigy_operator::retry::FailureRate;

use crate::{
    candidates,
    common::Common,
    exit::{Ending, Error, Result},
    output::{self, Format},
};

pub use figures::Figures;
pub use model::Timeline;
pub use source::{Found, in_cluster, in_files, names};

/// The command line of `timeline`.
#[derive(Clone, Debug, ClapArgs)]
pub struct Args {
    /// The retry policy: of the cluster, or with --filename of the file
    #[arg(value_name = "POLICY", add = candidates::policies(), required_unless_present = "filename")]
    pub name: Option<String>,
    /// A file with manifests instead of the cluster (- is standard input)
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub filename: Option<PathBuf>,
    /// What is reckoned with, and where it is drawn.
    #[command(flatten)]
    pub how: How,
}

/// What is reckoned with, and where it is drawn: the same for one policy and for two.
#[derive(Clone, Debug, ClapArgs)]
pub struct How {
    /// The share of tries that fail, in percent [default: failureThresholdPercent of the (first) policy]
    #[arg(long, value_name = "PERCENT", value_parser = failure_rate)]
    pub failure_rate: Option<FailureRate>,
    /// Make so many deliveries by lot (up to 10000000), and tell what became of them
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub simulate: Option<u32>,
    /// Where the lots come from: the same seed gives the same deliveries on every machine
    #[arg(long, value_name = "SEED", default_value_t = 1, requires = "simulate")]
    pub seed: u64,
    /// Draw a picture into this SVG file
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub svg: Option<PathBuf>,
    /// Draw a picture into this PNG file
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub png: Option<PathBuf>,
    /// The colours of pictures
    #[arg(long, default_value = "auto")]
    pub theme: picture::Theme,
}

/// Runs the command.
pub async fn run(args: Args, common: &Common) -> Result {
    let found = find(&args, common).await?;
    let mut timeline = Timeline::of(found.name, found.source, found.policy, args.how.failure_rate);
    args.how.simulate(std::slice::from_mut(&mut timeline));
    args.how.draw(std::slice::from_ref(&timeline))?;
    let text = match common.output.machine(&Figures::from(&timeline))? {
        Some(text) => text,
        None => text::timeline(&timeline, chart::width(), common.output == Format::Wide)?,
    };
    output::print(&text)?;
    Ok(Ending::Good)
}

/// Two policies or more in one text.
pub fn comparison(timelines: &[Timeline]) -> Result<String> {
    text::comparison(timelines, chart::width())
}

/// The one policy that is meant.
async fn find(args: &Args, common: &Common) -> Result<Found> {
    let (mut found, file) = match (&args.filename, &args.name) {
        (Some(file), _) => (in_files(std::slice::from_ref(file))?, file.as_path()),
        (None, name) => (in_cluster(name.as_slice(), &common.cluster).await?, Path::new("")),
    };
    let held = names(&found);
    if let Some(name) = &args.name {
        found.retain(|one| one.name == *name);
    }
    match (found.pop(), found.is_empty()) {
        (Some(one), true) => Ok(one),
        (None, _) => Err(Error::Told(format!("{} holds another RetryPolicy: {held}", file.display()))),
        (Some(_), false) => Err(Error::Told(format!(
            "{} holds several RetryPolicies, name the one that is meant: {held}",
            file.display()
        ))),
    }
}

impl How {
    /// Makes the deliveries that were asked for, of each policy with the same lots.
    pub fn simulate(&self, timelines: &mut [Timeline]) {
        if let Some(deliveries) = self.simulate {
            for timeline in timelines {
                timeline.simulate(deliveries, self.seed);
            }
        }
    }

    /// Draws the pictures that were asked for.
    pub fn draw(&self, timelines: &[Timeline]) -> Result<()> {
        let write = |path: &Path, bytes: &[u8]| {
            std::fs::write(path, bytes).map_err(|error| Error::File { path: path.display().to_string(), error })
        };
        if let Some(path) = &self.svg {
            write(path, picture::svg(timelines, self.theme).as_bytes())?;
        }
        if let Some(path) = &self.png {
            write(path, &picture::png(timelines, self.theme)?)?;
        }
        Ok(())
    }
}

fn failure_rate(text: &str) -> std::result::Result<FailureRate, String> {
    let percent = text.trim_end_matches('%').trim().parse().ok();
    percent.and_then(FailureRate::from_percent).ok_or_else(|| "a percentage from 0 to 100 is needed".into())
}
