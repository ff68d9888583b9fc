//! Output and pictures in documents are the program's own.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use crate::plugin::{command, ran};

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

#[tokio::test]
async fn the_documented_output_and_pictures_are_fresh() {
    let file = root().join("docs/plugin/timeline.md");
    let (text, folder) = (fs::read_to_string(&file).unwrap(), tempfile::tempdir().unwrap());
    let (mut fresh, mut commands, mut lines) = (String::new(), 0, text.lines());
    let mut pictures = Vec::new();
    while let Some(line) = lines.next() {
        fresh = fresh + line + "\n";
        if let Some(line) = line.strip_prefix(PROMPT) {
            commands += 1;
            let (output, drawn) = output_of(line, folder.path()).await;
            fresh = fresh + &output + FENCE + "\n";
            pictures.extend(drawn);
            lines.by_ref().find(|line| *line == FENCE);
        }
    }
    assert!(commands > 2 && pictures.len() > 1, "{commands} commands with {} pictures", pictures.len());
    pictures.push(("docs/plugin/timeline.md".into(), fresh));
    for (name, fresh) in pictures {
        let path = root().join(&name);
        if env::var_os("WRITE_DOCS").is_some() {
            fs::write(path, fresh).unwrap();
        } else {
            assert!(fs::read_to_string(path).unwrap_or_default() == fresh, "{name} is stale: run cargo xtask docs");
        }
    }
}
