//! What runs: a control plane, an installation for each tenant, the operator as a process.

use std::path::Path;

use cognigy_operator::{api, cluster::crds, cognigy::install_crypto_provider, server::Readiness};
use cognigy_simulator::{Options, Simulator};
use control_plane::{Assets, ControlPlane, User};
use demo::{Result, operator::Operator};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{
    Api, Client, Config, ResourceExt as _,
    api::{Patch, PatchParams},
    config::{KubeConfigOptions, Kubeconfig},
};
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
        let client = client(&plane).await?;
        install(&client).await?;
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

async fn client(plane: &ControlPlane) -> Result<Client> {
    let kubeconfig = Kubeconfig::from_yaml(&plane.kubeconfig(&User::admin())?)?;
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    config.proxy_url = None;
    Ok(Client::try_from(config)?)
}

async fn install(client: &Client) -> Result<()> {
    let all = Api::<CustomResourceDefinition>::all(client.clone());
    for crd in api::crds() {
        all.patch(&crd.name_any(), &PatchParams::apply(USER).force(), &Patch::Apply(&crd)).await?;
    }
    crds::wait_until_served(client, &Readiness::default()).await;
    Ok(())
}
