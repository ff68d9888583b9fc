//! One health check from URL to verdict (cognigy-api.md §5).

use std::{
    error::Error,
    fmt, io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::{body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use rustls::pki_types::ServerName;
use secrecy::SecretString;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    task::JoinSet,
    time::{Instant, timeout},
};
use tokio_rustls::TlsConnector;
use tracing::Span;
use url::{Host, Url};

use super::{
    guard::{Guard, Refusal, literal, port_of, without_root},
    request::request,
    tls::{self, Settings, TlsFailure, TlsVersion},
};
use crate::{
    net::{Resolver, SystemResolver},
    text,
    traces::TraceContext,
};

/// How much of an answer is read before it is cut.
const MAX_BODY: usize = 64 * 1024;

/// How large the head of an answer may be, and how many headers it may have.
const MAX_HEAD: usize = 64 * 1024;
const MAX_HEADERS: usize = 100;

/// How many addresses of a name are tried; all are judged.
const MAX_TRIED: usize = 8;

/// How long a message may be, in characters; causes are others' words.
const MAX_MESSAGE: usize = 500;

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
    pub certificate_expires_at: Option<Timestamp>,
    /// For people; where the check failed, the exact cause. Free of secrets, and the same for the same cause.
    pub message: String,
}

/// Runs health checks; one for the whole operator, since it keeps the TLS settings of each CA bundle.
pub struct Prober {
    resolver: Arc<dyn Resolver>,
    settings: Settings,
}

impl Prober {
    /// A prober that resolves names as the machine does.
    pub fn new() -> Self {
        Self::with_resolver(Arc::new(SystemResolver::default()))
    }

    /// A prober with a resolver of the caller's own.
    pub fn with_resolver(resolver: Arc<dyn Resolver>) -> Self {
        Self { resolver, settings: Settings::default() }
    }

    /// Checks a callback. Whatever goes wrong on the way is a failing [`Report`]; a [`Refusal`] means that the guard forbids
    /// the URL or one of its addresses, and that nothing was sent.
    pub async fn check(&self, check: &Check, guard: &Guard) -> Result<Report, Refusal> {
        guard.judge_url(&check.url)?;
        let until = Deadline { started: Instant::now(), limit: check.timeout };
        let mut seen =
            Seen { stage: Stage::Preparing, http_status: None, tls_version: None, certificate_expires_at: None };
        let trace = TraceContext::of(&Span::current()).unwrap_or_else(TraceContext::fresh);
        let outcome = timeout(check.timeout, self.attempt(check, guard, trace, until, &mut seen)).await;
        let result = match outcome {
            Ok(Err(Stop::Refused(refusal))) => return Err(refusal),
            Ok(Err(Stop::Failed(message))) => Err(message),
            Ok(Ok(status)) => verdict(status),
            Err(_) => Err(format!("no success within {:?}: time ran out while {}", check.timeout, seen.stage)),
        };
        let passing = result.is_ok();
        let (Ok(message) | Err(message)) = result;
        let message = text::clean(&message, MAX_MESSAGE).unwrap_or_default();
        Ok(Report {
            passing,
            http_status: seen.http_status.map(|status| status.as_u16()),
            latency: until.started.elapsed(),
            trace_id: trace.trace_id(),
            tls_version: seen.tls_version,
            certificate_expires_at: seen.certificate_expires_at,
            message,
        })
    }

    async fn attempt(
        &self,
        check: &Check,
        guard: &Guard,
        trace: TraceContext,
        until: Deadline,
        seen: &mut Seen,
    ) -> Result<StatusCode, Stop> {
        let request = request(&check.url, &check.headers, check.version, trace).map_err(Stop::failed)?;
        let (host, name) = host_of(&check.url)?;
        seen.stage = Stage::Resolving;
        let addresses = self.addresses(&check.url, &host, guard).await?;
        let config = self.settings.of(check.ca_bundle.clone()).await.map_err(Stop::failed)?;
        seen.stage = Stage::Connecting;
        let port = port_of(&check.url);
        let connection = connect(&addresses, port, until).await;
        let connection = connection.map_err(|error| Stop::Failed(format!("cannot connect to port {port}: {error}")))?;
        seen.stage = Stage::Handshaking;
        let stream = TlsConnector::from(config).connect(name, connection).await.map_err(|error| {
            let failure = TlsFailure::from(&error);
            seen.certificate_expires_at = failure.expired_at();
            Stop::Failed(format!("the TLS handshake failed: {failure}"))
        })?;
        let (_, session) = stream.get_ref();
        seen.tls_version = tls::version(session);
        seen.certificate_expires_at = tls::expiry(session);
        exchange(stream, request, seen).await.map_err(|error| Stop::Failed(no_answer(&error)))
    }

