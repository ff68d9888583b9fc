//! `deploy/argocd/argocd-cm.yaml`, read as Argo CD reads its settings.

use std::path::Path;

use cognigy_simulator::Options;
use control_plane::ControlPlane;
use serde::Deserialize;
use serde_json::Value;

use crate::{
    customizations::{KINDS, folder, read, yaml},
    harness::world_without_operator,
    kubectl,
};

const CONFIG_MAP: &str = "deploy/argocd/argocd-cm.yaml";

/// The value of `resource.customizations.actions.<group>_<kind>`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Actions {
    #[serde(rename = "discovery.lua")]
    discovery: String,
    definitions: Vec<Definition>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Definition {
    name: String,
    #[serde(rename = "action.lua")]
    script: String,
}

#[test]
fn the_config_map_holds_every_script_letter_by_letter() {
    let config_map: Value = yaml(Path::new(CONFIG_MAP));
    let mut keys = 0;
    let mut value = |key: &str| {
        let text = config_map["data"][key].as_str()?.to_owned();
        keys += 1;
        Some(text)
    };
    for kind in KINDS {
        let folder = folder(kind);
        let health = value(&format!("resource.customizations.health.cognigy.io_{kind}"));
        assert_eq!(health.as_deref(), Some(read(&folder.join("health.lua")).as_str()), "{kind}");
        let actions = value(&format!("resource.customizations.actions.cognigy.io_{kind}"));
        assert_eq!(actions.is_some(), folder.join("actions").exists(), "{kind}");
        let Some(actions) = actions else { continue };
        let actions: Actions = serde_saphyr::from_str(&actions).unwrap();
        assert_eq!(actions.discovery, read(&folder.join("actions/discovery.lua")), "{kind}");
        let names: Vec<_> = actions.definitions.iter().map(|definition| definition.name.as_str()).collect();
        assert_eq!(names, ["orphan", "reconcile", "resume", "suspend"], "{kind}");
        for Definition { name, script } in &actions.definitions {
            assert_eq!(*script, read(&folder.join("actions").join(name).join("action.lua")), "{kind} {name}");
        }
    }
    assert_eq!(config_map["data"].as_object().unwrap().len(), keys);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stands_in_the_config_map_already_stays() {
    world_without_operator(Options::default(), async |world| {
        let plane: &ControlPlane = &world.plane;
        let kubectl = async |arguments: &[&str]| kubectl::run(plane, arguments).await.unwrap();
        kubectl(&["create", "namespace", "argocd"]).await;
        kubectl(&["--namespace", "argocd", "create", "configmap", "argocd-cm", "--from-literal=url=https://cd"]).await;
        // As docs/argocd.md says it.
        kubectl(&["apply", "--server-side", "--field-manager=cognigy-customizations", "-f", CONFIG_MAP]).await;
        let shown = kubectl(&["--namespace", "argocd", "get", "configmap", "argocd-cm", "--output", "json"]).await;
        let (shown, ours): (Value, Value) = (serde_json::from_str(&shown).unwrap(), yaml(Path::new(CONFIG_MAP)));
        let (shown, ours) = (shown["data"].as_object().unwrap(), ours["data"].as_object().unwrap());
        assert_eq!(shown["url"], "https://cd");
        assert_eq!(shown.len(), ours.len() + 1);
        assert!(ours.iter().all(|(key, script)| shown[key] == *script));
    })
    .await;
}
