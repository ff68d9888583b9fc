//! Answers, and refusals in each shape of cognigy-api.md §8.

use http::StatusCode;
use serde_json::{Value, json};

use crate::{faults::RetryAfter, options::ErrorFormat};

/// An answer before it becomes an HTTP response.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    /// An answer without a body.
    pub(crate) fn empty(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Vec::new() }
    }

    /// A JSON answer.
    pub(crate) fn json(status: u16, body: &Value) -> Self {
        Self::typed(status, "application/json", body.to_string())
    }

    /// An answer of any type.
    pub(crate) fn typed(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: vec![("content-type", content_type.to_owned())], body: body.into() }
    }

    /// One more header field.
    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

/// A request that is refused, and why.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) detail: String,
    headers: Vec<(&'static str, String)>,
    /// The OAuth code, where it has one.
    oauth: &'static str,
}

impl Refusal {
    pub(crate) fn new(status: u16, detail: impl Into<String>) -> Self {
        let oauth = match status {
            401 => "invalid_token",
            403 => "insufficient_scope",
            400..500 => "invalid_request",
            _ => "server_error",
        };
        Self { status, detail: detail.into(), headers: Vec::new(), oauth }
    }

    /// A refusal of the token endpoint with a code of RFC 6749 §5.2.
    pub(crate) fn oauth(status: u16, code: &'static str, detail: impl Into<String>) -> Self {
        Self { oauth: code, ..Self::new(status, detail) }
    }

    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(crate) fn retry_after(self, value: RetryAfter) -> Self {
        self.with("retry-after", value.header())
    }

    /// The answer; `seq` gives the trace id.
    pub(crate) fn reply(self, format: ErrorFormat, seq: u64) -> Reply {
        let trace_id = format!("api--00000000-0000-4000-8000-{seq:012x}");
        let title = StatusCode::from_u16(self.status).ok().and_then(|s| s.canonical_reason()).unwrap_or("Error");
        let problem = |code: Value| {
            json!({
                "type": format!("https://cognigy.example/problems/{}", self.status), "title": title, "status": self.status,
                "detail": self.detail, "code": code, "traceId": trace_id,
            })
        };
        let (content_type, body) = match format {
            ErrorFormat::Problem => {
                ("application/problem+json", problem(json!(u32::from(self.status) * 10)).to_string())
            }
            ErrorFormat::ProblemTextCode => {
                let code = title.to_uppercase().replace(|c: char| !c.is_ascii_alphanumeric(), "_");
                ("application/problem+json", problem(json!(code)).to_string())
            }
            ErrorFormat::Oauth => {
                ("application/json", json!({"error": self.oauth, "error_description": self.detail}).to_string())
            }
            ErrorFormat::Plain => ("text/plain; charset=utf-8", self.detail.clone()),
        };
        let mut reply = Reply::typed(self.status, content_type, body).with("x-trace-id", trace_id);
        reply.headers.extend(self.headers);
        reply
    }
}
