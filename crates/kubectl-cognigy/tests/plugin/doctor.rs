//! `doctor`. No controllers run here: what a kubelet and the Deployment's controller would write, the tests write.

use cognigy_operator::{
    api::{self, CognigyTenant},
    cluster::lease::lease_name,
};
use cognigy_simulator::{Answer, Fault, Options, Route};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::{
    api::apps::v1::Deployment, apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Api, ResourceExt as _,
    api::{Patch, PatchParams},
};
use serde_json::{Value, json};

use crate::{
    harness::{World, world, world_on_its_own_plane, world_without_operator},
    plugin::Ran,
    scrub::scrub,
};

impl World {
    /// What the chart would install for this namespace, up and running; `rules` are what its service account may do.
    async fn install_operator(&self, rules: Value) {
        let image = format!("cognigy-operator:{}", env!("CARGO_PKG_VERSION"));
        let args = ["run", &format!("--watch-namespaces={}", self.namespace), "--leader-elect"];
        let labels = json!({"app.kubernetes.io/name": "cognigy-operator"});
        let pod =
            json!({"serviceAccountName": "hooks", "containers": [{"name": "operator", "image": image, "args": args}]});
        let template = json!({"metadata": {"labels": labels}, "spec": pod});
        let spec = json!({"replicas": 2, "selector": {"matchLabels": labels}, "template": template});
        self.apply(json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "hooks", "labels": labels}, "spec": spec}))
            .await;
        self.tell_available(2).await;
        self.lease(SignedDuration::ZERO).await;
        let group = "rbac.authorization.k8s.io";
        let subjects = json!([{"kind": "ServiceAccount", "name": "hooks", "namespace": self.namespace}]);
        let role = json!({"kind": "Role", "name": "hooks", "apiGroup": group});
        let metadata = json!({"name": "hooks"});
        let version = format!("{group}/v1");
        self.apply(json!({"apiVersion": version, "kind": "Role", "metadata": metadata, "rules": rules})).await;
        self.apply(json!({"apiVersion": version, "kind": "RoleBinding", "metadata": metadata, "roleRef": role, "subjects": subjects}))
            .await;
    }

    /// An installation that runs while one tenant is refused, one webhook has given up, and its letter waits.
    pub async fn troubled(&self) {
        self.install_operator(rules()).await;
        let sinks = json!({"deadLetter": {"url": self.https_sink_url("letters")}});
        self.tenant("production", json!({"circuitBreaker": {"failureThreshold": 100}, "sinks": sinks})).await;
        self.credentials("staging").await;
        let auth = json!({"oauth2": {"credentialsSecretRef": {"name": "staging"}}});
        self.tenant("staging", json!({"auth": auth})).await;
        let unchecked = json!({"disabled": true});
        self.webhook("orders", json!({"healthCheck": unchecked})).await;
        self.webhook("refunds", json!({"healthCheck": unchecked, "tenantRef": {"name": "staging"}})).await;
        for name in ["orders", "refunds"] {
            self.until_reason(name, "Active").await;
        }
        self.policy("quick", json!({"intervalsMs": [50, 100]})).await;
        self.sink("letters").answer(Answer::status(503));
        self.fault(Fault::on(Route::CreateIntegration).status(503));
        self.webhook("payments", json!({"retryPolicyRef": {"name": "quick"}})).await;
        self.until_reason("payments", "RetriesExhausted").await;
        self.secret("staging", &[("client-id", "nobody"), ("client-secret", "nothing")]).await;
        self.until_tenant("staging", "Unauthorized").await;
        self.eventually("the sink's error is told", async || self.finds("messages", "503").await).await;
    }

    /// So many pods serve.
    pub async fn tell_available(&self, pods: i32) {
        let (status, message) = if pods > 0 { ("True", "Enough.") } else { ("False", "No pod is available.") };
        let condition = json!({"type": "Available", "status": status, "message": message});
        let status = json!({"status": {"replicas": 2, "availableReplicas": pods, "readyReplicas": pods, "conditions": [condition]}});
        let parameters = PatchParams::default();
        self.api::<Deployment>().patch_status("hooks", &parameters, &Patch::Merge(&status)).await.unwrap();
    }

    fn lease_name(&self) -> String {
        lease_name(std::slice::from_ref(&self.namespace), None)
    }

    /// The Lease as a leader left it so long ago; one that lasts longer than any test.
    async fn lease(&self, ago: SignedDuration) {
        let renewed = (Timestamp::now() - ago).strftime("%FT%T.000000Z").to_string();
        let spec = json!({"holderIdentity": "hooks-1_2f", "leaseDurationSeconds": 600, "renewTime": renewed});
        let metadata = json!({"name": self.lease_name()});
        self.apply(
            json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": spec}),
        )
        .await;
    }

    /// What the golden output cannot have.
    fn golden(&self, ran: &Ran) -> String {
        let lease = self.lease_name();
        let known = [(lease.as_str(), "LEASE"), (env!("CARGO_PKG_VERSION"), "VERSION")];
        // The Lease's name has the namespace in it, which would be taken out first.
        scrub(self, &known.iter().fold(ran.out.clone(), |text, (value, name)| text.replace(value, name)), &[])
    }

    /// Whether doctor tells a finding of this check with these words.
    async fn finds(&self, check: &str, words: &str) -> bool {
        let report = checks(&self.plugin(&["doctor", "-o", "json"]).await);
        let finding = |one: &&Value| one["name"] == check && one["result"] == "finding";
        report.iter().filter(finding).any(|one| one["message"].as_str().unwrap().contains(words))
    }
}

