//! What can go wrong with a call: one variant for each row of cognigy-api.md §7.

use std::fmt;
use std::time::Duration;

use tokio::time::Instant;

use super::Route;
use crate::redact::Redactor;

/// A call that failed, told for the person who reads it.
///
/// `Display` says what could not be done, why in Cognigy's own words, and what to do. It never holds a secret that this
/// session knows.
#[derive(Clone, Debug)]
pub struct Error {
    /// The class of the failure.
    pub kind: ErrorKind,
    /// The call that failed; [`Route::Token`] where no token could be had.
    pub route: Route,
    /// From the first byte sent to the failure; zero where nothing was sent.
    pub latency: Duration,
    /// Cognigy's own words (its `detail`) or the network's, cleaned and cut to 500 characters.
    pub detail: Option<String>,
    /// Cognigy's trace id, for a support ticket.
    pub trace_id: Option<String>,
}

/// The class of a failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The credentials were refused, also with a new token (401).
    Unauthorized,
    /// A scope or role is missing (403).
    Forbidden {
        /// The scope that the call needs.
        scope: &'static str,
        /// The role that holds it.
        role: &'static str,
    },
    /// The object is not there (404).
    NotFound,
    /// The installation does not have this route (405, 501).
    NotSupported,
    /// Somebody else changed the object, or it is locked (409, 412).
    Conflict,
    /// Refused by validation (422 and every other 4xx): the same body will be refused again.
    Rejected {
        /// The answer's status.
        status: u16,
    },
    /// The body is over 60 kB and was not sent (cognigy-api.md §8).
    TooLarge {
        /// Its size in bytes.
        bytes: usize,
    },
    /// Too many calls.
    RateLimited {
        /// When a call may pass again.
        retry_after: Duration,
        /// Who said so.
        by: Throttle,
    },
    /// Nothing was sent because the installation failed several times in a row.
    CircuitOpen {
        /// When one call may try again.
        retry_after: Duration,
    },
    /// Nothing was sent: while the call waited for its turn, what it was made for changed.
    Abandoned,
    /// The installation is in trouble (5xx), or breaks its own rules (an endless listing).
    Server {
        /// The answer's status.
        status: u16,
    },
    /// No whole answer in time.
    Timeout,
    /// No connection, or it broke.
    Unreachable,
    /// No trusted connection; `detail` has the exact cause.
    Tls,
    /// A success whose body cannot be understood, or is over 1 MiB.
    Malformed,
    /// The object has neither an entity tag nor a `_version` (nor, where the tenant allows it, `lastChanged`), so it is
    /// not written.
    LockingUnsupported,
}

/// Who holds calls back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Throttle {
    /// This call was answered 429.
    Answered,
    /// An earlier call to this host was answered 429; this one was not sent.
    HostPaused,
}

impl ErrorKind {
    /// One word for it, for traces.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Unauthorized => "unauthorized",
            Self::Forbidden { .. } => "forbidden",
            Self::NotFound => "not_found",
            Self::NotSupported => "not_supported",
            Self::Conflict => "conflict",
            Self::Rejected { .. } => "rejected",
            Self::TooLarge { .. } => "too_large",
            Self::RateLimited { .. } => "rate_limited",
            Self::CircuitOpen { .. } => "circuit_open",
            Self::Abandoned => "abandoned",
            Self::Server { .. } => "server_error",
            Self::Timeout => "timeout",
            Self::Unreachable => "unreachable",
            Self::Tls => "tls",
            Self::Malformed => "malformed",
            Self::LockingUnsupported => "locking_unsupported",
        }
    }

    /// Whether the same call may succeed later without anybody changing anything.
    pub const fn is_passing(&self) -> bool {
        matches!(self, Self::Server { .. } | Self::Timeout | Self::Unreachable | Self::Malformed | Self::Conflict)
    }

    /// Whether the installation, not the object, is in trouble: counted by the circuit breaker.
    pub(super) const fn is_trouble(&self) -> bool {
        matches!(self, Self::Server { .. } | Self::Timeout | Self::Unreachable | Self::Tls | Self::Malformed)
    }

    /// How long to wait, where that is known.
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RateLimited { retry_after, .. } | Self::CircuitOpen { retry_after } => Some(*retry_after),
            _ => None,
        }
    }
}

impl Error {
    pub(super) fn new(kind: ErrorKind, route: Route) -> Self {
        Self { kind, route, latency: Duration::ZERO, detail: None, trace_id: None }
    }

    /// A call that an earlier 429 holds back.
    pub(super) fn paused(until: Instant, route: Route) -> Self {
        let retry_after = until.saturating_duration_since(Instant::now());
        Self::new(ErrorKind::RateLimited { retry_after, by: Throttle::HostPaused }, route)
    }

