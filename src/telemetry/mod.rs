//! Logs: one line per record on standard output, as JSON or as text. Traces: to a collector, where one is named (`export.rs`).

mod export;

pub use export::{ExportError, Exporting, Traces};

use std::str::FromStr;

use clap::ValueEnum;
use thiserror::Error;
use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::{
    EnvFilter, Layer, Registry,
    filter::{FilterExt as _, LevelFilter, filter_fn},
    fmt,
    layer::{Filter, SubscriberExt as _},
    registry::LookupSpan,
    util::SubscriberInitExt as _,
};

use crate::traces;

/// The crates whose records at the levels `debug` and `trace` show headers or raw bytes, and with them credentials.
const WIRE_CRATES: [&str; 8] =
    ["h2", "hyper", "hyper_util", "reqwest", "rustls", "tokio_rustls", "tower", "tower_http"];

/// How a log line is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// One JSON object per line.
    Json,
    /// For people who watch.
    Text,
}

/// Which records are written: a level (`info`), or levels by module (`warn,cognigy_operator=debug`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLevel(String);

/// Why a text is not a [`LogLevel`].
#[derive(Debug, Error)]
pub enum LogLevelError {
    /// A part is neither a level nor `module=level`.
    #[error("`{0}` is neither a level (off, error, warn, info, debug, trace) nor module=level")]
    Part(String),
    /// The filter syntax is wrong elsewhere.
    #[error(transparent)]
    Syntax(#[from] tracing_subscriber::filter::ParseError),
}

impl FromStr for LogLevel {
    type Err = LogLevelError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        for part in text.split(',') {
            // The filter would take a mistyped level for the name of a module, and then log next to nothing.
            let level = part.rsplit_once('=').map_or(part, |(_, level)| level);
            if level.trim().parse::<LevelFilter>().is_err() || level.trim().is_empty() {
                return Err(LogLevelError::Part(part.to_owned()));
            }
        }
        EnvFilter::try_new(text)?;
        Ok(Self(text.to_owned()))
    }
}

impl LogLevel {
    /// What is written: what was asked for, as far as it shows no credentials and is not for traces.
    fn filter<S: Subscriber>(&self) -> Result<impl Filter<S> + use<S>, LogLevelError> {
        // It reports each certificate that it refuses as an error of its own; the caller tells it, with the cause.
        let asked = EnvFilter::try_new(&self.0)?.add_directive("rustls_platform_verifier=off".parse::<Directive>()?);
        Ok(asked.and(filter_fn(|record| shows_no_credentials(record) && record.target() != traces::TARGET)))
    }
}

/// Whether a record may be written whatever level was asked for: what would show credentials may not. A filter of its own, since
/// a directive for a module or a span would outweigh one for its crate.
fn shows_no_credentials(record: &Metadata<'_>) -> bool {
    let crate_name = record.target().split("::").next().unwrap_or_default();
    let is_quiet = *record.level() <= Level::INFO;
    match crate_name {
        // Below ERROR, answers that it cannot read: the Secrets of the API server among them.
        "kube_client" if record.target().starts_with("kube_client::client") && record.is_event() => {
            *record.level() == Level::ERROR
        }
        name if WIRE_CRATES.contains(&name) => is_quiet,
        _ => true,
    }
}

type Directive = tracing_subscriber::filter::Directive;

/// Why logging could not be set up.
#[derive(Debug, Error)]
pub enum TelemetryError {
    /// The level is not one.
    #[error(transparent)]
    Level(#[from] LogLevelError),
    /// Somebody set up logging before.
    #[error("logging is set up twice: {0}")]
    Twice(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Sends all log records of this process to standard output, and its spans where `traces` lead. Call it once.
pub fn init(format: LogFormat, level: &LogLevel, traces: Option<&Traces>) -> Result<(), TelemetryError> {
    let lines = fmt::layer().with_target(true);
    let lines = match format {
        LogFormat::Json => lines.json().flatten_event(true).with_current_span(true).with_span_list(false).boxed(),
        LogFormat::Text => lines.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stdout())).boxed(),
    };
    let mut layers: Vec<Box<dyn Layer<Registry> + Send + Sync>> = vec![lines.with_filter(level.filter()?).boxed()];
    layers.extend(traces.map(|traces| spans(traces).boxed()));
    tracing_subscriber::registry().with(layers).try_init().map_err(|error| TelemetryError::Twice(error.into()))
}

/// The layer that makes traces of the spans that are meant for them, whatever is logged.
fn spans<S>(traces: &Traces) -> impl Layer<S> + use<S>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    tracing_opentelemetry::layer()
        .with_tracer(traces.tracer())
        .with_location(false)
        .with_threads(false)
        .with_target(false)
        .with_level(false)
        .with_tracked_inactivity(false)
        .with_context_activation(false)
        .with_filter(filter_fn(|record| record.target() == traces::TARGET).with_max_level_hint(LevelFilter::INFO))
}

