//! `check`: manifests, judged without a cluster. That it judges single objects as the API server does is shown in
//! `tests/agreement/`.

use std::{fs, path::Path, process::Stdio};

use serde_json::Value;
use tokio::io::AsyncWriteExt as _;

use crate::plugin::{Ran, command, ran};

const TENANT: &str = "apiVersion: cognigy.io/v1alpha1
kind: CognigyTenant
metadata: {name: production, namespace: cx}
spec:
  baseUrl: https://cognigy.example.com
  auth: {apiKey: {secretRef: {name: cognigy-key}}}
  callbacks: {allowedHosts: ['*.example.com']}
";
const SECRET: &str = "apiVersion: v1
kind: Secret
metadata: {name: cognigy-key, namespace: cx}
stringData: {api-key: hunter2}
";

fn policy(name: &str, spec: &str) -> String {
    format!(
        "apiVersion: cognigy.io/v1alpha1\nkind: RetryPolicy\nmetadata: {{name: {name}, namespace: cx}}\nspec: {spec}\n"
    )
}

fn webhook(name: &str, spec: &str) -> String {
    format!(
        "apiVersion: cognigy.io/v1alpha1\nkind: CognigyWebhook\nmetadata: {{name: {name}, namespace: cx}}\nspec:\n  tenantRef: {{name: production}}\n{spec}"
    )
}

fn registered(name: &str) -> String {
    webhook(name, &format!("  url: https://api.example.com/{name}\n"))
}

/// Runs it in a folder with these files.
async fn check(files: &[(&str, String)], arguments: &[&str]) -> Ran {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    check_in(folder.path(), arguments).await
}

async fn check_in(folder: &Path, arguments: &[&str]) -> Ran {
    ran(command().current_dir(folder).args(["check", "-f", "."]).args(arguments)).await
}

/// The findings of a set that has tenant and Secret besides.
async fn findings(manifests: &[String], arguments: &[&str]) -> Vec<(String, String, String)> {
    let all = [&[TENANT.to_owned(), SECRET.to_owned()], manifests].concat().join("---\n");
    let ran = check(&[("all.yaml", all)], &[arguments, &["-o", "json"]].concat()).await;
    let report: Value = serde_json::from_str(&ran.out).unwrap_or_else(|error| panic!("{error}: {ran:?}"));
    let findings = report["findings"].as_array().unwrap();
    assert_eq!(ran.code, i32::from(!findings.is_empty()), "{ran:?}");
    let text = |finding: &Value, field: &str| finding[field].as_str().unwrap().to_owned();
    findings.iter().map(|finding| (text(finding, "reason"), text(finding, "field"), text(finding, "message"))).collect()
}

#[track_caller]
fn assert_only(found: &[(String, String, String)], reason: &str, field: &str, says: &str) {
    let [(found_reason, found_field, message)] = found else { panic!("{found:?}") };
    assert!(found_reason == reason && found_field == field && message.contains(says), "{found:?}");
}

