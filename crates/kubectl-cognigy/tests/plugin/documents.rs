//! Output and pictures in documents are the program's own.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use cognigy_operator::api::CognigyWebhook;
use cognigy_simulator::Options;
use control_plane::AuditLevel;

use crate::{
    harness::{own_plane, run_in},
    plugin::{command, ran},
};

/// What stands before a command in a document.
const PROMPT: &str = "$ kubectl cognigy ";
const FENCE: &str = "```";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Runs a documented command in the workspace's folder. Its pictures are drawn into another folder; they come back with the files that
/// the document names.
async fn output_of(line: &str, folder: &Path) -> (String, Vec<(String, String)>) {
    let (mut drawn, mut arguments) = (Vec::new(), Vec::new());
    for word in line.split_whitespace() {
        if word.starts_with("docs/") {
            let elsewhere = folder.join(Path::new(word).file_name().unwrap());
            arguments.push(elsewhere.to_str().unwrap().to_owned());
            drawn.push((word.to_owned(), elsewhere));
        } else {
            arguments.push(word.to_owned());
        }
    }
    let output = ran(command().current_dir(root()).args(arguments)).await.good();
    (output, drawn.into_iter().map(|(name, file)| (name, fs::read_to_string(file).unwrap())).collect())
}

/// A document with what its commands write now, and how many these are.
async fn fresh(name: &str, mut run: impl AsyncFnMut(&str) -> String) -> (String, usize) {
    let text = fs::read_to_string(root().join(name)).unwrap();
    let (mut fresh, mut commands, mut lines) = (String::new(), 0, text.lines());
    while let Some(line) = lines.next() {
        fresh = fresh + line + "\n";
        if let Some(line) = line.strip_prefix(PROMPT) {
            commands += 1;
            fresh = fresh + &run(line).await + FENCE + "\n";
            lines.by_ref().find(|line| *line == FENCE);
        }
    }
    (fresh, commands)
}

#[track_caller]
fn compare_or_write(name: &str, fresh: &str) {
    let path = root().join(name);
    if env::var_os("WRITE_DOCS").is_some() {
        fs::write(path, fresh).unwrap();
    } else {
        assert!(fs::read_to_string(path).unwrap_or_default() == fresh, "{name} is stale: run cargo xtask docs");
    }
}

#[tokio::test]
async fn the_documented_output_and_pictures_are_fresh() {
    let (name, folder) = ("docs/plugin/timeline.md", tempfile::tempdir().unwrap());
    let mut pictures = Vec::new();
    let (text, commands) = fresh(name, async |line| {
        let (output, drawn) = output_of(line, folder.path()).await;
        pictures.extend(drawn);
        output
    })
    .await;
    assert!(commands > 2 && pictures.len() > 1, "{commands} commands with {} pictures", pictures.len());
    compare_or_write(name, &text);
    for (name, fresh) in pictures {
        compare_or_write(&name, &fresh);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_documented_output_of_commands_that_need_a_cluster_is_fresh() {
    let plane = own_plane(AuditLevel::Metadata).await;
    run_in(Some("cx"), plane, Options::default(), async |world| {
        world.start_operator().await;
        world.troubled().await;
        world.tell_available(1).await;
        world.delete::<CognigyWebhook>("refunds").await;
        world.until_reason("refunds", "DeletionBlocked").await;
        let kubeconfig = world.plane.write_kubeconfig(&control_plane::User::admin()).unwrap();
        for (name, namespace, expected) in
            [("docs/plugin/doctor.md", &[][..], 1), ("docs/plugin/actions.md", &["--namespace", "cx"], 3)]
        {
            let (text, commands) = fresh(name, async |line| {
                let mut command = command();
                command.arg("--kubeconfig").arg::<&Path>(&kubeconfig).args(namespace).args(line.split_whitespace());
                let ran = ran(&mut command).await;
                assert!(ran.err.is_empty(), "{line}: {ran:?}");
                ran.out
            })
            .await;
            assert_eq!(commands, expected, "{name}");
            compare_or_write(name, &text);
        }
    })
    .await;
}
