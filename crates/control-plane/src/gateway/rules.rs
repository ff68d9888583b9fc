//! What happens to a request.

use std::time::Duration;

use http::StatusCode;
use hyper::body::Bytes;
use serde_json::json;
use tokio::sync::oneshot;

use super::Request;

/// What the gateway does with a request.
#[derive(Clone, Debug, Default)]
pub enum Action {
    /// Forwards it, and gives the client the answer.
    #[default]
    Pass,
    /// Forwards it after this time.
    Delay(Duration),
    /// Answers itself; the API server hears nothing.
    Answer(Answer),
    /// Neither forwards nor answers it, as long as the client waits.
    Hang,
    /// Closes the connection; the API server hears nothing.
    Cut,
    /// Forwards it, waits for the whole answer, and closes the connection without giving it.
    CutAfterCommit,
    /// Forwards it and gives the answer's head, but nothing of its body, without end: a watch whose connection is dead and does not say so.
    Mute,
}

/// An answer of the gateway's own.
#[derive(Clone, Debug)]
pub struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Bytes,
}

impl Answer {
    /// An error as the API server gives it: a `Status` object with this reason, such as `Conflict`.
    pub fn error(code: StatusCode, reason: &str, message: &str) -> Self {
        Self::json(code, &status(code, reason, message))
    }

    /// The end of a watch that came too late: an `ERROR` event with the code 410, `Expired`.
    pub fn watch_expired() -> Self {
        let object = status(StatusCode::GONE, "Expired", "too old resource version");
        Self::json(StatusCode::OK, &json!({"type": "ERROR", "object": object}))
    }

    fn json(status: StatusCode, body: &serde_json::Value) -> Self {
        let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        Self { status, headers, body: format!("{body}\n").into() }
    }

    /// The same with one more header, such as `Retry-After`.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }
}

impl From<Answer> for Action {
    fn from(answer: Answer) -> Self {
        Self::Answer(answer)
    }
}

fn status(code: StatusCode, reason: &str, message: &str) -> serde_json::Value {
    json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "reason": reason, "code": code.as_u16(),
    })
}

/// Where a request is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The API server has not heard of it.
    BeforeForward,
    /// The API server has answered, the client has not been told.
    AfterAnswer,
}

/// Waits for a request to hold; see [`super::Gateway::hold`].
#[derive(Debug)]
pub struct Hold(pub(super) oneshot::Receiver<Held>);

impl Hold {
    /// Waits until a matching request is held. Without end where none comes; the error says that the gateway is gone.
    pub async fn reached(self) -> Result<Held, oneshot::error::RecvError> {
        self.0.await
    }
}

/// A request that goes on when this is released or dropped.
#[derive(Debug)]
pub struct Held {
    /// What is held.
    pub request: Request,
    /// What the API server answered, at [`Stage::AfterAnswer`] (nothing where it could not be reached).
    pub status: Option<u16>,
    pub(super) verdict: oneshot::Sender<Verdict>,
}

/// What becomes of a held request; a [`Held`] that is dropped lets it go on.
#[derive(Debug)]
pub(super) enum Verdict {
    Go,
    Cut,
}

impl Held {
    /// Lets it go on.
    pub fn release(self) {
        // A client that has left has no use for it.
        let _ = self.verdict.send(Verdict::Go);
    }

    /// Closes the client's connection instead of going on: what was not forwarded never is.
    pub fn cut(self) {
        let _ = self.verdict.send(Verdict::Cut);
    }
}
