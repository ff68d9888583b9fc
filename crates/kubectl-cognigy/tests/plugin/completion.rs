//! Completion in shells.

use std::{ffi::OsStr, fs, net::TcpListener, os::unix::fs::symlink, path::Path};

use cognigy_simulator::Options;
use control_plane::User;
use serde_json::json;
use tokio::process::Command;

use crate::{
    harness::world_without_operator,
    plugin::{command, ran, run},
};

/// What kubectl is told of this command line; its last word is to be completed.
async fn told(kubeconfig: &Path, words: &[&str]) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let completer = folder.path().join("kubectl_complete-cognigy");
    symlink(env!("CARGO_BIN_EXE_kubectl-cognigy"), &completer).unwrap();
    let mut command = Command::new(completer);
    let ran = ran(command.env_clear().arg("--kubeconfig").arg(kubeconfig).args(words)).await;
    assert!(ran.err.is_empty(), "{ran:?}");
    let lines = ran.good();
    lines.lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn kubectl_is_told_the_candidates_by_the_same_program_under_another_name() {
    let folder = tempfile::tempdir().unwrap();
    let completer = folder.path().join("kubectl_complete-cognigy");
    symlink(env!("CARGO_BIN_EXE_kubectl-cognigy"), &completer).unwrap();
    let told = ran(Command::new(completer).arg("compl")).await.good();
    let lines: Vec<&str> = told.lines().collect();
    assert!(lines[0].starts_with("completion\t") && lines[1..] == [":4"], "{told}");
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

#[tokio::test]
async fn names_of_the_cluster_are_offered() {
    world_without_operator(Options::default(), async |world| {
        world.tenant("production", json!({})).await;
        for name in ["orders", "outages"] {
            world.webhook(name, json!({})).await;
        }
        world.policy("patient", json!({"intervalsMs": [1000]})).await;
        let kubeconfig = world.plane.write_kubeconfig(&User::admin()).unwrap();
        let namespace = world.namespace.as_str();
        for (words, names) in [
            (&["status", "-n", namespace, "o"][..], &["orders", "outages"][..]),
            (&["-n", namespace, "suspend", "orders", "ctenant/"], &["ctenant/production"]),
            (&["resume", "--namespace", namespace, "cwh/ou"], &["cwh/outages"]),
            (&["-n", namespace, "dead-letters", "show", "or"], &["orders"]),
            (&["-n", namespace, "diff", "--all", "ou"], &["outages"]),
            (&["-n", namespace, "timeline", "p"], &["patient"]),
            (&["-n", namespace, "import", "--tenant", "p"], &["production"]),
            (&["status", "-n", namespace], &[namespace]),
            (&["-n", namespace, "status", "nobody"], &[]),
        ] {
            assert_eq!(told(&kubeconfig, words).await, [names, &[":4"]].concat(), "{words:?}");
        }
        // The same from a shell that knows `kubectl-cognigy` itself.
        let mut shell = command();
        shell.env("KUBECTL_COGNIGY_COMPLETE", "bash").env("_CLAP_COMPLETE_INDEX", "6").args(["--", "kubectl-cognigy"]);
        shell.arg("--kubeconfig").arg::<&OsStr>(kubeconfig.as_ref()).args(["-n", namespace, "status", "ord"]);
        assert_eq!(ran(&mut shell).await.good().trim(), "orders");
    })
    .await;
}

#[tokio::test]
async fn a_cluster_that_cannot_be_asked_or_does_not_answer_is_passed_over_in_silence() {
    let folder = tempfile::tempdir().unwrap();
    let kubeconfig = folder.path().join("kubeconfig");
    assert_eq!(told(&kubeconfig, &["status", "o"]).await, [":4"]);
    // It takes connections, and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let config = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "silent",
        "contexts": [{"name": "silent", "context": {"cluster": "silent", "user": "nobody"}}],
        "clusters": [{"name": "silent", "cluster": {"server": format!("http://{}", silent.local_addr().unwrap())}}],
        "users": [{"name": "nobody", "user": {}}],
    });
    fs::write(&kubeconfig, config.to_string()).unwrap();
    assert_eq!(told(&kubeconfig, &["status", "o"]).await, [":4"]);
    assert_eq!(told(&kubeconfig, &["status", "--context", "s"]).await, ["silent", ":4"]);
}
