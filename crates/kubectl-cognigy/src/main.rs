//! `kubectl cognigy`: see, rehearse, import and repair what the operator takes care of.
//!
//! ```text
//! cli.rs, common.rs   the command line     cluster.rs     the cluster, as kubectl finds it
//! exit.rs      how it ends, and errors     output.rs, style.rs   tables, JSON, YAML, colours
//! complete.rs  completion in shells        target.rs, when.rs    objects and times as people name them
//! session.rs   connections to Cognigy, as the operator makes them    files.rs   files as they are named
//!
//! status/      tenants and webhooks as they are    timeline/  compare/   what retry policies do
//! diff/        what the operator would do          import/       what Cognigy holds, as manifests
//! check/       manifests, judged without a cluster     doctor/       whether the installation is sound
//! actions/     what can be asked of the operator   dead_letters/ what waits for its sink
//! ```
//!
//! Types, client and mathematics are the operator's own library: nothing here knows how Cognigy is spoken to or what a policy means.

mod actions;
mod candidates;
mod check;
mod cli;
mod cluster;
mod common;
mod compare;
mod complete;
mod dead_letters;
mod diff;
mod doctor;
mod exit;
mod files;
mod import;
mod output;
mod session;
mod status;
mod style;
mod target;
mod timeline;
mod when;

use std::{env, path::Path, process::ExitCode};

use clap::{CommandFactory as _, Parser as _};
use clap_complete::CompleteEnv;

use crate::{
    actions::Action,
    cli::{Cli, Command},
    exit::{Ending, Result},
};

#[tokio::main]
async fn main() -> ExitCode {
    let ending = if is_completer() {
        complete::answer(&mut Cli::command(), env::args_os().skip(1))
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
        Command::Status(args) => status::run(args, &cli.common).await,
        Command::Timeline(args) => timeline::run(args, &cli.common).await,
        Command::Compare(args) => compare::run(args, &cli.common).await,
        Command::Diff(args) => diff::run(args, &cli.common).await,
        Command::Check(args) => check::run(&args, &cli.common),
        Command::Doctor(args) => doctor::run(args, &cli.common).await,
        Command::Import(args) => import::run(*args, &cli.common).await,
        Command::Reconcile(args) => actions::reconcile(args, &cli.common).await,
        Command::Suspend(args) => actions::run(Action::Suspend, args, &cli.common).await,
        Command::Resume(args) => actions::run(Action::Resume, args, &cli.common).await,
        Command::Orphan(args) => actions::run(Action::Orphan, args, &cli.common).await,
        Command::DeadLetters(args) => dead_letters::run(args, &cli.common).await,
        Command::Completion { shell } => complete::script(shell),
    }
}
