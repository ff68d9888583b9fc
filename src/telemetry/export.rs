//! Traces on their way to a collector: OTLP over HTTP, protobuf.
//!
//! ```text
//! a span ends ─► queue (bounded, never waited for) ─► batch ─► POST …/v1/traces ─► collector
//! ```
//!
//! A collector that is away, slow or silent costs nobody anything: a batch is tried until it is taken, meanwhile the queue fills, and what
//! does not fit is dropped, counted and told. At the end what is left is sent within [`LAST_WORDS`].

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use backon::{BackoffBuilder as _, ExponentialBuilder};
use http::{HeaderValue, StatusCode, header::CONTENT_TYPE};
use hyper::body::Bytes;
use opentelemetry::{Context, KeyValue, trace::TracerProvider as _};
use opentelemetry_proto::{
    tonic::collector::trace::v1::ExportTraceServiceRequest,
    transform::{common::tonic::ResourceAttributesWithSchema, trace::tonic::group_spans_by_resource_and_scope},
};
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    resource::{EnvResourceDetector, TelemetryResourceDetector},
    trace::{SdkTracer, SdkTracerProvider, Span, SpanData, SpanProcessor},
};
use prost::Message as _;
use reqwest::{Client, redirect::Policy};
use thiserror::Error;
use tokio::{sync::mpsc, task::JoinHandle, time::timeout};
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::{cluster::audit::reporting_instance, cognigy::HttpFailure};

/// How many spans may wait; those of some hundred passes, a few MB.
const QUEUE: usize = 2048;
/// How many spans are sent together.
const BATCH: usize = 512;
/// How long a span waits for others.
const DELAY: Duration = Duration::from_secs(1);
/// How long a collector may take.
const TIME_LIMIT: Duration = Duration::from_secs(10);
/// How long a connection to it may take.
const CONNECT: Duration = Duration::from_secs(5);
/// The pauses between the tries of one batch.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// How long the end of the process waits for what is left.
const LAST_WORDS: Duration = Duration::from_secs(2);

const PROTOBUF: HeaderValue = HeaderValue::from_static("application/x-protobuf");
/// Where collectors take traces over HTTP (OTLP, *OTLP/HTTP Request*).
const PATH: &str = "v1/traces";
/// The port at which collectors by convention speak gRPC, which this exporter does not.
const GRPC: u16 = 4317;

/// Why traces cannot be exported.
#[derive(Debug, Error)]
pub enum ExportError {
    /// The client could not be made.
    #[error("cannot make a client for --otlp-endpoint: {0}")]
    Client(#[source] reqwest::Error),
}

/// The way to a collector, before it is used.
pub struct Traces {
    tracer: SdkTracer,
    exporter: Exporter,
}

impl Traces {
    /// The way to the collector at this base URL (`--otlp-endpoint`): `/v1/traces` is added where it is not its end.
    pub fn to(endpoint: &Url) -> Result<Self, ExportError> {
        let (sender, queue) = mpsc::channel(QUEUE);
        let dropped = Arc::<AtomicU64>::default();
        let resource = resource();
        let client = Client::builder()
            .user_agent(concat!("cognigy-operator/", env!("CARGO_PKG_VERSION")))
            .redirect(Policy::none())
            .retry(reqwest::retry::never())
            .timeout(TIME_LIMIT)
            .connect_timeout(CONNECT)
            .build()
            .map_err(ExportError::Client)?;
        let exporter = Exporter {
            client,
            url: address(endpoint),
            resource: ResourceAttributesWithSchema::from(&resource),
            queue,
            dropped: dropped.clone(),
            spans: Vec::new(),
            batch: None,
            trouble: Trouble::default(),
        };
        let provider =
            SdkTracerProvider::builder().with_resource(resource).with_span_processor(Queue { sender, dropped }).build();
        Ok(Self { tracer: provider.tracer("cognigy-operator"), exporter })
    }

    /// What makes spans.
    pub fn tracer(&self) -> SdkTracer {
        self.tracer.clone()
    }

