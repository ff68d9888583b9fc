//! Whether the API server serves our kinds as this build knows them. Asked through discovery and the published schema,
//! which every authenticated user may read: no right on `CustomResourceDefinition`s is needed.

use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBuilder};
use k8s_openapi::{
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
    apimachinery::pkg::apis::meta::v1::APIResourceList,
};
use kube::Client;
use serde_json::Value;
use tracing::{info, warn};

use crate::{api, server::Readiness};

/// Fields that a sentence names before it stops.
const NAMED_FIELDS: usize = 3;

/// What is wrong with the custom resource definitions on the server, one sentence each; empty when all is well.
pub async fn missing(client: &Client) -> kube::Result<Vec<String>> {
    let group_version = format!("{}/{}", api::GROUP, api::VERSION);
    let served = match client.list_api_group_resources(&group_version).await {
        Ok(served) => served,
        // The answer for an unknown group is plain text; kube's `is_not_found` looks for a reason and misses it.
        Err(kube::Error::Api(status)) if status.code == 404 => APIResourceList::default(),
        Err(error) => return Err(error),
    };
    let mut faults: Vec<String> = api::crds().iter().filter_map(|crd| not_served(crd, &served)).collect();
    if faults.is_empty() {
        let schemas = published(client, &group_version).await?;
        faults = api::crds().iter().filter_map(|crd| too_old(crd, &schemas)).collect();
    }
    Ok(faults)
}

/// Waits until the API server serves all our kinds, new enough. `/readyz` and the log say what is waited for, the log
/// once per cause.
pub async fn wait_until_served(client: &Client, readiness: &Readiness) {
    let gate = readiness.gate("crds", "the answer whether the custom resource definitions are installed");
    let mut delays = ExponentialBuilder::new()
        .with_min_delay(Duration::from_millis(500))
        .with_max_delay(Duration::from_secs(10))
        .without_max_times()
        .build();
    let mut told = String::new();
    loop {
        let waiting_for = match missing(client).await {
            Ok(faults) if faults.is_empty() => break,
            Ok(faults) => format!("{}; install them with `cognigy-operator crds`", faults.join("; ")),
            Err(error) => format!("the API server, which cannot be asked for the custom resource definitions: {error}"),
        };
        gate.close(waiting_for.clone());
        if waiting_for != told {
            warn!("waiting for {waiting_for}");
            told = waiting_for;
        }
        tokio::time::sleep(delays.next().unwrap_or(Duration::from_secs(10))).await;
    }
    if !told.is_empty() {
        info!("the custom resource definitions are there");
    }
    gate.open();
}

/// The kind, or its status, is not served.
fn not_served(crd: &CustomResourceDefinition, served: &APIResourceList) -> Option<String> {
    let plural = &crd.spec.names.plural;
    let has = |name: &str| served.resources.iter().any(|resource| resource.name == name);
    if !has(plural) {
        Some(format!("{plural}.{} is not installed in the version {}", crd.spec.group, api::VERSION))
    } else if !has(&format!("{plural}/status")) {
        Some(format!("{plural}.{} is too old: it has no status", crd.spec.group))
    } else {
        None
    }
}

/// The schemas of our kinds as the API server publishes them.
async fn published(client: &Client, group_version: &str) -> kube::Result<Value> {
    let request = http::Request::get(format!("/openapi/v3/apis/{group_version}"));
    let request = request.body(Vec::new()).map_err(kube::Error::HttpError)?;
    client.request(request).await
}

/// The kind lacks fields that this build reads or writes.
fn too_old(crd: &CustomResourceDefinition, published: &Value) -> Option<String> {
    let kind = &crd.spec.names.kind;
    let is_ours = |schema: &&Value| {
        let marks = schema["x-kubernetes-group-version-kind"].as_array();
        marks.is_some_and(|marks| marks.iter().any(|mark| mark["kind"] == kind.as_str()))
    };
    let schema = published["components"]["schemas"].as_object()?.values().find(is_ours)?;
    let version = crd.spec.versions.iter().find(|version| version.name == api::VERSION)?;
    let ours = serde_json::to_value(version.schema.as_ref()?.open_api_v3_schema.as_ref()?).ok()?;
    let mut lacking = Vec::new();
    collect_lacking(&ours, schema, "", &mut lacking);
    let more = if lacking.len() > NAMED_FIELDS { " and others" } else { "" };
    lacking.truncate(NAMED_FIELDS);
    let name = format!("{}.{}", crd.spec.names.plural, crd.spec.group);
    (!lacking.is_empty()).then(|| format!("{name} is too old: it lacks {}{more}", lacking.join(", ")))
}

