//! Logs: one line per record on standard output, as JSON or as text.

use std::str::FromStr;

use clap::ValueEnum;
use thiserror::Error;
use tracing_subscriber::{EnvFilter, filter::LevelFilter};

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
    /// The filter, with the crates that would show credentials held at `info` or the stricter level that was asked for.
    fn filter(&self) -> Result<EnvFilter, LogLevelError> {
        let asked = EnvFilter::try_new(&self.0)?;
        let cap = asked.max_level_hint().map_or(LevelFilter::INFO, |most| most.min(LevelFilter::INFO));
        // It reports each certificate that it refuses as an error of its own; the caller tells it, with the cause.
        let asked = asked.add_directive("rustls_platform_verifier=off".parse::<Directive>()?);
        WIRE_CRATES
            .iter()
            .try_fold(asked, |filter, name| Ok(filter.add_directive(format!("{name}={cap}").parse::<Directive>()?)))
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

/// Sends all log records of this process to standard output. Call it once.
pub fn init(format: LogFormat, level: &LogLevel) -> Result<(), TelemetryError> {
    let lines = tracing_subscriber::fmt().with_env_filter(level.filter()?).with_target(true);
    match format {
        LogFormat::Json => lines.json().flatten_event(true).with_current_span(true).with_span_list(false).try_init(),
        LogFormat::Text => lines.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stdout())).try_init(),
    }
    .map_err(TelemetryError::Twice)
}

#[cfg(test)]
mod tests {
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

    #[test]
    fn crates_that_would_show_credentials_stay_quiet_whatever_the_level() {
        let filter = "trace,hyper=trace,h2=debug".parse::<LogLevel>().unwrap().filter().unwrap().to_string();
        for name in WIRE_CRATES {
            assert!(filter.split(',').any(|part| part == format!("{name}=info")), "{name} in {filter}");
        }
        let filter = "error".parse::<LogLevel>().unwrap().filter().unwrap().to_string();
        assert!(filter.contains("h2=error"), "{filter}");
    }
}
