//! What ends a pass without a verdict: trouble with Kubernetes itself, or that it may not call yet.

use thiserror::Error;

use crate::{cluster::words, cognigy::Urgency};

/// A pass that could not tell its outcome; it is made once more.
#[derive(Debug, Error)]
pub enum PassError {
    /// A read or a write of Kubernetes failed.
    #[error("Kubernetes: {}", words(.0))]
    Kubernetes(#[from] kube::Error),
    /// It has calls to make, and as many passes as may be are making theirs: nothing was done.
    #[error("it may not call yet")]
    Outside(Urgency),
}
