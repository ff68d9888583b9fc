//! What users of `kubectl` see.

use std::{io::Write, process::Stdio};

use cognigy_operator::api::CognigyWebhookSpec;
use control_plane::ControlPlane;
use serde_json::{Value, json};

use crate::server::{plane, run};

const EVERY_FIELD: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/resources/every-field.yaml");

fn kubectl(plane: &ControlPlane, arguments: &[&str]) -> String {
    run(plane.kubectl().args(arguments)).stdout
}

/// `kubectl apply` of a document on standard input: whether it worked, and what it printed on standard error.
fn apply(plane: &ControlPlane, document: &Value) -> (bool, String) {
    let mut command = plane.kubectl();
    command.args(["apply", "--warnings-as-errors", "-f", "-"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(document.to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    (output.status.success(), String::from_utf8(output.stderr).unwrap())
}

fn webhook(name: &str, tenant: &str, policy: &str) -> Value {
    json!({
        "apiVersion": "cognigy.io/v1alpha1", "kind": "CognigyWebhook", "metadata": {"name": name},
        "spec": {"tenantRef": {"name": tenant}, "url": "https://api.example.com", "retryPolicyRef": {"name": policy}},
    })
}

#[tokio::test]
async fn every_documented_field_is_applied_without_a_warning_and_stays_as_written() {
    let plane = plane().await;
    let told = run(plane.kubectl().args(["apply", "--warnings-as-errors", "-f", EVERY_FIELD]));
    assert_eq!(told.stderr, "");
    let again = kubectl(plane, &["apply", "--warnings-as-errors", "-f", EVERY_FIELD]);
    assert_eq!(again.matches("unchanged").count(), 5, "{again}");
}

#[tokio::test]
async fn an_unknown_field_is_refused_with_its_path() {
    let mut document = webhook("misspelt", "production", "patient");
    document["spec"]["heathCheck"] = json!({});
    let (applied, told) = apply(plane().await, &document);
    assert!(!applied && told.contains(r#"unknown field "spec.heathCheck""#), "{told}");
}

#[tokio::test]
async fn a_refusal_reads_as_one_sentence_with_object_field_value_and_advice() {
    let document = json!({
        "apiVersion": "cognigy.io/v1alpha1", "kind": "RetryPolicy", "metadata": {"name": "hasty"},
        "spec": {"intervalsMs": [1000, 1200]},
    });
    let (applied, told) = apply(plane().await, &document);
    assert!(!applied);
    assert_eq!(
        told.trim(),
        "The RetryPolicy \"hasty\" is invalid: spec.intervalsMs: Invalid value: each of intervalsMs [1000, 1200] must be at \
         least 1.5 times the one before: lengthen the later ones, or shorten the earlier ones"
    );
}

#[tokio::test]
async fn an_object_that_nobody_has_looked_at_is_not_taken_for_done() {
    let plane = plane().await;
    let (applied, told) = apply(plane, &webhook("unseen", "production", "patient"));
    assert!(applied, "{told}");
    let status = kubectl(plane, &["get", "cwh", "unseen", "-o", "jsonpath={.status}"]);
    assert_eq!(status, r#"{"observedGeneration":-1}"#);
}

#[tokio::test]
async fn the_registration_fields_stay_as_written_and_the_operator_fills_in_its_defaults() {
    let plane = plane().await;
    let (applied, told) = apply(plane, &webhook("terse", "production", "patient"));
    assert!(applied, "{told}");
    let object: Value = serde_json::from_str(&kubectl(plane, &["get", "cwh", "terse", "-o", "json"])).unwrap();
    let spec: CognigyWebhookSpec = serde_json::from_value(object["spec"].clone()).unwrap();
    for field in ["name", "method", "headers", "headersFrom", "payloadFormat", "version", "enabled", "healthCheck"] {
        assert_eq!(object["spec"].get(field), None, "{field}");
    }
    assert_eq!(
        (spec.method().as_str(), spec.version(), spec.enabled(), spec.previous_versions()),
        ("POST", 1, true, 1)
    );
    assert_eq!((spec.health_check().timeout_seconds, spec.health_check().period_seconds), (5, 300));
}

#[tokio::test]
async fn a_tenant_shows_the_limits_that_hold_for_it() {
    let plane = plane().await;
    let document = json!({
        "apiVersion": "cognigy.io/v1alpha1", "kind": "CognigyTenant", "metadata": {"name": "terse"},
        "spec": {
            "baseUrl": "https://cognigy.example.com",
            "auth": {"oauth2": {"credentialsSecretRef": {"name": "oauth"}}},
            "limits": {"burst": 7},
        },
    });
    let (applied, told) = apply(plane, &document);
    assert!(applied, "{told}");
    let object: Value = serde_json::from_str(&kubectl(plane, &["get", "ctenant", "terse", "-o", "json"])).unwrap();
    assert_eq!(
        object["spec"],
        json!({
            "baseUrl": "https://cognigy.example.com",
            "auth": {"oauth2": {
                "credentialsSecretRef": {"name": "oauth", "clientIdKey": "client-id", "clientSecretKey": "client-secret"},
                "tokenUrl": "/oauth/token", "clientAuthentication": "Basic",
            }},
            "limits": {"requestsPerMinute": 180, "burst": 7, "maxConcurrentRequests": 16, "requestTimeoutSeconds": 15},
            "circuitBreaker": {"failureThreshold": 5, "openSeconds": 30},
            "concurrency": "IfMatch",
            "resyncPeriodSeconds": 600,
            "callbacks": {"allowedHosts": [], "allowPrivateNetworks": false},
            "allowedNamespaces": {"from": "Same"},
            "suspend": false,
        })
    );
}

#[tokio::test]
async fn webhooks_are_selected_by_tenant_and_by_policy() {
    let plane = plane().await;
    for (name, tenant, policy) in [("s1", "sel-a", "sel-x"), ("s2", "sel-a", "sel-y"), ("s3", "sel-b", "sel-x")] {
        let (applied, told) = apply(plane, &webhook(name, tenant, policy));
        assert!(applied, "{told}");
    }
    let selected = |selector: &str| {
        let names = kubectl(plane, &["get", "cwh", "-o", "name", "--field-selector", selector]);
        names.replace("cognigywebhook.cognigy.io/", "").lines().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(selected("spec.tenantRef.name=sel-a"), "s1 s2");
    assert_eq!(selected("spec.retryPolicyRef.name=sel-x"), "s1 s3");
    assert_eq!(selected("spec.tenantRef.name=sel-a,spec.retryPolicyRef.name=sel-x"), "s1");
}

#[tokio::test]
async fn the_columns_are_the_documented_ones() {
    let plane = plane().await;
    run(plane.kubectl().args(["apply", "-f", EVERY_FIELD]));
    for (arguments, wanted) in [
        (&["get", "ctenant"][..], "NAME URL AUTH READY REASON WEBHOOKS AGE"),
        (&["get", "crp"], "NAME STRATEGY RETRIES TOTAL DELIVERIES (‰) WEBHOOKS READY AGE"),
        (&["get", "cwh"], "NAME TENANT VERSION STATE HEALTH POLICY READY REASON AGE"),
        (&["get", "cwh", "-o", "wide"], "NAME TENANT VERSION STATE HEALTH POLICY READY REASON AGE ID URL LATENCY"),
    ] {
        let table = kubectl(plane, arguments);
        let header: Vec<_> = table.lines().next().unwrap().split_whitespace().collect();
        assert_eq!(header.join(" "), wanted);
    }
    let all = kubectl(plane, &["get", "cognigy", "-o", "name"]);
    for kind in ["cognigytenant", "retrypolicy", "cognigywebhook"] {
        assert!(all.contains(&format!("{kind}.cognigy.io/every-field\n")), "{kind} is not in the category: {all}");
    }
}

#[tokio::test]
async fn explain_tells_meaning_bounds_and_default() {
    let plane = plane().await;
    for (path, wanted) in [
        ("cwh", "either registered by the operator, or an existing one"),
        ("cwh.spec.url", "The callback URL, https, without user info and fragment."),
        ("cwh.spec.method", "HTTP method of deliveries: POST, PUT or PATCH. Default: POST."),
        ("cwh.spec.healthCheck.periodSeconds", "2 to 86400, or 0 to check only before activation. Default: 300."),
        ("cwh.spec.healthCheck.onFailure", "Deactivate switches it off until it passes."),
        ("cwh.status.failure.deadLetter", "once the attempts are used up"),
        ("crp.spec.intervalsMs", "each at least 1.5 times the one before"),
        ("ctenant.spec.limits.requestsPerMinute", "1 to 600000"),
    ] {
        let text = kubectl(plane, &["explain", path]);
        let flowing = text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(flowing.contains(wanted), "{path}: {text}");
    }
}
