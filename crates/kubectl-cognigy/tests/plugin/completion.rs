//! Completion in shells.

use std::os::unix::fs::symlink;

use tokio::process::Command;

use crate::plugin::{ran, run};

#[tokio::test]
async fn kubectl_is_told_the_candidates_by_the_same_program_under_another_name() {
    let folder = tempfile::tempdir().unwrap();
    let completer = folder.path().join("kubectl_complete-cognigy");
    symlink(env!("CARGO_BIN_EXE_kubectl-cognigy"), &completer).unwrap();
    let told = ran(Command::new(completer).arg("compl")).await.good();
    let lines: Vec<&str> = told.lines().collect();
    assert!(lines[0].starts_with("completion\t") && lines[1..] == [":4"], "{told}");
    let told =
        ran(Command::new(folder.path().join("kubectl_complete-cognigy")).args(["dead-letters", "re"])).await.good();
    assert!(told.starts_with("replay\t"), "{told}");
}

#[tokio::test]
async fn every_shell_gets_its_script() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = run(&["completion", shell]).await.good();
        assert!(script.contains("kubectl-cognigy"), "{shell}: {script}");
    }
}

#[tokio::test]
async fn a_wrong_command_line_ends_with_2() {
    let ran = run(&["no-such-command"]).await;
    assert!(ran.code == 2 && ran.err.contains("no-such-command"), "{ran:?}");
}
