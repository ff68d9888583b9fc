//! A real Kubernetes control plane for the demo, the tests and the benchmark: an etcd and a kube-apiserver, nothing else.
//!
//! ```text
//! Assets ──► ControlPlane::start(Options) ──► kubeconfig(&User), kubectl(), helm()
//! (binaries)   etcd ◄──TLS── kube-apiserver      audit_events()
//!                └──────┬──────┘                 stop / start / restart of either
//!                   watchdog (ends both when this process is gone)
//! ```
//!
//! RBAC is on, every connection is TLS with certificates of the control plane's own CA, ports are free loopback ports, and
//! all files live in a temporary folder. No controller-manager, scheduler or kubelet runs. So nothing fills in what those would: pods stay
//! pending, a deleted namespace stays `Terminating`, aggregated cluster roles stay empty, owner references delete nothing, and a
//! namespace gets no `default` service account.
//!
//! # How the processes end
//! Both processes are ended by their own process id when the [`ControlPlane`] is dropped: also by a panic that unwinds and by a
//! Ctrl-C whose handler lets the owner return. Where nothing is dropped (a `static`, `process::exit`, an abort, `SIGKILL`), a watchdog,
//! a shell that reads from a pipe this process holds, sees the pipe close, ends both and removes the folder.
//! Others who need a process that ends with them, such as the operator in the demo, start it as a [`Process`] under a [`Watchdog`] too.
//! All of them are in process groups of their own, so a terminal's Ctrl-C reaches the owner first and the control plane lasts
//! as long as the owner needs it.

mod assets;
mod audit;
mod error;
#[cfg(feature = "gateway")]
pub mod gateway;
mod kubeconfig;
mod layout;
mod pki;
mod plane;
mod port;
mod process;
mod user;
mod watchdog;

pub use assets::{Assets, Definitions, Tool, cache_folder};
pub use audit::{AuditEvent, AuditLevel};
pub use error::{Error, Result};
pub use plane::{ControlPlane, Options};
pub use port::free_address;
pub use process::Process;
pub use user::User;
pub use watchdog::Watchdog;