/// The rules of the chart, as they are granted, and those for the Lease.
fn rules() -> Value {
    let template = include_str!("../../../../deploy/helm/cognigy-operator/templates/_rules.tpl");
    let (_, rules) = template.split_once("{{- define \"cognigy-operator.rules\" -}}").unwrap();
    let mut rules: Vec<Value> = serde_saphyr::from_str(rules.split_once("{{- end -}}").unwrap().0).unwrap();
    let lease = json!(["get", "watch", "update", "create"]);
    rules.push(json!({"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": lease}));
    json!(rules)
}

fn checks(ran: &Ran) -> Vec<Value> {
    let report: Value = serde_json::from_str(&ran.out).unwrap_or_else(|error| panic!("{error}: {ran:?}"));
    report["checks"].as_array().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sound_installation_is_told_to_be_sound() {
    world(Options::default(), async |world| {
        world.install_operator(rules()).await;
        world.tenant("production", json!({})).await;
        world.webhook("orders", json!({"healthCheck": {"disabled": true}})).await;
        world.until_reason("orders", "Active").await;
        world.until_tenant("production", "Connected").await;
        let told = world.plugin(&["doctor"]).await;
        assert_eq!(told.code, 0, "{told:?}");
        insta::assert_snapshot!("doctor_sound", world.golden(&told));
        let yaml = world.plugin(&["doctor", "-o", "yaml"]).await.good();
        let report: Value = serde_saphyr::from_str(&yaml).unwrap();
        assert!(report["checks"].as_array().unwrap().iter().all(|check| check["result"] == "ok"), "{yaml}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tenants_that_are_refused_webhooks_that_stall_and_letters_that_wait_are_findings_with_remedies() {
    world(Options::default(), async |world| {
        world.troubled().await;
        let told = world.plugin(&["doctor", "-o", "json"]).await;
        assert_eq!(told.code, 1, "{told:?}");
        let found: Vec<Value> = checks(&told).into_iter().filter(|check| check["result"] == "finding").collect();
        let names: Vec<&str> = found.iter().map(|check| check["name"].as_str().unwrap()).collect();
        assert_eq!(names, ["tenants", "webhooks", "messages"]);
        let tenant = json!([{"kind": "CognigyTenant", "namespace": world.namespace, "name": "staging"}]);
        assert_eq!(found[0]["objects"], tenant);
        assert!(found[0]["message"].as_str().unwrap().contains("Unauthorized"), "{found:?}");
        assert_eq!(found[0]["remedy"], format!("kubectl cognigy status ctenant/staging -n {}", world.namespace));
        assert!(found[1]["message"].as_str().unwrap().contains("stalled: RetriesExhausted"), "{found:?}");
        assert!(found[2]["remedy"].as_str().unwrap().contains("dead-letters show payments"), "{found:?}");
        let whole = found[0]["message"].as_str().unwrap();
        assert!(!world.plugin(&["doctor"]).await.out.contains(whole), "a table is cut");
        assert!(world.plugin(&["doctor", "-o", "wide"]).await.out.contains(whole));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_that_is_missing_or_down_and_a_lease_that_is_stale_are_findings() {
    world_without_operator(Options::default(), async |world| {
        let told = world.plugin(&["doctor"]).await;
        assert_eq!(told.code, 1, "{told:?}");
        insta::assert_snapshot!("doctor_nothing_installed", world.golden(&told));
        assert!(world.finds("operator", "there is no Deployment").await);

        world.install_operator(rules()).await;
        assert_eq!(world.plugin(&["doctor"]).await.code, 0);
        world.tell_available(0).await;
        assert!(world.finds("operator", "0 of 2 pods available: No pod is available.").await);
        world.tell_available(2).await;
        world.lease(SignedDuration::from_hours(1)).await;
        assert!(world.finds("leader", "its holder hooks-1 is gone").await);
        // Objects are elsewhere than their operator.
        let other = world.another_namespace(&[]).await;
        let told =
            world.plugin(&["doctor", "-n", &other, "--operator-namespace", &world.namespace, "-o", "json"]).await;
        let names: Vec<Value> =
            checks(&told).into_iter().filter(|one| one["result"] == "finding").map(|one| one["name"].clone()).collect();
        assert_eq!(names, ["leader"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rights_that_the_service_account_lacks_are_named() {
    world_without_operator(Options::default(), async |world| {
        let mut rules = rules();
        for rule in rules.as_array_mut().unwrap() {
            let resources = rule["resources"].as_array_mut().unwrap();
            resources.retain(|resource| resource != "cognigywebhooks/status" && resource != "events");
        }
        let granted: Vec<Value> =
            rules.as_array().unwrap().iter().filter(|rule| rule["resources"] != json!([])).cloned().collect();
        world.install_operator(json!(granted)).await;
        let told = checks(&world.plugin(&["doctor", "-o", "json"]).await);
        let rights: Vec<&Value> = told.iter().filter(|check| check["name"] == "rights").collect();
        let account = format!("{}/hooks", world.namespace);
        let lacking = "patch cognigywebhooks.cognigy.io/status, create events.events.k8s.io";
        let message = format!("the service account {account} must not do in namespace {}: {lacking}", world.namespace);
        assert_eq!((rights.len(), &rights[0]["message"]), (1, &json!(message)));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn definitions_that_lack_a_field_or_are_not_there_are_findings() {
    world_on_its_own_plane(Options::default(), async |world| {
        let api = Api::<CustomResourceDefinition>::all(world.client.clone());
        let webhooks = api::crds().into_iter().find(|crd| crd.spec.names.kind == "CognigyWebhook").unwrap();
        let mut older = serde_json::to_value(&webhooks).unwrap();
        let spec = &mut older["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"];
        spec["properties"].as_object_mut().unwrap().remove("payloadFormat");
        let rules = spec["x-kubernetes-validations"].as_array_mut().unwrap();
        rules.retain(|rule| !rule["rule"].as_str().unwrap().contains("payloadFormat"));
        let parameters = PatchParams::apply("tests").force();
        api.patch(&webhooks.name_any(), &parameters, &Patch::Apply(&older)).await.unwrap();
        let lacks = "cognigywebhooks.cognigy.io is too old: it lacks spec.payloadFormat";
        world.eventually("the older definition is published", async || world.finds("definitions", lacks).await).await;

        api.delete("retrypolicies.cognigy.io", &kube::api::DeleteParams::default()).await.unwrap();
        let gone = "retrypolicies.cognigy.io is not installed";
        world.eventually("a definition is not served", async || world.finds("definitions", gone).await).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_server_that_is_not_there_is_no_finding() {
    world_on_its_own_plane(Options::default(), async |world| {
        assert_eq!(world.api::<CognigyTenant>().list(&kube::api::ListParams::default()).await.unwrap().items.len(), 0);
        world.plane.stop_apiserver().await.unwrap();
        let told = world.plugin(&["doctor"]).await;
        assert_eq!((told.code, told.out.as_str()), (2, ""), "{told:?}");
        assert!(told.err.starts_with("error: cannot talk to the cluster: "), "{told:?}");
        world.plane.start_apiserver().await.unwrap();
    })
    .await;
}
