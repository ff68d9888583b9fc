//! The small change between the HTTP server and what the simulator says.

use std::{net::SocketAddr, time::Duration};

use axum::body::Body;
use http::{HeaderName, HeaderValue, Response, StatusCode};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;

use crate::{
    passage::{Moment, Passage},
    problem::Reply,
    shared::Shared,
    state::State,
    targets::Answer,
};

/// Largest body that is read at all.
const MAX_READ_BYTES: usize = 16 * 1024 * 1024;

/// The connection ends here, without an answer.
#[derive(Debug, thiserror::Error)]
#[error("the simulator closes the connection")]
pub(crate) struct Lost;

/// What is sent back.
pub(crate) type Outcome = Result<Response<Body>, Lost>;

/// The other end of a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    /// The TLS version, such as `TLSv1_3`; none over plain HTTP.
    pub(crate) tls: Option<rustls::ProtocolVersion>,
}

/// Reads a body; a client that goes away in the middle loses its connection, and so does one that sends without end.
pub(crate) async fn read(body: Incoming) -> Result<Vec<u8>, Lost> {
    match Limited::new(body, MAX_READ_BYTES).collect().await {
        Ok(collected) => Ok(collected.to_bytes().into()),
        Err(error) => {
            tracing::debug!(too_long = error.is::<LengthLimitError>(), %error, "a request body ended early");
            Err(Lost)
        }
    }
}

/// Builds the response; parts that HTTP does not allow are left out.
pub(crate) fn response(status: u16, headers: impl IntoIterator<Item = (String, String)>, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().append(name, value);
        }
    }
    response
}

impl Reply {
    /// The whole answer.
    pub(crate) fn into_response(self) -> Response<Body> {
        response(self.status, self.headers.into_iter().map(|(name, value)| (name.to_owned(), value)), self.body.into())
    }

    /// The same, but the connection breaks in the middle of the body.
    pub(crate) fn into_cut_response(mut self) -> Response<Body> {
        if self.body.is_empty() {
            self.status = 200;
            self.body = br#"{"items": []}"#.to_vec();
        }
        let length = self.body.len();
        self.body.truncate(length / 2);
        let half = self.body;
        let stream = futures::stream::unfold(Some(half), |half| async {
            // Yielding lets the server send the first half before it learns of the break.
            if half.is_none() {
                tokio::task::yield_now().await;
            }
            let item = half.ok_or_else(|| std::io::Error::other("cut"));
            Some((item, None))
        });
        let headers = self.headers.into_iter().map(|(name, value)| (name.to_owned(), value));
        let headers = headers.chain([("content-length".to_owned(), length.to_string())]);
        response(self.status, headers, Body::from_stream(stream))
    }
}

/// Performs a programmed answer. `tell` records the status; `is_over` says when a hanging request may end.
pub(crate) async fn perform(
    (shared, mut passage): (&Shared, Passage),
    answer: Answer,
    tell: impl FnOnce(&mut State, u16),
    is_over: impl Fn(&State) -> bool,
) -> Outcome {
    pause(Duration::from_millis(answer.delay_ms)).await;
    if answer.hang {
        shared.wait_until(is_over).await;
        return Err(Lost);
    }
    if answer.lose_connection {
        return Err(Lost);
    }
    passage.at(Moment::After, shared)?;
    shared.change(|state| tell(state, answer.status));
    let mut body = answer.body;
    while body.len() < answer.body_bytes {
        body.push_str(&" ".repeat((answer.body_bytes - body.len()).min(64 * 1024)));
    }
    Ok(response(answer.status, answer.headers, Body::from(body)))
}

/// Waits; not at all for 0.
pub(crate) async fn pause(duration: Duration) {
    if !duration.is_zero() {
        tokio::time::sleep(duration).await;
    }
}
