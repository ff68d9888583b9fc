//! The real kubectl.

use std::{
    process::{Command, Stdio},
    time::Duration,
};

use control_plane::ControlPlane;

/// No command takes longer, however busy the machine is.
const PATIENCE: Duration = Duration::from_secs(90);

/// What `kubectl` wrote to standard output as the administrator; what it wrote to both where it failed.
pub async fn run(plane: &ControlPlane, arguments: &[&str]) -> Result<String, String> {
    let mut kubectl: Command = plane.kubectl();
    kubectl.args(arguments).stdin(Stdio::null());
    let output = tokio::process::Command::from(kubectl).kill_on_drop(true).output();
    let output = tokio::time::timeout(PATIENCE, output).await.unwrap().unwrap();
    let [stdout, stderr] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    if output.status.success() { Ok(stdout) } else { Err(stdout + &stderr) }
}
