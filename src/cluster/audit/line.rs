//! The audit line of a fact, and where audit lines go (docs/resources.md, «Audit line keys»).

use std::{
    fmt,
    io::Write,
    sync::{Arc, Mutex, PoisonError},
};

use jiff::Timestamp;
use serde::Serialize;
use tracing::warn;

use super::Fact;

/// An audit line: these keys, in this order, all of them always.
#[derive(Serialize)]
pub(super) struct Line<'a> {
    timestamp: String,
    target: &'static str,
    action: &'static str,
    namespace: Option<&'a str>,
    name: Option<&'a str>,
    webhook_id: Option<&'a str>,
    webhook_name: Option<&'a str>,
    version: Option<i64>,
    status: Option<&'a str>,
    latency_ms: Option<f64>,
    details: String,
    success_rate: Option<f64>,
}

impl Fact {
    pub(super) fn line(&self, note: &str, now: Timestamp) -> Line<'_> {
        Line {
            timestamp: now.to_string(),
            target: "audit",
            action: self.reason.as_str(),
            namespace: self.object.namespace.as_deref(),
            name: self.object.name.as_deref(),
            webhook_id: self.webhook_id.as_deref(),
            webhook_name: self.webhook_name.as_deref(),
            version: self.version,
            status: self.status.as_deref(),
            latency_ms: self.latency.map(|latency| (latency.as_secs_f64() * 1e6).round() / 1e3),
            details: note.to_owned(),
            success_rate: self.success_rate,
        }
    }
}

/// Where audit lines go.
#[derive(Clone)]
pub struct AuditSink(Arc<Mutex<dyn Write + Send>>);

impl fmt::Debug for AuditSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AuditSink")
    }
}

impl AuditSink {
    /// Standard output, among the log lines but never within one.
    pub fn stdout() -> Self {
        Self::new(std::io::stdout())
    }

    /// Any writer; each line is one `write_all`.
    pub fn new(writer: impl Write + Send + 'static) -> Self {
        Self(Arc::new(Mutex::new(writer)))
    }

    pub(super) fn write(&self, line: &Line<'_>) {
        let written = serde_json::to_string(line).map_err(std::io::Error::from).and_then(|text| {
            let mut writer = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            writer.write_all(format!("{text}\n").as_bytes())?;
            writer.flush()
        });
        if let Err(error) = written {
            warn!(%error, action = line.action, name = line.name, "an audit line could not be written");
        }
    }
}
