//! What a process uses, from `/proc`.

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use demo::Result;
use serde::{Deserialize, Serialize};
use tokio::{task::JoinHandle, time::interval};

/// How often memory is looked at.
const PERIOD: Duration = Duration::from_millis(200);

/// What it used between two moments.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Process {
    /// User and system time.
    pub(crate) cpu_seconds: f64,
    /// The largest resident set in between.
    pub(crate) peak_mib: f64,
    /// The resident set at the end.
    pub(crate) memory_mib: f64,
}

/// Looks at a process for as long as this is there.
pub(super) struct Watch {
    id: u32,
    cpu_seconds: f64,
    peak: Arc<AtomicU64>,
    _task: Task,
}

/// Ends with this.
struct Task(JoinHandle<()>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Watch {
    /// From now on.
    pub(super) fn start(id: u32) -> Result<Self> {
        let before = cpu_seconds(id)?;
        Ok(Self { cpu_seconds: before, ..Self::of_new(id) })
    }

    /// From its beginning on.
    pub(super) fn of_new(id: u32) -> Self {
        let peak = Arc::<AtomicU64>::default();
        let seen = peak.clone();
        let task = tokio::spawn(async move {
            let mut beat = interval(PERIOD);
            loop {
                beat.tick().await;
                if let Ok(kib) = resident_kib(id) {
                    seen.fetch_max(kib, Ordering::Relaxed);
                }
            }
        });
        Self { id, cpu_seconds: 0.0, peak, _task: Task(task) }
    }

    pub(super) fn read(&self) -> Result<Process> {
        let memory = resident_kib(self.id)?;
        let peak = self.peak.fetch_max(memory, Ordering::Relaxed).max(memory);
        Ok(Process {
            cpu_seconds: cpu_seconds(self.id)? - self.cpu_seconds,
            peak_mib: mib(peak),
            memory_mib: mib(memory),
        })
    }
}

#[allow(clippy::cast_precision_loss, reason = "sizes of processes")]
fn mib(kib: u64) -> f64 {
    kib as f64 / 1024.0
}

fn resident_kib(id: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{id}/status"))?;
    Ok(field(&status, "VmRSS:").ok_or("no VmRSS")?)
}

/// A size in `/proc/<pid>/status`, in KiB.
fn field(status: &str, name: &str) -> Option<u64> {
    status.lines().find_map(|line| line.strip_prefix(name))?.split_whitespace().next()?.parse().ok()
}

/// User and system time of a process since its beginning.
#[allow(clippy::cast_precision_loss, reason = "hundredths of a second")]
pub(crate) fn cpu_seconds(id: u32) -> Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat"))?;
    let ticks = ticks(&stat).ok_or("no times in /proc/<pid>/stat")?;
    Ok(ticks as f64 / rustix::param::clock_ticks_per_second() as f64)
}

/// User and system time of a line of `/proc/<pid>/stat`. The name before them may hold blanks and parentheses.
fn ticks(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut fields = rest.split(' ').skip(11);
    Some(fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_read_from_proc() {
        assert_eq!(field("Name:\tx\nVmRSS:\t   6144 kB\n", "VmRSS:"), Some(6144));
        let stat = "7 (a b) c) S 1 7 7 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 9 0 100 1000 20";
        assert_eq!(ticks(stat), Some(300));
    }
}
