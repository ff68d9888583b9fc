//! A child process with its log, ended by its own id.

use std::{
    fs::{self, File},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::Arc,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use tokio::time::Instant;

use crate::{
    error::{Error, IoContext, Result},
    watchdog::Watchdog,
};

/// How long a process may take to end by itself after SIGTERM.
const GRACE: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(20);
/// How much of a log an error shows.
const SHOWN_LINES: usize = 25;

/// A running child process. Dropped, it is killed: nothing that it holds outlives its owner.
#[derive(Debug)]
pub struct Process {
    name: &'static str,
    child: Child,
    log: PathBuf,
    watchdog: Arc<Watchdog>,
}

impl Process {
    /// Starts `command` in a process group of its own, so that a terminal's Ctrl-C reaches only its owner; what it prints goes to a
    /// new file `log`. `name` is what errors call it.
    pub fn start(name: &'static str, mut command: Command, log: PathBuf, watchdog: &Arc<Watchdog>) -> Result<Self> {
        let output = File::create(&log).while_trying(|| format!("create {}", log.display()))?;
        let errors = output.try_clone().while_trying(|| format!("share {}", log.display()))?;
        let child = command
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .process_group(0)
            .spawn()
            .while_trying(|| format!("start {name}"))?;
        let process = Self { name, child, log, watchdog: watchdog.clone() };
        watchdog.watch(process.id())?;
        Ok(process)
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// An error when it is no longer there.
    pub fn check(&mut self) -> Result<()> {
        match self.exit_status()? {
            None => Ok(()),
            Some(status) => Err(Error::Ended { process: self.name, status, log: self.log_tail() }),
        }
    }

    /// The last lines of its log.
    pub fn log_tail(&self) -> String {
        tail(&self.log)
    }

    /// Asks it to end, and kills it when it has not after some seconds.
    pub async fn stop(mut self) -> Result<()> {
        let action = || format!("end {}", self.name);
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        if let (None, Some(pid)) = (self.child.try_wait().while_trying(action)?, pid) {
            kill_process(pid, Signal::TERM).map_err(Into::into).while_trying(action)?;
        }
        let deadline = Instant::now() + GRACE;
        while self.exit_status()?.is_none() && Instant::now() < deadline {
            tokio::time::sleep(POLL).await;
        }
        // The rest is the destructor's.
        Ok(())
    }

    fn exit_status(&mut self) -> Result<Option<ExitStatus>> {
        self.child.try_wait().while_trying(|| format!("look after {}", self.name))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // An ended process cannot be killed, and nobody can be told in a destructor.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = self.watchdog.forget(self.id());
    }
}

fn tail(path: &Path) -> String {
    match fs::read(path) {
        Ok(log) => {
            let log = String::from_utf8_lossy(&log);
            let lines: Vec<_> = log.lines().collect();
            lines[lines.len().saturating_sub(SHOWN_LINES)..].join("\n")
        }
        Err(error) => format!("({} cannot be read: {error})", path.display()),
    }
}
