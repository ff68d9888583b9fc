//! The command line.

use clap::{Args, Parser, Subcommand};

use crate::{check, cluster, complete::Shell, output::Format};

/// See, rehearse, import and repair the webhooks of Cognigy installations.
///
/// Exit codes: 0 done, or nothing to find fault with; 1 differences or findings, or a question answered with no; 2 it could not be done.
#[derive(Clone, Debug, Parser)]
#[command(name = "kubectl-cognigy", bin_name = "kubectl cognigy", version, arg_required_else_help = true)]
pub struct Cli {
    /// What holds for all commands.
    #[command(flatten)]
    pub common: Common,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What holds for all commands.
#[derive(Clone, Debug, Args)]
pub struct Common {
    /// Which cluster.
    #[command(flatten)]
    pub cluster: cluster::Flags,
    /// How the result is written
    #[arg(short, long, global = true, value_name = "FORMAT", default_value = "table")]
    pub output: Format,
}

/// What the program can do.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Judge manifests without a cluster: schema, rules, references, policies, callbacks
    Check(check::Args),
    /// Print a script that lets a shell complete commands, flags and names
    Completion {
        /// The shell
        shell: Shell,
    },
}
