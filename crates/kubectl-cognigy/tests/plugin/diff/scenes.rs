//! One scene for each thing that is told.

use std::{fs, path::Path};

use cognigy_operator::api::CognigyWebhook;
use cognigy_simulator::{Options, Route};
use control_plane::User;
use serde_json::{Value, json};

use crate::{
    harness::{World, condition, world, world_without_operator},
    plugin::{Ran, command, ran},
};

/// What no output may show.
const KEY: &str = "k3y-that-nobody-may-see";

impl World {
    /// The tenant and a policy.
    async fn stage(&self) {
        self.tenant("production", json!({})).await;
        self.policy("patient", json!({"intervalsMs": [1000, 2500]})).await;
        self.secret("orders-hook", &[("api-key", KEY)]).await;
    }

    /// The manifest of a webhook with everything.
    fn manifest(&self, version: i64) -> Value {
        json!({
            "apiVersion": "cognigy.io/v1alpha1", "kind": "CognigyWebhook",
            "metadata": {"name": "orders", "namespace": self.namespace},
            "spec": {
                "tenantRef": {"name": "production"}, "url": self.sim.callback_url("orders"), "version": version,
                "headers": {"X-Environment": "production"},
                "headersFrom": [{"name": "X-Api-Key", "secretKeyRef": {"name": "orders-hook", "key": "api-key"}}],
                "retryPolicyRef": {"name": "patient"},
            },
        })
    }

    /// What a person reads, with what varies replaced.
    fn shown(&self, ran: &Ran) -> String {
        let told = ran.out.replace(&self.namespace, "cx");
        told.replace(self.sim.callback_url("").as_str(), "https://api.example.com/hooks/")
    }

    /// Runs it for a person, who is nobody else to the API server.
    async fn read_by(&self, person: &str, arguments: &[&str]) -> Ran {
        let user = User::named(person).group("system:masters");
        let kubeconfig = self.plane.write_kubeconfig(&user).unwrap();
        let mut command = command();
        command.arg("--kubeconfig").arg::<&Path>(&kubeconfig).args(["--namespace", &self.namespace, "diff"]);
        ran(command.args(super::CALLBACKS).args(arguments)).await
    }
}