#[tokio::test]
async fn a_folder_is_judged_with_all_that_is_below_it_and_every_finding_has_its_line() {
    let broken = "# two faults\napiVersion: cognigy.io/v1alpha1\nkind: RetryPolicy\nmetadata:\n  name: broken\n  namespace: cx\nspec:\n  maxRetrys: 3\n  backoff:\n    baseDelayMs: 2000\n    maxDelayMs: 1999\n";
    let orders = webhook("orders", "  url: https://api.example.org/orders\n  retryPolicyRef: {name: patient}\n");
    let ran = check(
        &[
            ("tenant.yaml", TENANT.to_owned()),
            ("hooks/orders.yaml", [orders, registered("refunds")].join("---\n")),
            ("hooks/policies/broken.yml", broken.to_owned()),
            ("hooks/policies/notes.txt", "no manifest".to_owned()),
            ("deployment.json", r#"{"apiVersion": "apps/v1", "kind": "Deployment"}"#.to_owned()),
        ],
        &["-R"],
    )
    .await;
    assert_eq!(ran.code, 1, "{ran:?}");
    insta::assert_snapshot!(ran.out);
}

#[tokio::test]
async fn what_lies_below_a_folder_is_read_only_where_that_is_asked_for_as_kubectl_does() {
    let files = [("tenant.yaml", TENANT.to_owned()), ("below/policy.yaml", policy("p", "{maxRetries: 0}"))];
    let ran = check(&files, &[]).await;
    assert!(ran.code == 0 && ran.out.ends_with("in 1 object of 1 file\n"), "{ran:?}");
    let ran = check(&files, &["--recursive"]).await;
    assert!(ran.code == 1 && ran.out.ends_with("in 2 objects of 2 files\n"), "{ran:?}");
    let ran = check(&files[1..], &[]).await;
    let told = "error: there is no .yaml, .yml or .json file in .; -R looks below it too\n";
    assert_eq!((ran.code, ran.err.as_str()), (2, told));
}

#[tokio::test]
async fn what_the_manifests_refer_to_is_noted_and_with_strict_demanded() {
    let files =
        [("hook.yaml", webhook("orders", "  url: https://api.example.com/o\n  retryPolicyRef: {name: patient}\n"))];
    let ran = check(&files, &[]).await;
    assert_eq!(ran.code, 0, "{ran:?}");
    insta::assert_snapshot!(ran.out);
    let strict = check(&files, &["--strict", "-o", "yaml"]).await;
    assert_eq!(strict.code, 1, "{strict:?}");
    insta::assert_snapshot!(strict.out);
}

#[tokio::test]
async fn a_sound_set_has_no_findings_and_shows_no_secret() {
    let all = [TENANT.to_owned(), SECRET.to_owned(), registered("orders")].join("---\n");
    let out = check(&[("all.yaml", all)], &["--strict"]).await.good();
    assert_eq!(out, "0 findings, 0 notes in 2 objects of 1 file\n");
}

#[tokio::test]
async fn a_policy_is_compiled_for_the_api_that_uses_it() {
    let linear = policy("linear", "{backoff: {strategy: Linear}}");
    let used = webhook("orders", "  url: https://api.example.com/o\n  retryPolicyRef: {name: linear}\n");
    let found = findings(&[linear.clone(), used], &[]).await;
    assert_only(
        &found,
        "RetryPolicyUnsupported",
        "spec.retryPolicyRef",
        "retry policy linear cannot be used here: a Linear",
    );
    let of_a_bot = webhook("bot", "  existing: {botId: b1, webhookId: w1}\n  retryPolicyRef: {name: linear}\n");
    assert_eq!(findings(&[linear, of_a_bot], &[]).await, []);
    let uneven = policy("uneven", "{intervalsMs: [1000, 2500]}");
    let of_a_bot = webhook("bot", "  existing: {botId: b1, webhookId: w1}\n  retryPolicyRef: {name: uneven}\n");
    assert_only(
        &findings(&[uneven, of_a_bot], &[]).await,
        "RetryPolicyUnsupported",
        "spec.retryPolicyRef",
        "twice the one before",
    );
}

#[tokio::test]
async fn callbacks_are_judged_as_far_as_no_name_server_is_needed() {
    let elsewhere = webhook("orders", "  url: https://api.example.org/o\n");
    assert_only(&findings(&[elsewhere], &[]).await, "CallbackForbidden", "spec.url", "api.example.org");
    let open =
        TENANT.replace("production", "open").replace("allowedHosts: ['*.example.com']", "allowPrivateNetworks: true");
    let private = webhook("private", "  url: https://10.1.2.3/o\n").replace("{name: production}", "{name: open}");
    let found = findings(&[open.clone(), private.clone()], &[]).await;
    assert_only(&found, "CallbackForbidden", "spec.url", "--allow-private-callbacks");
    assert_eq!(findings(&[open, private], &["--allow-private-callbacks", "10.0.0.0/8"]).await, []);
}

#[tokio::test]
async fn one_name_at_one_tenant_belongs_to_one_webhook() {
    let other = webhook("other", "  url: https://api.example.com/o\n  name: orders\n");
    let found = findings(&[registered("orders"), other.clone()], &[]).await;
    assert_only(
        &found,
        "NameConflict",
        "spec.name",
        "cx/orders registers the same name \"orders\" with tenant cx/production",
    );
    let elsewhere = TENANT.replace("production", "staging");
    let other = other.replace("{name: production}", "{name: staging}");
    assert_eq!(findings(&[elsewhere, registered("orders"), other], &[]).await, []);
}

#[tokio::test]
async fn an_object_that_stands_twice_is_told() {
    let found = findings(&[registered("orders"), registered("orders").replace("/orders", "/other")], &[]).await;
    assert!(
        found.iter().any(|(reason, _, message)| reason == "Duplicate" && message.contains("all.yaml:14")),
        "{found:?}"
    );
}

#[tokio::test]
async fn plain_http_needs_the_flag_that_the_operator_needs() {
    let plain = TENANT.replace("production", "plain").replace("https://cognigy", "http://cognigy");
    assert_only(&findings(std::slice::from_ref(&plain), &[]).await, "InvalidSpec", "spec", "--allow-insecure-http");
    assert_eq!(findings(&[plain], &["--allow-insecure-http"]).await, []);
}

#[tokio::test]
async fn a_secret_that_lacks_the_key_and_a_tenant_that_is_for_others_are_told() {
    let headers = webhook(
        "orders",
        "  url: https://api.example.com/o\n  headersFrom: [{name: X-Key, secretKeyRef: {name: cognigy-key, key: other}}]\n",
    );
    let found = findings(&[headers], &[]).await;
    assert_only(&found, "SecretNotFound", "spec.headersFrom[0].secretKeyRef", "no key `other` (it has: api-key");
    let foreign = registered("orders")
        .replace("namespace: cx", "namespace: sales")
        .replace("{name: production}", "{name: production, namespace: cx}");
    assert_only(
        &findings(&[foreign], &[]).await,
        "TenantNotAllowed",
        "spec.tenantRef",
        "does not allow webhooks of namespace sales",
    );
}

#[tokio::test]
async fn what_is_no_yaml_ends_with_2_and_the_rest_is_judged_all_the_same() {
    let ran =
        check(&[("a.yaml", "password: [hunter2\n".into()), ("b.yaml", policy("p", "{maxRetries: 0}"))], &[]).await;
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(
        ran.out.contains("a.yaml:") && ran.out.contains("spec.maxRetries") && !ran.out.contains("hunter2"),
        "{ran:?}"
    );
    let ran = check(&[("notes.txt", String::new())], &[]).await;
    assert!(ran.code == 2 && ran.err.contains("no .yaml, .yml or .json file"), "{ran:?}");
    let ran = ran_without_a_file().await;
    assert!(ran.code == 2 && ran.err.contains("missing.yaml"), "{ran:?}");
}

async fn ran_without_a_file() -> Ran {
    ran(command().args(["check", "-f", "missing.yaml"])).await
}

#[tokio::test]
async fn manifests_come_from_standard_input_too() {
    let mut child = command()
        .args(["check", "-n", "sales", "-f", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let list = r#"{"kind": "List", "apiVersion": "v1", "items": [
        {"kind": "RetryPolicy", "apiVersion": "cognigy.io/v1alpha1", "metadata": {"name": "p"},
         "spec": {"intervalsMs": [1000, 1400]}}]}"#;
    child.stdin.take().unwrap().write_all(list.as_bytes()).await.unwrap();
    let output = child.wait_with_output().await.unwrap();
    let out = String::from_utf8(output.stdout).unwrap();
    assert!(out.starts_with("-:3: RetryPolicy sales/p: spec.intervalsMs: Refused: each of intervalsMs"), "{out}");
    assert_eq!(output.status.code(), Some(1));
}
