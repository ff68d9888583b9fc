//! The messages of cognigy-api.md §6, and how they are sent: CloudEvents 1.0 in binary mode, so that the body stays exactly as
//! it is written there. Pure.
//!
//! ```text
//! monitoring.rs   best effort        alert.rs   kept in a status until they are delivered: alerts and dead letters
//! ```

mod alert;
mod monitoring;

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, header::CONTENT_TYPE};
use jiff::Timestamp;
use serde::Serialize;
use uuid::Uuid;

pub use self::{
    alert::{Exhaustion, Figures, Resolution, TenantTold, WebhookTold, dead_letter_again},
    monitoring::Monitoring,
};
use crate::api::Undelivered;

/// A message with its envelope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloudEvent {
    /// The attribute `id`: the same in every try.
    pub id: String,
    /// The attribute `source`: the object that it is about.
    pub source: String,
    /// The attribute `type`.
    pub type_: String,
    /// The attribute `time`.
    pub time: Timestamp,
    /// Extension attributes: what the body has no place for.
    pub extensions: Vec<(&'static str, String)>,
    /// JSON.
    pub body: String,
}

impl CloudEvent {
    /// A message that was kept in the status of the object `source`.
    pub fn of(message: &Undelivered, source: String) -> Self {
        let fingerprint = message.fingerprint.clone().map(|value| ("fingerprint", value));
        let state = message.alert_state.map(|state| ("alertstate", state.as_str().to_owned()));
        Self {
            id: message.id.clone(),
            source,
            type_: message.type_.clone(),
            time: message.time.0,
            extensions: fingerprint.into_iter().chain(state).collect(),
            body: message.body.clone(),
        }
    }

    /// Its headers: the envelope in binary mode.
    pub fn headers(&self) -> HeaderMap {
        let attributes = [
            ("specversion", "1.0".to_owned()),
            ("id", self.id.clone()),
            ("source", self.source.clone()),
            ("type", self.type_.clone()),
            ("time", self.time.to_string()),
        ];
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        for (name, value) in attributes.into_iter().chain(self.extensions.iter().cloned()) {
            // Attribute names are letters; values are encoded to what a header can carry.
            if let (Ok(name), Ok(value)) =
                (HeaderName::try_from(format!("ce-{name}")), HeaderValue::try_from(encoded(&value)))
            {
                headers.insert(name, value);
            }
        }
        headers
    }
}

/// A value as the HTTP binding of CloudEvents 1.0 has it in a header (section 3.1.3.2): printable ASCII without space,
/// quote and percent sign stands as it is, everything else percent-encoded.
fn encoded(value: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'%');
    value.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

fn new_id() -> String {
    Uuid::new_v4().to_string()
}

/// Kubernetes keeps whole seconds: what is sent before it was written and read is what is sent afterwards.
fn whole_seconds(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

/// Milliseconds to the thousandth.
fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

fn text(body: &impl Serialize) -> String {
    // Nothing here can fail to become JSON: structs with text keys and finite numbers.
    serde_json::to_string(body).unwrap_or_default()
}

#[cfg(test)]
mod tests;
