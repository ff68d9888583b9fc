//! What runs: a control plane with an audit log, simulated installations, and the clients of whoever does the work.

use std::{path::PathBuf, time::Duration};

use cognigy_operator::{api, cluster::crds, cognigy::install_crypto_provider, server::Readiness};
use cognigy_simulator::{Handle, LogDetail, Options, Simulator};
use control_plane::{Assets, AuditLevel, ControlPlane, User};
use demo::Result;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{
    Api, Client, Config, ResourceExt as _,
    api::{Patch, PatchParams},
    config::{KubeConfigOptions, Kubeconfig},
};
use tempfile::TempDir;

/// Who creates and watches the objects.
const OWNER: &str = "bench";
/// Who does the work: its requests are what is counted.
pub(crate) const WORKER: &str = "worker";

/// Under what everything happens.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Conditions {
    /// The fleets are made from this number.
    pub(crate) seed: u64,
    /// What each call to Cognigy takes at least.
    pub(crate) latency: Duration,
}

/// What runs. Dropped, everything ends.
pub(crate) struct Stage {
    pub(crate) conditions: Conditions,
    // Fields are dropped in this order.
    simulators: Vec<Simulator>,
    /// The objects' owner at the API server.
    pub(crate) owner: Client,
    /// Whoever does the work, where it works in this process.
    pub(crate) worker: Client,
    /// The kubeconfig of whoever does the work.
    pub(crate) worker_file: PathBuf,
    pub(crate) plane: ControlPlane,
    /// For logs.
    pub(crate) files: TempDir,
}

impl Stage {
    /// Starts it all with so many installations; there are no objects yet.
    pub(crate) async fn start(installations: usize, conditions: Conditions) -> Result<Self> {
        install_crypto_provider();
        let files = tempfile::Builder::new().prefix("cognigy-bench-").tempdir()?;
        let assets = tokio::task::spawn_blocking(|| Assets::locate_or_build(|line| eprintln!("{line}"))).await??;
        let plane = ControlPlane::start(control_plane::Options::new(assets).audit(AuditLevel::Metadata)).await?;
        let owner = client(&plane, OWNER).await?;
        let worker = client(&plane, WORKER).await?;
        let worker_file = plane.write_kubeconfig(&user(WORKER))?;
        install(&owner).await?;
        let simulators = (0..installations)
            .map(|_| {
                Ok(Simulator::start(Options {
                    latency: conditions.latency,
                    log_detail: LogDetail::Line,
                    ..Options::default()
                })?)
            })
            .collect::<Result<_>>()?;
        Ok(Self { conditions, simulators, owner, worker, worker_file, plane, files })
    }

    /// One of the installations.
    pub(crate) fn installation(&self, nth: usize) -> Handle {
        self.simulators[nth].handle()
    }

    /// All of them.
    pub(crate) fn installations(&self) -> impl Iterator<Item = Handle> {
        self.simulators.iter().map(Simulator::handle)
    }
}

fn user(name: &str) -> User {
    User::named(name).group("system:masters")
}

async fn client(plane: &ControlPlane, name: &str) -> Result<Client> {
    let kubeconfig = Kubeconfig::from_yaml(&plane.kubeconfig(&user(name))?)?;
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    config.proxy_url = None;
    Ok(Client::try_from(config)?)
}

async fn install(client: &Client) -> Result<()> {
    let all = Api::<CustomResourceDefinition>::all(client.clone());
    for crd in api::crds() {
        all.patch(&crd.name_any(), &PatchParams::apply(OWNER).force(), &Patch::Apply(&crd)).await?;
    }
    crds::wait_until_served(client, &Readiness::default()).await;
    Ok(())
}
