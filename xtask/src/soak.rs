//! `cargo xtask soak`: builds what the soak needs and becomes the program `crates/soak`.

use std::{os::unix::process::CommandExt as _, path::PathBuf, process::Command};

use crate::{
    Result, control_plane,
    program::{OPERATOR, build, built},
};

const SOAK: &str = "soak";

/// How long, and with what.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// How long the faults last; before and after it, everything has to become as it is wished
    #[arg(long, value_name = "N", default_value_t = 10.0)]
    minutes: f64,
    /// Repeat the story of an earlier run, which printed its seed
    #[arg(long)]
    seed: Option<u64>,
    /// How many webhooks there are at any time
    #[arg(long, value_name = "COUNT", default_value_t = 300)]
    webhooks: usize,
    /// Write all measurements and the verdict as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// Returns only with an error: in the end this process is the soak's.
pub(crate) fn run(args: &Args) -> Result<()> {
    let mut soak = Command::new(built(SOAK)?);
    soak.arg("--operator").arg(built(OPERATOR)?);
    soak.arg("--minutes").arg(args.minutes.to_string()).arg("--webhooks").arg(args.webhooks.to_string());
    if let Some(seed) = args.seed {
        soak.arg("--seed").arg(seed.to_string());
    }
    if let Some(file) = &args.json {
        soak.arg("--json").arg(file);
    }
    soak.env("KUBEBUILDER_ASSETS", control_plane::locate()?.folder());
    build(SOAK)?;
    Err(format!("cannot start {}: {}", built(SOAK)?.display(), soak.exec()).into())
}
