//! A collector of traces: takes OTLP over HTTP as an OpenTelemetry collector does, and keeps what it got.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    routing::post,
};
use opentelemetry::trace::{SpanId, TraceId};
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{AnyValue, KeyValue, any_value::Value},
    trace::v1::{Span, span::SpanKind, status::StatusCode as Outcome},
};
use prost::Message as _;
use tokio::{net::TcpListener, task::JoinHandle};

/// A collector on loopback; it ends when it is dropped.
pub struct Collector {
    pub url: String,
    state: Arc<Kept>,
    server: JoinHandle<()>,
}

#[derive(Default)]
struct Kept {
    refuses: Mutex<Option<u16>>,
    refused: Mutex<usize>,
    requests: Mutex<Vec<ExportTraceServiceRequest>>,
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Collector {
    /// A collector that takes everything.
    pub async fn start() -> Self {
        let state = Arc::<Kept>::default();
        let routes = Router::new().route("/v1/traces", post(take)).with_state(state.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        Self { url, state, server }
    }

    /// What it answers from now on; with `None` it takes everything again.
    pub fn refuse(&self, status: Option<u16>) {
        *self.state.refuses.lock().unwrap() = status;
    }

    /// How many batches it refused.
    pub fn refused(&self) -> usize {
        *self.state.refused.lock().unwrap()
    }

    /// What the process that sends says of itself.
    pub fn resource(&self) -> BTreeMap<String, String> {
        let requests = self.state.requests.lock().unwrap();
        let resource = requests[0].resource_spans[0].resource.as_ref().unwrap();
        attributes(&resource.attributes)
    }

    /// All that it took, in the order in which it began.
    pub fn spans(&self) -> Vec<Told> {
        let requests = self.state.requests.lock().unwrap();
        let of_request = |request: &ExportTraceServiceRequest| request.resource_spans.clone();
        let spans = requests.iter().flat_map(of_request).flat_map(|of| of.scope_spans).flat_map(|of| of.spans);
        let mut spans: Vec<Told> = spans.map(Told).collect();
        spans.sort_by_key(|span| span.0.start_time_unix_nano);
        spans
    }

    /// All texts that it took: each request with everything in it, and what its spans say as it reads.
    pub fn texts(&self) -> Vec<String> {
        let whole =
            self.state.requests.lock().unwrap().iter().map(|request| format!("{request:?}")).collect::<Vec<_>>();
        let said = |span: Told| {
            let own = [span.name().to_owned(), span.failure().unwrap_or_default().to_owned()];
            own.into_iter().chain(attributes(&span.0.attributes).into_values()).collect::<Vec<_>>()
        };
        whole.into_iter().chain(self.spans().into_iter().flat_map(said)).collect()
    }
}

async fn take(State(kept): State<Arc<Kept>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    assert_eq!(headers["content-type"], "application/x-protobuf");
    if let Some(status) = *kept.refuses.lock().unwrap() {
        *kept.refused.lock().unwrap() += 1;
        return StatusCode::from_u16(status).unwrap();
    }
    match ExportTraceServiceRequest::decode(body) {
        Ok(request) => {
            kept.requests.lock().unwrap().push(request);
            StatusCode::OK
        }
        Err(_) => StatusCode::BAD_REQUEST,
    }
}

/// A span as it was sent.
#[derive(Clone, Debug)]
pub struct Told(Span);

impl Told {
    pub fn name(&self) -> &str {
        &self.0.name
    }

    pub fn trace_id(&self) -> String {
        TraceId::from_bytes(self.0.trace_id.clone().try_into().unwrap()).to_string()
    }

    /// The `traceparent` of what it sent.
    pub fn traceparent(&self) -> String {
        let span_id = SpanId::from_bytes(self.0.span_id.clone().try_into().unwrap());
        format!("00-{}-{span_id}-01", self.trace_id())
    }

    pub fn is_root(&self) -> bool {
        self.0.parent_span_id.is_empty()
    }

    pub fn is_below(&self, other: &Self) -> bool {
        self.0.trace_id == other.0.trace_id && self.0.parent_span_id == other.0.span_id
    }

    pub fn is_client(&self) -> bool {
        self.0.kind() == SpanKind::Client
    }

    /// Why it failed, where it did.
    pub fn failure(&self) -> Option<&str> {
        let status = self.0.status.as_ref().filter(|status| status.code() == Outcome::Error)?;
        Some(&status.message)
    }

    /// An attribute as text; empty where it is not there.
    pub fn get(&self, name: &str) -> String {
        attributes(&self.0.attributes).remove(name).unwrap_or_default()
    }
}

fn attributes(values: &[KeyValue]) -> BTreeMap<String, String> {
    values.iter().map(|one| (one.key.clone(), text(one.value.as_ref()))).collect()
}

fn text(value: Option<&AnyValue>) -> String {
    match value.and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        Some(Value::DoubleValue(number)) => number.to_string(),
        Some(Value::BoolValue(flag)) => flag.to_string(),
        other => format!("{other:?}"),
    }
}
