//! What ends a pass without a verdict: trouble with Kubernetes itself.

use thiserror::Error;

use crate::cluster::words;

/// A pass that could not tell its outcome; it is repeated soon.
#[derive(Debug, Error)]
pub enum PassError {
    /// A read or a write of Kubernetes failed.
    #[error("Kubernetes: {}", words(.0))]
    Kubernetes(#[from] kube::Error),
}
