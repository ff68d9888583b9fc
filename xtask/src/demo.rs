//! `cargo xtask demo`: builds what the demo needs, in sight of the reader, and becomes the program `crates/demo`.

use std::{os::unix::process::CommandExt as _, path::PathBuf, process::Command};

use crate::{
    Result,
    cargo::run as run_command,
    control_plane,
    program::{OPERATOR, build, built},
};

const DEMO: &str = "demo";

/// How the demo runs; by default until Ctrl-C, on a control plane of its own.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// End by itself once all is told; the exit code is 0 only if everything became Ready
    #[arg(long)]
    once: bool,
    /// Use the cluster that is current in this file instead of a control plane of its own; what the demo creates there is removed
    /// at the end
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
}

/// Runs the demo to its end; an error where not everything became Ready.
pub(crate) fn once() -> Result<()> {
    let demo = prepare(&Args { once: true, kubeconfig: None })?;
    run_command(demo)
}

/// Returns only with an error: in the end this process is the demo's.
pub(crate) fn run(args: &Args) -> Result<()> {
    let mut demo = prepare(args)?;
    Err(format!("cannot start {}: {}", built(DEMO)?.display(), demo.exec()).into())
}

/// The demo's program, built, with its arguments.
fn prepare(args: &Args) -> Result<Command> {
    // What takes no time to find out comes before what takes minutes.
    if let Some(file) = args.kubeconfig.as_ref().filter(|file| !file.is_file()) {
        return Err(format!("there is no kubeconfig {}: give the path of a file", file.display()).into());
    }
    let mut demo = Command::new(built(DEMO)?);
    demo.arg("--operator").arg(built(OPERATOR)?);
    if args.once {
        demo.arg("--once");
    }
    match &args.kubeconfig {
        Some(file) => demo.arg("--kubeconfig").arg(file),
        None => demo.env("KUBEBUILDER_ASSETS", control_plane::locate()?.folder()),
    };
    build(DEMO)?;
    Ok(demo)
}
