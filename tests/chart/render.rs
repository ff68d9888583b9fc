//! What is rendered, by value set.

use std::{collections::BTreeMap, fs, path::Path};

use clap::Parser as _;
use cognigy_operator::{
    args::{Cli, Command, Run},
    cluster::lease::lease_name,
};
use serde_json::{Value, json};

use crate::chart::{arguments, objects, of_kind, only, rendered, template, value_sets};

async fn deployment(set: &str) -> Value {
    let (_, values) = value_sets().into_iter().find(|(name, _)| name == set).unwrap();
    only(&objects(&rendered(&values).await), "Deployment").clone()
}

/// As the operator itself reads the command line of a Deployment.
fn parsed(deployment: &Value) -> Result<Run, String> {
    let arguments = ["cognigy-operator".to_owned()].into_iter().chain(arguments(deployment));
    match Cli::try_parse_from(arguments) {
        Ok(Cli { command: Command::Run(run) }) => Ok(*run),
        Ok(other) => panic!("{other:?}"),
        Err(error) => Err(error.to_string()),
    }
}

#[tokio::test]
async fn every_set_of_values_renders_the_same_each_time() {
    for (name, values) in value_sets() {
        assert_eq!(rendered(&values).await, rendered(&values).await, "{name}");
    }
}

#[tokio::test]
async fn the_operator_understands_the_arguments_of_every_set() {
    let run = async |set: &str| parsed(&deployment(set).await).unwrap();
    let defaults = run("defaults").await;
    assert!(defaults.watch_namespaces.is_empty() && defaults.watch_label_selector.is_none());
    assert!(!defaults.allow_insecure_http && defaults.allow_private_callbacks.is_empty());
    assert_eq!((defaults.http_listen.port(), defaults.shutdown_grace_seconds), (8080, 25));
    assert_eq!(defaults.max_concurrent_reconciles, 16);
    let namespaced = run("namespaced").await;
    assert_eq!(namespaced.watch_namespaces, ["cx", "cx-test"]);
    assert_eq!(namespaced.max_concurrent_reconciles, 4);
    let shard = run("shard").await;
    assert_eq!(shard.watch_label_selector.as_deref(), Some("shard=one,stage in (test,prod)"));
    assert_eq!(format!("{:?}", shard.log_format), "Text");
    let everything = run("everything").await;
    let networks: Vec<_> = everything.allow_private_callbacks.iter().map(ToString::to_string).collect();
    assert_eq!(networks, ["10.0.0.0/8", "fd00::/8"]);
    assert!(everything.allow_insecure_http);
    assert_eq!(everything.otlp_endpoint.unwrap().as_str(), "http://otel-collector.observability:4318/");
    assert_eq!(everything.http_listen.to_string(), "[::]:8080");
    assert_eq!(everything.shutdown_grace_seconds, 55, "five seconds are left to tell the end");
    for set in ["defaults", "available", "bare"] {
        let run = run(set).await;
        assert_eq!(
            (run.leader_elect, run.leader_election_namespace.as_deref()),
            (true, Some("cognigy-system")),
            "{set}"
        );
    }
    assert!(!everything.leader_elect && everything.leader_election_namespace.is_none());
}

#[tokio::test]
async fn the_role_names_the_lease_as_the_operator_does() {
    for (name, values) in value_sets() {
        let objects = objects(&rendered(&values).await);
        let run = parsed(only(&objects, "Deployment")).unwrap();
        let lease = lease_name(&run.watch_namespaces, run.watch_label_selector.as_deref());
        let rules = of_kind(&objects, "Role").into_iter().flat_map(|role| role["rules"].as_array().unwrap());
        let named: Vec<_> = rules.filter_map(|rule| rule["resourceNames"][0].as_str()).collect();
        let rights = run.leader_elect && name != "bare";
        assert_eq!(named, if rights { vec![lease.as_str()] } else { vec![] }, "{name}");
    }
}

#[tokio::test]
async fn the_network_policy_opens_the_port_of_the_collector_of_traces() {
    let egress = async |arguments: &[&str]| {
        let objects =
            objects(&template(&[&["--set", "networkPolicy.enabled=true"], arguments].concat()).await.unwrap());
        only(&objects, "NetworkPolicy")["spec"]["egress"].as_array().unwrap().clone()
    };
    let without = egress(&[]).await;
    for (endpoint, port) in [
        ("http://otel-collector.observability:4318", 4318),
        ("https://user:pass@otel.example.com:8443/otlp", 8443),
        ("https://otel.example.com/v1/traces", 443),
        ("http://[fd00::1]", 80),
    ] {
        let with = egress(&["--set", "otlp.enabled=true", "--set-string", &format!("otlp.endpoint={endpoint}")]).await;
        let added = json!({"ports": [{"protocol": "TCP", "port": port}]});
        assert_eq!(with, [without.clone(), vec![added]].concat(), "{endpoint}");
    }
}

#[tokio::test]
async fn the_selector_holds_what_never_changes_and_the_pods_always_match_it() {
    for (name, values) in value_sets() {
        let objects = objects(&rendered(&values).await);
        let deployment = only(&objects, "Deployment");
        let selector = deployment["spec"]["selector"]["matchLabels"].as_object().unwrap();
        let keys: Vec<_> = selector.keys().map(String::as_str).collect();
        assert_eq!(keys, ["app.kubernetes.io/instance", "app.kubernetes.io/name"], "{name}");
        let labels = &deployment["spec"]["template"]["metadata"]["labels"];
        assert!(selector.iter().all(|(key, value)| &labels[key] == value), "{name}: {labels}");
        let of_service = of_kind(&objects, "Service").into_iter().map(|service| &service["spec"]["selector"]);
        let others = ["PodDisruptionBudget", "PodMonitor", "ServiceMonitor"].map(|kind| of_kind(&objects, kind));
        let of_others = others.iter().flatten().map(|object| &object["spec"]["selector"]["matchLabels"]);
        for other in of_service.chain(of_others) {
            assert_eq!(other.as_object(), Some(selector), "{name}");
        }
    }
}

