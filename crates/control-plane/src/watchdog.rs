//! Ends the processes when this process is gone without having done so.

use std::{
    io::Write,
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, ChildStdin, Command, Stdio},
    sync::Mutex,
};

use crate::error::{IoContext, Result};

/// Reads `watch <pid>` and `forget <pid>`; at the end of input ends what it watches, the latest first, and removes the folder `$1`, if
/// one is named.
const SCRIPT: &str = r#"
trap '' INT TERM HUP
pids=
while read -r verb pid; do
  kept=
  for known in $pids; do [ "$known" = "$pid" ] || kept="$kept $known"; done
  pids=$kept
  [ "$verb" = watch ] && pids="$pid $pids"
done
for pid in $pids; do kill -KILL "$pid" 2>/dev/null; done
tries=0
while [ -n "$1" ] && [ $tries -lt 5 ]; do
  rm -rf -- "$1" && break
  tries=$((tries + 1))
  sleep 0.2
done
"#;

/// A shell at the other end of a pipe. However this process ends, the system closes the pipe, and the shell acts.
#[derive(Debug)]
pub struct Watchdog {
    shell: Child,
    pipe: Mutex<Option<ChildStdin>>,
}

impl Watchdog {
    /// A watchdog that also removes `folder` at the end.
    pub fn start(folder: Option<&Path>) -> Result<Self> {
        let mut shell = Command::new("/bin/sh")
            .args(["-c", SCRIPT, "control-plane-watchdog"])
            .arg(folder.unwrap_or(Path::new("")))
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .while_trying(|| "start the watchdog (/bin/sh)".into())?;
        let pipe = Mutex::new(shell.stdin.take());
        Ok(Self { shell, pipe })
    }

    /// From now on this process ends with ours.
    pub(crate) fn watch(&self, pid: u32) -> Result<()> {
        self.tell("watch", pid)
    }

    /// The process has ended; its id may be somebody else's next.
    pub(crate) fn forget(&self, pid: u32) -> Result<()> {
        self.tell("forget", pid)
    }

    fn tell(&self, verb: &str, pid: u32) -> Result<()> {
        let mut pipe = self.pipe.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        pipe.as_mut().map_or(Ok(()), |pipe| writeln!(pipe, "{verb} {pid}")).while_trying(|| "tell the watchdog".into())
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        drop(self.pipe.get_mut().unwrap_or_else(std::sync::PoisonError::into_inner).take());
        // Nobody can be told in a destructor.
        let _ = self.shell.wait();
    }
}
