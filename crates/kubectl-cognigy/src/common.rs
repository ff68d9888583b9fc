//! The flags that all commands have.

use clap::Args;

use crate::{cluster, output::Format};

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
