//! Runs the plugin.

use std::{path::Path, process::Stdio, time::Duration};

use tokio::process::Command;

use crate::harness::World;

/// Nothing takes longer, however busy the machine is.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// What a run came to.
#[derive(Debug)]
pub struct Ran {
    /// The exit code.
    pub code: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Ran {
    /// What it wrote, where it ended well.
    #[track_caller]
    pub fn good(self) -> String {
        assert_eq!(self.code, 0, "{self:?}");
        self.out
    }
}

/// The plugin with nothing of the caller's environment.
pub fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kubectl-cognigy"));
    command.env_clear().stdin(Stdio::null()).kill_on_drop(true);
    command
}

/// Runs it to its end.
pub async fn ran(command: &mut Command) -> Ran {
    let output = command.output().await.unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ran { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
}

/// Runs it without a cluster.
pub async fn run(arguments: &[&str]) -> Ran {
    ran(command().args(arguments)).await
}

impl World {
    /// Runs it as the administrator, in the world's namespace.
    pub async fn plugin(&self, arguments: &[&str]) -> Ran {
        ran(&mut self.plugin_command(arguments)).await
    }

    /// The same, yet to be run.
    pub fn plugin_command(&self, arguments: &[&str]) -> Command {
        let kubeconfig = self.plane.write_kubeconfig(&control_plane::User::admin()).unwrap();
        let mut command = command();
        command.arg("--kubeconfig").arg::<&Path>(&kubeconfig).args(["--namespace", &self.namespace]).args(arguments);
        command
    }
}
