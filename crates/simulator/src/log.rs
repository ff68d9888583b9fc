//! The log of API requests, in the order in which they came.

use serde::Serialize;
use serde_json::Value;

use crate::route::Route;

/// One API request as it came, and what was answered. Requests to callbacks, sinks and `/_sim/` are not among them.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    /// Its place in the one order of everything that happens in a simulator: requests, callbacks, messages, changes.
    pub seq: u64,
    /// The route; none for a path or method that the API does not have.
    pub route: Option<Route>,
    /// Method.
    pub method: String,
    /// Path as it came, prefix included.
    pub path: String,
    /// Query as it came.
    pub query: Option<String>,
    /// Headers as they came, secrets included: this is a test tool.
    pub headers: Vec<(String, String)>,
    /// Body as it came; bytes that are no UTF-8 are replaced.
    pub body: String,
    /// Whether it came over TLS.
    pub tls: bool,
    /// The client's port: equal for requests on one connection.
    pub peer_port: u16,
    /// The status that was answered; none while it is under way, or when the connection was closed without an answer.
    pub status: Option<u16>,
}

impl Request {
    /// The first header of this name, in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.headers, name)
    }

    /// The body as JSON; null where it is none.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or(Value::Null)
    }
}

/// The first header of this name, in any case.
pub(crate) fn header<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}

/// A header map as pairs.
pub(crate) fn header_pairs(headers: &http::HeaderMap) -> Vec<(String, String)> {
    headers
        .iter()
        .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
        .collect()
}
