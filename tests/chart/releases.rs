//! Releases: installed, upgraded, uninstalled by the real Helm on a real API server.
//!
//! `fixtures/previous.tgz` is the chart as it was released last (`helm package`): a release puts its own in that place.

use std::path::Path;

use control_plane::{ControlPlane, Options};
use serde_json::{Value, json};

use crate::chart::{beside, eventually, folder, helm, kubectl, output};

const RELEASE: [&str; 3] = ["cognigy-operator", "--namespace", "cognigy-system"];
/// One of each kind, as `kubectl get` names them.
const OBJECTS: [&str; 3] = ["cognigytenant/production", "retrypolicy/patient", "cognigywebhook/order-fulfillment"];

async fn plane() -> ControlPlane {
    let assets = ControlPlane::shared().await.unwrap().assets().clone();
    ControlPlane::start(Options::new(assets)).await.unwrap()
}

async fn release(plane: &ControlPlane, verb: &str, more: &[&str]) -> String {
    helm(plane, &[&[verb], &RELEASE[..], more].concat()).await.unwrap_or_else(|told| panic!("helm {verb}: {told}"))
}

async fn get(plane: &ControlPlane, arguments: &[&str]) -> Value {
    serde_json::from_str(&kubectl(plane, &[&["get", "--output", "json"], arguments].concat()).await).unwrap()
}

/// The uids of the users' objects, which tell an object from one that was made anew.
async fn uids(plane: &ControlPlane) -> Vec<Value> {
    let mut uids = Vec::new();
    for object in OBJECTS {
        uids.push(get(plane, &[object, "--namespace", "cx"]).await["metadata"]["uid"].clone());
    }
    uids
}

/// What a user has: the examples of the repository, in a namespace.
async fn apply_examples(plane: &ControlPlane) {
    kubectl(plane, &["create", "namespace", "cx"]).await;
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    kubectl(plane, &["apply", "--namespace", "cx", "--filename", examples.to_str().unwrap()]).await;
}

