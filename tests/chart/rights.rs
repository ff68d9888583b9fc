//! The operator as its own service account, with its Deployment's own arguments: nothing that it asks for is refused, and nothing
//! that the chart grants goes unused.

use std::collections::BTreeSet;

use cognigy_operator::api::{CognigyTenant, CognigyWebhook};
use cognigy_simulator::Options;
use serde_json::{Value, json};

use crate::{
    chart::{arguments, eventually, folder, helm, kubectl},
    harness::{World, world_on_its_own_plane, world_without_operator},
    program::{Program, free_address},
};

/// A release of the chart, and the operators that its Deployment would run.
struct Installed {
    /// The release's namespace.
    namespace: String,
    /// The name of the operator's user.
    user: String,
    leader: Program,
    standby: Program,
    /// Its kubeconfig.
    files: tempfile::TempDir,
}

/// One right: API group, resource with subresource, verb.
type Right = (String, String, String);

impl World {
    /// Installs the chart as `hooks` in a namespace of its own, and starts two operators as its Deployment says.
    async fn install(&self, values: &[&str]) -> Installed {
        let (namespace, chart) = (self.another_namespace(&[]).await, folder());
        let release = ["install", "hooks", chart.to_str().unwrap(), "--namespace", &namespace];
        let fixed = ["--set", "crds.enabled=false", "--set", "allowPrivateCallbacks={127.0.0.0/8}"];
        let values: Vec<_> = values.iter().flat_map(|value| ["--set", value]).collect();
        helm(&self.plane, &[&release[..], &fixed, &values].concat()).await.unwrap();

        let get = ["get", "deployment", "--namespace", &namespace, "hooks-cognigy-operator", "--output", "json"];
        let deployment: Value = serde_json::from_str(&kubectl(&self.plane, &get).await).unwrap();
        let account = deployment["spec"]["template"]["spec"]["serviceAccountName"].as_str().unwrap();
        let token = kubectl(&self.plane, &["create", "token", account, "--namespace", &namespace]).await;
        let files = tempfile::tempdir().unwrap();
        let (ca, kubeconfig) = (files.path().join("ca.crt"), files.path().join("kubeconfig"));
        std::fs::write(&ca, self.plane.ca_pem()).unwrap();
        let config = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "pod",
            "contexts": [{"name": "pod", "context": {"cluster": "pod", "user": "pod"}}],
            "clusters": [{"name": "pod", "cluster": {"server": self.plane.url(), "certificate-authority": ca}}],
            "users": [{"name": "pod", "user": {"token": token.trim()}}],
        });
        std::fs::write(&kubeconfig, config.to_string()).unwrap();
        let arguments = arguments(&deployment);
        // Pods have an address each, these have a port each.
        let start = || {
            let http = free_address();
            let listen = format!("--http-listen={http}");
            let arguments: Vec<_> = arguments.iter().map(String::as_str).chain([listen.as_str()]).collect();
            Program::start_exactly(&kubeconfig, &http, &arguments, &[])
        };
        let leader = start();
        leads(&leader).await;
        let standby = start();
        standby.ready().await;
        let said = async || standby.lines().iter().any(|line| line.contains("standing by"));
        eventually("the second one stands by", said).await;
        let user = format!("system:serviceaccount:{namespace}:{account}");
        Installed { namespace, user, leader, standby, files }
    }

    /// What a user asked the API server for, and where; it is an error that anything of it was refused.
    fn used(&self, user: &str) -> BTreeSet<(Right, Option<String>)> {
        let events = self.plane.audit_events().unwrap();
        let own: Vec<_> = events.into_iter().filter(|event| event.user == user).collect();
        let refused: Vec<_> = own.iter().filter(|event| event.code == 401 || event.code == 403).collect();
        assert!(refused.is_empty(), "{refused:#?}");
        let resources = own.into_iter().filter(|event| !event.resource.is_empty());
        resources
            .map(|event| {
                let resource = match event.subresource {
                    Some(subresource) => format!("{}/{subresource}", event.resource),
                    None => event.resource,
                };
                ((event.group, resource, event.verb), event.namespace)
            })
            .collect()
    }

    /// What the rules of a release's roles grant.
    async fn granted(&self, release: &str) -> BTreeSet<Right> {
        let mut rights = BTreeSet::new();
        let get = ["get", "clusterroles,roles", "--all-namespaces", "--output", "json"];
        let roles: Value = serde_json::from_str(&kubectl(&self.plane, &get).await).unwrap();
        let name = format!("hooks-cognigy-operator-{release}");
        let own = roles["items"].as_array().unwrap().iter().filter(|role| {
            let role = &role["metadata"];
            let elects = role["name"] == "hooks-cognigy-operator-leader-election" && role["namespace"] == release;
            role["name"] == name.as_str() || elects
        });
        for rule in own.flat_map(|role| role["rules"].as_array().unwrap()) {
            let texts = |key: &str| -> Vec<String> { serde_json::from_value(rule[key].clone()).unwrap() };
            for group in texts("apiGroups") {
                for resource in texts("resources") {
                    rights.extend(texts("verbs").into_iter().map(|verb| (group.clone(), resource.clone(), verb)));
                }
            }
        }
        assert!(!rights.is_empty(), "{name} has no role");
        rights
    }

    /// An object with a label by which this world's operator can be told to take care of it.
    async fn labelled(&self, namespace: &str, kind: &str, name: &str, spec: Value) {
        let metadata = json!({"name": name, "labels": {"world": self.namespace}});
        self.apply_in(
            namespace,
            json!({"apiVersion": "cognigy.io/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec}),
        )
        .await;
    }

    fn tenant_spec(&self, requests_per_minute: usize) -> Value {
        json!({
            "baseUrl": self.https_base_url().unwrap(),
            "auth": {"oauth2": {"credentialsSecretRef": {"name": "cognigy-oauth"}}},
            "caBundle": {"configMapRef": {"name": "simulator-ca", "key": "ca.crt"}},
            "limits": {"requestsPerMinute": requests_per_minute, "burst": 1000},
            "callbacks": {"allowPrivateNetworks": true},
            "allowedNamespaces": {"from": "Selector", "selector": {"matchLabels": {"team": "cx"}}},
        })
    }

    fn webhook_spec(&self, name: &str, edit: usize) -> Value {
        json!({
            "tenantRef": {"name": "production", "namespace": self.namespace},
            "url": self.sim.callback_url(name),
            "headers": {"X-Edit": edit.to_string()},
            "headersFrom": [{"name": "X-Api-Key", "secretKeyRef": {"name": "hook", "key": "api-key"}}],
            "retryPolicyRef": {"name": "patient"},
        })
    }

    /// Changes the object of this kind; another number is another spec.
    async fn edit(&self, plural: &str, number: usize) {
        let (kind, name, spec) = match plural {
            "cognigytenants" => ("CognigyTenant", "production", self.tenant_spec(50000 + number)),
            "retrypolicies" => ("RetryPolicy", "patient", json!({"intervalsMs": [50 + number % 50, 200, 400]})),
            _ => ("CognigyWebhook", "orders", self.webhook_spec("orders", number)),
        };
        self.labelled(&self.namespace, kind, name, spec).await;
    }

    /// Everything that an operator does: with a tenant and a webhook here, and a webhook in `other`.
    async fn whole_life(&self, other: &str, user: &str) {
        self.labelled(&self.namespace, "CognigyTenant", "production", self.tenant_spec(60000)).await;
        for (namespace, name) in [(self.namespace.as_str(), "orders"), (other, "refunds")] {
            let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "hook"}, "stringData": {"api-key": "k-1"}});
            self.apply_in(namespace, secret).await;
            self.labelled(namespace, "RetryPolicy", "patient", json!({"intervalsMs": [50, 100, 200]})).await;
            self.labelled(namespace, "CognigyWebhook", name, self.webhook_spec(name, 0)).await;
        }
        self.until_reason("orders", "Active").await;
        self.until_reason_in(other, "refunds", "Active").await;
        // An object whose last write the watch has not shown yet is read again: edits in quick succession meet that.
        for plural in ["cognigytenants", "retrypolicies", "cognigywebhooks"] {
            let read = ("cognigy.io".to_owned(), plural.to_owned(), "get".to_owned());
            let mut edit = 0;
            eventually(&format!("one of the {plural} is read again"), async || {
                for _ in 0..5 {
                    edit += 1;
                    self.edit(plural, edit).await;
                }
                self.used(user).iter().any(|(right, _)| *right == read)
            })
            .await;
        }
        self.until_reason("orders", "Active").await;
        self.delete::<CognigyWebhook>("orders").await;
        kubectl(&self.plane, &["delete", "cognigywebhook", "refunds", "--namespace", other]).await;
        self.until_gone::<CognigyWebhook>("orders").await;
        self.delete::<CognigyTenant>("production").await;
        self.until_gone::<CognigyTenant>("production").await;
        assert_eq!(self.integrations(), [], "nothing is left in Cognigy");
    }
}