    /// Sends spans from now on.
    pub fn start(self) -> Exporting {
        let ended = CancellationToken::new();
        Exporting { task: tokio::spawn(self.exporter.run(ended.clone())), ended }
    }
}

/// Spans are being sent.
pub struct Exporting {
    task: JoinHandle<()>,
    ended: CancellationToken,
}

impl Exporting {
    /// Sends what is left, but for no longer than two seconds.
    pub async fn finish(self) {
        self.ended.cancel();
        if let Err(error) = self.task.await {
            tracing::warn!(%error, "the exporter of traces failed");
        }
    }
}

/// Who speaks: this program, this version, this pod. `OTEL_RESOURCE_ATTRIBUTES` adds to it and overrides it.
fn resource() -> Resource {
    let variable = |name, key| {
        let value = std::env::var(name).ok().filter(|value: &String| !value.is_empty());
        value.map(|value| KeyValue::new(key, value))
    };
    let pod = [variable("POD_NAMESPACE", "k8s.namespace.name"), variable("POD_NAME", "k8s.pod.name")];
    let own = [
        KeyValue::new("service.name", "cognigy-operator"),
        KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
        KeyValue::new("service.instance.id", reporting_instance()),
    ];
    Resource::builder_empty()
        .with_detector(Box::new(TelemetryResourceDetector))
        .with_attributes(own.into_iter().chain(pod.into_iter().flatten()))
        .with_detector(Box::new(EnvResourceDetector::new()))
        .build()
}

/// The address for traces of the collector at this base URL.
fn address(endpoint: &Url) -> Url {
    let mut url = endpoint.clone();
    let path = endpoint.path().trim_end_matches('/');
    if !path.ends_with(PATH) {
        url.set_path(&format!("{path}/{PATH}"));
    }
    url
}

/// Where ended spans wait.
#[derive(Debug)]
struct Queue {
    sender: mpsc::Sender<SpanData>,
    dropped: Arc<AtomicU64>,
}

impl SpanProcessor for Queue {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        if self.sender.try_send(span).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

struct Exporter {
    client: Client,
    url: Url,
    resource: ResourceAttributesWithSchema,
    queue: mpsc::Receiver<SpanData>,
    dropped: Arc<AtomicU64>,
    /// Spans that wait for others.
    spans: Vec<SpanData>,
    /// What is to be sent next.
    batch: Option<Batch>,
    trouble: Trouble,
}

#[derive(Clone)]
struct Batch {
    body: Bytes,
    spans: usize,
}

/// Why a batch was not taken.
#[derive(Debug)]
enum Refusal {
    /// It may be taken later.
    NotNow(String),
    /// It never will be.
    Never(StatusCode),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotNow(why) => f.write_str(why),
            Self::Never(status) => write!(f, "it answered {}", status.as_u16()),
        }
    }
}

impl Exporter {
    async fn run(mut self, ended: CancellationToken) {
        if self.url.port() == Some(GRPC) {
            tracing::warn!(
                "port {GRPC} of --otlp-endpoint is by convention that of OTLP over gRPC; traces are sent over HTTP, whose port is 4318"
            );
        }
        tokio::select! {
            () = self.export() => {}
            () = ended.cancelled() => {}
        }
        if timeout(LAST_WORDS, self.drain()).await.is_err() || self.batch.is_some() {
            tracing::warn!(collector = self.collector(), "the last traces were not taken");
        }
    }

    /// Sends batch after batch.
    async fn export(&mut self) {
        loop {
            self.gather().await;
            self.pack();
            let mut pauses = pauses();
            while self.batch.is_some() {
                if self.send().await.is_err() {
                    tokio::time::sleep(pauses.next().unwrap_or(LONGEST_PAUSE)).await;
                }
            }
        }
    }

    /// Sends what is left, until nothing is or a batch is not taken.
    async fn drain(&mut self) {
        loop {
            while self.spans.len() < BATCH {
                let Ok(span) = self.queue.try_recv() else { break };
                self.spans.push(span);
            }
            self.pack();
            if self.batch.is_none() || self.send().await.is_err() {
                return;
            }
        }
    }

    /// Waits for a span, and a moment for others.
    async fn gather(&mut self) {
        if self.spans.is_empty() {
            self.queue.recv_many(&mut self.spans, BATCH).await;
        }
        let full = async {
            while self.spans.len() < BATCH {
                let room = BATCH - self.spans.len();
                self.queue.recv_many(&mut self.spans, room).await;
            }
        };
        // A batch that is not full is sent as it is.
        let _ = timeout(DELAY, full).await;
    }

    /// Makes a batch of the spans that wait, unless there is one.
    fn pack(&mut self) {
        if self.batch.is_some() || self.spans.is_empty() {
            return;
        }
        let spans = std::mem::take(&mut self.spans);
        let count = spans.len();
        let request =
            ExportTraceServiceRequest { resource_spans: group_spans_by_resource_and_scope(spans, &self.resource) };
        self.batch = Some(Batch { body: request.encode_to_vec().into(), spans: count });
    }

