//! One health check from URL to verdict (cognigy-api.md §5).

use std::{sync::Arc, time::Duration};

use secrecy::SecretString;
use url::Url;

use super::{
    guard::{Guard, Refusal},
    resolve::{Resolver, SystemResolver},
    tls::TlsVersion,
};

/// What is to be checked.
#[derive(Clone, Debug)]
pub struct Check {
    /// The callback.
    pub url: Url,
    /// The webhook's own headers, those from Secrets included.
    pub headers: Vec<(String, SecretString)>,
    /// The webhook's version, as the body tells it.
    pub version: i64,
    /// The limit on everything together, from resolving the name to the end of the answer.
    pub timeout: Duration,
    /// PEM certificates that are trusted besides the system's (the tenant's `spec.caBundle`).
    pub ca_bundle: Option<Arc<[u8]>>,
}

/// What a check found.
#[derive(Clone, Debug)]
pub struct Report {
    /// Whether the callback answered 2xx.
    pub passing: bool,
    /// The status of the answer, where there was one.
    pub http_status: Option<u16>,
    /// How long everything took, from resolving the name to the end of the answer.
    pub latency: Duration,
    /// The id in the body and in the `traceparent` header: 32 hexadecimal digits.
    pub trace_id: String,
    /// The negotiated TLS version, where a connection came about.
    pub tls_version: Option<TlsVersion>,
    /// When the callback's certificate expires (or expired), where one was seen.
    pub certificate_expires_at: Option<jiff::Timestamp>,
    /// For people; where the check failed, the exact cause. Free of secrets, and the same for the same cause.
    pub message: String,
}

/// Runs health checks; one for the whole operator, since it keeps the TLS settings of each CA bundle.
pub struct Prober {
    resolver: Arc<dyn Resolver>,
}

impl Prober {
    /// A prober that resolves names as the machine does.
    pub fn new() -> Self {
        Self::with_resolver(Arc::new(SystemResolver))
    }

    /// A prober with a resolver of the caller's own.
    pub fn with_resolver(resolver: Arc<dyn Resolver>) -> Self {
        Self { resolver }
    }

    /// Checks a callback. Whatever goes wrong on the way is a failing [`Report`]; a [`Refusal`] means that the guard forbids
    /// the URL or one of its addresses, and that nothing was sent.
    pub async fn check(&self, _check: &Check, _guard: &Guard) -> Result<Report, Refusal> {
        let _ = &self.resolver;
        todo!()
    }
}

impl Default for Prober {
    fn default() -> Self {
        Self::new()
    }
}
