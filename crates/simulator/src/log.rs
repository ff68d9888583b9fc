//! The log of API requests, in the order in which they came.

use std::{collections::HashMap, time::Duration};

use http::{header::HOST, request::Parts};
use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::route::Route;

/// One API request as it came, and what was answered. Requests to callbacks, sinks and `/_sim/` are not among them.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    /// Its place in the one order of everything that happens in a simulator: requests, callbacks, messages, changes.
    pub seq: u64,
    /// When it had come completely, counted from the simulator's start by a clock that never goes back.
    #[serde(rename = "atMs", serialize_with = "milliseconds")]
    pub at: Duration,
    /// The route; none for a path or method that the API does not have.
    pub route: Option<Route>,
    /// Method.
    pub method: String,
    /// Path as it came, prefix included.
    pub path: String,
    /// Query as it came.
    pub query: Option<String>,
    /// Headers as they came, secrets included: this is a test tool. None with [`crate::LogDetail::Line`].
    pub headers: Vec<(String, String)>,
    /// Body as it came; bytes that are no UTF-8 are replaced. Empty with [`crate::LogDetail::Line`].
    pub body: String,
    /// Size in bytes as HTTP/1.1 writes it: request line, headers and body, without the framing of chunks.
    pub bytes: usize,
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

/// All API requests in order.
#[derive(Debug, Default)]
pub(crate) struct Log {
    requests: Vec<Request>,
    counts: HashMap<Route, usize>,
}

impl Log {
    pub(crate) fn push(&mut self, request: Request) {
        if let Some(route) = request.route {
            *self.counts.entry(route).or_default() += 1;
        }
        self.requests.push(request);
    }

    /// Notes what was answered; nothing where the request was forgotten meanwhile.
    pub(crate) fn told(&mut self, seq: u64, status: u16) {
        if let Some(request) = entry(&mut self.requests, seq, |one| one.seq) {
            request.status = Some(status);
        }
    }

    pub(crate) fn requests(&self) -> &[Request] {
        &self.requests
    }

    pub(crate) fn count(&self, route: Route) -> usize {
        self.counts.get(&route).copied().unwrap_or_default()
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }
}

/// The entry with this place in the one order of everything, in which `entries` are.
pub(crate) fn entry<T>(entries: &mut [T], seq: u64, place: impl Fn(&T) -> u64) -> Option<&mut T> {
    let index = entries.binary_search_by_key(&seq, place).ok()?;
    entries.get_mut(index)
}

/// A moment of the log as JSON: whole milliseconds.
pub(crate) fn milliseconds<S: Serializer>(at: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(u64::try_from(at.as_millis()).unwrap_or(u64::MAX))
}

/// The size of a request as HTTP/1.1 writes it.
pub(crate) fn size(parts: &Parts, body: &[u8]) -> usize {
    let target = parts.uri.path_and_query().map_or(1, |target| target.as_str().len());
    let line = parts.method.as_str().len() + " ".len() + target + " HTTP/1.1\r\n".len();
    let field = |name: &str, length: usize| name.len() + ": ".len() + length + "\r\n".len();
    let headers: usize = parts.headers.iter().map(|(name, value)| field(name.as_str(), value.len())).sum();
    // HTTP/2 names the host in the URI.
    let authority = parts.uri.authority().filter(|_| !parts.headers.contains_key(HOST));
    let host = authority.map_or(0, |authority| field(HOST.as_str(), authority.as_str().len()));
    line + headers + host + "\r\n".len() + body.len()
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
