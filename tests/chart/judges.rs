//! What other tools say: helm lint, kubeconform, kube-score.

use std::{fs, path::Path, process::Command};

use control_plane::{ControlPlane, Tool};
use serde_json::Value;

use crate::{
    chart::{folder, helm, objects, output, rendered, value_sets},
    schemas,
};

#[tokio::test]
async fn helm_lint_has_nothing_to_say() {
    let (plane, chart) = (ControlPlane::shared().await.unwrap(), folder());
    for (name, values) in value_sets() {
        let arguments = ["lint", chart.to_str().unwrap(), "--strict", "--values", values.to_str().unwrap()];
        let told = helm(plane, &arguments).await.unwrap_or_else(|told| panic!("{name}: {told}"));
        // An icon would be the only thing to recommend.
        let findings = told.lines().filter(|line| line.starts_with('[') && !line.contains("icon is recommended"));
        assert_eq!(findings.count(), 0, "{name}: {told}");
    }
}

/// The manifests of the repository that are not the chart's.
fn manifests() -> Vec<std::path::PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folders = ["deploy/argocd/example/cx", "deploy/crds", "examples"].into_iter();
    let files = folders.flat_map(|folder| fs::read_dir(root.join(folder)).unwrap()).map(|file| file.unwrap().path());
    let files = files.chain(["deploy/argocd/argocd-cm.yaml", "deploy/install.yaml"].map(|file| root.join(file)));
    files.filter(|file| file.extension().is_some_and(|extension| extension == "yaml")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_manifest_is_what_the_schemas_of_the_api_server_ask_for() {
    let (files, schemas) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for (name, values) in value_sets() {
        fs::write(files.path().join(format!("{name}.yaml")), rendered(&values).await).unwrap();
    }
    let rendered = fs::read_dir(files.path()).unwrap().map(|file| file.unwrap().path());
    let paths: Vec<_> = manifests().into_iter().chain(rendered).collect();
    let kind = |object: Value| object["kind"].as_str().unwrap().to_owned();
    let kinds = paths.iter().flat_map(|path| objects(&fs::read_to_string(path).unwrap())).map(kind).collect();
    schemas::write(schemas.path(), &kinds).await;
    let judge = |paths: Vec<std::path::PathBuf>| {
        let assets = control_plane::Assets::locate_or_build(|_| ()).unwrap();
        let mut kubeconform = Command::new(assets.kubeconform().unwrap());
        let location = schemas.path().join("{{.ResourceKind}}-{{.Group}}-{{.ResourceAPIVersion}}.json");
        kubeconform.args(["-strict", "-summary", "-verbose", "-output", "json", "-schema-location"]).arg(location);
        kubeconform.args(paths);
        output(kubeconform)
    };
    let told = judge(paths).await.unwrap_or_else(|told| panic!("{told}"));
    let told: Value = serde_json::from_str(&told).unwrap();
    let count = |what: &str| told["summary"][what].as_u64().unwrap();
    assert_eq!((count("invalid"), count("errors"), count("skipped")), (0, 0, 0), "{told}");
    assert!(count("valid") > 60, "{told}");

    // The judge is awake: a key that does not exist is found, and a value of the wrong type.
    for (name, wrong) in [("key", "  replica: 2"), ("type", "  replicas: one")] {
        let text = fs::read_to_string(files.path().join("defaults.yaml")).unwrap();
        let wrong = text.replace("  replicas: 2", wrong);
        assert_ne!(text, wrong);
        let path = files.path().join(format!("wrong-{name}.yaml"));
        fs::write(&path, wrong).unwrap();
        let told = judge(vec![path]).await.unwrap_err();
        assert!(told.contains("\"invalid\": 1"), "{told}");
    }
}

/// A limit for CPU would throttle the operator while a node has time to give (values.yaml says so, at `resources`).
const EXCUSED: &str = "--ignore-container-cpu-limit";

#[tokio::test(flavor = "multi_thread")]
async fn kube_score_finds_nothing_that_is_not_excused() {
    let tool = || Tool::KubeScore.locate_or_build(|line| eprintln!("{line}")).unwrap();
    let tool = tokio::task::spawn_blocking(tool).await.unwrap();
    let files = tempfile::tempdir().unwrap();
    let score = async |name: &str, text: &str| {
        let path = files.path().join(name);
        fs::write(&path, text).unwrap();
        let mut score = Command::new(&tool);
        score.args(["score", "--output-format", "ci", "--exit-one-on-warning", EXCUSED]).arg(path);
        output(score).await
    };
    for (name, values) in value_sets() {
        let text = rendered(&values).await;
        let told = score(&name, &text).await.unwrap_or_else(|told| panic!("{name}: {told}"));
        assert!(told.contains("[OK]") && !told.contains("[CRITICAL]") && !told.contains("[WARNING]"), "{told}");
    }
    // The judge is awake.
    let text = rendered(&value_sets().into_iter().find(|(name, _)| name == "defaults").unwrap().1).await;
    let told = score("wrong", &text.replace("readOnlyRootFilesystem: true", "")).await.unwrap_err();
    assert!(told.contains("[CRITICAL]"), "{told}");
}