/// A folder with these manifests.
fn folder(manifests: &[Value]) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let documents: Vec<String> = manifests.iter().map(|one| serde_json::to_string(one).unwrap()).collect();
    fs::write(folder.path().join("all.yaml"), documents.join("\n---\n")).unwrap();
    let path = folder.path().to_str().unwrap().to_owned();
    (folder, path)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_is_told_step_by_step_while_nothing_is_written_anywhere() {
    world_without_operator(Options::default(), async |world| {
        world.stage().await;
        let (_folder, path) = folder(&[world.manifest(1)]);
        let person = format!("reader-of-{}", world.namespace);
        let ran = world.read_by(&person, &["-f", &path]).await;
        assert_eq!(ran.code, 1, "{ran:?}");
        assert!(!ran.out.contains(KEY), "{ran:?}");
        insta::assert_snapshot!("new_webhook", world.shown(&ran));
        let written: Vec<_> =
            world.requests().into_iter().filter(|one| one.route.is_some_and(Route::is_write)).collect();
        assert!(written.is_empty() && world.count(Route::ListIntegrations) > 0, "{written:?}");
        let told = world.plane.audit_events().unwrap().into_iter().filter(|event| event.user == person);
        let (written, read): (Vec<_>, Vec<_>) = told.partition(control_plane::AuditEvent::is_write);
        assert!(written.is_empty() && !read.is_empty(), "{written:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_as_it_should_be_ends_with_0_and_another_version_is_told_as_it_is_rolled_out() {
    world(Options::default(), async |world| {
        world.stage().await;
        world.apply(world.manifest(1)).await;
        world.until_reason("orders", "Active").await;
        let same = world.diff(&["orders"]).await;
        assert_eq!((same.code, &same.of("orders")["result"]), (0, &json!("same")), "{:#}", same.value);
        let (_folder, path) = folder(&[world.manifest(1)]);
        assert_eq!(world.diff(&["-f", &path]).await.code, 0);
        let (_folder, path) = folder(&[world.manifest(2)]);
        let ran = world.read_by("a-reader", &["-f", &path]).await;
        assert_eq!(ran.code, 1, "{ran:?}");
        insta::assert_snapshot!("another_version", world.shown(&ran));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_changed_in_cognigy_is_told_field_by_field_without_secrets() {
    world(Options::default(), async |world| {
        world.stage().await;
        world.apply(world.manifest(1)).await;
        let id = world.until_reason("orders", "Active").await.status.unwrap().webhook_id.unwrap();
        world.stop_operator().await;
        let change = json!({
            "url": "https://elsewhere.example.com/", "headers": {"X-Api-Key": "an0ther-key"},
            "retryPolicy": {"webhookId": id, "maxRetries": 1, "backoffType": "exponential", "intervalsMs": [70],
                "failureThresholdPercent": 15},
        });
        assert!(world.change_behind(&id, change));
        let ran = world.read_by("a-reader", &["orders"]).await;
        assert_eq!(ran.code, 1, "{ran:?}");
        assert!(!ran.out.contains(KEY) && !ran.out.contains("an0ther-key"), "{ran:?}");
        insta::assert_snapshot!("drift", world.shown(&ran));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stands_in_the_way_is_told_in_the_operators_own_words() {
    world(Options::default(), async |world| {
        world.stage().await;
        world.tenant("asleep", json!({"suspend": true})).await;
        world.tenant("strict", json!({"callbacks": {"allowedHosts": ["*.example.com"]}})).await;
        world.policy("linear", json!({"backoff": {"strategy": "Linear", "baseDelayMs": 1000, "maxDelayMs": 9000}})).await;
        world.add_integration(json!({"name": "taken", "version": 1, "url": "https://a.example.com/", "idempotencyKey": "taken:1", "status": "active"}));
        let key = json!([{"name": "X-Api-Key", "secretKeyRef": {"name": "missing", "key": "api-key"}}]);
        let scenes = [
            ("suspended", json!({"suspend": true}), "Suspended", 0),
            ("nowhere", json!({"tenantRef": {"name": "nobody"}}), "TenantNotFound", 1),
            ("asleep", json!({"tenantRef": {"name": "asleep"}}), "TenantNotReady", 2),
            ("forbidden", json!({"tenantRef": {"name": "strict"}}), "CallbackForbidden", 1),
            ("no-secret", json!({"headersFrom": key}), "SecretNotFound", 1),
            ("no-policy", json!({"retryPolicyRef": {"name": "missing"}}), "RetryPolicyNotFound", 1),
            ("linear", json!({"retryPolicyRef": {"name": "linear"}}), "RetryPolicyUnsupported", 1),
            ("taken", json!({}), "AlreadyExists", 1),
            ("rival", json!({"name": "suspended"}), "NameConflict", 1),
            ("watched", json!({"mode": "Observe"}), "DriftDetected", 1),
            (
                "gone",
                json!({"url": null, "existing": {"webhookId": "wh_gone"}, "retryPolicyRef": {"name": "patient"}}),
                "WebhookNotFound",
                1,
            ),
        ];
        for (name, spec, reason, code) in scenes {
            if name == "rival" {
                world.until_older(&world.get("suspended").await).await;
            }
            world.webhook(name, spec).await;
            let status = world.until_reason(name, reason).await.status.unwrap();
            let told = world.diff(&[name]).await;
            let (item, ready) = (told.of(name), condition(&status.conditions, "Ready").unwrap());
            let of_diff = (item["reason"].as_str().unwrap(), item["message"].as_str().unwrap());
            assert_eq!(of_diff, (reason, ready.message.as_str()));
            assert_eq!(told.code, code, "{item:#}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_only_observed_is_told_as_a_difference_of_which_nothing_is_written() {
    world(Options::default(), async |world| {
        world.stage().await;
        world.webhook("orders", json!({})).await;
        let id = world.until_reason("orders", "Active").await.status.unwrap().webhook_id.unwrap();
        world.webhook("orders", json!({"mode": "Observe"})).await;
        world.until_reason("orders", "Observing").await;
        assert!(world.change_behind(&id, json!({"url": "https://elsewhere.example.com/"})));
        let told = world.diff(&["orders"]).await;
        let difference = &told.of("orders")["differences"][0];
        assert_eq!((told.code, &difference["path"]), (1, &json!("url")), "{:#}", told.value);
        assert!(told.steps("orders").is_empty() && difference["actual"] == "https://elsewhere.example.com/");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_being_deleted_is_told_to_its_end() {
    world(Options::default(), async |world| {
        world.stage().await;
        world.webhook("orders", json!({})).await;
        world.until_reason("orders", "Active").await;
        world.stop_operator().await;
        world.delete::<CognigyWebhook>("orders").await;
        let told = world.diff(&["--all"]).await;
        assert_eq!((told.code, told.steps("orders")), (1, vec!["delete", "release"]), "{:#}", told.value);
        world.webhook("orders", json!({"deletionPolicy": "Orphan"})).await;
        let told = world.diff(&["--all"]).await;
        assert_eq!((told.code, told.steps("orders")), (0, vec!["release"]), "{:#}", told.value);
        assert_eq!(told.of("orders")["note"], "nothing is written to Cognigy");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_adopted_as_it_is_is_a_note_and_what_is_written_with_it_a_difference() {
    world_without_operator(Options::default(), async |world| {
        world.stage().await;
        let mut manifest = world.manifest(1);
        manifest["spec"].as_object_mut().unwrap().retain(|field, _| ["tenantRef", "url"].contains(&&**field));
        let (url, key) = (world.sim.callback_url("orders"), "orders:1");
        world.add_integration(
            json!({"name": "orders", "version": 1, "url": url, "idempotencyKey": key, "status": "active"}),
        );
        let (_folder, path) = folder(std::slice::from_ref(&manifest));
        let told = world.diff(&["-f", &path]).await;
        let orders = told.of("orders");
        assert_eq!((told.code, &orders["result"], told.steps("orders")), (0, &json!("same"), vec!["claim", "adopt"]));
        assert!(orders["note"].as_str().unwrap().contains("adopted as it is"), "{orders:#}");
        let shown = world.shown(&world.read_by("a-reader", &["-f", &path]).await);
        insta::assert_snapshot!("adopted", shown);
        manifest["spec"]["retryPolicyRef"] = json!({"name": "patient"});
        let (_folder, path) = folder(&[manifest]);
        let told = world.diff(&["-f", &path]).await;
        assert_eq!((told.code, told.steps("orders")), (1, vec!["claim", "adopt", "writeRetryPolicy"]));
        assert!(told.of("orders").get("note").is_none(), "{:#}", told.value);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_installation_that_does_not_answer_is_not_taken_for_one_without_differences() {
    world_without_operator(Options::default(), async |world| {
        world.stage().await;
        world.webhook("orders", json!({})).await;
        world.rotate_credentials();
        let told = world.diff(&["orders"]).await;
        assert_eq!((told.code, &told.of("orders")["result"]), (2, &json!("unknown")), "{:#}", told.value);
        let missing = world.plugin(&["diff", "no-such-webhook"]).await;
        assert!(missing.code == 2 && missing.err.contains("no-such-webhook"), "{missing:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pipeline_needs_no_cluster() {
    world(Options::default(), async |world| {
        world.stage().await;
        let mut spec = world.manifest(1);
        spec["spec"].as_object_mut().unwrap().remove("headersFrom");
        world.apply(spec.clone()).await;
        world.until_reason("orders", "Active").await;
        let tenant = json!({
            "apiVersion": "cognigy.io/v1alpha1", "kind": "CognigyTenant", "metadata": {"name": "production", "namespace": world.namespace},
            "spec": {
                "baseUrl": world.sim.https_base_url().unwrap(), "callbacks": {"allowPrivateNetworks": true},
                "auth": {"oauth2": {"credentialsSecretRef": {"name": "of-the-cluster"}}},
            },
        });
        let policy = json!({
            "apiVersion": "cognigy.io/v1alpha1", "kind": "RetryPolicy", "metadata": {"name": "patient", "namespace": world.namespace},
            "spec": {"intervalsMs": [1000, 2500]},
        });
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tenant.yaml");
        fs::write(&file, tenant.to_string()).unwrap();
        for (version, code, steps) in
            [(1, 0, vec![]), (2, 1, vec!["claim", "register", "writeRetryPolicy", "checkHealth", "activate", "deactivate"])]
        {
            let mut webhook = spec.clone();
            webhook["spec"]["version"] = json!(version);
            let (_folder, path) = self::folder(&[policy.clone(), webhook]);
            let mut command = command();
            let credentials = world.sim.credentials();
            command.env("COGNIGY_CLIENT_ID", credentials.client_id).env("COGNIGY_CLIENT_SECRET", &credentials.client_secret);
            command.args(["diff", "-o", "json", "-f", &path, "--tenant-file"]).arg(&file);
            command.arg("--ca-file").arg(world.sim.ca_file()).args(super::CALLBACKS);
            let ran = ran(&mut command).await;
            assert!(!ran.out.contains(&credentials.client_secret) && ran.code == code, "{ran:?}");
            let told = super::Told { code: ran.code, value: serde_json::from_str(&ran.out).unwrap() };
            assert_eq!(told.steps("orders"), steps, "{:#}", told.value);
        }
    })
    .await;
}

#[tokio::test]
async fn a_manifest_that_cannot_be_read_is_told_with_its_file_and_without_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("broken.yaml");
    for (text, says) in [
        ("a: [", "neither YAML nor JSON"),
        (
            "{apiVersion: cognigy.io/v1alpha1, kind: CognigyWebhook, metadata: {name: orders}, spec: {url: 3}}",
            "orders cannot be read",
        ),
        ("{apiVersion: v1, kind: Secret, metadata: {name: key}, data: {key: k3y-that-nobody-may-see}}", "not base64"),
    ] {
        fs::write(&file, text).unwrap();
        let ran = ran(command().args(["diff", "--tenant-file", "none.yaml", "-f"]).arg(&file)).await;
        assert!(ran.code == 2 && ran.err.contains("broken.yaml") && ran.err.contains(says), "{ran:?}");
        assert!(!ran.err.contains(KEY), "{ran:?}");
    }
    let told = async |recursive: &[&str]| {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("below")).unwrap();
        fs::write(folder.path().join("below/broken.yaml"), "a: [").unwrap();
        let mut command = command();
        ran(command.args(["diff", "--tenant-file", "none.yaml", "-f"]).arg(folder.path()).args(recursive)).await
    };
    let alone = told(&[]).await;
    assert!(alone.code == 2 && alone.err.contains("no .yaml, .yml or .json file in"), "{alone:?}");
    let deep = told(&["-R"]).await;
    assert!(deep.code == 2 && deep.err.contains("below/broken.yaml is neither YAML nor JSON"), "{deep:?}");
    let ran = ran(command().arg("diff")).await;
    assert!(ran.code == 2 && ran.err.contains("--filename"), "{ran:?}");
}
