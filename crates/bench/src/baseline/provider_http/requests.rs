//! The objects of provider-http: definitions, its configuration, a `Request` for each webhook.

use std::{collections::BTreeSet, ffi::OsStr, fs, path::Path, time::Duration};

use demo::Result;
use k8s_openapi::{
    api::core::v1::Secret, apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Api, ResourceExt,
    api::{ApiResource, DynamicObject, GroupVersionKind, ListParams, PostParams},
};
use serde_json::json;
use tokio::time::{sleep, timeout};

use super::{LOOK, NAME};
use crate::{
    fleet::{self, NAMESPACE},
    objects::is_ready,
    stage::Stage,
};

/// Both its configuration and the Secret beside that.
const CONFIGURATION: &str = "cognigy";
/// What it says of an object that it leaves alone for ever.
const GIVEN_UP: &str = "cannot determine creation result";
/// How long the API server may take to serve what is defined.
const SERVED_WITHIN: Duration = Duration::from_mins(1);

/// Installs its definitions and waits until those that are used are served.
pub(super) async fn install(stage: &Stage, folder: &Path) -> Result<()> {
    let all = Api::<CustomResourceDefinition>::all(stage.owner.clone());
    for crd in definitions(folder)? {
        all.create(&PostParams::default(), &crd).await?;
    }
    for resource in [request(), configuration()] {
        let api = Api::<DynamicObject>::all_with(stage.owner.clone(), &resource);
        let served = async {
            while api.list(&ListParams::default().limit(1)).await.is_err() {
                sleep(LOOK).await;
            }
        };
        timeout(SERVED_WITHIN, served)
            .await
            .map_err(|_| format!("the API server does not serve {}.{}", resource.plural, resource.group))?;
    }
    Ok(())
}

fn definitions(folder: &Path) -> Result<Vec<CustomResourceDefinition>> {
    let read = |path: &Path| Result::Ok(serde_saphyr::from_str(&fs::read_to_string(path)?)?);
    let mut all = Vec::<CustomResourceDefinition>::new();
    for entry in fs::read_dir(folder).map_err(|error| format!("read {}: {error}", folder.display()))? {
        let path = entry?.path();
        if path.extension() == Some(OsStr::new("yaml")) {
            all.push(read(&path).map_err(|error| format!("read {}: {error}", path.display()))?);
        }
    }
    let wanted = format!("{}.{}", request().plural, request().group);
    if all.iter().any(|crd| crd.name_any() == wanted) {
        return Ok(all);
    }
    Err(format!("{} does not define {wanted}: take package/crds of {NAME}'s module", folder.display()).into())
}

/// Its configuration: whom it trusts, and beside it the token that the installation always accepts.
pub(super) async fn prepare(stage: &Stage) -> Result<()> {
    let installation = stage.installation(0);
    let secret: Secret = serde_json::from_value(json!({
        "metadata": {"name": CONFIGURATION, "namespace": NAMESPACE},
        "stringData": {"token": installation.credentials().bearer_token, "ca.crt": installation.ca_pem()},
    }))?;
    Api::namespaced(stage.owner.clone(), NAMESPACE).create(&PostParams::default(), &secret).await?;
    let resource = configuration();
    let authority = json!({"name": CONFIGURATION, "namespace": NAMESPACE, "key": "ca.crt"});
    let object = serde_json::from_value(json!({
        "apiVersion": resource.api_version, "kind": resource.kind, "metadata": {"name": CONFIGURATION},
        "spec": {"credentials": {"source": "None"}, "tls": {"caCertSecretRef": authority}},
    }))?;
    Api::<DynamicObject>::all_with(stage.owner.clone(), &resource).create(&PostParams::default(), &object).await?;
    Ok(())
}

