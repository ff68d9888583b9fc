//! `cargo xtask bench`: builds what the benchmark needs, as fast as what goes into the image, and becomes the program `crates/bench`.

use std::{ffi::OsString, os::unix::process::CommandExt as _, process::Command};

use crate::{
    Result, control_plane,
    program::{self, OPERATOR},
};

const BENCH: &str = "bench";
/// The profile in Cargo.toml.
const PROFILE: &str = "measured";

/// What is measured.
#[derive(clap::Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Args {
    /// Flags of the benchmark: see `cargo xtask bench --help`
    #[arg(allow_hyphen_values = true, trailing_var_arg = true)]
    flags: Vec<OsString>,
}

/// Returns only with an error: in the end this process is the benchmark's.
pub(crate) fn run(args: &Args) -> Result<()> {
    let assets = control_plane::locate()?;
    program::build_as(BENCH, PROFILE)?;
    let mut bench = Command::new(program::built_as(BENCH, PROFILE)?);
    bench.arg("--operator").arg(program::built_as(OPERATOR, PROFILE)?).args(&args.flags);
    bench.env("KUBEBUILDER_ASSETS", assets.folder());
    Err(format!("cannot start {bench:?}: {}", bench.exec()).into())
}
