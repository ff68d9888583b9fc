//! Everything that runs during the demo, and its end.

use std::path::PathBuf;

use cognigy_simulator::Simulator;
use demo::operator::Operator;
use tempfile::TempDir;
use tokio::task::JoinHandle;

use crate::{Result, cluster::Cluster, screen::Screen};

/// What runs, filled bit by bit. Dropped, it ends everything; [`House::close`] ends it in order.
#[derive(Debug)]
pub(crate) struct House {
    // Fields are dropped in this order.
    pub(crate) scenario: Option<JoinHandle<()>>,
    pub(crate) operator: Option<Operator>,
    pub(crate) simulator: Option<Simulator>,
    pub(crate) cluster: Option<Cluster>,
    files: TempDir,
}

impl House {
    /// With nothing in it yet.
    pub(crate) fn new() -> Result<Self> {
        let files = tempfile::Builder::new().prefix("cognigy-demo-").tempdir()?;
        Ok(Self { scenario: None, operator: None, simulator: None, cluster: None, files })
    }

    /// Where the operator's log is written.
    pub(crate) fn operator_log(&self) -> PathBuf {
        self.files.path().join("operator.log")
    }

    /// Ends everything in order: what was created in a reader's cluster, the operator, the simulator, the control plane. The
    /// operator's log stays unless all went well.
    pub(crate) async fn close(mut self, well: bool, screen: &mut Screen) {
        if let Some(scenario) = self.scenario.take() {
            scenario.abort();
        }
        if let Some(cluster) = &mut self.cluster {
            cluster.clean_up(screen).await;
        }
        if let Some(operator) = self.operator.take()
            && let Err(error) = operator.stop().await
        {
            screen.line(error);
        }
        if let Some(simulator) = self.simulator.take() {
            simulator.stop().await;
        }
        let log = self.operator_log();
        if !well && log.is_file() {
            self.files.disable_cleanup(true);
            screen.line(format_args!("\nThe operator's log: {}", log.display()));
        }
    }
}
