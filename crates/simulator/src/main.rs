//! The simulator as a program: prints where it is as one line of JSON, and runs until it is told to end.

mod args;

use clap::Parser;
use cognigy_simulator::{Simulator, describe};
use tokio::signal::unix::{SignalKind, signal};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
        .init();
    let options = args::Args::parse().into_options()?;
    let mut terminate = signal(SignalKind::terminate())?;
    let simulator = Simulator::start(options)?;
    println!("{}", describe(&simulator));
    tokio::select! {
        _ = terminate.recv() => {}
        interrupted = tokio::signal::ctrl_c() => interrupted?,
    }
    simulator.stop().await;
    Ok(())
}
