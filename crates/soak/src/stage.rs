//! What runs: a control plane, an installation for each tenant, the operator as a process.

use std::path::Path;

use cognigy_operator::cognigy::install_crypto_provider;
use cognigy_simulator::{Options, Simulator};
use control_plane::{Assets, ControlPlane, User};
use demo::{Result, kubernetes, operator::Operator};
use kube::Client;
use tempfile::TempDir;

use crate::model::TENANTS;

/// Who writes the objects.
pub(crate) const USER: &str = "soak";

/// What runs. Dropped, everything ends.
pub(crate) struct Stage {
    // Fields are dropped in this order.
    pub(crate) operator: Operator,
    /// One for each tenant.
    pub(crate) simulators: Vec<Simulator>,
    pub(crate) client: Client,
    pub(crate) plane: ControlPlane,
    files: TempDir,
}

impl Stage {
    /// Starts it all; nothing is wished yet.
    pub(crate) async fn start(operator: &Path) -> Result<Self> {
        install_crypto_provider();
        let files = tempfile::Builder::new().prefix("cognigy-soak-").tempdir()?;
        let assets = tokio::task::spawn_blocking(|| Assets::locate_or_build(|line| eprintln!("{line}"))).await??;
        let plane = ControlPlane::start(control_plane::Options::new(assets)).await?;
        let client = kubernetes::client(&plane, &User::admin()).await?;
        kubernetes::install(&client, USER).await?;
        let simulators = (0..TENANTS).map(|_| Ok(Simulator::start(Options::default())?)).collect::<Result<_>>()?;
        let kubeconfig = plane.write_kubeconfig(&User::admin())?;
        // What is told of every fault would fill the disk.
        let flags = ["--log-level", "error"];
        let operator = Operator::start(operator, &kubeconfig, &flags, files.path().join("operator.log")).await?;
        Ok(Self { operator, simulators, client, plane, files })
    }

    /// Ends everything in order; the operator's log stays unless all went well.
    pub(crate) async fn close(mut self, well: bool) -> Result<()> {
        if !well {
            self.files.disable_cleanup(true);
            println!("the operator's log: {}", self.files.path().join("operator.log").display());
        }
        self.operator.stop().await
    }
}
