//! The operator under measurement.

use std::{
    path::Path,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use demo::{Result, operator::Operator};
use tokio::time::{sleep, timeout};

use crate::stage::Stage;

const PREFIX: &str = "cognigy_operator_";

/// Starts it with its own defaults, as the worker, and waits until it is ready.
pub(crate) async fn start(stage: &Stage, program: &Path) -> Result<Operator> {
    static STARTS: AtomicU32 = AtomicU32::new(0);
    let log = stage.files.path().join(format!("operator-{}.log", STARTS.fetch_add(1, Ordering::Relaxed)));
    Operator::start(program, &stage.worker_file, &[], log).await
}

/// Waits until no event waits to be written: they cost something too.
pub(crate) async fn quiet_events(operator: &Operator, within: Duration) -> Result<()> {
    let written = async {
        while sum(&operator.metrics().await?, "events_pending ") > 0 {
            sleep(Duration::from_millis(100)).await;
        }
        Result::Ok(())
    };
    timeout(within, written).await.map_err(|_| "the events were not written in time")?
}

/// The sum of the series of `/metrics` that begin so.
pub(crate) fn sum(metrics: &str, beginning: &str) -> usize {
    let lines = metrics.lines().filter_map(|line| line.strip_prefix(PREFIX));
    lines
        .filter(|line| line.starts_with(beginning))
        .filter_map(|line| line.rsplit_once(' ')?.1.parse::<usize>().ok())
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_of_one_beginning_are_added_up() {
        let text = "# HELP cognigy_operator_a x\ncognigy_operator_a{k=\"1\"} 2\ncognigy_operator_a{k=\"2\"} 3\ncognigy_operator_b 9\n";
        assert_eq!((sum(text, "a{"), sum(text, "a{k=\"2\""), sum(text, "b "), sum(text, "c")), (5, 3, 9, 0));
    }
}
