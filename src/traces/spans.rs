//! The spans, with all that they may say.

use std::fmt::Display;

use tracing::{
    Span,
    field::{self, Empty},
};
use url::Url;

/// The target of these spans: they are for the exporter, and none of them is for a log. Without an exporter nobody wants the target,
/// and a span costs the question whether somebody does.
pub const TARGET: &str = "cognigy_operator::traces";

/// A pass over an object; the root of a trace, since the scheduler's own span is not for traces. For logs that remains its parent.
pub fn pass(kind: &str, namespace: &str, name: &str, generation: Option<i64>) -> Span {
    tracing::info_span!(
        target: TARGET,
        "pass",
        "otel.name" = format!("reconcile {kind}"),
        "otel.status_code" = Empty,
        "otel.status_description" = Empty,
        "error.type" = Empty,
        "cognigy.object.kind" = kind,
        "cognigy.object.namespace" = namespace,
        "cognigy.object.name" = name,
        "cognigy.object.generation" = generation,
        "cognigy.tenant" = Empty,
        "cognigy.outcome" = Empty,
        "cognigy.reason" = Empty,
    )
}

/// A call that is sent to `server` with this method to the route `name`, whose path is like `template`: from the moment when it was asked for.
pub fn call(method: &str, (name, template): (&'static str, &str), server: &Url, tenant: &str) -> Span {
    tracing::info_span!(
        target: TARGET,
        "call",
        "otel.kind" = "client",
        "otel.name" = format!("{method} {template}"),
        "otel.status_code" = Empty,
        "otel.status_description" = Empty,
        "error.type" = Empty,
        "http.request.method" = method,
        "http.request.resend_count" = Empty,
        "http.response.status_code" = Empty,
        "server.address" = server.host_str(),
        "server.port" = server.port_or_known_default(),
        "url.scheme" = server.scheme(),
        "url.template" = template,
        "cognigy.route" = name,
        "cognigy.tenant" = tenant,
        "cognigy.trace_id" = Empty,
        "cognigy.wait_ms" = Empty,
    )
}

/// A health check of a callback.
pub fn health_check(callback: &Url) -> Span {
    tracing::info_span!(
        target: TARGET,
        "health_check",
        "otel.kind" = "client",
        "otel.name" = "health check",
        "otel.status_code" = Empty,
        "otel.status_description" = Empty,
        "error.type" = Empty,
        "http.request.method" = "POST",
        "http.response.status_code" = Empty,
        "server.address" = callback.host_str(),
        "server.port" = callback.port_or_known_default(),
        "url.scheme" = callback.scheme(),
        "tls.protocol.version" = Empty,
    )
}

/// One try to deliver the message `id` of this type about the object `source` to a tenant's sink; the root of a trace, since it may
/// come long after the pass that wrote it. Where the sink is may be a secret, and is not said.
pub fn delivery(sink: &str, tenant: &impl Display, (id, type_, source): (&str, &str, &str)) -> Span {
    tracing::info_span!(
        target: TARGET,
        parent: None,
        "delivery",
        "otel.kind" = "client",
        "otel.name" = format!("deliver {sink}"),
        "otel.status_code" = Empty,
        "otel.status_description" = Empty,
        "error.type" = Empty,
        "http.request.method" = "POST",
        "http.response.status_code" = Empty,
        "cloudevents.event_id" = id,
        "cloudevents.event_source" = source,
        "cloudevents.event_type" = type_,
        "cognigy.sink" = sink,
        "cognigy.tenant" = %tenant,
    )
}

/// The span failed. `type_` is of a small set of words.
pub fn fail(span: &Span, type_: &str, why: impl Display) {
    span.record("error.type", type_);
    span.record("otel.status_code", "ERROR");
    span.record("otel.status_description", field::display(why));
}

/// The answer's status, for the span in which this is called.
pub fn answered(status: u16) {
    Span::current().record("http.response.status_code", i64::from(status));
}

/// The pass in which this is called is one of this tenant's.
pub fn of_tenant(tenant: &impl Display) {
    Span::current().record("cognigy.tenant", field::display(tenant));
}

/// What the pass in which this is called tells: its Ready reason.
pub fn told(reason: &str) {
    Span::current().record("cognigy.reason", reason);
}
