//! The project's own commands: `cargo xtask …`.

mod argocd;
mod bench;
mod cargo;
mod chart;
mod control_plane;
mod crds;
mod demo;
mod deny;
mod docs;
mod fuzz;
mod image;
mod program;
mod soak;
mod test;

use std::{error::Error, process::ExitCode};

use clap::{Parser, Subcommand};

/// What each command returns; `main` prints the error for the person who ran it.
type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// The project's own commands.
#[derive(Parser)]
#[command(bin_name = "cargo xtask")]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Look the dependencies up in the database of known vulnerabilities, which needs the network
    Advisories,
    /// Write deploy/argocd/argocd-cm.yaml, from the scripts beside it
    Argocd,
    /// Measure what a fleet of webhooks costs, beside a script, provider-http and the physical limit; takes long
    Bench(bench::Args),
    /// Write what of the Helm chart is written by machine: the values in its README, its definitions, its
    /// rules and dashboard, deploy/install.yaml
    Chart,
    /// Build kube-apiserver, etcd, kubectl, helm, kubeconform, kube-score, promtool and actionlint once, and say where they are
    ControlPlane,
    /// Write the custom resource definitions to deploy/crds/ and into the chart
    Crds,
    /// Show the operator at work on a real control plane, with a simulated Cognigy
    Demo(demo::Args),
    /// Write the field reference to docs/reference.md, from deploy/crds/, the table in docs/metrics.md, and the output and
    /// pictures in docs/plugin/timeline.md
    Docs,
    /// Run the property tests with many more cases and printed seeds, for as long as you like
    Fuzz(fuzz::Args),
    /// Test the release build as it goes into the image, or the files of an image
    Image(image::Args),
    /// Run the operator for a long time under steady faults; the exit code is 0 only if it stayed level and lost nothing
    Soak(soak::Args),
    /// Run every check of the project in order, up to the first that fails
    Test(test::Args),
}

fn main() -> ExitCode {
    let result = match Args::parse().command {
        Command::Advisories => deny::advisories(),
        Command::Argocd => argocd::run(),
        Command::Bench(args) => bench::run(&args),
        Command::Chart => chart::run(),
        Command::ControlPlane => control_plane::run(),
        Command::Crds => crds::run(),
        Command::Demo(args) => demo::run(&args),
        Command::Docs => docs::run(),
        Command::Fuzz(args) => fuzz::run(&args),
        Command::Image(args) => image::run(&args),
        Command::Soak(args) => soak::run(&args),
        Command::Test(args) => test::run(&args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