/// Neither the Deployment controller nor a kubelet runs here: this tells what they would, once the Deployment is there.
async fn be_available(plane: &ControlPlane) {
    let name = ["deployment", "cognigy-operator", "--namespace", "cognigy-system"];
    let mut found = Err(String::new());
    eventually("there is a Deployment", async || {
        let mut get = plane.kubectl();
        get.args(["get", "--output", "json"]).args(name);
        found = output(get).await;
        found.is_ok()
    })
    .await;
    let deployment: Value = serde_json::from_str(&found.unwrap()).unwrap();
    let condition = |kind: &str, reason: &str| {
        let when = "2026-01-01T00:00:00Z";
        json!({"type": kind, "status": "True", "reason": reason, "lastUpdateTime": when, "lastTransitionTime": when})
    };
    let replicas = &deployment["spec"]["replicas"];
    let status = json!({"status": {
        "observedGeneration": deployment["metadata"]["generation"],
        "replicas": replicas, "updatedReplicas": replicas, "readyReplicas": replicas, "availableReplicas": replicas,
        "conditions": [condition("Available", "MinimumReplicasAvailable"), condition("Progressing", "NewReplicaSetAvailable")],
    }});
    let patch = ["--subresource=status", "--type=merge", "--patch", &status.to_string()];
    kubectl(plane, &[&["patch"], &name[..], &patch].concat()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_keeps_every_object_and_uninstalling_keeps_definitions_and_objects() {
    let plane = plane().await;
    let (previous, current) = (beside("fixtures/previous.tgz"), folder());
    let (previous, current) = (previous.to_str().unwrap(), current.to_str().unwrap());
    release(&plane, "install", &[previous, "--create-namespace"]).await;
    apply_examples(&plane).await;
    let before = uids(&plane).await;

    release(&plane, "upgrade", &[current]).await;
    assert_eq!(uids(&plane).await, before);
    let mut diff = plane.kubectl();
    diff.args(["get", "crd", "cognigywebhooks.cognigy.io", "--output", "jsonpath={.metadata.labels.helm\\.sh/chart}"]);
    assert_eq!(output(diff).await.unwrap(), concat!("cognigy-operator-", env!("CARGO_PKG_VERSION")));

    let told = release(&plane, "uninstall", &["--wait", "--timeout", "90s"]).await;
    assert!(told.contains("kept due to the resource policy") && told.contains("cognigywebhooks.cognigy.io"), "{told}");
    assert_eq!(uids(&plane).await, before);
    let left = [
        "deployments,services,serviceaccounts,roles,rolebindings,clusterroles,clusterrolebindings",
        "--all-namespaces",
    ];
    let left = get(&plane, &[&left[..], &["--selector", "app.kubernetes.io/instance=cognigy-operator"]].concat()).await;
    assert_eq!(left["items"], json!([]));
    for (object, uid) in OBJECTS.iter().zip(&before) {
        let object = get(&plane, &[object, "--namespace", "cx"]).await;
        assert!(object["metadata"]["deletionTimestamp"].is_null() && &object["metadata"]["uid"] == uid);
    }

    // It comes back to what it left, elsewhere only when it is told that this is meant.
    let elsewhere = ["install", "other", current, "--namespace", "cx"];
    let refused = helm(&plane, &elsewhere).await.unwrap_err();
    assert!(refused.contains("invalid ownership metadata"), "{refused}");
    release(&plane, "install", &[current]).await;
    release(&plane, "uninstall", &[]).await;
    helm(&plane, &[&elsewhere[..], &["--take-ownership"]].concat()).await.unwrap();
    assert_eq!(uids(&plane).await, before);
    let kinds = "cognigywebhooks,cognigytenants,retrypolicies";
    kubectl(&plane, &["delete", kinds, "--all", "--all-namespaces", "--timeout=90s"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn plain_manifests_install_the_same_and_helm_can_take_them_over() {
    let plane = plane().await;
    let manifests = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/install.yaml");
    kubectl(&plane, &["apply", "--server-side", "--filename", manifests.to_str().unwrap()]).await;
    kubectl(&plane, &["wait", "--for=condition=Established", "crd", "--all", "--timeout=90s"]).await;
    apply_examples(&plane).await;
    let before = uids(&plane).await;
    let account = "system:serviceaccount:cognigy-system:cognigy-operator";
    let may = ["auth", "can-i", "patch", "cognigywebhooks.cognigy.io", "--all-namespaces", "--as", account];
    assert_eq!(kubectl(&plane, &may).await.trim(), "yes");
    let chart = folder();
    release(&plane, "install", &[chart.to_str().unwrap(), "--take-ownership", "--force-conflicts"]).await;
    assert_eq!(uids(&plane).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn helm_waits_for_the_operator_and_the_notes_say_what_comes_next() {
    let plane = plane().await;
    // The command of the README, word by word.
    let readme = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let command = readme.lines().find_map(|line| line.strip_prefix("helm ")).unwrap();
    let mut install = plane.helm().unwrap();
    install.args(command.split_whitespace()).current_dir(env!("CARGO_MANIFEST_DIR"));
    let (told, ()) = tokio::join!(output(install), be_available(&plane));
    let told = told.unwrap();
    assert!(told.contains("STATUS: deployed"), "{told}");
    for command in [
        "kubectl -n cognigy-system rollout status deployment/cognigy-operator",
        "kubectl -n cognigy-system get lease cognigy-operator-all-8a5edab2",
        "kubectl -n cx create secret generic cognigy-oauth --from-literal=client-id=",
        "kubectl get cognigytenants,retrypolicies,cognigywebhooks -A",
    ] {
        assert!(told.contains(command), "{told}");
    }
    // What the notes name is there.
    let rollout =
        ["rollout", "status", "deployment/cognigy-operator", "--namespace", "cognigy-system", "--timeout=90s"];
    assert!(kubectl(&plane, &rollout).await.contains("successfully rolled out"));
    kubectl(&plane, &["get", "cognigytenants,retrypolicies,cognigywebhooks", "-A"]).await;
    assert!(Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/1-tenant.yaml").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn users_with_view_edit_and_admin_may_read_and_write_the_custom_resources() {
    let plane = plane().await;
    let chart = folder();
    release(&plane, "install", &[chart.to_str().unwrap(), "--create-namespace"]).await;
    kubectl(&plane, &["create", "namespace", "cx"]).await;
    let roles = get(&plane, &["clusterroles", "--selector", "app.kubernetes.io/instance=cognigy-operator"]).await;
    for (user, verbs, refused) in [
        ("view", &["get", "list", "watch"][..], Some("create")),
        ("edit", &["create", "delete", "get", "patch"], None),
        ("admin", &["update", "watch"], None),
    ] {
        // No controller-manager runs here: what it would gather by this label is bound one by one.
        let label = format!("rbac.authorization.k8s.io/aggregate-to-{user}");
        let gathered =
            roles["items"].as_array().unwrap().iter().filter(|role| role["metadata"]["labels"][&label] == "true");
        for (number, role) in gathered.enumerate() {
            let (binding, role) =
                (format!("{user}-{number}"), format!("--clusterrole={}", role["metadata"]["name"].as_str().unwrap()));
            kubectl(
                &plane,
                &["create", "rolebinding", &binding, &role, &format!("--user={user}"), "--namespace", "cx"],
            )
            .await;
        }
        let may = async |verb: &str, resource: &str| {
            let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
            let mut ask = plane.kubectl();
            ask.args(["auth", "can-i", verb, resource, "--subresource", subresource]);
            ask.args(["--namespace", "cx", "--as", user]);
            output(ask).await.is_ok()
        };
        for resource in ["cognigytenants.cognigy.io", "retrypolicies.cognigy.io", "cognigywebhooks.cognigy.io"] {
            for verb in verbs {
                assert!(may(verb, resource).await, "{user} {verb} {resource}");
            }
            if let Some(verb) = refused {
                assert!(!may(verb, resource).await, "{user} {verb} {resource}");
            }
        }
        assert!(!may("patch", "cognigywebhooks.cognigy.io/status").await, "the status is the operator's");
        assert!(!may("get", "secrets").await, "{user}");
    }
}
