//! What can go wrong with a control plane, in words for the person who wanted one.

use std::{io, ops::Range, path::PathBuf, process::ExitStatus, time::Duration};

/// What this crate's functions return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A control plane could not be built, started or used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The binaries are nowhere and cannot be built.
    #[error(
        "the control plane has to be built once, but there is no `go` command: install Go 1.26 or newer (https://go.dev/dl), \
         or set KUBEBUILDER_ASSETS to a folder that holds kube-apiserver, etcd and kubectl"
    )]
    NoGo,
    /// A Go so old that it cannot even fetch the version it needs.
    #[error(
        "{version} is too old to build the control plane: install Go 1.26 or newer (https://go.dev/dl), \
         or set KUBEBUILDER_ASSETS to a folder that holds kube-apiserver, etcd and kubectl"
    )]
    OldGo {
        /// As `go` says it, `go1.19.8`.
        version: String,
    },
    /// There is no folder to keep the binaries in.
    #[error("there is no cache folder: set XDG_CACHE_HOME, HOME or KUBEBUILDER_ASSETS")]
    NoCacheFolder,
    /// The Go module does not say what to build.
    #[error("{path} does not require the module {module}", path = path.display())]
    GoModule {
        /// The `go.mod` that was read.
        path: PathBuf,
        /// The module that is missing in it.
        module: &'static str,
    },
    /// `go build` failed.
    #[error("building {binary} failed ({status}); the last lines of `go build`:\n{output}")]
    Build {
        /// Name of the binary.
        binary: String,
        /// How `go` ended.
        status: ExitStatus,
        /// Its last lines.
        output: String,
    },
    /// A client was asked for that is not among the binaries.
    #[error("there is no {binary} in {folder}", folder = folder.display())]
    NoBinary {
        /// Name of the binary.
        binary: &'static str,
        /// Where it was looked for.
        folder: PathBuf,
    },
    /// A process ended by itself.
    #[error("{process} ended ({status}); the last lines of its log:\n{log}")]
    Ended {
        /// `etcd` or `kube-apiserver`.
        process: &'static str,
        /// How it ended.
        status: ExitStatus,
        /// The tail of its log.
        log: String,
    },
    /// The API server runs but does not get ready.
    #[error(
        "kube-apiserver was not ready after {} s: {last}; the last lines of its log:\n{apiserver_log}\nand of etcd's:\n{etcd_log}",
        after.as_secs()
    )]
    NotReady {
        /// How long it was waited for.
        after: Duration,
        /// The last answer of `/readyz`.
        last: String,
        /// The tail of its log.
        apiserver_log: String,
        /// The tail of etcd's log.
        etcd_log: String,
    },
    /// No port could be had.
    #[error("no free port on 127.0.0.1 was found between {} and {}", .range.start, .range.end)]
    NoPort {
        /// Where it was looked for.
        range: Range<u16>,
    },
    /// X.509 can hold more groups, the library that writes the certificates cannot.
    #[error("user {user} has {groups} groups: a client certificate of this control plane carries at most two")]
    TooManyGroups {
        /// The user's name.
        user: String,
        /// How many groups were asked for.
        groups: usize,
    },
    /// Keys or certificates could not be made.
    #[error("cannot make a certificate: {0}")]
    Certificate(#[from] rcgen::Error),
    /// The audit log was asked for, but is not written.
    #[error("this control plane writes no audit log: start it with `Options::audit`")]
    NoAuditLog,
    /// A line of the audit log is not what Kubernetes documents.
    #[error("cannot read the audit log: {0}")]
    AuditLog(#[from] serde_json::Error),
    /// A kubeconfig could not be written as YAML.
    #[error("cannot write the kubeconfig: {0}")]
    Kubeconfig(String),
    /// A file or process could not be handled.
    #[error("cannot {action}: {source}")]
    Io {
        /// What was tried, as "start etcd".
        action: String,
        /// What the system said.
        source: io::Error,
    },
}

impl Error {
    /// Whether a process ended because somebody else has its port.
    pub(crate) fn is_port_taken(&self) -> bool {
        matches!(self, Self::Ended { log, .. } if log.contains("address already in use"))
    }
}

/// Says what was tried when the system refuses.
pub(crate) trait IoContext<T> {
    /// Adds `action`, as in "cannot `action`: …".
    fn while_trying(self, action: impl FnOnce() -> String) -> Result<T>;
}

impl<T> IoContext<T> for io::Result<T> {
    fn while_trying(self, action: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|source| Error::Io { action: action(), source })
    }
}
