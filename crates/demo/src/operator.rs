//! The operator, as a process.

use std::{
    env,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use control_plane::{Process, Watchdog};
use hyper::StatusCode;
use tokio::time::sleep;

use crate::{Result, http};

const NAME: &str = "cognigy-operator";
const FLAG_VARIABLES: &str = "COGNIGY_OPERATOR_";
/// How long the operator may take until all its watches are in sync.
const READY_WITHIN: Duration = Duration::from_mins(1);
const POLL: Duration = Duration::from_millis(100);

/// The operator's process and where it answers.
#[derive(Debug)]
pub struct Operator {
    process: Process,
    address: SocketAddr,
    log: PathBuf,
}

impl Operator {
    /// Starts it with these flags besides and waits until it is ready; `log` is a new file for what it prints.
    pub async fn start(program: &Path, kubeconfig: &Path, flags: &[&str], log: PathBuf) -> Result<Self> {
        let address = control_plane::free_address()?;
        let mut command = Command::new(program);
        for (variable, _) in env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with(FLAG_VARIABLES)) {
            command.env_remove(variable);
        }
        // Everything it talks to is on this machine, whatever proxy the reader uses.
        for variable in ["NO_PROXY", "no_proxy"] {
            let more = env::var(variable).map(|hosts| format!(",{hosts}")).unwrap_or_default();
            command.env(variable, format!("127.0.0.1,localhost{more}"));
        }
        command.env("KUBECONFIG", kubeconfig).args([
            "run",
            "--allow-private-callbacks",
            "127.0.0.0/8",
            "--http-listen",
            &address.to_string(),
        ]);
        command.args(flags);
        let watchdog = Arc::new(Watchdog::start(None)?);
        let process = Process::start(NAME, command, log.clone(), &watchdog)?;
        let mut operator = Self { process, address, log };
        operator.wait_until_ready().await?;
        Ok(operator)
    }

    async fn wait_until_ready(&mut self) -> Result<()> {
        let deadline = Instant::now() + READY_WITHIN;
        loop {
            self.check()?;
            let said = match http::get(self.address, "/readyz").await {
                Ok((StatusCode::OK, _)) => return Ok(()),
                Ok((_, body)) => body,
                Err(error) => error.to_string(),
            };
            if Instant::now() >= deadline {
                return Err(format!(
                    "the operator was not ready after {} s; it says: {}\nmore is in its log, {}",
                    READY_WITHIN.as_secs(),
                    said.trim(),
                    self.log.display()
                )
                .into());
            }
            sleep(POLL).await;
        }
    }

    /// An error when it has ended.
    pub fn check(&mut self) -> Result<()> {
        Ok(self.process.check()?)
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Where its metrics are.
    pub fn metrics_url(&self) -> String {
        format!("http://{}/metrics", self.address)
    }

    /// What it measured, in Prometheus' text format.
    pub async fn metrics(&self) -> Result<String> {
        Ok(http::get(self.address, "/metrics").await?.1)
    }

    /// Ends it as Kubernetes would: SIGTERM, and time to finish.
    pub async fn stop(self) -> Result<()> {
        Ok(self.process.stop().await?)
    }
}