fn collect_lacking(ours: &Value, theirs: &Value, path: &str, lacking: &mut Vec<String>) {
    for (name, property) in ours["properties"].as_object().into_iter().flatten() {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        match theirs["properties"].get(name) {
            Some(theirs) => collect_lacking(property, theirs, &path, lacking),
            None => lacking.push(path),
        }
    }
    for inner in ["items", "additionalProperties"] {
        if ours[inner].is_object() {
            collect_lacking(&ours[inner], &theirs[inner], path, lacking);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn webhooks() -> CustomResourceDefinition {
        api::crds().into_iter().find(|crd| crd.spec.names.kind == "CognigyWebhook").unwrap()
    }

    fn serving(names: &[&str]) -> APIResourceList {
        let resources: Vec<Value> = names
            .iter()
            .map(|name| json!({"name": name, "kind": "K", "namespaced": true, "singularName": "", "verbs": []}))
            .collect();
        serde_json::from_value(
            json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": "g/v", "resources": resources}),
        )
        .unwrap()
    }

    /// What the API server publishes for our own definitions, changed by `change`.
    fn publishing(crd: &CustomResourceDefinition, change: impl FnOnce(&mut Value)) -> Value {
        let schema = crd.spec.versions[0].schema.as_ref().unwrap().open_api_v3_schema.as_ref().unwrap();
        let mut schema = serde_json::to_value(schema).unwrap();
        schema["x-kubernetes-group-version-kind"] =
            json!([{"group": api::GROUP, "version": api::VERSION, "kind": crd.spec.names.kind}]);
        change(&mut schema);
        json!({"components": {"schemas": {"io.cognigy.v1alpha1.CognigyWebhook": schema}}})
    }

    #[test]
    fn a_kind_that_is_not_served_or_has_no_status_is_named() {
        let crd = webhooks();
        let told = not_served(&crd, &serving(&["cognigytenants", "cognigytenants/status"])).unwrap();
        assert_eq!(told, "cognigywebhooks.cognigy.io is not installed in the version v1alpha1");
        let told = not_served(&crd, &serving(&["cognigywebhooks"])).unwrap();
        assert_eq!(told, "cognigywebhooks.cognigy.io is too old: it has no status");
        assert_eq!(not_served(&crd, &serving(&["cognigywebhooks", "cognigywebhooks/status"])), None);
    }

    #[test]
    fn a_definition_that_lacks_fields_is_too_old_and_one_with_more_is_fine() {
        let crd = webhooks();
        assert_eq!(too_old(&crd, &publishing(&crd, |_| ())), None);
        let newer = publishing(&crd, |schema| schema["properties"]["spec"]["properties"]["later"] = json!({}));
        assert_eq!(too_old(&crd, &newer), None);
        let older = publishing(&crd, |schema| {
            let spec = schema["properties"]["spec"]["properties"].as_object_mut().unwrap();
            spec.remove("mode");
            let secret = &mut spec["headersFrom"]["items"]["properties"]["secretKeyRef"]["properties"];
            secret.as_object_mut().unwrap().remove("key");
        });
        assert_eq!(
            too_old(&crd, &older).unwrap(),
            "cognigywebhooks.cognigy.io is too old: it lacks spec.headersFrom.secretKeyRef.key, spec.mode"
        );
    }

    #[test]
    fn a_long_list_of_lacking_fields_is_cut() {
        let crd = webhooks();
        let older = publishing(&crd, |schema| schema["properties"]["spec"]["properties"] = json!({}));
        assert!(too_old(&crd, &older).unwrap().ends_with(" and others"));
    }
}
