//! The program: see `docs/design.md`.

use std::{error::Error, io, process::ExitCode};

use clap::Parser as _;
use cognigy_operator::{
    api,
    args::{Cli, Command, Run},
    cognigy, controller,
    telemetry::{self, Traces},
};
use tokio::signal::unix::{SignalKind, signal};

/// What a roll-out of thousands of webhooks needs for a moment goes back to the system afterwards (docs/performance.md).
#[cfg(feature = "jemalloc")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    cognigy::install_crypto_provider();
    let outcome = match Cli::parse().command {
        Command::Run(args) => run(*args),
        Command::Crds => api::crds_yaml().map(|yaml| print!("{yaml}")).map_err(Into::into),
    };
    outcome.map_or_else(
        |error| {
            eprintln!("cognigy-operator: {error}");
            ExitCode::FAILURE
        },
        |()| ExitCode::SUCCESS,
    )
}

fn run(args: Run) -> Result<(), Box<dyn Error>> {
    let traces = args.otlp_endpoint.as_ref().map(Traces::to).transpose()?;
    telemetry::init(args.log_format, &args.log_level, traces.as_ref())?;
    args.without_effect().iter().for_each(|sentence| tracing::warn!("{sentence}"));
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
        let shutdown = asked_to_stop()?;
        let exporting = traces.map(Traces::start);
        let outcome = controller::run(args, shutdown).await;
        if let Some(exporting) = exporting {
            exporting.finish().await;
        }
        outcome.map_err(Into::into)
    })
}

/// Resolves at SIGTERM or Ctrl-C.
fn asked_to_stop() -> io::Result<impl Future<Output = ()> + Send + 'static> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