#[tokio::test]
async fn every_object_has_the_labels_of_its_release() {
    for (name, values) in value_sets() {
        let objects = objects(&rendered(&values).await);
        for object in objects.iter().filter(|object| object["data"]["greeting"].is_null()) {
            let labels = &object["metadata"]["labels"];
            if labels.is_null() && object["metadata"]["name"].as_str().unwrap().starts_with("hooks-") {
                // The user's own objects are left as they are.
                assert_eq!(name, "everything");
                continue;
            }
            assert_eq!(labels["app.kubernetes.io/instance"], "hooks", "{name}: {object}");
            assert_eq!(labels["app.kubernetes.io/managed-by"], "Helm", "{name}: {object}");
            assert_eq!(
                labels["team"],
                if name == "everything" { json!("cx") } else { Value::Null },
                "{name}: {object}"
            );
        }
    }
}

/// The definitions of the repository, by name.
fn definitions() -> BTreeMap<String, Value> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/crds");
    let files = fs::read_dir(folder).unwrap().map(|file| fs::read_to_string(file.unwrap().path()).unwrap());
    by_name(files.flat_map(|text| objects(&text)))
}

fn by_name(objects: impl IntoIterator<Item = Value>) -> BTreeMap<String, Value> {
    objects.into_iter().map(|object| (object["metadata"]["name"].as_str().unwrap().to_owned(), object)).collect()
}

#[tokio::test]
async fn the_definitions_are_those_of_the_repository_with_labels_and_annotations() {
    let crds = async |arguments: &[&str]| {
        let objects = objects(&template(arguments).await.unwrap());
        by_name(of_kind(&objects, "CustomResourceDefinition").into_iter().cloned())
    };
    let (kept, let_go) =
        (crds(&[]).await, crds(&["--set", "crds.keep=false", "--set", "crds.annotations.owner=platform"]).await);
    assert!(crds(&["--set", "crds.enabled=false"]).await.is_empty());
    for crd in kept.values() {
        assert_eq!(crd["metadata"]["annotations"], json!({"helm.sh/resource-policy": "keep"}));
    }
    for crd in let_go.values() {
        assert_eq!(crd["metadata"]["annotations"], json!({"owner": "platform"}));
    }
    for mut rendered in [kept, let_go] {
        for crd in rendered.values_mut() {
            crd["metadata"].as_object_mut().unwrap().retain(|key, _| key == "name");
        }
        assert_eq!(rendered, definitions());
    }
}

#[tokio::test]
async fn rules_and_dashboard_arrive_as_they_are_in_the_repository() {
    let file = |name: &str| Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/monitoring").join(name);
    let parsed = |text: &str| serde_saphyr::from_str::<Value>(text).unwrap();
    let (_, values) = value_sets().into_iter().find(|(name, _)| name == "everything").unwrap();
    let rendered = objects(&rendered(&values).await);
    // Helm has templates in `{{ }}`, and so have the alerts' texts.
    assert_eq!(only(&rendered, "PrometheusRule")["spec"], parsed(&fs::read_to_string(file("rules.yaml")).unwrap()));
    let dashboard = |map: &&Value| map["data"]["cognigy-operator.json"].as_str().map(str::to_owned);
    let dashboard = of_kind(&rendered, "ConfigMap").iter().find_map(dashboard).unwrap();
    assert_eq!(parsed(&dashboard), parsed(&fs::read_to_string(file("dashboard.json")).unwrap()));
}

#[tokio::test]
async fn roles_are_in_the_watched_namespaces_only_where_that_is_asked_for() {
    let objects = objects(&rendered(&crate::chart::beside("values/namespaced.yaml")).await);
    let cluster: Vec<_> = objects.iter().filter(|object| object["metadata"]["namespace"].is_null()).collect();
    assert!(cluster.is_empty(), "nothing of it is the cluster's: {cluster:?}");
    for kind in ["Role", "RoleBinding"] {
        let places: Vec<_> =
            of_kind(&objects, kind).into_iter().map(|role| role["metadata"]["namespace"].as_str().unwrap()).collect();
        // The last one is for the Lease.
        assert_eq!(places, ["cx", "cx-test", "cognigy-system"], "{kind}");
    }
}

#[tokio::test]
async fn a_long_name_is_cut_to_what_kubernetes_takes() {
    let long = "a".repeat(50) + "-bbbbbbbbbb-cccc";
    let objects = objects(&template(&["--set", &format!("nameOverride={}", &long[..63])]).await.unwrap());
    for object in &objects {
        let name = object["metadata"]["name"].as_str().unwrap();
        let longest = if object["kind"].as_str().unwrap().contains("Role") { 253 } else { 63 };
        assert!(name.len() <= longest && !name.ends_with('-'), "{name}");
    }
}

#[tokio::test]
async fn the_image_is_what_the_digest_says_where_there_is_one() {
    let image = async |set: &str| deployment(set).await["spec"]["template"]["spec"]["containers"][0]["image"].clone();
    assert_eq!(
        image("defaults").await,
        concat!("ghcr.io/cognigy-operator/cognigy-operator:", env!("CARGO_PKG_VERSION"))
    );
    let pinned = image("shard").await;
    assert!(pinned.as_str().unwrap().starts_with("registry.example.com:5000/mirror/cognigy-operator:"), "{pinned}");
    assert!(pinned.as_str().unwrap().contains("@sha256:0123456789"), "{pinned}");
}
