//! One API call before it is sent, and its answer after it was understood.

use std::time::Duration;

use http::header::{ETAG, IF_NONE_MATCH, LOCATION};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use serde_json::Value;

use super::wire::RawAnswer;
use super::{Answer, ETag, Route, fields, json, problem};
use crate::redact::Redactor;

/// One API call, before it is sent.
#[derive(Clone)]
pub(super) struct Call<'a> {
    pub route: Route,
    pub method: Method,
    pub path: Vec<&'a str>,
    pub query: Vec<(&'static str, String)>,
    pub headers: HeaderMap,
    pub body: Option<Vec<u8>>,
    /// What no message about it may show.
    pub secrets: Redactor,
}

/// A successful answer, parsed.
pub(super) struct Reply {
    pub status: StatusCode,
    /// The id in the `Location` header, if there is one.
    pub location: Option<String>,
    pub etag: Option<ETag>,
    /// Bytes of the body.
    pub size: usize,
    body: Option<Value>,
}

impl Reply {
    pub fn body(&self) -> Option<&Value> {
        self.body.as_ref()
    }

    pub fn required_body(&self) -> Result<&Value, String> {
        self.body.as_ref().ok_or_else(|| "the answer has no body".into())
    }
}

impl<'a> Call<'a> {
    pub fn new(route: Route, method: Method, path: Vec<&'a str>) -> Self {
        Self {
            route,
            method,
            path,
            query: Vec::new(),
            headers: HeaderMap::new(),
            body: None,
            secrets: Redactor::default(),
        }
    }

    pub fn query(mut self, name: &'static str, value: &str) -> Self {
        self.query.push((name, value.to_owned()));
        self
    }

    /// A header whose value is known to be valid; an invalid one is left out.
    pub fn header(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(name, value);
        }
        self
    }

    /// A JSON body.
    pub fn json(mut self, body: &Value) -> Self {
        self.body = Some(body.to_string().into_bytes());
        self
    }

    /// The size of its body in bytes.
    pub fn size(&self) -> usize {
        self.body.as_ref().map_or(0, Vec::len)
    }

    /// Whether "not modified" is an answer to it.
    pub fn is_conditional_read(&self) -> bool {
        self.headers.contains_key(IF_NONE_MATCH)
    }

    /// Texts of the body that no message may show.
    pub fn secrets(mut self, secrets: &Redactor) -> Self {
        self.secrets = self.secrets.and(secrets);
        self
    }
}

/// Reads a success: an empty body is no body, anything else must be JSON.
pub(super) fn understand<T>(
    raw: &RawAnswer,
    secrets: &Redactor,
    read: impl Fn(&Reply) -> Result<T, String>,
) -> Result<Answer<T>, String> {
    let body: Option<Value> = if raw.body.trim_ascii().is_empty() { None } else { Some(json::read(&raw.body)?) };
    let header = |name| raw.headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let reply = Reply {
        status: raw.status,
        location: header(LOCATION).and_then(last_segment),
        etag: header(ETAG).and_then(ETag::from_header).or_else(|| body.as_ref().and_then(fields::version_tag)),
        size: raw.body.len(),
        body,
    };
    if let Some(what) = betrays(&reply, secrets) {
        return Err(format!("{what} repeats a secret of the request"));
    }
    Ok(Answer {
        value: read(&reply)?,
        etag: reply.etag,
        latency: Duration::ZERO,
        trace_id: problem::trace_id(&raw.headers, secrets),
    })
}

/// No longer text becomes an id, a version or a tag; the search for secrets is not to be made long by what is refused anyway.
const LONGEST_KEPT: usize = 4096;

/// Which part of an answer holds a secret in a place that is kept in a status and shown in events: an id, a version, a
/// tag. Everything else is cleaned where it is shown.
fn betrays(reply: &Reply, secrets: &Redactor) -> Option<&'static str> {
    let holds = |text: &str| text.len() <= LONGEST_KEPT && secrets.is_in(text);
    if reply.etag.as_ref().is_some_and(|tag| holds(tag.as_str())) {
        return Some("the entity tag");
    }
    if reply.location.as_deref().is_some_and(holds) {
        return Some("the location");
    }
    let body = reply.body.as_ref()?;
    let items = body.get("items").unwrap_or(body).as_array().into_iter().flatten();
    let named = std::iter::once(body).chain(items).flat_map(fields::names_of);
    named.into_iter().any(holds).then_some("an id or a version")
}

fn last_segment(location: &str) -> Option<String> {
    let path = location.split(['?', '#']).next()?.trim_end_matches('/');
    let last = path.rsplit('/').next()?;
    (!last.is_empty()).then(|| last.to_owned())
}
