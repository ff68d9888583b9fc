//! W3C trace context, so that a call can be found in Cognigy's logs.

use rand::Rng as _;

/// The trace that a call belongs to (W3C Trace Context, `traceparent` version 00).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceContext {
    trace_id: u128,
}

impl TraceContext {
    /// A new trace.
    pub fn fresh() -> Self {
        Self { trace_id: rand::rng().random_range(1..=u128::MAX) }
    }

    /// An existing trace; `None` for zero, which the standard forbids.
    pub fn from_trace_id(trace_id: u128) -> Option<Self> {
        (trace_id != 0).then_some(Self { trace_id })
    }

    /// The trace id as 32 hex digits.
    pub fn trace_id(&self) -> String {
        format!("{:032x}", self.trace_id)
    }

    /// A `traceparent` header value with a new span id, sampled.
    pub(super) fn traceparent(&self) -> String {
        let span_id: u64 = rand::rng().random_range(1..=u64::MAX);
        format!("00-{:032x}-{span_id:016x}-01", self.trace_id)
    }
}
