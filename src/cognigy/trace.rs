//! What a call leaves behind for whoever looks for it: a span in the logs, one in a trace, and the header that names both.

use std::time::Duration;

use tokio::time::Instant;
use tracing::{
    Instrument as _, Span,
    field::{self, Empty},
};
use url::Url;

use super::{Answer, Code, Error, Route, call::Call};
use crate::traces::{self, TraceContext};

/// A call from the moment when it is asked for, its waiting included.
pub(super) struct CallTrace {
    pub context: TraceContext,
    began: Instant,
    span: Span,
    log: Span,
}

impl CallTrace {
    /// A call that begins now; `given` is the trace that it belongs to, where that is not the one of the pass.
    pub fn begin(call: &Call<'_>, tenant: &str, server: &Url, given: Option<TraceContext>) -> Self {
        let route = call.route.as_str();
        let span = traces::call(call.method.as_str(), (route, call.route.template()), server, tenant);
        let context = given.or_else(|| TraceContext::of(&span)).unwrap_or_else(TraceContext::fresh);
        let log = span.in_scope(|| {
            tracing::info_span!(
                "cognigy_call",
                tenant,
                route,
                trace_id = context.trace_id(),
                status = Empty,
                latency_ms = Empty,
                cognigy_trace_id = Empty,
            )
        });
        Self { context, began: Instant::now(), span, log }
    }

    /// Whatever is done within it.
    pub fn over<T>(&self, work: impl Future<Output = T>) -> impl Future<Output = T> {
        work.instrument(self.log.clone()).instrument(self.span.clone())
    }

    /// It is sent now for the `nth` time, counted from zero.
    pub fn sent(&self, nth: i64) {
        if nth == 0 {
            self.span.record("cognigy.wait_ms", milliseconds(self.began.elapsed()));
        } else {
            self.span.record("http.request.resend_count", nth);
        }
    }

    /// It was answered, or an answer will not come.
    pub fn answered<T>(&self, code: Code, latency: Duration, result: &Result<Answer<T>, Error>) {
        self.log.record("status", field::display(code));
        self.log.record("latency_ms", milliseconds(latency));
        if let Code::Status(status) = code {
            self.span.record("http.response.status_code", i64::from(status));
        }
        let (Ok(Answer { trace_id, .. }) | Err(Error { trace_id, .. })) = result;
        if let Some(trace_id) = trace_id {
            self.log.record("cognigy_trace_id", trace_id);
            self.span.record("cognigy.trace_id", trace_id);
        }
    }

    /// It is over.
    pub fn ended<T>(&self, result: &Result<Answer<T>, Error>) {
        if let Err(error) = result {
            traces::fail(&self.span, error.kind.as_str(), error);
        }
    }
}

/// A token request, to be made within this span.
pub(super) fn token_request(server: &Url, tenant: &str) -> Span {
    traces::call("POST", (Route::Token.as_str(), server.path()), server, tenant)
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}
