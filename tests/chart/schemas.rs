//! Schemas for kubeconform, from what the running API server publishes: nothing is fetched, and they are of the very version that the
//! other tests run on.

use std::{collections::BTreeSet, fs, path::Path};

use control_plane::{ControlPlane, Definitions, User};
use kube::Client;
use serde_json::{Value, json};

use crate::{
    chart::{eventually, kubectl},
    harness::{self, client_for},
};

/// The chart's objects of other projects' kinds.
const MONITORING: [(&str, &str); 3] =
    [("servicemonitors", "ServiceMonitor"), ("podmonitors", "PodMonitor"), ("prometheusrules", "PrometheusRule")];

/// Where the definitions of both are published.
const GROUPS: [&str; 2] = ["apis/cognigy.io/v1alpha1", "apis/monitoring.coreos.com/v1"];

/// Writes a schema for each of these kinds: `deployment-apps-v1.json`, `service-v1-v1.json`.
pub async fn write(into: &Path, kinds: &BTreeSet<String>) {
    let plane = ControlPlane::shared().await.unwrap();
    let client = client_for(plane, &User::admin()).await;
    install_definitions(plane, &client).await;
    let mut index = Value::Null;
    eventually("all groups are published", async || {
        index = get(&client, "/openapi/v3").await;
        GROUPS.iter().all(|group| !index["paths"][group].is_null())
    })
    .await;
    let paths = index["paths"].as_object().unwrap().keys();
    for path in paths.filter(|path| path.starts_with("api/") || path.starts_with("apis/")) {
        let mut document = get(&client, &format!("/openapi/v3/{path}")).await;
        // A group of reviews only publishes paths.
        let Some(schemas) = document["components"]["schemas"].as_object_mut() else { continue };
        schemas.values_mut().for_each(close);
        for (name, schema) in &*schemas {
            for kind in schema["x-kubernetes-group-version-kind"].as_array().into_iter().flatten() {
                let text = |key: &str| kind[key].as_str().unwrap().to_lowercase();
                if !kinds.contains(kind["kind"].as_str().unwrap()) {
                    continue;
                }
                // kubeconform knows the core group by its version.
                let group = if text("group").is_empty() { text("version") } else { text("group") };
                let file = format!("{}-{group}-{}.json", text("kind"), text("version"));
                let reference = format!("#/components/schemas/{name}");
                let schema = json!({"components": {"schemas": schemas}, "$ref": reference});
                fs::write(into.join(file), schema.to_string()).unwrap();
            }
        }
    }
}

/// An object with known keys has no others, as strict decoding has it.
fn close(schema: &mut Value) {
    let open =
        ["additionalProperties", "x-kubernetes-preserve-unknown-fields"].iter().any(|key| schema.get(key).is_some());
    if let Some(known) = schema.get_mut("properties").and_then(Value::as_object_mut) {
        known.values_mut().for_each(close);
        if !open {
            schema["additionalProperties"] = json!(false);
        }
    }
    for inner in ["items", "additionalProperties"] {
        if let Some(inner) = schema.get_mut(inner).filter(|inner| inner.is_object()) {
            close(inner);
        }
    }
}

/// Ours and the Prometheus operator's.
async fn install_definitions(plane: &ControlPlane, client: &Client) {
    harness::install_definitions(client).await;
    let fetch = || Definitions::PrometheusOperator.locate_or_fetch().unwrap();
    let theirs = tokio::task::spawn_blocking(fetch).await.unwrap();
    for (plural, kind) in MONITORING {
        let file = theirs.join(format!("monitoring.coreos.com_{plural}.yaml"));
        kubectl(plane, &["apply", "--server-side", "-f", file.to_str().unwrap()]).await;
        let document = "/openapi/v3/apis/monitoring.coreos.com/v1";
        let published =
            async || get(client, document).await["components"]["schemas"].to_string().contains(&format!("\"{kind}\""));
        eventually(&format!("{kind} is published"), published).await;
    }
}

/// What the API server answers; `null` where it has nothing (yet).
async fn get(client: &Client, path: &str) -> Value {
    let request = http::Request::get(path).body(Vec::new()).unwrap();
    match client.request(request).await {
        Err(kube::Error::Api(status)) if status.code == 404 => Value::Null,
        answer => answer.unwrap(),
    }
}
