//! Sinks: the user's own systems of cognigy-api.md §6, which record what they are sent.

use serde::Serialize;
use serde_json::Value;

use crate::log;

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
