//! Objects of test runs as files: what differs from run to run is the same in all of them.

use std::{env, fs, path::Path};

use serde_json::{Value, json};
use url::Url;

use crate::{
    customizations::{folder, health, offered, yaml},
    harness::World,
    kubectl,
};

/// Set to anything, it makes the tests write the files instead of comparing them.
const WRITE: &str = "WRITE_ARGOCD_TESTDATA";
/// When everything happened.
const THEN: &str = "2026-11-23T10:00:00Z";

impl World {
    /// An object as `kubectl get` shows it.
    pub async fn shown(&self, kind: &str, name: &str) -> Value {
        let arguments = ["get", kind, name, "--namespace", &self.namespace, "--output", "json"];
        serde_json::from_str(&kubectl::run(&self.plane, &arguments).await.unwrap()).unwrap()
    }

    /// The object as it is now is the one in the kind's `testdata/<file>.yaml`, as far as Argo CD's scripts can tell; written
    /// there with `WRITE_ARGOCD_TESTDATA`. Returns what the file holds.
    pub async fn recorded(&self, kind: &str, name: &str, file: &str) -> Value {
        let now = self.anonymous(self.shown(kind, name).await);
        let path = folder(kind).join("testdata").join(format!("{file}.yaml"));
        write(&path, &now);
        let recorded: Value = yaml(&path);
        let told = (told(&now), told(&recorded));
        assert_eq!(told.0, told.1, "{} is not what the operator writes: see docs/argocd.md", path.display());
        recorded
    }

    /// The object with names and addresses of documentation, and with nothing that differs from run to run.
    fn anonymous(&self, mut object: Value) -> Value {
        let metadata = object["metadata"].as_object_mut().unwrap();
        metadata.remove("managedFields");
        metadata.insert("resourceVersion".into(), json!("4711"));
        let base = |url: Option<Url>| url.unwrap().as_str().trim_end_matches('/').to_owned();
        let places = [
            (self.namespace.clone(), "cx"),
            (self.sim.callback_url("").to_string(), "https://hooks.example.com/"),
            (self.sim.https_sink_url("").to_string(), "https://sinks.example.com/"),
            (base(self.sim.https_base_url()), "https://tenant.example.com"),
            (base(Some(self.sim.base_url())), "http://tenant.example.com"),
        ];
        anonymise("", &mut object, &places);
        object
    }
}

/// Writes the object where that is asked for.
pub fn write(path: &Path, object: &Value) {
    if env::var_os(WRITE).is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, serde_saphyr::to_string(object).unwrap()).unwrap();
    }
}

fn anonymise(key: &str, value: &mut Value, places: &[(String, &str)]) {
    match value {
        Value::Object(fields) => fields.iter_mut().for_each(|(key, field)| anonymise(key, field, places)),
        Value::Array(items) => items.iter_mut().for_each(|item| anonymise(key, item, places)),
        Value::String(text) => *text = anonymous(key, text, places),
        Value::Number(number) if key.ends_with("LatencyMs") || key == "latencyMs" || key == "avg_latency_ms" => {
            *number = 12.into();
        }
        _ => {}
    }
}

fn anonymous(key: &str, text: &str, places: &[(String, &str)]) -> String {
    match key {
        "uid" | "id" | "alert_id" => "5d9f6d0e-6c1c-4b0a-9f6e-3c1d2b7a8e90".into(),
        "traceId" | "fingerprint" | "change" => "0123456789abcdef".into(),
        // A message as it is sent.
        "body" => {
            let mut body = serde_json::from_str(text).unwrap();
            anonymise("", &mut body, places);
            body.to_string()
        }
        _ if text.parse::<jiff::Timestamp>().is_ok() => THEN.into(),
        _ => {
            let text = places.iter().fold(text.to_owned(), |text, (here, there)| text.replace(here, there));
            ["wh_", "trace id "].into_iter().fold(text, |text, words| numbered(&text, words))
        }
    }
}

/// The text with one id in place of each that follows these words.
fn numbered(text: &str, words: &str) -> String {
    let mut parts = text.split(words);
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| {
        let rest = part.trim_start_matches(|letter: char| letter.is_ascii_alphanumeric() || letter == '-');
        text + words + "0123456789abcdef" + rest
    })
}

/// What an object tells Argo CD's scripts.
fn told(object: &Value) -> Value {
    let (metadata, status) = (&object["metadata"], &object["status"]);
    let actions = if object["kind"] == "RetryPolicy" { Vec::new() } else { offered(object) };
    let actions: Vec<_> = actions.into_iter().map(|action| (action.name, action.disabled)).collect();
    let health = health(object);
    json!({
        "health": [health.status, health.message], "actions": actions,
        "spec": object["spec"], "generation": metadata["generation"], "annotations": metadata["annotations"],
        "conditions": status["conditions"], "observedGeneration": status["observedGeneration"],
    })
}