    /// Sends the batch; one that is taken or never will be is done with.
    async fn send(&mut self) -> Result<(), Refusal> {
        let Some(batch) = self.batch.clone() else { return Ok(()) };
        match self.post(batch.body).await {
            Ok(()) => {
                self.batch = None;
                self.trouble.over(&self.collector(), self.dropped.swap(0, Ordering::Relaxed));
                Ok(())
            }
            Err(refusal) => {
                self.trouble.tell(&self.collector(), &refusal);
                if matches!(refusal, Refusal::Never(_)) {
                    self.dropped.fetch_add(u64::try_from(batch.spans).unwrap_or(u64::MAX), Ordering::Relaxed);
                    self.batch = None;
                    return Ok(());
                }
                Err(refusal)
            }
        }
    }

    async fn post(&self, body: Bytes) -> Result<(), Refusal> {
        let request = self.client.post(self.url.clone()).header(CONTENT_TYPE, PROTOBUF).body(body);
        let answer = request.send().await.map_err(|error| Refusal::NotNow(HttpFailure::of(error).detail))?;
        match answer.status() {
            status if status.is_success() => Ok(()),
            // What OTLP calls retryable.
            status @ (StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT) => Err(Refusal::NotNow(format!("it answered {}", status.as_u16()))),
            status => Err(Refusal::Never(status)),
        }
    }

    /// Host and port, which is what may be said of its URL: that may hold a password.
    fn collector(&self) -> String {
        let port = self.url.port_or_known_default().unwrap_or_default();
        format!("{}:{port}", self.url.host_str().unwrap_or_default())
    }
}

/// What was told of a collector's trouble: it is told once, and once that it is over.
#[derive(Default)]
struct Trouble(bool);

impl Trouble {
    fn tell(&mut self, collector: &str, refusal: &Refusal) {
        if !std::mem::replace(&mut self.0, true) {
            tracing::warn!(
                collector,
                "traces cannot be delivered: {refusal}; {QUEUE} spans wait at most, more are dropped; nothing else is affected"
            );
        }
    }

    fn over(&mut self, collector: &str, dropped: u64) {
        if std::mem::take(&mut self.0) {
            tracing::info!(collector, dropped, "traces are delivered again");
        } else if dropped > 0 {
            tracing::warn!(collector, dropped, "spans were dropped: more came than the collector takes");
        }
    }
}

fn pauses() -> impl Iterator<Item = Duration> {
    ExponentialBuilder::new().with_min_delay(FIRST_PAUSE).with_max_delay(LONGEST_PAUSE).without_max_times().build()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    #[test]
    fn traces_go_to_the_path_of_otlp_below_the_base_url() {
        for (endpoint, expected) in [
            ("http://otel:4318", "http://otel:4318/v1/traces"),
            ("http://otel:4318/", "http://otel:4318/v1/traces"),
            ("https://otel.example.com/otlp/", "https://otel.example.com/otlp/v1/traces"),
            ("https://otel.example.com/v1/traces", "https://otel.example.com/v1/traces"),
        ] {
            assert_eq!(address(&Url::parse(endpoint).unwrap()).as_str(), expected);
        }
    }

    #[tokio::test]
    async fn what_does_not_fit_into_the_queue_is_dropped_and_counted_and_nobody_waits() {
        use opentelemetry::trace::Tracer as _;
        crate::cognigy::install_crypto_provider();
        let traces = Traces::to(&Url::parse("http://127.0.0.1:1").unwrap()).unwrap();
        (0..QUEUE + 7).for_each(|_| drop(traces.tracer().start("span")));
        assert_eq!(traces.exporter.dropped.load(Ordering::Relaxed), 7);
        assert_eq!(traces.exporter.queue.len(), QUEUE);
    }

    #[tokio::test]
    async fn what_is_left_at_the_end_is_sent() {
        use opentelemetry::trace::Tracer as _;
        crate::cognigy::install_crypto_provider();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        let taken = Arc::<AtomicUsize>::default();
        let count = taken.clone();
        let take = async move |body: Bytes| {
            let request = ExportTraceServiceRequest::decode(body).unwrap();
            let spans: usize =
                request.resource_spans.iter().flat_map(|of| &of.scope_spans).map(|of| of.spans.len()).sum();
            count.fetch_add(spans, Ordering::Relaxed);
        };
        let routes = axum::Router::new().route("/v1/traces", axum::routing::post(take));
        let server = tokio::spawn(async move { axum::serve(listener, routes).await });
        let traces = Traces::to(&url).unwrap();
        (0..BATCH + 7).for_each(|_| drop(traces.tracer().start("span")));
        traces.start().finish().await;
        assert_eq!(taken.load(Ordering::Relaxed), BATCH + 7);
        server.abort();
    }
}
