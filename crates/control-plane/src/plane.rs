//! The control plane itself: two processes, started, restarted and ended in order.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tempfile::TempDir;
use tokio::{
    sync::{Mutex, OnceCell},
    task,
    time::{Instant, sleep},
};

#[cfg(feature = "gateway")]
use crate::pki::Identity;
use crate::{
    Assets, AuditEvent, AuditLevel, User, audit,
    error::{Error, IoContext, Result},
    kubeconfig::kubeconfig,
    layout::Layout,
    pki::Authority,
    port,
    process::Process,
    watchdog::Watchdog,
};

const ETCD: &str = "etcd";
const APISERVER: &str = "kube-apiserver";
/// How long both together may take to get ready; seconds on a machine that does nothing else.
const READY_WITHIN: Duration = Duration::from_mins(3);
const POLL: Duration = Duration::from_millis(100);
/// How often other ports are tried when somebody was faster.
const START_TRIES: usize = 5;

/// How a control plane is started.
#[derive(Clone, Debug)]
pub struct Options {
    assets: Assets,
    audit: Option<AuditLevel>,
}

impl Options {
    /// With these binaries and without an audit log.
    pub fn new(assets: Assets) -> Self {
        Self { assets, audit: None }
    }

    /// Writes an audit log of every request.
    #[must_use]
    pub fn audit(mut self, level: AuditLevel) -> Self {
        self.audit = Some(level);
        self
    }
}

/// A running etcd and kube-apiserver; both end with it.
#[derive(Debug)]
pub struct ControlPlane {
    // Fields are dropped in this order: the processes, then who watches them, then their files.
    processes: Mutex<Processes>,
    watchdog: Arc<Watchdog>,
    _files: TempDir,
    assets: Assets,
    layout: Layout,
    authority: Authority,
    url: String,
    admin: PathBuf,
    audit_log: Option<PathBuf>,
    kubeconfigs: AtomicUsize,
}

/// In the order of their end.
#[derive(Debug, Default)]
struct Processes {
    apiserver: Option<Process>,
    etcd: Option<Process>,
}

impl ControlPlane {
    /// Starts etcd and kube-apiserver and waits until `/readyz` says ok.
    pub async fn start(options: Options) -> Result<Self> {
        let mut tries = 1;
        loop {
            match Self::try_start(&options).await {
                Err(error) if error.is_port_taken() && tries < START_TRIES => tries += 1,
                result => return result,
            }
        }
    }

    async fn try_start(options: &Options) -> Result<Self> {
        let files = tempfile::Builder::new()
            .prefix("control-plane-")
            .tempdir()
            .while_trying(|| "create a temporary folder".into())?;
        let authority = Authority::new()?;
        let layout = Layout::write(files.path(), &authority, port::free_pair()?, options.audit)?;
        let url = layout.url();
        let admin = kubeconfig(&url, authority.certificate(), &authority.client(&User::admin())?)?;
        let plane = Self {
            processes: Mutex::default(),
            watchdog: Arc::new(Watchdog::start(Some(files.path()))?),
            _files: files,
            assets: options.assets.clone(),
            admin: layout.put("admin.kubeconfig", &admin)?,
            audit_log: layout.audit_log(),
            layout,
            authority,
            url,
            kubeconfigs: AtomicUsize::new(0),
        };
        plane.start_missing(&mut *plane.processes.lock().await).await?;
        Ok(plane)
    }

    /// The one control plane of this process, with an audit log of level [`AuditLevel::Metadata`]: the first caller starts it, and it ends
    /// when the process does. Says on standard error what it is doing when the binaries have to be built first.
    pub async fn shared() -> Result<&'static Self, &'static Error> {
        static SHARED: OnceCell<Result<ControlPlane>> = OnceCell::const_new();
        // A failure is kept too: the next hundred tests would only fail more slowly.
        let shared = SHARED.get_or_init(|| async {
            let assets = task::spawn_blocking(|| Assets::locate_or_build(|line| eprintln!("{line}")));
            let assets = assets.await.map_err(Into::into).while_trying(|| "locate the binaries".into())??;
            Self::start(Options::new(assets).audit(AuditLevel::Metadata)).await
        });
        shared.await.as_ref()
    }

    /// `https://127.0.0.1:<port>`; the same after a restart.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The certificate authority, in PEM, that signed the API server's certificate and signs the users'.
    pub fn ca_pem(&self) -> &str {
        self.authority.certificate()
    }

    /// The binaries it runs.
    pub fn assets(&self) -> &Assets {
        &self.assets
    }

    /// The ids of the running processes: the API server's, then etcd's.
    pub async fn process_ids(&self) -> Vec<u32> {
        let processes = self.processes.lock().await;
        [&processes.apiserver, &processes.etcd].into_iter().flatten().map(Process::id).collect()
    }

    /// A kubeconfig with a new client certificate for this user.
    pub fn kubeconfig(&self, user: &User) -> Result<String> {
        kubeconfig(&self.url, self.ca_pem(), &self.authority.client(user)?)
    }

    /// [`Self::kubeconfig`] as a file that lasts as long as the control plane.
    pub fn write_kubeconfig(&self, user: &User) -> Result<PathBuf> {
        self.put_kubeconfig(&self.kubeconfig(user)?)
    }