/// Waits until it does the work.
async fn leads(program: &Program) {
    program.until("/metrics", |_, text| text.lines().any(|line| line == "cognigy_operator_leader 1")).await;
}

/// SIGTERM, and the end that it should have.
async fn ends(program: Program) {
    program.terminate();
    let (status, lines) = program.end().await;
    assert_eq!(status.code(), Some(0), "{}", lines.join("\n"));
}

/// A whole life in a release with these values: what is granted is what is used.
async fn life_in_a_release(world: &World, other: &str, values: &[&str]) {
    let Installed { namespace, user, leader, standby, files: _files } = world.install(values).await;
    world.whole_life(other, &user).await;
    ends(leader).await;
    leads(&standby).await;
    ends(standby).await;
    let granted = world.granted(&namespace).await;
    let used = || -> BTreeSet<Right> { world.used(&user).into_iter().map(|(right, _)| right).collect() };
    // A watch is in the log when it has ended. What is unused then is one right too many.
    let watches = |rights: &BTreeSet<Right>| rights.iter().filter(|(_, _, verb)| verb == "watch").count();
    eventually("the watches are in the log", async || watches(&used()) == watches(&granted)).await;
    assert_eq!(granted, used());
}

#[tokio::test(flavor = "multi_thread")]
async fn installed_for_the_cluster_the_operator_uses_each_of_its_rights_and_needs_no_other() {
    world_on_its_own_plane(Options::default(), async |world| {
        let other = world.another_namespace(&[("team", "cx")]).await;
        life_in_a_release(world, &other, &[]).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn installed_for_a_label_the_operator_uses_each_of_its_rights_and_needs_no_other() {
    world_without_operator(Options::default(), async |world| {
        let other = world.another_namespace(&[("team", "cx")]).await;
        life_in_a_release(world, &other, &[&format!("watchLabelSelector=world={}", world.namespace)]).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn installed_for_namespaces_the_operator_needs_no_right_in_the_cluster() {
    world_without_operator(Options::default(), async |world| {
        let other = world.another_namespace(&[("team", "cx")]).await;
        let watched = format!("watchNamespaces={{{},{other}}}", world.namespace);
        life_in_a_release(world, &other, &["rbac.namespaced=true", &watched]).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_release_with_another_scope_runs_beside_the_first() {
    world_without_operator(Options::default(), async |world| {
        let second = world.another_namespace(&[]).await;
        let scopes = [world.namespace.clone(), second.clone()];
        let mut installed = Vec::new();
        for scope in &scopes {
            // The credentials and the certificate that the first namespace has already.
            let credentials = world.sim.credentials();
            let data = json!({"client-id": credentials.client_id, "client-secret": credentials.client_secret});
            let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "cognigy-oauth"}, "stringData": data});
            world.apply_in(scope, secret).await;
            let data = json!({"ca.crt": world.ca_pem()});
            world.apply_in(scope, json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "simulator-ca"}, "data": data})).await;
            installed.push(world.install(&["rbac.namespaced=true", &format!("watchNamespaces={{{scope}}}")]).await);
        }
        for (scope, name) in scopes.iter().zip(["orders", "refunds"]) {
            world.labelled(scope, "CognigyTenant", "production", world.tenant_spec(60000)).await;
            let spec = json!({"tenantRef": {"name": "production"}, "url": world.sim.callback_url(name)});
            world.labelled(scope, "CognigyWebhook", name, spec).await;
        }
        for (scope, name) in scopes.iter().zip(["orders", "refunds"]) {
            world.until_reason_in(scope, name, "Active").await;
        }
        for (scope, Installed { namespace, user, leader, standby, .. }) in scopes.iter().zip(installed) {
            ends(standby).await;
            ends(leader).await;
            let places: BTreeSet<_> = world.used(&user).into_iter().map(|(_, namespace)| namespace.unwrap_or_default()).collect();
            assert_eq!(places, BTreeSet::from([scope.clone(), namespace]), "its Lease is in its own");
        }
        assert_eq!(world.integrations().len(), 2, "each was registered once");
    })
    .await;
}