    /// All addresses of a host, each one judged.
    async fn addresses(&self, url: &Url, host: &Host<&str>, guard: &Guard) -> Result<Vec<IpAddr>, Stop> {
        if let Some(address) = literal(host) {
            return Ok(vec![address]); // judged with the URL
        }
        let name = host.to_string();
        let resolved = self.resolver.resolve(&name).await;
        let addresses = resolved.map_err(|error| Stop::Failed(format!("cannot resolve {name}: {error}")))?;
        if addresses.is_empty() {
            return Err(Stop::Failed(format!("cannot resolve {name}: it has no address")));
        }
        guard.judge_addresses(url, &addresses).map_err(Stop::Refused)?;
        Ok(addresses)
    }
}

impl Default for Prober {
    fn default() -> Self {
        Self::new()
    }
}

/// What is known so far; it outlives an attempt that is cut short.
struct Seen {
    stage: Stage,
    http_status: Option<StatusCode>,
    tls_version: Option<TlsVersion>,
    certificate_expires_at: Option<Timestamp>,
}

#[derive(Clone, Copy)]
enum Stage {
    Preparing,
    Resolving,
    Connecting,
    Handshaking,
    Waiting,
    Reading,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Preparing => "preparing the request",
            Self::Resolving => "resolving the host name",
            Self::Connecting => "connecting",
            Self::Handshaking => "in the TLS handshake",
            Self::Waiting => "waiting for the answer",
            Self::Reading => "reading the answer",
        })
    }
}

/// Why an attempt ended without an answer.
enum Stop {
    Refused(Refusal),
    Failed(String),
}

impl Stop {
    fn failed(error: impl fmt::Display) -> Self {
        Self::Failed(error.to_string())
    }
}

/// The time that one check may take, all in all.
#[derive(Clone, Copy)]
struct Deadline {
    started: Instant,
    limit: Duration,
}

impl Deadline {
    fn left(self) -> Duration {
        self.limit.saturating_sub(self.started.elapsed())
    }
}

fn no_answer(error: &hyper::Error) -> String {
    match error.source() {
        Some(cause) => format!("no valid HTTP answer: {error}: {cause}"),
        None => format!("no valid HTTP answer: {error}"),
    }
}

fn verdict(status: StatusCode) -> Result<String, String> {
    if status.is_success() {
        Ok(format!("answered {status}"))
    } else if status.is_redirection() {
        Err(format!("answered {status}: redirects are not followed; give the final address in spec.url"))
    } else {
        Err(format!("answered {status}"))
    }
}

/// The host of a URL, as it is resolved and as its certificate must name it.
fn host_of(url: &Url) -> Result<(Host<&str>, ServerName<'static>), Stop> {
    let host = url.host().ok_or_else(|| Stop::failed("the URL has no host"))?;
    let name = match (&host, literal(&host)) {
        (_, Some(address)) => ServerName::from(address),
        (host, None) => ServerName::try_from(without_root(&host.to_string()).to_owned()).map_err(Stop::failed)?,
    };
    Ok((host, name))
}

/// Connects to the first address that answers. Each has its share of the time, so that a silent one leaves some to the rest.
async fn connect(addresses: &[IpAddr], port: u16, until: Deadline) -> io::Result<TcpStream> {
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    let tried = addresses.len().min(MAX_TRIED);
    for (address, left) in addresses.iter().zip((1..=tried).rev()) {
        let share = until.left() / u32::try_from(left).unwrap_or(u32::MAX);
        match timeout(share, TcpStream::connect(SocketAddr::new(*address, port))).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => last = error,
            Err(_) => last = io::ErrorKind::TimedOut.into(),
        }
    }
    Err(last)
}

/// Sends the request and reads the answer, both within bounds; a broken or overlong body does not change its status.
async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: Request<Full<Bytes>>,
    seen: &mut Seen,
) -> Result<StatusCode, hyper::Error> {
    seen.stage = Stage::Waiting;
    let mut client = http1::Builder::new();
    client.max_buf_size(MAX_HEAD).max_headers(MAX_HEADERS);
    let (mut sender, connection) = client.handshake(TokioIo::new(stream)).await?;
    // ends with this function, however that ends
    let mut driver = JoinSet::new();
    driver.spawn(connection);
    let answer = sender.send_request(request).await?;
    let status = answer.status();
    seen.http_status = Some(status);
    seen.stage = Stage::Reading;
    if status.is_success() {
        read(answer).await;
    }
    Ok(status)
}

async fn read(answer: Response<Incoming>) {
    let mut body = answer.into_body();
    let mut length = 0;
    while let Some(Ok(frame)) = body.frame().await {
        length += frame.data_ref().map_or(0, Bytes::len);
        if length >= MAX_BODY {
            return;
        }
    }
}

#[cfg(test)]
#[path = "check_tests.rs"]
mod tests;
