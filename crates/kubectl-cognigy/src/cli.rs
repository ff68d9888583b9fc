//! The command line.

use clap::{Parser, Subcommand};

use crate::{
    actions, check, common::Common, compare, complete::Shell, dead_letters, diff, doctor, import, status, timeline,
};

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

/// What the program can do.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Show tenants with their webhooks as a tree, or one object in full
    Status(status::Args),
    /// Show what a retry policy does: its tries in time, and how likely a delivery comes through
    Timeline(timeline::Args),
    /// Show two retry policies in one table and one picture
    Compare(compare::Args),
    /// Tell what the operator would do: manifests, or webhooks of the cluster, against what Cognigy holds now
    Diff(diff::Args),
    /// Judge manifests without a cluster: schema, rules, references, policies, callbacks
    Check(check::Args),
    /// Tell whether the installation is sound, and what to do where it is not
    Doctor(doctor::Args),
    /// Write webhooks and retry policies that Cognigy holds as manifests that change nothing when they are applied
    Import(Box<import::Args>),
    /// Ask the operator for a full pass now
    Reconcile(actions::ReconcileArgs),
    /// Stop all work on webhooks or tenants; Cognigy is left as it is
    Suspend(actions::Args),
    /// Go on with what was suspended
    Resume(actions::Args),
    /// Let deleted objects go whose deletion waits, without touching Cognigy
    Orphan(actions::Args),
    /// Show dead letters and what else waits for its sink, send them again, throw them away
    DeadLetters(dead_letters::Args),
    /// Print a script that lets a shell complete commands, flags and names
    Completion {
        /// The shell
        shell: Shell,
    },
}
