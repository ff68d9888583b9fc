//! Prometheus' own judge of rules.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use control_plane::Tool;
use serde_json::Value;

/// A file of `deploy/monitoring/`.
pub fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/monitoring").join(name)
}

/// A YAML or JSON file of `deploy/monitoring/`.
pub fn parsed(name: &str) -> Value {
    serde_saphyr::from_str(&fs::read_to_string(file(name)).unwrap()).unwrap()
}

/// What it wrote; an error where it found something.
pub async fn promtool(arguments: &[&str]) -> Result<String, String> {
    let tool = || Tool::Promtool.locate_or_build(|line| eprintln!("{line}")).unwrap();
    let mut promtool = Command::new(tokio::task::spawn_blocking(tool).await.unwrap());
    promtool.args(arguments).stdin(Stdio::null());
    let output = tokio::process::Command::from(promtool).kill_on_drop(true).output().await.unwrap();
    let told = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap()).concat();
    if output.status.success() { Ok(told) } else { Err(told) }
}
