//! The control plane itself.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use crate::{Assets, AuditEvent, AuditLevel, Result, User};

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
pub struct ControlPlane {}

impl ControlPlane {
    /// Starts etcd and kube-apiserver and waits until `/readyz` says ok.
    pub async fn start(options: Options) -> Result<Self> {
        todo!()
    }

    /// The one control plane of this process, with an audit log of level `Metadata`: started by the first caller, ended when the process ends.
    /// Says on standard error what it is doing when the binaries have to be built first.
    pub async fn shared() -> Result<&'static Self, &'static crate::Error> {
        todo!()
    }

    /// `https://127.0.0.1:<port>`; the same after a restart.
    pub fn url(&self) -> &str {
        todo!()
    }

    /// The certificate authority that signed the API server's certificate and signs the users'.
    pub fn ca_pem(&self) -> &str {
        todo!()
    }

    /// A kubeconfig with a new client certificate for this user.
    pub fn kubeconfig(&self, user: &User) -> Result<String> {
        todo!()
    }

    /// [`Self::kubeconfig`] as a file that lasts as long as the control plane.
    pub fn write_kubeconfig(&self, user: &User) -> Result<PathBuf> {
        todo!()
    }

    /// `kubectl` as the administrator, with nothing of the caller's environment but `PATH`.
    pub fn kubectl(&self) -> Command {
        todo!()
    }

    /// `helm`, likewise; an error when the assets have none.
    pub fn helm(&self) -> Result<Command> {
        todo!()
    }

    /// Ends the API server and starts it again on the same port, over the same data; returns when it is ready.
    pub async fn restart_apiserver(&self) -> Result<()> {
        todo!()
    }

    /// Ends etcd and starts it again on the same port, over the same data; returns when the API server is ready again.
    pub async fn restart_etcd(&self) -> Result<()> {
        todo!()
    }

    /// Ends the API server (SIGTERM, after 10 s SIGKILL); does nothing when it is stopped.
    pub async fn stop_apiserver(&self) -> Result<()> {
        todo!()
    }

    /// Starts a stopped API server and waits until it is ready; does nothing when it runs.
    pub async fn start_apiserver(&self) -> Result<()> {
        todo!()
    }

    /// Where the audit log is written.
    pub fn audit_log_path(&self) -> Option<&Path> {
        todo!()
    }

    /// All requests answered so far. A request's event can be a moment later than its answer.
    pub fn audit_events(&self) -> Result<Vec<AuditEvent>> {
        todo!()
    }
}
