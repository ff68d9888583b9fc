//! The folder `deploy/argocd/resource_customizations`, tested as Argo CD tests its own: after `health_test.go` and
//! `custom_actions_test.go` in its `util/lua`.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use serde_json::{Value, json};

use crate::sandbox;

/// The kinds that have scripts: all of them.
pub const KINDS: [&str; 3] = ["CognigyTenant", "CognigyWebhook", "RetryPolicy"];

/// The folder of a kind.
pub fn folder(kind: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/argocd/resource_customizations/cognigy.io");
    root.join(kind)
}

/// The text of a file.
pub fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The document in a YAML file.
pub fn yaml<T: serde::de::DeserializeOwned>(path: &Path) -> T {
    serde_saphyr::from_str(&read(path)).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// What Argo CD says of an object: status and message.
#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Health {
    pub status: String,
    pub message: String,
}

/// What the kind's script says of an object.
pub fn health(object: &Value) -> Health {
    let script = read(&folder(object["kind"].as_str().unwrap()).join("health.lua"));
    let told = sandbox::run(&script, object).unwrap_or_else(|error| panic!("{error}"));
    serde_json::from_value(told).unwrap()
}

/// One action as Argo CD offers it.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Offered {
    pub name: String,
    #[serde(default)]
    pub disabled: bool,
    #[serde(default)]
    pub icon_class: String,
    #[serde(default)]
    pub display_name: String,
}

/// The actions that Argo CD offers for an object, by name.
pub fn offered(object: &Value) -> Vec<Offered> {
    let script = read(&folder(object["kind"].as_str().unwrap()).join("actions/discovery.lua"));
    let told = sandbox::run(&script, object).unwrap_or_else(|error| panic!("{error}"));
    let told: BTreeMap<String, Value> = serde_json::from_value(told).unwrap();
    let named = told.into_iter().map(|(name, mut action)| {
        action["name"] = json!(name);
        serde_json::from_value(action).unwrap()
    });
    named.collect()
}

/// What an action makes of an object.
pub fn acted(action: &str, object: &Value) -> Value {
    let script = read(&folder(object["kind"].as_str().unwrap()).join("actions").join(action).join("action.lua"));
    let new = sandbox::run(&script, object).unwrap_or_else(|error| panic!("{action}: {error}"));
    cleaned(new, object)
}

/// Argo CD's remedy for empty objects, which come out of Lua as empty lists.
fn cleaned(new: Value, old: &Value) -> Value {
    match (new, old) {
        (Value::Array(new), Value::Object(_)) if new.is_empty() => json!({}),
        (Value::Object(new), Value::Object(old)) => {
            let clean = |(name, new): (String, Value)| {
                let new = cleaned(new, old.get(&name).unwrap_or(&Value::Null));
                (name, new)
            };
            Value::Object(new.into_iter().map(clean).collect())
        }
        (Value::Array(new), Value::Array(old)) => {
            let pad = std::iter::repeat(&Value::Null);
            Value::Array(new.into_iter().zip(old.iter().chain(pad)).map(|(new, old)| cleaned(new, old)).collect())
        }
        (new, _) => new,
    }
}

/// The annotation that an action fills in with the time at which it runs.
const REQUESTED: &str = "/metadata/annotations/cognigy.io~1reconcile-requested-at";

/// An object whose request is as old as that of any other.
pub fn timeless(mut object: Value) -> Value {
    if let Some(requested) = object.pointer_mut(REQUESTED) {
        *requested = json!("0001-01-01T00:00:00Z");
    }
    object
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct HealthTests {
    tests: Vec<HealthTest>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct HealthTest {
    input_path: PathBuf,
    health_status: Health,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ActionTests {
    discovery_tests: Vec<DiscoveryTest>,
    action_tests: Vec<ActionTest>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct DiscoveryTest {
    input_path: PathBuf,
    result: Vec<Offered>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ActionTest {
    action: String,
    input_path: PathBuf,
    expected_output_path: PathBuf,
}

/// The names in a folder that are not listed.
fn forgotten(folder: &Path, listed: &[&Path]) -> Vec<PathBuf> {
    let files = fs::read_dir(folder.join("testdata")).unwrap().map(|file| file.unwrap().file_name());
    let paths = files.map(|name| Path::new("testdata").join(name));
    paths.filter(|path| !listed.contains(&path.as_path())).collect()
}

#[test]
fn every_recorded_object_has_the_health_that_is_expected() {
    for kind in KINDS {
        let folder = folder(kind);
        let HealthTests { tests } = yaml(&folder.join("health_test.yaml"));
        for test in &tests {
            let object: Value = yaml(&folder.join(&test.input_path));
            assert_eq!(object["kind"], kind);
            assert_eq!(health(&object), test.health_status, "{kind} {}", test.input_path.display());
        }
        let listed: Vec<_> = tests.iter().map(|test| test.input_path.as_path()).collect();
        assert_eq!(forgotten(&folder, &listed), Vec::<PathBuf>::new(), "{kind}");
    }
}

#[test]
fn every_recorded_object_is_offered_the_actions_that_are_expected() {
    for kind in KINDS.into_iter().filter(|kind| *kind != "RetryPolicy") {
        let folder = folder(kind).join("actions");
        let ActionTests { discovery_tests, .. } = yaml(&folder.join("action_test.yaml"));
        assert!(discovery_tests.len() >= 3, "{kind}");
        for DiscoveryTest { input_path, mut result } in discovery_tests {
            result.sort_by(|one, other| one.name.cmp(&other.name));
            assert_eq!(offered(&yaml(&folder.join(&input_path))), result, "{kind} {}", input_path.display());
        }
    }
}

#[test]
fn every_action_makes_of_a_recorded_object_what_is_expected() {
    for kind in KINDS.into_iter().filter(|kind| *kind != "RetryPolicy") {
        let folder = folder(kind).join("actions");
        let ActionTests { action_tests, .. } = yaml(&folder.join("action_test.yaml"));
        for ActionTest { action, input_path, expected_output_path } in &action_tests {
            let (input, expected): (Value, Value) =
                (yaml(&folder.join(input_path)), yaml(&folder.join(expected_output_path)));
            assert_ne!(input, expected);
            assert_eq!(timeless(acted(action, &input)), timeless(expected), "{kind} {action}");
        }
        let tested: Vec<_> = action_tests.iter().map(|test| test.action.as_str()).collect();
        for Offered { name, .. } in offered(&json!({"kind": kind, "metadata": {}, "spec": {}})) {
            assert!(tested.contains(&name.as_str()), "no test of {kind} {name}");
        }
        let listed: Vec<_> = action_tests.iter().map(|test| test.expected_output_path.as_path()).collect();
        assert_eq!(forgotten(&folder, &listed), Vec::<PathBuf>::new(), "{kind}");
    }
}
