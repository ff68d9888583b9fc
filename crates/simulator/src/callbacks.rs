//! Callback targets: they check that what comes is the health check of cognigy-api.md §5, record it, and answer as told.

use std::time::Duration;

use http::Request;
use hyper::body::Incoming;
use serde::Serialize;
use serde_json::Value;

use crate::{
    exchange::{Outcome, Peer, perform, read},
    log::{self, header_pairs},
    options::LogDetail,
    passage::{Destination, Moment, Passage},
    shared::Shared,
    state::State,
    targets::Answer,
};

/// The path of a callback, its name left out.
pub(crate) const PATH: &str = "/callbacks/";

/// One request that reached a callback.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CallbackRequest {
    /// Its place in the one order of everything that happens in a simulator.
    pub seq: u64,
    /// When it had come completely, counted from the simulator's start by a clock that never goes back.
    #[serde(rename = "atMs", serialize_with = "log::milliseconds")]
    pub at: Duration,
    /// Method.
    pub method: String,
    /// Headers as they came. None with [`LogDetail::Line`].
    pub headers: Vec<(String, String)>,
    /// Body as JSON; null where it is none, and with [`LogDetail::Line`].
    pub body: Value,
    /// TLS version (`TLSv1_2`, `TLSv1_3`); none over plain HTTP.
    pub tls_version: Option<String>,
    /// What is wrong with it as a health check; such a request is answered 400 whatever is programmed.
    pub violations: Vec<String>,
    /// The status that was answered; none where there was no answer (yet).
    pub status: Option<u16>,
}

impl CallbackRequest {
    /// The first header of this name, in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        log::header(&self.headers, name)
    }
}

/// Serves one request to the callback `name`.
pub(crate) async fn serve(shared: &Shared, peer: &Peer, name: &str, request: Request<Incoming>) -> Outcome {
    let (parts, body) = request.into_parts();
    let body = read(body).await?;
    let mut passage = Passage::new(Destination::Callback(name.to_owned()), &parts);
    passage.at(Moment::Before, shared)?;
    let (seq, answer, program) = shared.change(|state| {
        let mut request = CallbackRequest {
            seq: state.next_seq(),
            at: state.age(),
            method: parts.method.to_string(),
            headers: header_pairs(&parts.headers),
            body: serde_json::from_slice(&body).unwrap_or(Value::Null),
            tls_version: peer.tls.map(|version| format!("{version:?}")),
            violations: Vec::new(),
            status: None,
        };
        request.violations = violations(state, name, &request);
        let seq = request.seq;
        state.trace_ids.extend(request.body["trace_id"].as_str().map(str::to_owned));
        let bad = (!request.violations.is_empty()).then(|| Answer::status(400).body(&request.violations.join("\n")));
        if state.options.log_detail == LogDetail::Line {
            (request.headers, request.body) = (Vec::new(), Value::Null);
        }
        let target = state.callbacks.entry(name.to_owned()).or_default();
        target.received.push(request);
        (seq, bad.unwrap_or_else(|| target.next_answer()), target.program)
    });
    let tell = |state: &mut State, status| {
        let target = state.callbacks.get_mut(name);
        let received = target.and_then(|target| log::entry(&mut target.received, seq, |one| one.seq));
        if let Some(request) = received {
            request.status = Some(status);
        }
    };
    let is_over = |state: &State| state.callbacks.get(name).is_none_or(|target| target.program != program);
    perform((shared, passage), answer, tell, is_over).await
}

/// What tells a request from a health check of cognigy-api.md §5.
fn violations(state: &State, name: &str, request: &CallbackRequest) -> Vec<String> {
    let mut found = Vec::new();
    let mut demand = |good: bool, message: &str| {
        if !good {
            found.push(message.to_owned());
        }
    };
    let body = &request.body;
    let keys = |value: &Value| value.as_object().map(|map| map.keys().cloned().collect::<Vec<_>>()).unwrap_or_default();
    let same = |mut have: Vec<String>, mut want: Vec<&str>| {
        have.sort();
        want.sort_unstable();
        have == want
    };
    let agent = request.header("user-agent").unwrap_or_default();
    let json = request.header("content-type").is_some_and(|value| value.starts_with("application/json"));
    let trace_id = body["trace_id"].as_str().unwrap_or_default();

    demand(request.method == "POST", "the method is not POST");
    demand(request.tls_version.is_some() || state.options.allow_http_urls, "it came without TLS");
    demand(
        agent.strip_prefix("CognigyWebhookRegistrar/").is_some_and(|version| !version.is_empty()),
        "User-Agent is not CognigyWebhookRegistrar/<version>",
    );
    demand(json, "Content-Type is not application/json");
    demand(
        same(keys(body), vec!["source", "event", "timestamp", "trace_id", "data"]),
        "the body's fields are not source, event, timestamp, trace_id and data",
    );
    demand(body["source"] == "cognigy-registrar", "source is not cognigy-registrar");
    demand(body["event"] == "health_check", "event is not health_check");
    demand(body["timestamp"].as_u64().is_some_and(|time| time > 0), "timestamp is no count of seconds since 1970");
    demand(!trace_id.is_empty(), "trace_id is missing");
    demand(!state.trace_ids.contains(trace_id), "trace_id was used before");
    demand(same(keys(&body["data"]), vec!["status", "version"]), "the fields of data are not status and version");
    demand(body["data"]["status"] == "ready", "data.status is not ready");
    demand(body["data"]["version"].as_i64().is_some_and(|version| version >= 1), "data.version is no integer from 1");
    demand(has_own_headers(state, name, request), "the webhook's own headers are missing");
    found
}

/// Whether the request has the headers of a webhook that is registered for this callback.
///
/// Only inactive ones count: the check before activation comes after the registration, whereas a periodic check may come
/// just before its active webhook is given new headers.
fn has_own_headers(state: &State, name: &str, request: &CallbackRequest) -> bool {
    let path = format!("{PATH}{name}");
    let version = &request.body["data"]["version"];
    let mut registered = state.store.with_path(&path).filter(|one| *version == one.version).peekable();
    if registered.peek().is_none() {
        return true;
    }
    registered.any(|one| one.active || one.headers.iter().all(|(name, value)| request.header(name) == value.as_str()))
}
