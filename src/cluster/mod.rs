//! Small tools over `kube`: the audit trail, status and metadata writes, Secrets, leader election, and the wait for the CRDs.

pub mod audit;
pub mod crds;
pub mod lease;
pub mod metadata;
pub mod patience;
pub mod secret;
pub mod status;
mod words;

pub use words::words;
