//! The real kubectl, as a reader would call it.

use std::{ffi::OsStr, os::unix::process::CommandExt as _, process::Stdio};

use serde_json::Value;
use tokio::{io::AsyncWriteExt as _, process::Child};

use crate::Result;

/// One call of kubectl.
#[derive(Debug)]
pub(crate) struct Kubectl {
    command: std::process::Command,
    words: String,
}

impl Kubectl {
    /// Arguments are added to a command that knows its cluster.
    pub(crate) fn new<I: AsRef<OsStr>>(mut command: std::process::Command, args: impl IntoIterator<Item = I>) -> Self {
        let mut words = "kubectl".to_owned();
        for arg in args {
            words.push(' ');
            words.push_str(&arg.as_ref().to_string_lossy());
            command.arg(arg);
        }
        // A terminal's Ctrl-C is for the demo, which decides what ends when.
        command.process_group(0);
        Self { command, words }
    }

    /// What it prints; the error is what it says.
    pub(crate) async fn run(self) -> Result<String> {
        self.run_with("").await
    }

    /// [`Self::run`] with this on its standard input.
    pub(crate) async fn run_with(self, input: &str) -> Result<String> {
        let Self { command, words } = self;
        let failed = |said: &dyn std::fmt::Display| format!("`{words}` failed: {said}");
        let mut command = tokio::process::Command::from(command);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child: Child = command.spawn().map_err(|error| failed(&error))?;
        if let Some(mut stdin) = child.stdin.take() {
            // A kubectl that ends without reading says itself why.
            let _ = stdin.write_all(input.as_bytes()).await;
        }
        let output = child.wait_with_output().await.map_err(|error| failed(&error))?;
        if output.status.success() {
            Ok(String::from_utf8_lossy(&output.stdout).into_owned())
        } else {
            Err(failed(&String::from_utf8_lossy(&output.stderr).trim()).into())
        }
    }

    /// What it prints with `-o json`.
    pub(crate) async fn json(mut self) -> Result<Value> {
        self.command.args(["-o", "json"]);
        let words = self.words.clone();
        let text = self.run().await?;
        serde_json::from_str(&text).map_err(|error| format!("`{words} -o json` printed no JSON: {error}").into())
    }
}

/// The objects of a list that kubectl printed.
pub(crate) fn items(list: &Value) -> &[Value] {
    list["items"].as_array().map_or(&[], Vec::as_slice)
}
