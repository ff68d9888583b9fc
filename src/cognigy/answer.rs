//! A successful answer with what a caller may need besides its value.

use std::time::Duration;

use super::ETag;

/// A successful answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer<T> {
    /// What was asked for.
    pub value: T,
    /// The object's entity tag after the call, from the header or the body's `_version` (cognigy-api.md §4).
    pub etag: Option<ETag>,
    /// From the first byte sent to the last byte read; of all requests where the call took several.
    pub latency: Duration,
    /// Cognigy's own trace id, for support tickets.
    pub trace_id: Option<String>,
}

impl<T> Answer<T> {
    /// The same answer with another value.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Answer<U> {
        Answer { value: change(self.value), etag: self.etag, latency: self.latency, trace_id: self.trace_id }
    }
}
