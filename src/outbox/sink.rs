//! One sink: where a message is posted, and what its answer means.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use reqwest::Client;
use secrecy::{ExposeSecret as _, SecretString};
use thiserror::Error;
use tracing::Instrument as _;
use url::Url;

use super::CloudEvent;
use crate::{
    api::{ObjectKey, SinkKind},
    cognigy::{ErrorKind, HttpFailure},
    redact::Redactor,
    traces,
};

/// How long a sink may take to answer (cognigy-api.md §6).
pub const fn time_limit(kind: SinkKind) -> Duration {
    match kind {
        SinkKind::Monitoring => Duration::from_secs(5),
        SinkKind::Alerts | SinkKind::DeadLetter => Duration::from_secs(15),
    }
}

/// Why a message was not accepted: the same sentence for the same cause, free of secrets and of the sink's URL, which may
/// hold one.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SinkError {
    /// It cannot even be tried.
    #[error("{0}")]
    NotUsable(String),
    /// The sink answered something else than 2xx.
    #[error("the sink answered {}{}", .0.as_u16(), advice(*.0))]
    Refused(StatusCode),
    /// No answer in time.
    #[error("the sink gave no answer within {} s", .0.as_secs())]
    TooLate(Duration),
    /// No trusted connection; the exact cause.
    #[error("the connection to the sink is not trusted: {0}")]
    Tls(String),
    /// No connection, or it broke.
    #[error("the sink cannot be reached: {0}")]
    Unreachable(String),
}

impl SinkError {
    /// One word for it, for traces.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::NotUsable(_) => "not_usable",
            Self::Refused(_) => "refused",
            Self::TooLate(_) => "timeout",
            Self::Tls(_) => "tls",
            Self::Unreachable(_) => "unreachable",
        }
    }
}

/// One try to deliver a message, as a trace of its own.
pub async fn traced(
    (kind, tenant): (SinkKind, &ObjectKey),
    event: &CloudEvent,
    delivery: impl Future<Output = Result<(), SinkError>>,
) -> Result<(), SinkError> {
    let span = traces::delivery(kind.as_str(), tenant, (&event.id, &event.type_, &event.source));
    let delivered = delivery.instrument(span.clone()).await;
    delivered.inspect_err(|error| traces::fail(&span, error.as_str(), error))
}

fn advice(status: StatusCode) -> &'static str {
    if status.is_redirection() {
        " (redirects are not followed: give the final URL)"
    } else if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
        " (are its headersFrom right?)"
    } else {
        ""
    }
}

/// Where messages of one kind go. Its `Debug` shows no header's value.
#[derive(Clone, Debug)]
pub struct Sink {
    client: Client,
    url: Url,
    headers: HeaderMap,
}

impl Sink {
    /// A sink at this URL. `client` follows no redirect and has a time limit for connections.
    pub fn new(client: Client, url: Url, headers: &[(String, SecretString)]) -> Result<Self, SinkError> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let unfit =
                || SinkError::NotUsable(format!("the header {name} has characters that no HTTP header can carry"));
            let header = HeaderName::try_from(name).map_err(|_| unfit())?;
            let mut value = HeaderValue::try_from(value.expose_secret()).map_err(|_| unfit())?;
            value.set_sensitive(true);
            map.insert(header, value);
        }
        Ok(Self { client, url, headers: map })
    }

    /// What no message about it may show.
    fn secrets(&self) -> Redactor {
        Redactor::new(self.headers.values().filter_map(|value| Some(value.to_str().ok()?.into())))
    }

    /// Posts a message; 2xx means that it is the sink's now. Nothing of the answer is read but its head.
    pub async fn post(&self, event: &CloudEvent, limit: Duration) -> Result<(), SinkError> {
        let mut headers = self.headers.clone();
        headers.extend(event.headers());
        let request =
            self.client.post(self.url.clone()).headers(headers).timeout(limit).body(event.body.clone()).send();
        let answer = request.await.map_err(|error| {
            let HttpFailure { kind, detail, .. } = HttpFailure::of(error);
            // The sink knows what it was sent, and chooses the names in its certificate.
            let detail = self.secrets().redact(&detail);
            match kind {
                ErrorKind::Timeout => SinkError::TooLate(limit),
                ErrorKind::Tls => SinkError::Tls(detail),
                _ => SinkError::Unreachable(detail),
            }
        })?;
        traces::answered(answer.status().as_u16());
        if answer.status().is_success() { Ok(()) } else { Err(SinkError::Refused(answer.status())) }
    }
}
