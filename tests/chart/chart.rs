//! Helm, and what it renders.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use control_plane::ControlPlane;
use serde_json::Value;

/// No condition takes longer, however busy the machine is.
const PATIENCE: Duration = Duration::from_secs(90);

/// The chart's folder.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/helm/cognigy-operator")
}

/// A file or folder beside these tests.
pub fn beside(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/chart").join(name)
}

/// The sets of values that every judge sees, by name.
pub fn value_sets() -> Vec<(String, PathBuf)> {
    let files = fs::read_dir(beside("values")).unwrap().map(|file| file.unwrap().path());
    let mut sets: Vec<_> = files.map(|path| (path.file_stem().unwrap().to_str().unwrap().to_owned(), path)).collect();
    sets.sort();
    assert!(sets.len() >= 6, "{sets:?}");
    sets
}

/// What a command wrote to standard output; what it wrote to both where it failed.
pub async fn output(mut command: Command) -> Result<String, String> {
    command.stdin(Stdio::null());
    let output = tokio::process::Command::from(command).kill_on_drop(true).output().await.unwrap();
    let [stdout, stderr] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    if output.status.success() { Ok(stdout) } else { Err(stdout + &stderr) }
}

/// `helm`, with these arguments, as the administrator of a control plane.
pub async fn helm(plane: &ControlPlane, arguments: &[&str]) -> Result<String, String> {
    let mut helm = plane.helm().unwrap();
    helm.args(arguments);
    output(helm).await
}

/// `kubectl`, likewise; a failure fails the test.
pub async fn kubectl(plane: &ControlPlane, arguments: &[&str]) -> String {
    let mut kubectl = plane.kubectl();
    kubectl.args(arguments);
    output(kubectl).await.unwrap_or_else(|error| panic!("kubectl {}: {error}", arguments.join(" ")))
}

/// `helm template` as the release `hooks` in the namespace `cognigy-system`.
pub async fn template(arguments: &[&str]) -> Result<String, String> {
    let (plane, folder) = (ControlPlane::shared().await.unwrap(), folder());
    let fixed = ["template", "hooks", folder.to_str().unwrap(), "--namespace", "cognigy-system"];
    helm(plane, &[&fixed, arguments].concat()).await
}

/// What a set of values renders to.
pub async fn rendered(values: &Path) -> String {
    template(&["--values", values.to_str().unwrap()])
        .await
        .unwrap_or_else(|error| panic!("{}: {error}", values.display()))
}

/// The objects in a text of YAML documents.
pub fn objects(text: &str) -> Vec<Value> {
    let documents = serde_saphyr::from_multiple::<Value>(text).unwrap();
    documents.into_iter().filter(|document| !document.is_null()).collect()
}

/// The objects of this kind.
pub fn of_kind<'a>(objects: &'a [Value], kind: &str) -> Vec<&'a Value> {
    objects.iter().filter(|object| object["kind"] == kind).collect()
}

/// The only one of its kind.
pub fn only<'a>(objects: &'a [Value], kind: &str) -> &'a Value {
    let [one] = of_kind(objects, kind)[..] else { panic!("not exactly one {kind}") };
    one
}

/// The arguments of the operator's container.
pub fn arguments(deployment: &Value) -> Vec<String> {
    let arguments = &deployment["spec"]["template"]["spec"]["containers"][0]["args"];
    arguments.as_array().unwrap().iter().map(|argument| argument.as_str().unwrap().to_owned()).collect()
}

/// Waits until `true`; for what has no watch.
pub async fn eventually(what: &str, mut check: impl AsyncFnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while !check().await {
        assert!(tokio::time::Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
