//! W3C Trace Context: which trace a request belongs to, so that it can be found in the logs of whoever receives it.

use opentelemetry::trace::TraceContextExt as _;
use rand::Rng as _;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

/// The trace that a request belongs to, and the span that sends it (W3C Trace Context, `traceparent` version 00).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceContext {
    trace_id: u128,
    span_id: u64,
    sampled: bool,
}

impl TraceContext {
    /// A new trace.
    pub fn fresh() -> Self {
        let mut rng = rand::rng();
        Self { trace_id: rng.random_range(1..=u128::MAX), span_id: rng.random_range(1..=u64::MAX), sampled: true }
    }

    /// An existing trace; `None` for zero, which the standard forbids.
    pub fn from_trace_id(trace_id: u128) -> Option<Self> {
        (trace_id != 0).then(|| Self { trace_id, ..Self::fresh() })
    }

    /// The trace of a span; `None` where no traces are exported.
    pub fn of(span: &Span) -> Option<Self> {
        if span.is_disabled() {
            return None;
        }
        let context = span.context();
        let context = context.span().span_context().clone();
        context.is_valid().then(|| Self {
            trace_id: u128::from_be_bytes(context.trace_id().to_bytes()),
            span_id: u64::from_be_bytes(context.span_id().to_bytes()),
            sampled: context.is_sampled(),
        })
    }

    /// The trace id as 32 hex digits.
    pub fn trace_id(&self) -> String {
        format!("{:032x}", self.trace_id)
    }

    /// The value of the header `traceparent`.
    pub fn traceparent(&self) -> String {
        format!("00-{:032x}-{:016x}-{:02x}", self.trace_id, self.span_id, u8::from(self.sampled))
    }
}
