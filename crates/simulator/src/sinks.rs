//! Sinks: the user's own systems of cognigy-api.md §6, which record what they are sent.

use http::Request;
use hyper::body::Incoming;
use serde::Serialize;
use serde_json::Value;

use crate::{
    exchange::{Outcome, perform, read},
    log::{self, header_pairs},
    passage::{Destination, Moment, Passage},
    shared::Shared,
    state::State,
};

/// The path of a sink, its name left out.
pub(crate) const PATH: &str = "/sinks/";

/// One message that reached a sink.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SinkMessage {
    /// Its place in the one order of everything that happens in a simulator.
    pub seq: u64,
    /// Method.
    pub method: String,
    /// Headers as they came.
    pub headers: Vec<(String, String)>,
    /// Body as JSON; null where it is none.
    pub body: Value,
    /// What is wrong with it as a `CloudEvents` 1.0 message in binary mode (§6); it is accepted all the same.
    pub violations: Vec<String>,
    /// The status that was answered; none where there was no answer (yet). Only 2xx means delivered.
    pub status: Option<u16>,
}

impl SinkMessage {
    /// The first header of this name, in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        log::header(&self.headers, name)
    }

    /// Whether the sender was told that it arrived.
    pub fn is_delivered(&self) -> bool {
        self.status.is_some_and(|status| (200..300).contains(&status))
    }
}

/// Serves one request to the sink `name`.
pub(crate) async fn serve(shared: &Shared, name: &str, request: Request<Incoming>) -> Outcome {
    let (parts, body) = request.into_parts();
    let body = read(body).await?;
    let mut passage = Passage::new(Destination::Sink(name.to_owned()), &parts);
    passage.at(Moment::Before, shared)?;
    let (seq, answer, program) = shared.change(|state| {
        let mut message = SinkMessage {
            seq: state.next_seq(),
            method: parts.method.to_string(),
            headers: header_pairs(&parts.headers),
            body: serde_json::from_slice(&body).unwrap_or(Value::Null),
            violations: Vec::new(),
            status: None,
        };
        message.violations = violations(&message);
        let seq = message.seq;
        let target = state.sinks.entry(name.to_owned()).or_default();
        target.received.push(message);
        (seq, target.next_answer(), target.program)
    });
    let tell = |state: &mut State, status| {
        let target = state.sinks.get_mut(name);
        let received = target.and_then(|target| log::entry(&mut target.received, seq, |one| one.seq));
        if let Some(message) = received {
            message.status = Some(status);
        }
    };
    let is_over = |state: &State| state.sinks.get(name).is_none_or(|target| target.program != program);
    perform((shared, passage), answer, tell, is_over).await
}

fn violations(message: &SinkMessage) -> Vec<String> {
    let mut found: Vec<String> = ["ce-id", "ce-source", "ce-type", "ce-time"]
        .into_iter()
        .filter(|name| message.header(name).is_none_or(str::is_empty))
        .map(|name| format!("{name} is missing"))
        .collect();
    let mut demand = |good: bool, message: &str| {
        if !good {
            found.push(message.to_owned());
        }
    };
    demand(message.method == "POST", "the method is not POST");
    demand(message.header("ce-specversion") == Some("1.0"), "ce-specversion is not 1.0");
    demand(
        message.header("content-type").is_some_and(|value| value.starts_with("application/json")),
        "Content-Type is not application/json",
    );
    demand(message.body.is_object(), "the body is no JSON object");
    found
}