    /// The same error without what no message may show.
    pub(crate) fn redacted(mut self, secrets: &Redactor) -> Self {
        self.detail = self.detail.map(|text| secrets.redact(&text));
        self.trace_id = self.trace_id.map(|text| secrets.redact(&text));
        self
    }

    pub(super) fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// How long to wait, where that is known.
    pub const fn retry_after(&self) -> Option<Duration> {
        self.kind.retry_after()
    }

    /// Whether the call itself was sent: it was not held back, and a token for it was there.
    pub fn was_sent(&self) -> bool {
        self.route != Route::Token
            && !matches!(
                self.kind,
                ErrorKind::TooLarge { .. }
                    | ErrorKind::RateLimited { by: Throttle::HostPaused, .. }
                    | ErrorKind::CircuitOpen { .. }
                    | ErrorKind::Abandoned
                    | ErrorKind::LockingUnsupported
            )
    }
}

impl std::error::Error for Error {}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot {}: ", self.route.does())?;
        let advice = self.tell(f)?;
        if let Some(detail) = &self.detail {
            write!(f, ": {detail}")?;
        }
        if let Some(trace_id) = &self.trace_id {
            write!(f, " (trace id {trace_id})")?;
        }
        if let Some(advice) = advice {
            write!(f, "; {advice}")?;
        }
        Ok(())
    }
}

impl Error {
    /// Writes what happened; returns what to do.
    fn tell(&self, f: &mut fmt::Formatter<'_>) -> Result<Option<&'static str>, fmt::Error> {
        match &self.kind {
            ErrorKind::Unauthorized => {
                f.write_str("Cognigy refused the credentials")?;
                Ok(Some("check the tenant's auth settings and its Secret"))
            }
            ErrorKind::Forbidden { .. } if self.route == Route::Token => {
                f.write_str("Cognigy refused the requested scopes")?;
                Ok(Some("grant them in Cognigy or name others in the tenant's spec.auth.oauth2.scopes"))
            }
            ErrorKind::Forbidden { scope, role } => {
                write!(f, "Cognigy answered 403: the credentials lack the scope {scope} or the role {role}")?;
                Ok(Some("grant it in Cognigy or name the scope in the tenant's spec.auth.oauth2.scopes"))
            }
            ErrorKind::NotFound => f.write_str("Cognigy answered 404 Not Found").map(|()| None),
            ErrorKind::NotSupported => f.write_str("this installation does not offer the route").map(|()| None),
            ErrorKind::Conflict => f.write_str("somebody else changed it or holds a lock").map(|()| None),
            ErrorKind::Rejected { status } => {
                write!(f, "Cognigy refused it with status {status}")?;
                Ok(Some("the same values are not sent again until something changes"))
            }
            ErrorKind::TooLarge { bytes } => {
                write!(f, "the body has {bytes} bytes and Cognigy takes at most 60000")?;
                Ok(Some("shorten the headers or the URL"))
            }
            ErrorKind::RateLimited { by, .. } => {
                let by = match by {
                    Throttle::Answered => "Cognigy answered 429 Too Many Requests",
                    Throttle::HostPaused => "calls to this host are paused after a 429",
                };
                f.write_str(by)?;
                Ok(Some("it goes on by itself"))
            }
            ErrorKind::CircuitOpen { .. } => {
                f.write_str("nothing was sent because the installation failed several times in a row")?;
                Ok(Some("it goes on by itself"))
            }
            ErrorKind::Abandoned => {
                f.write_str("nothing was sent because what it was for changed while it waited").map(|()| None)
            }
            ErrorKind::Server { status } => write!(f, "Cognigy is in trouble (status {status})").map(|()| None),
            ErrorKind::Timeout => {
                f.write_str("no whole answer within the time limit")?;
                Ok(Some("if it stays so, raise the tenant's requestTimeoutSeconds"))
            }
            ErrorKind::Unreachable => {
                f.write_str("no connection to the installation")?;
                Ok(Some("check the tenant's baseUrl, its name resolution, proxies and network policies"))
            }
            ErrorKind::Tls => {
                f.write_str("no trusted TLS connection")?;
                Ok(Some("check the server's certificate or the tenant's caBundle"))
            }
            ErrorKind::Malformed => f.write_str("Cognigy's answer cannot be understood").map(|()| None),
            ErrorKind::LockingUnsupported => {
                f.write_str(
                    "the object has neither an ETag nor a _version, so a write could overwrite somebody else's change",
                )?;
                Ok(Some("set the tenant's concurrency to CompareAndWrite if the installation sends lastChanged"))
            }
        }
    }
}