/// The nth webhook as its owner would write it for provider-http: the same registration (cognigy-api.md §2), active at once.
pub(super) fn wish(stage: &Stage, nth: usize, name: &str) -> Result<DynamicObject> {
    let installation = stage.installation(0);
    let base = installation.https_base_url().ok_or("the simulator was started without TLS")?;
    let registration = json!({
        "name": name, "url": installation.callback_url(name), "method": "POST",
        "headers": fleet::headers(stage.conditions.seed, nth), "payloadFormat": "application/json",
        "version": 1, "status": "active", "idempotencyKey": format!("{name}:1"),
    });
    // As in its examples. Before the registration that is an id "null", for which it asks all the same.
    let one = r#".payload.baseUrl + "/" + (.response.body.id | tostring)"#;
    let resource = request();
    Ok(serde_json::from_value(json!({
        "apiVersion": resource.api_version, "kind": resource.kind, "metadata": {"name": name},
        "spec": {
            "forProvider": {
                "headers": {
                    "Accept": ["application/json"],
                    "Authorization": [format!("Bearer {{{{ {CONFIGURATION}:{NAMESPACE}:token }}}}")],
                    "Content-Type": ["application/json"],
                    "X-Request-Id": [format!("webhook-reg-{name}-1")],
                },
                "payload": {"baseUrl": base.join("api/v1/integrations")?, "body": registration.to_string()},
                "mappings": [
                    {"action": "CREATE", "url": ".payload.baseUrl", "body": ".payload.body"},
                    {"action": "OBSERVE", "url": one},
                    {"action": "UPDATE", "url": one, "body": ".payload.body"},
                    {"action": "REMOVE", "url": one},
                ],
            },
            "providerConfigRef": {"name": CONFIGURATION},
        },
    }))?)
}

/// Its objects, as their owner sees them.
pub(super) fn requests(stage: &Stage) -> Api<DynamicObject> {
    Api::all_with(stage.owner.clone(), &request())
}

/// Its documentation's first choice is the one without a namespace.
fn request() -> ApiResource {
    resource("v1alpha2", "Request", "requests")
}

fn configuration() -> ApiResource {
    resource("v1alpha1", "ProviderConfig", "providerconfigs")
}

fn resource(version: &str, kind: &str, plural: &str) -> ApiResource {
    ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk("http.crossplane.io", version, kind), plural)
}

/// The names of those that are not ready now.
pub(super) async fn not_ready(api: &Api<DynamicObject>) -> Result<BTreeSet<String>> {
    let all = api.list(&ListParams::default()).await?;
    Ok(all.items.iter().filter(|object| !is_ready(object)).map(ResourceExt::name_any).collect())
}

/// Whether it waits for a person: it does not know whether it has registered the webhook, since it could not note it.
pub(super) fn is_given_up(object: &DynamicObject) -> bool {
    let noted = |annotation| object.annotations().contains_key(annotation);
    let conditions = object.data["status"]["conditions"].as_array();
    let mut said = conditions.into_iter().flatten().filter_map(|condition| condition["message"].as_str());
    said.any(|message| message.starts_with(GIVEN_UP))
        && !noted("crossplane.io/external-create-succeeded")
        && !noted("crossplane.io/external-create-failed")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_waits_for_a_person_once_nobody_knows_whether_it_is_registered() {
        let request = |annotation: &str, message: &str| -> DynamicObject {
            serde_json::from_value(json!({
                "metadata": {"name": "a", "annotations": {"crossplane.io/external-create-pending": "x", annotation: "x"}},
                "status": {"conditions": [{"type": "Ready"}, {"type": "Synced", "message": message}]},
            }))
            .unwrap()
        };
        let message = "cannot determine creation result - remove the crossplane.io/external-create-pending annotation";
        assert!(is_given_up(&request("other", message)));
        assert!(!is_given_up(&request("other", "observe failed")));
        assert!(!is_given_up(&request("crossplane.io/external-create-succeeded", message)));
        assert!(!is_given_up(&request("crossplane.io/external-create-failed", message)));
    }
}