    pub(crate) fn put_kubeconfig(&self, kubeconfig: &str) -> Result<PathBuf> {
        let number = self.kubeconfigs.fetch_add(1, Ordering::Relaxed);
        self.layout.put(&format!("user-{number}.kubeconfig"), kubeconfig)
    }

    /// A new client certificate for this user, with its key.
    #[cfg(feature = "gateway")]
    pub(crate) fn identity(&self, user: &User) -> Result<Identity> {
        self.authority.client(user)
    }

    /// `kubectl` as the administrator, with nothing of the caller's environment but `PATH`.
    pub fn kubectl(&self) -> Command {
        self.client(&self.assets.kubectl())
    }

    /// `helm`, likewise; an error when the assets have none.
    pub fn helm(&self) -> Result<Command> {
        Ok(self.client(&self.assets.helm()?))
    }

    fn client(&self, program: &Path) -> Command {
        let mut command = self.layout.command(program);
        command.env("KUBECONFIG", &self.admin);
        command
    }

    /// Ends the API server and starts it again on the same port, over the same data; returns when it is ready.
    pub async fn restart_apiserver(&self) -> Result<()> {
        let mut processes = self.processes.lock().await;
        stop(&mut processes.apiserver).await?;
        self.start_missing(&mut processes).await
    }

    /// Ends etcd and starts it again on the same port, over the same data; returns when the API server is ready again.
    pub async fn restart_etcd(&self) -> Result<()> {
        let mut processes = self.processes.lock().await;
        stop(&mut processes.etcd).await?;
        self.start_missing(&mut processes).await
    }

    /// Ends the API server (SIGTERM, after 10 s SIGKILL); does nothing when it is stopped.
    pub async fn stop_apiserver(&self) -> Result<()> {
        stop(&mut self.processes.lock().await.apiserver).await
    }

    /// Starts a stopped API server and waits until it is ready; does nothing but look when it runs.
    pub async fn start_apiserver(&self) -> Result<()> {
        self.start_missing(&mut *self.processes.lock().await).await
    }

    async fn start_missing(&self, processes: &mut Processes) -> Result<()> {
        let Processes { apiserver, etcd } = processes;
        let start = |name, command| Process::start(name, command, self.layout.log(name), &self.watchdog);
        if etcd.is_none() {
            *etcd = Some(start(ETCD, self.layout.etcd(&self.assets))?);
        }
        if apiserver.is_none() {
            *apiserver = Some(start(APISERVER, self.layout.apiserver(&self.assets))?);
        }
        let result = self.wait_until_ready(processes).await;
        if let Err(Error::Ended { process, .. }) = &result {
            // So that the next call starts it instead of waiting for a process that is gone.
            *(if *process == ETCD { &mut processes.etcd } else { &mut processes.apiserver }) = None;
        }
        result
    }

    async fn wait_until_ready(&self, processes: &mut Processes) -> Result<()> {
        let deadline = Instant::now() + READY_WITHIN;
        loop {
            for process in [&mut processes.etcd, &mut processes.apiserver].into_iter().flatten() {
                process.check()?;
            }
            let answer = self.readyz().await?;
            let Err(last) = answer else { return Ok(()) };
            if Instant::now() >= deadline {
                let log = |process: &Option<Process>| process.as_ref().map(Process::log_tail).unwrap_or_default();
                return Err(Error::NotReady {
                    after: READY_WITHIN,
                    last,
                    apiserver_log: log(&processes.apiserver),
                    etcd_log: log(&processes.etcd),
                });
            }
            sleep(POLL).await;
        }
    }

    /// What a user's kubectl is told; the inner error is the answer of a server that is not ready.
    async fn readyz(&self) -> Result<Result<(), String>> {
        let mut kubectl = self.kubectl();
        kubectl.args(["get", "--raw", "/readyz", "--request-timeout=5s"]).stdin(Stdio::null());
        let output = tokio::process::Command::from(kubectl)
            .kill_on_drop(true)
            .output()
            .await
            .while_trying(|| format!("run {}", self.assets.kubectl().display()))?;
        Ok(if output.status.success() {
            Ok(())
        } else {
            Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
        })
    }

    /// Where the audit log is written, if one was asked for.
    pub fn audit_log_path(&self) -> Option<&Path> {
        self.audit_log.as_deref()
    }

    /// All requests answered so far. A request's event can come a moment later than its answer.
    pub fn audit_events(&self) -> Result<Vec<AuditEvent>> {
        self.audit_events_after(0)
    }

    /// How far the audit log is, for [`audit_events_after`](Self::audit_events_after).
    pub fn audit_position(&self) -> Result<u64> {
        audit::position(self.audit_log_path().ok_or(Error::NoAuditLog)?)
    }

    /// All requests answered since the audit log was as far as this.
    pub fn audit_events_after(&self, position: u64) -> Result<Vec<AuditEvent>> {
        audit::read(self.audit_log_path().ok_or(Error::NoAuditLog)?, position)
    }

    /// Where keys, data and the logs of both processes (`etcd.log`, `kube-apiserver.log`) are.
    pub fn folder(&self) -> &Path {
        self.layout.folder()
    }
}

async fn stop(process: &mut Option<Process>) -> Result<()> {
    match process.take() {
        Some(process) => process.stop().await,
        None => Ok(()),
    }
}
