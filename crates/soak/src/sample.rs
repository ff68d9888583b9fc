//! What is measured of the operator's process: what the system says of it, and what it says itself.

use std::{fmt, fs, time::Duration};

use demo::{Result, operator::Operator};
use serde::Serialize;

/// How often.
pub(crate) const PERIOD: Duration = Duration::from_secs(5);
const PREFIX: &str = "cognigy_operator_";

/// The process at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Sample {
    /// Since the faults began.
    pub(crate) seconds: f64,
    /// Resident memory.
    pub(crate) memory_mib: f64,
    pub(crate) files: f64,
    pub(crate) threads: f64,
    pub(crate) tasks: f64,
    pub(crate) events_pending: f64,
    pub(crate) outbox_pending: f64,
    pub(crate) remembered: f64,
    /// Webhooks that are Ready now.
    pub(crate) ready: f64,
    /// Calls to Cognigy so far.
    pub(crate) calls: f64,
    /// Of them, those that did not get a success.
    pub(crate) failed_calls: f64,
    /// Passes so far.
    pub(crate) passes: f64,
}

impl Sample {
    /// As it is now.
    pub(crate) async fn take(operator: &Operator, since: Duration) -> Result<Self> {
        let folder = format!("/proc/{}", operator.id());
        let status = fs::read_to_string(format!("{folder}/status"))
            .map_err(|error| format!("the operator has ended ({error})"))?;
        let files = fs::read_dir(format!("{folder}/fd"))?.count();
        let text = operator.metrics().await?;
        let sum = |beginning: &str| sum(&text, beginning, |_| true);
        let success = |line: &str| ["2", "304", "404"].iter().any(|code| line.contains(&format!("code=\"{code}")));
        Ok(Self {
            seconds: since.as_secs_f64(),
            memory_mib: field(&status, "VmRSS:") / 1024.0,
            #[allow(clippy::cast_precision_loss, reason = "a count of open files")]
            files: files as f64,
            threads: field(&status, "Threads:"),
            tasks: sum("runtime_tasks"),
            events_pending: sum("events_pending"),
            outbox_pending: sum("outbox_pending"),
            remembered: sum("objects_remembered"),
            ready: self::sum(&text, "resource_condition{kind=\"CognigyWebhook\"", |line| {
                line.contains("status=\"True\",type=\"Ready\"")
            }),
            calls: sum("api_requests_total"),
            failed_calls: self::sum(&text, "api_requests_total", |line| !success(line)),
            passes: sum("reconciles_total"),
        })
    }
}

/// A number of `/proc/<pid>/status`; kB where it is a size.
fn field(status: &str, name: &str) -> f64 {
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or_default()
}

/// The sum of the series of `/metrics` that begin so and are wanted.
fn sum(text: &str, beginning: &str, wanted: impl Fn(&str) -> bool) -> f64 {
    let lines = text.lines().filter_map(|line| line.strip_prefix(PREFIX));
    let lines = lines.filter(|line| line.starts_with(beginning) && wanted(line));
    // Not `sum`, whose nothing is -0.
    lines.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).fold(0.0, |sum, value| sum + value)
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:>6.0} {:>8.1} {:>6} {:>8} {:>6} {:>7} {:>7} {:>11} {:>6} {:>8} {:>7} {:>8}",
            self.seconds,
            self.memory_mib,
            self.files,
            self.threads,
            self.tasks,
            self.events_pending,
            self.outbox_pending,
            self.remembered,
            self.ready,
            self.calls,
            self.failed_calls,
            self.passes,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_read_from_proc_and_from_metrics() {
        assert!((field("Name:\tx\nVmRSS:\t   6144 kB\nThreads:\t9\n", "VmRSS:") - 6144.0).abs() < f64::EPSILON);
        let text =
            "# HELP cognigy_operator_a x\ncognigy_operator_a{k=\"1\"} 2\ncognigy_operator_a{k=\"2\"} 3\nother 9\n";
        assert!((sum(text, "a", |_| true) - 5.0).abs() < f64::EPSILON);
        assert!((sum(text, "a", |line| line.contains("\"2\"")) - 3.0).abs() < f64::EPSILON);
    }
}
