//! What something cost: the difference between two moments, each from the simulators' logs, the API server's audit log and
//! `/proc`.

mod calls;
pub(crate) mod process;
mod writes;

use std::time::{Duration, Instant};

use demo::Result;
use serde::{Deserialize, Serialize};

pub(crate) use self::{calls::Calls, process::Process, writes::Requests};
use crate::stage::Stage;

/// What was used between two moments.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Usage {
    /// Wall clock.
    pub(crate) seconds: f64,
    pub(crate) calls: Calls,
    pub(crate) kubernetes: Requests,
    /// User and system time of the API server and etcd together.
    #[serde(default)]
    pub(crate) control_plane_cpu_seconds: f64,
    /// Of the process that does the work; none where it works in the benchmark's own.
    pub(crate) process: Option<Process>,
}

/// The first moment.
pub(crate) struct Meter {
    begin: Instant,
    calls: Vec<usize>,
    callbacks: usize,
    audit: u64,
    control_plane_seconds: f64,
    process: Option<process::Watch>,
}

impl Meter {
    /// Begins to count what the worker does; `process` is its id, where it has one.
    pub(crate) fn start(stage: &Stage, process: Option<u32>) -> Result<Self> {
        Ok(Self {
            begin: Instant::now(),
            calls: calls::positions(stage),
            callbacks: calls::callbacks(stage),
            audit: stage.plane.audit_position()?,
            control_plane_seconds: stage.control_plane_seconds()?,
            process: process.map(process::Watch::start).transpose()?,
        })
    }

    /// Counts what this process has used since it was started.
    pub(crate) fn follow_new_process(&mut self, id: u32) {
        self.process = Some(process::Watch::of_new(id));
    }

    /// Since the first moment.
    pub(crate) fn elapsed(&self) -> Duration {
        self.begin.elapsed()
    }

    /// What was used since then.
    pub(crate) fn read(&self, stage: &Stage) -> Result<Usage> {
        let seconds = self.begin.elapsed().as_secs_f64();
        Ok(Usage {
            seconds,
            control_plane_cpu_seconds: stage.control_plane_seconds()? - self.control_plane_seconds,
            process: self.process.as_ref().map(process::Watch::read).transpose()?,
            calls: Calls::since(stage, &self.calls, self.callbacks),
            kubernetes: Requests::since(stage, self.audit)?,
        })
    }
}
