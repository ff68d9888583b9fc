//! What is synced shows no difference: neither in kubectl's diffs, which ask the API server, nor in Argo CD's own, which does not.

use std::path::Path;

use cognigy_simulator::{BotWebhook, Options};
use control_plane::ControlPlane;
use serde_json::{Value, json};

use crate::{
    customizations::yaml,
    harness::{World, world, world_without_operator},
    kubectl,
    live::{Way, act, kubectl_of, manifests, until_health},
};

/// The places at which a live object is not as its manifest says. Argo CD's three-way diff of a custom resource is a JSON merge
/// patch: what the manifest does not mention may be anything, but a list is compared as a whole, so that a default
/// within an item of a list would be a difference for ever.
fn differences(manifest: &Value, live: &Value) -> Vec<String> {
    match (manifest, live) {
        (Value::Object(manifest), Value::Object(live)) => {
            let differ = |(key, stated)| {
                let below = differences(stated, live.get(key).unwrap_or(&Value::Null));
                below.into_iter().map(move |path| format!("{key}.{path}"))
            };
            manifest.iter().flat_map(differ).collect()
        }
        _ if manifest == live => Vec::new(),
        _ => vec![format!("{manifest} is {live}")],
    }
}

fn identity(manifest: &Value) -> (&str, &str) {
    (manifest["kind"].as_str().unwrap(), manifest["metadata"]["name"].as_str().unwrap())
}

/// The operator must have been stopped: kubectl reads the object, then asks for the other one, and counts in a status may be written
/// in between.
async fn assert_in_sync(world: &World, way: Way, manifest: &Value) {
    let (kind, name) = identity(manifest);
    let told = kubectl_of(world, "diff", way, manifest).await;
    assert_eq!(told.as_deref(), Ok(""), "{kind} {name}, {way:?}");
    let live = world.shown(kind, name).await;
    assert_eq!(differences(manifest, &live), Vec::<String>::new(), "{kind} {name}, {way:?}");
}

async fn examples_are_in_sync(way: Way) {
    world(Options::default(), async |world| {
        world.add_bot_webhook(BotWebhook::new("support-bot", "conversation-ended", "https://hooks.example.com/x"));
        let manifests = manifests(world, "examples");
        assert_eq!(manifests.len(), 7);
        for manifest in &manifests {
            kubectl_of(world, "apply", way, manifest).await.unwrap();
        }
        for manifest in &manifests {
            let (kind, name) = identity(manifest);
            until_health(world, kind, name, "Healthy").await;
        }
        world.stop_operator().await;
        for manifest in &manifests {
            assert_in_sync(world, way, manifest).await;
        }
        // A difference is seen.
        let mut other = manifests[2].clone();
        other["spec"]["headers"]["X-Environment"] = json!("staging");
        let told = kubectl_of(world, "diff", way, &other).await.unwrap_err();
        assert!(told.contains("+    X-Environment: staging"), "{told}");
        let live = world.shown("CognigyWebhook", "order-fulfillment").await;
        assert_eq!(differences(&other, &live), ["spec.headers.X-Environment.\"staging\" is \"production\""]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_example_is_in_sync_when_the_operator_is_done_with_it() {
    examples_are_in_sync(Way::ClientSide).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_example_that_is_applied_by_the_server_is_in_sync_when_the_operator_is_done_with_it() {
    examples_are_in_sync(Way::ServerSide).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_documented_field_is_a_difference_as_soon_as_it_is_written() {
    world_without_operator(Options::default(), async |world| {
        let text = std::fs::read_to_string("tests/resources/every-field.yaml").unwrap();
        let manifests: Vec<Value> = serde_saphyr::from_multiple(&text).unwrap();
        for manifest in manifests.into_iter().filter(|manifest| !manifest.is_null()) {
            kubectl_of(world, "apply", Way::ClientSide, &manifest).await.unwrap();
            assert_in_sync(world, Way::ClientSide, &manifest).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_definition_is_a_difference() {
    world_without_operator(Options::default(), async |world| {
        let plane: &ControlPlane = &world.plane;
        for kind in ["cognigytenants", "cognigywebhooks", "retrypolicies"] {
            let file = format!("deploy/crds/{kind}.cognigy.io.yaml");
            let live = kubectl::run(plane, &["get", "crd", &format!("{kind}.cognigy.io"), "--output", "json"]).await;
            let live: Value = serde_json::from_str(&live.unwrap()).unwrap();
            assert_eq!(differences(&yaml(Path::new(&file)), &live), Vec::<String>::new(), "{file}");
        }
    })
    .await;
}

/// The wave in which Argo CD applies a manifest.
fn wave(manifest: &Value) -> i64 {
    manifest["metadata"]["annotations"]["argocd.argoproj.io/sync-wave"].as_str().unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_example_application_goes_live_wave_by_wave_and_its_actions_leave_it_in_sync() {
    world(Options::default(), async |world| {
        let application: Value = yaml(Path::new("deploy/argocd/example/application.yaml"));
        let mut manifests = manifests(world, application["spec"]["source"]["path"].as_str().unwrap());
        manifests.sort_by_key(wave);
        let kinds: Vec<_> = manifests.iter().map(|manifest| (wave(manifest), identity(manifest).0)).collect();
        assert_eq!(kinds, [(0, "CognigyTenant"), (1, "RetryPolicy"), (2, "CognigyWebhook")]);
        for manifest in &manifests {
            let (kind, name) = identity(manifest);
            kubectl_of(world, "apply", Way::ClientSide, manifest).await.unwrap();
            until_health(world, kind, name, "Healthy").await;
        }
        let (kind, name) = identity(&manifests[2]);
        assert_eq!(world.active_versions(name), [1]);

        for (action, expected) in [("reconcile", "Healthy"), ("suspend", "Suspended"), ("resume", "Healthy")] {
            act(world, kind, name, action).await;
            until_health(world, kind, name, expected).await;
            world.stop_operator().await;
            assert_in_sync(world, Way::ClientSide, &manifests[2]).await;
            // The next sync takes nothing back.
            let told = kubectl_of(world, "apply", Way::ClientSide, &manifests[2]).await.unwrap();
            assert!(told.ends_with("unchanged\n"), "{told}");
            world.start_operator().await;
        }
    })
    .await;
}
