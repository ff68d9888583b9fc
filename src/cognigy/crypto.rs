//! The process-wide TLS provider.

/// Installs *ring* as the process's TLS provider unless one is there already.
///
/// Both the Kubernetes client and this one need it before their first connection; [`super::Session::new`] calls it, so
/// that a forgotten call is not a panic.
pub fn install_crypto_provider() {
    // An error means that a provider is installed: that is what is wanted.
    let _ = rustls::crypto::ring::default_provider().install_default();
}
