//! One exchange over HTTP: what goes out, what comes back whole, and why nothing did.

use std::time::Duration;

use http::{HeaderMap, StatusCode};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, Request, Response};

use super::{Code, ConfigError, Error, ErrorKind, Route, crypto, problem, tls};
use crate::{net::JudgedNames, text};

/// No answer needs more; a larger one is not read to its end.
const MAX_BODY: usize = 1024 * 1024;
/// A connection takes no longer, also where calls may.
const MAX_CONNECT: Duration = Duration::from_secs(10);

/// An answer as it came.
pub(super) struct RawAnswer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

/// Why there is no answer.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub kind: ErrorKind,
    pub code: Code,
    pub detail: String,
}

/// A client that follows no redirect, repeats nothing, and goes through the environment's proxy where there is one.
///
/// Names are judged as they are resolved; hosts that are written as addresses are the caller's to judge.
pub fn client(ca_pem: Option<&[u8]>, timeout: Duration, names: JudgedNames) -> Result<Client, ConfigError> {
    crypto::install_crypto_provider();
    let certificates = match ca_pem {
        None => Vec::new(),
        Some(pem) => {
            let certificates =
                Certificate::from_pem_bundle(pem).map_err(|error| ConfigError::CaBundle(error.to_string()))?;
            if certificates.is_empty() {
                return Err(ConfigError::CaBundle("it holds no certificate".into()));
            }
            certificates
        }
    };
    let mut builder = Client::builder()
        .user_agent(concat!("cognigy-operator/", env!("CARGO_PKG_VERSION")))
        .redirect(Policy::none())
        .referer(false)
        .retry(reqwest::retry::never())
        .dns_resolver(names)
        .timeout(timeout)
        .connect_timeout(timeout.min(MAX_CONNECT));
    if !certificates.is_empty() {
        builder = builder.tls_certs_merge(certificates);
    }
    builder.build().map_err(|error| ConfigError::Client(chain(&error)))
}

/// Sends a request and reads its answer whole, but never more than [`MAX_BODY`].
pub(super) async fn exchange(client: &Client, request: Request) -> Result<RawAnswer, Failure> {
    let mut response = client.execute(request).await.map_err(Failure::of)?;
    let status = response.status();
    let headers = std::mem::take(response.headers_mut());
    match read(&mut response).await {
        Ok(body) => Ok(RawAnswer { status, headers, body }),
        // The status says enough; what was to be its explanation did not arrive.
        Err(_) if !status.is_success() => Ok(RawAnswer { status, headers, body: Vec::new() }),
        Err(failure) => Err(failure),
    }
}

async fn read(response: &mut Response) -> Result<Vec<u8>, Failure> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(Failure::of)? {
        if body.len() + chunk.len() > MAX_BODY {
            return Err(Failure {
                kind: ErrorKind::Malformed,
                code: Code::Malformed,
                detail: "the body is larger than 1 MiB".into(),
            });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

impl Failure {
    /// The error that it is for a call to this route.
    pub fn of_route(self, route: Route) -> Error {
        Error::new(self.kind, route).detail(self.detail)
    }

    /// A request that could not even be written.
    pub fn from_build(error: &reqwest::Error) -> Self {
        Self { kind: ErrorKind::Unreachable, code: Code::Unreachable, detail: chain(error) }
    }

    /// Why a request that was sent has no answer; without its URL.
    pub fn of(error: reqwest::Error) -> Self {
        let error = error.without_url();
        let (kind, code, detail) = if error.is_timeout() {
            (ErrorKind::Timeout, Code::Timeout, chain(&error))
        } else if let Some(cause) = tls::tls_cause(&error) {
            (ErrorKind::Tls, Code::Tls, cause)
        } else {
            (ErrorKind::Unreachable, Code::Unreachable, chain(&error))
        };
        Self { kind, code, detail: text::clean(&detail, problem::MAX_TEXT).unwrap_or_default() }
    }
}

/// An error with its causes; what a cause repeats of the one before is said once.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        next = cause.source();
    }
    text
}