#[cfg(test)]
mod tests {
    use std::{
        io,
        sync::{Arc, Mutex},
    };

    use super::*;

    #[test]
    fn a_mistyped_level_is_refused_with_the_levels_that_exist() {
        for good in ["info", "DEBUG", "off", "warn,cognigy_operator=debug", "cognigy_operator::cluster=trace"] {
            assert!(good.parse::<LogLevel>().is_ok(), "{good}");
        }
        for bad in ["", "inof", "info,", "cognigy_operator=loud"] {
            let message = bad.parse::<LogLevel>().unwrap_err().to_string();
            assert!(message.contains("neither a level (off, error, warn, info, debug, trace)"), "{bad}: {message}");
        }
    }

    /// What a level lets through, as lines.
    fn written(level: &str) -> String {
        let lines = Lines::default();
        let writer = lines.clone();
        let level = level.parse::<LogLevel>().unwrap();
        let layer = fmt::layer().with_ansi(false).with_writer(move || writer.clone());
        let records = tracing_subscriber::registry().with(layer.with_filter(level.filter().unwrap()));
        tracing::subscriber::with_default(records, || {
            let _span = tracing::info_span!("cognigy_call", tenant = "a").entered();
            tracing::trace!(target: "hyper::proto::h1", "hidden");
            tracing::debug!(target: "h2", "hidden");
            tracing::debug!(target: "reqwest::connect", "hidden");
            tracing::warn!(target: "kube_client::client", "hidden");
            tracing::info!(target: "hyper::client", "shown by a library");
            tracing::trace!(target: "cognigy_operator::cognigy", "shown by the operator");
        });
        let bytes = lines.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn spans_for_traces_are_made_for_an_exporter_and_no_log_shows_them() {
        let span = || traces::pass("CognigyWebhook", "cx", "orders", Some(1));
        let log = |level: &str| {
            let lines = Lines::default();
            let writer = lines.clone();
            let layer = fmt::layer().with_ansi(false).with_writer(move || writer.clone());
            (lines, layer.with_filter(level.parse::<LogLevel>().unwrap().filter().unwrap()))
        };
        let loud = "trace,cognigy_operator::traces=trace,[pass]=trace";
        tracing::subscriber::with_default(tracing_subscriber::registry().with(log(loud).1), || {
            assert!(span().is_disabled(), "without an exporter there is nothing to pay for");
        });
        crate::cognigy::install_crypto_provider();
        let exporter = Traces::to(&"http://127.0.0.1:1".parse().unwrap()).unwrap();
        for level in [loud, "off"] {
            let (lines, layer) = log(level);
            tracing::subscriber::with_default(
                tracing_subscriber::registry().with(layer).with(spans(&exporter)),
                || {
                    let span = span().entered();
                    assert!(traces::TraceContext::of(&span).is_some(), "{level}");
                    tracing::info!("shown");
                },
            );
            let lines = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
            assert!(lines.contains("shown") == (level == loud) && !lines.contains("orders"), "{level}: {lines}");
        }
    }

    #[test]
    fn crates_that_would_show_credentials_stay_quiet_whatever_is_asked_for() {
        for level in ["trace", "trace,hyper=trace,h2=debug", "trace,hyper::proto=trace", "trace,[cognigy_call]=trace"] {
            let lines = written(level);
            assert!(
                lines.contains("shown by the operator") && lines.contains("shown by a library"),
                "{level}: {lines}"
            );
            assert!(!lines.contains("hidden"), "{level}: {lines}");
        }
        let lines = written("error");
        assert!(lines.is_empty(), "{lines}");
    }
}
