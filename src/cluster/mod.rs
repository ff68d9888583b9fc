//! Small tools over `kube`: the audit trail, status and metadata writes, Secrets, leader election, the wait for the CRDs, and the rights that all this needs.

pub mod audit;
pub mod crds;
pub mod lease;
pub mod metadata;
pub mod patience;
pub mod rights;
pub mod secret;
pub mod status;
mod words;

pub use words::words;
