//! What `cargo xtask demo` runs: the operator at work on a real control plane, with a simulated Cognigy.
//!
//! ```text
//! House ─┬─ cluster.rs   a control plane of its own, or the reader's cluster; kubectl for either
//!        ├─ simulator    in this process, so that scenario.rs can act at the right moment
//!        └─ operator     the operator as a process (lib.rs, which cargo xtask soak shares)
//! manifests.rs  examples/ with the simulator's addresses
//! objects.rs, events.rs, metrics.rs, calls.rs   what is read, as tables;  screen.rs   how it is shown
//! ```
//!
//! It is a program of its own, and not a part of xtask, so that xtask stays small and says at once what it is going to build.

mod calls;
mod cluster;
mod events;
mod house;
mod kubectl;
mod manifests;
mod metrics;
mod objects;
mod scenario;
mod screen;
mod show;

use std::{fmt::Display, path::PathBuf, process::ExitCode};

use clap::Parser;
use demo::Result;
use tokio::signal::unix::{SignalKind, signal};

use crate::{
    house::House,
    screen::{Screen, Style},
    show::Verdict,
};

/// As `cargo xtask demo` was called, and where it put the operator.
#[derive(Debug, Parser)]
struct Args {
    /// End by itself; exit code 0 only if everything became Ready
    #[arg(long)]
    once: bool,
    /// The reader's own cluster
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// The operator's program
    #[arg(long, value_name = "FILE")]
    operator: PathBuf,
}

/// What a shell reports for a program that ended by Ctrl-C.
const INTERRUPTED: u8 = 130;

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    let mut screen = Screen::new();
    let code = run(&args, &mut screen).await;
    code.unwrap_or_else(|error| {
        complain(&error, &mut screen);
        ExitCode::FAILURE
    })
}

async fn run(args: &Args, screen: &mut Screen) -> Result<ExitCode> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let mut house = House::new()?;
    let mut verdict = None;
    let shown = tokio::select! {
        biased;
        _ = interrupt.recv() => Ok(()),
        _ = terminate.recv() => Ok(()),
        shown = show::show(args, &mut house, &mut verdict, screen) => shown,
    };
    screen.settle();
    let code = match (shown, verdict) {
        (Err(error), _) => {
            complain(&error, screen);
            ExitCode::FAILURE
        }
        (Ok(()), Some(Verdict::Ready)) => ExitCode::SUCCESS,
        (Ok(()), Some(Verdict::NotReady)) => ExitCode::FAILURE,
        (Ok(()), None) => ExitCode::from(INTERRUPTED),
    };
    house.close(code == ExitCode::SUCCESS, screen).await;
    Ok(code)
}

fn complain(error: &(impl Display + ?Sized), screen: &mut Screen) {
    screen.settle();
    eprintln!("{} {error}", screen.paint(Style::Bad, "error:"));
}
