//! `cargo xtask demo`: builds what the demo needs, in sight of the reader, and becomes the program `crates/demo`.

use std::{
    env,
    io::{self, IsTerminal as _},
    os::unix::process::CommandExt as _,
    path::PathBuf,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use crate::{
    Result,
    cargo::{cargo, run as run_command},
    control_plane,
};

const OPERATOR: &str = "cognigy-operator";
const DEMO: &str = "demo";
/// How often a long build says that it goes on, where cargo has no terminal to draw its progress on.
const SIGN_OF_LIFE: Duration = Duration::from_secs(20);

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
    build()?;
    Ok(demo)
}

fn build() -> Result<()> {
    eprintln!("building the operator, the simulator and the demo: some minutes the first time, seconds from then on");
    let packages = ["--package", OPERATOR, "--package", DEMO, "--bins"];
    let command = cargo(["build"].into_iter().chain(packages));
    if io::stderr().is_terminal() {
        return run_command(command);
    }
    let begin = Instant::now();
    let build = thread::spawn(move || run_command(command).map_err(|error| error.to_string()));
    let mut told = begin;
    while !build.is_finished() {
        thread::sleep(Duration::from_millis(50));
        if told.elapsed() >= SIGN_OF_LIFE {
            told = Instant::now();
            eprintln!("still building ({} s)", begin.elapsed().as_secs());
        }
    }
    build.join().unwrap_or_else(|_| Err("the build was broken off".into())).map_err(Into::into)
}

/// Cargo puts the programs where it put this one.
fn built(program: &str) -> Result<PathBuf> {
    let here = env::current_exe().map_err(|error| format!("cannot find the folder of cargo's programs: {error}"))?;
    Ok(here.with_file_name(program))
}
