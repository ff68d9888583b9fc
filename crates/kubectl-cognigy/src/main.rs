//! `kubectl cognigy`: see, rehearse, import and repair what the operator takes care of.
//!
//! ```text
//! cli.rs       the command line            cluster.rs   the cluster, as kubectl finds it
//! exit.rs      how it ends, and errors     output.rs, style.rs   tables, JSON, YAML, colours
//! complete.rs  completion in shells
//! check/       manifests, judged without a cluster
//! ```
//!
//! Types, client and mathematics are the operator's own library: nothing here knows how Cognigy is spoken to or what a policy means.

mod check;
mod cli;
mod cluster;
mod complete;
mod exit;
mod output;
mod style;

use std::{env, path::Path, process::ExitCode};

use clap::{CommandFactory as _, Parser as _};
use clap_complete::CompleteEnv;

use crate::{
    cli::{Cli, Command},
    exit::{Ending, Result},
};

#[tokio::main]
async fn main() -> ExitCode {
    let ending = if is_completer() {
        complete::answer(env::args_os().skip(1))
    } else {
        CompleteEnv::with_factory(Cli::command).var(complete::VARIABLE).complete();
        run(Cli::parse()).await
    };
    let ending = ending.unwrap_or_else(|error| {
        anstream::eprintln!("error: {error}");
        Ending::Failed
    });
    ending.into()
}

/// Whether kubectl asks for candidates.
fn is_completer() -> bool {
    let called = env::args_os().next().unwrap_or_default();
    Path::new(&called).file_stem().is_some_and(|name| name == complete::COMPLETER)
}

async fn run(cli: Cli) -> Result {
    match cli.command {
        Command::Check(args) => check::run(&args, &cli.common),
        Command::Completion { shell } => complete::script(shell),
    }
}
