//! What runs: a control plane with an audit log, simulated installations, and the clients of whoever does the work.

use std::{path::PathBuf, time::Duration};

use cognigy_operator::cognigy::install_crypto_provider;
use cognigy_simulator::{Handle, LogDetail, Options, Simulator};
use control_plane::{Assets, AuditLevel, ControlPlane, User};
use demo::{Result, kubernetes};
use kube::Client;
use tempfile::TempDir;
use tokio::time::sleep;

use crate::{meter::process::cpu_seconds, progress::Progress};

/// Who creates and watches the objects.
const OWNER: &str = "bench";
/// Who does the work: its requests are what is counted.
pub(crate) const WORKER: &str = "worker";

/// The control plane rests when both its processes together take less than this share of one processor …
const REST: f64 = 0.1;
/// … for so long.
const LOOK: Duration = Duration::from_secs(1);
/// How often that is looked for at most: a fleet that is watched over never rests quite.
const LOOKS: usize = 60;

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
    control_plane_processes: Vec<u32>,
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
        let owner = kubernetes::client(&plane, &user(OWNER)).await?;
        let worker = kubernetes::client(&plane, &user(WORKER)).await?;
        let worker_file = plane.write_kubeconfig(&user(WORKER))?;
        kubernetes::install(&owner, OWNER).await?;
        let simulators = (0..installations)
            .map(|_| {
                Ok(Simulator::start(Options {
                    latency: conditions.latency,
                    log_detail: LogDetail::Line,
                    ..Options::default()
                })?)
            })
            .collect::<Result<_>>()?;
        let control_plane_processes = plane.process_ids().await;
        Ok(Self { conditions, simulators, owner, worker, worker_file, plane, control_plane_processes, files })
    }

    /// Waits until the control plane rests. After its start it makes itself ready for the definitions for seconds, and after a fleet it
    /// tidies up: either would count as time of whoever comes next.
    pub(crate) async fn settle(&self) -> Result<()> {
        let _progress = Progress::start("the control plane comes to rest", 1);
        let mut before = self.control_plane_seconds()?;
        for _ in 0..LOOKS {
            sleep(LOOK).await;
            let now = self.control_plane_seconds()?;
            if now - before < REST * LOOK.as_secs_f64() {
                break;
            }
            before = now;
        }
        Ok(())
    }

    /// What the API server and etcd have used of the processors so far.
    pub(crate) fn control_plane_seconds(&self) -> Result<f64> {
        self.control_plane_processes.iter().copied().map(cpu_seconds).sum()
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
