//! What Argo CD does with live objects: reads their health, runs actions, applies and compares manifests.

use std::path::Path;

use kube::{
    Api,
    api::{ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams},
};
use serde_json::{Map, Value, json};

use crate::{
    customizations::{acted, health, offered},
    harness::World,
    kubectl,
};

/// Objects of a kind in the world's namespace.
pub fn objects(world: &World, kind: &str) -> Api<DynamicObject> {
    let kind = GroupVersionKind::gvk("cognigy.io", "v1alpha1", kind);
    Api::namespaced_with(world.client.clone(), &world.namespace, &ApiResource::from_gvk(&kind))
}

/// Waits until Argo CD would say this of an object.
pub async fn until_health(world: &World, kind: &str, name: &str, expected: &str) {
    let api = objects(world, kind);
    let told = async || health(&serde_json::to_value(api.get(name).await.unwrap()).unwrap());
    world.eventually(&format!("{kind} {name} is {expected}"), async || told().await.status == expected).await;
}

/// Runs an action that is offered, as Argo CD does: what the script returns becomes a merge patch. Returns the patch.
pub async fn act(world: &World, kind: &str, name: &str, action: &str) -> Value {
    let object = world.shown(kind, name).await;
    let offer = offered(&object).into_iter().find(|offer| offer.name == action).unwrap();
    assert!(!offer.disabled, "{action} is not offered for {object}");
    let patch = merge_patch(&object, &acted(action, &object)).unwrap();
    objects(world, kind).patch(name, &PatchParams::default(), &Patch::Merge(&patch)).await.unwrap();
    patch
}

/// RFC 7396: what makes the new of the old; `None` where they are equal.
fn merge_patch(old: &Value, new: &Value) -> Option<Value> {
    let (Value::Object(before), Value::Object(after)) = (old, new) else { return (old != new).then(|| new.clone()) };
    let removed = before.keys().filter(|key| !after.contains_key(*key)).map(|key| (key.clone(), Value::Null));
    let changed = after.iter().filter_map(|(key, new)| {
        let patch = merge_patch(before.get(key).unwrap_or(&Value::Null), new)?;
        Some((key.clone(), patch))
    });
    let patch: Map<_, _> = removed.chain(changed).collect();
    (!patch.is_empty()).then_some(Value::Object(patch))
}

/// How a manifest becomes an object.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Way {
    /// Three-way, with the annotation of the last one applied: Argo CD's default.
    ClientSide,
    /// `ServerSideApply=true`, `ServerSideDiff=true`.
    ServerSide,
}

impl Way {
    fn flags(self) -> &'static [&'static str] {
        match self {
            Self::ClientSide => &[],
            Self::ServerSide => &["--server-side", "--field-manager=argocd-controller"],
        }
    }
}

/// `kubectl apply` or `kubectl diff` of a manifest.
pub async fn kubectl_of(world: &World, command: &str, way: Way, manifest: &Value) -> Result<String, String> {
    let file = tempfile::NamedTempFile::with_suffix(".json").unwrap();
    std::fs::write(file.path(), manifest.to_string()).unwrap();
    let fixed = [command, "--namespace", &world.namespace, "--filename", file.path().to_str().unwrap()];
    kubectl::run(&world.plane, &[&fixed[..], way.flags()].concat()).await
}

/// The manifests of a folder with addresses of the simulator, as Argo CD would apply them: with what it tracks them by.
pub fn manifests(world: &World, folder: &str) -> Vec<Value> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    let mut files: Vec<_> = files.filter(|file| file.extension().is_some_and(|end| end == "yaml")).collect();
    files.sort();
    files.iter().map(|file| at_the_simulator(world, crate::customizations::yaml(file))).collect()
}

fn at_the_simulator(world: &World, mut manifest: Value) -> Value {
    let id = format!("webhooks:cognigy.io/{}:{}", manifest["kind"], manifest["metadata"]["name"]).replace('"', "");
    manifest["metadata"]["annotations"]["argocd.argoproj.io/tracking-id"] = json!(id);
    let spec = manifest["spec"].as_object_mut().unwrap();
    if spec.contains_key("baseUrl") {
        spec.insert("baseUrl".into(), json!(world.sim.https_base_url().unwrap()));
        spec.insert("caBundle".into(), json!({"configMapRef": {"name": "simulator-ca"}}));
        spec.insert("callbacks".into(), json!({"allowPrivateNetworks": true}));
    }
    if let Some(name) = spec.get("url").and_then(|url| Some(url.as_str()?.rsplit_once('/')?.1.to_owned())) {
        spec.insert("url".into(), json!(world.sim.callback_url(&name)));
    }
    manifest
}
