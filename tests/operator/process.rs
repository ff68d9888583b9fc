//! The program itself: the real binary against a real API server.

use std::{collections::BTreeSet, time::Duration};

use cognigy_operator::api::{self, CognigyTenant, CognigyWebhook, RetryPolicy};
use cognigy_simulator::{Fault, Options, Route};
use control_plane::{ControlPlane, User};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{
    Api, Client, Config, ResourceExt as _,
    api::{Patch, PatchParams},
    config::{KubeConfigOptions, Kubeconfig},
};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::{
    harness::{World, world_without_operator},
    program::{Program, free_address},
};

/// What every audit line has (docs/resources.md), and the target that tells it from a log line (docs/cognigy-api.md §6).
const AUDIT_KEYS: [&str; 12] = [
    "target",
    "timestamp",
    "action",
    "namespace",
    "name",
    "webhook_id",
    "webhook_name",
    "version",
    "status",
    "latency_ms",
    "details",
    "success_rate",
];

fn start(plane: &ControlPlane, arguments: &[&str]) -> Program {
    Program::start(&plane.write_kubeconfig(&User::admin()).unwrap(), &free_address(), arguments)
}

impl World {
    async fn program(&self, arguments: &[&str]) -> Program {
        let scope = ["--watch-namespaces", &self.namespace];
        let scope = if arguments.contains(&"--watch-namespaces") { &[][..] } else { &scope[..] };
        let program = start(&self.plane, &[scope, arguments].concat());
        program.ready().await;
        program
    }
}

fn parsed(lines: &[String]) -> Vec<Value> {
    lines.iter().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_definitions_the_program_waits_and_says_what_is_missing() {
    cognigy_operator::cognigy::install_crypto_provider();
    let assets = ControlPlane::shared().await.unwrap().assets().clone();
    let plane = ControlPlane::start(control_plane::Options::new(assets)).await.unwrap();
    let program = start(&plane, &[]);
    let body = program.until("/readyz", |status, body| status == 503 && body.contains("not installed")).await;
    for name in ["cognigytenants", "cognigywebhooks", "retrypolicies"] {
        assert!(body.contains(&format!("{name}.cognigy.io is not installed")), "{body}");
    }
    assert_eq!(program.get("/livez").await.unwrap().0, 200);
    let kubeconfig = Kubeconfig::from_yaml(&plane.kubeconfig(&User::admin()).unwrap()).unwrap();
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
    config.proxy_url = None;
    let definitions = Api::<CustomResourceDefinition>::all(Client::try_from(config).unwrap());
    for crd in api::crds() {
        let parameters = PatchParams::apply("tests").force();
        definitions.patch(&crd.name_any(), &parameters, &Patch::Apply(&crd)).await.unwrap();
    }
    program.ready().await;
    program.terminate();
    let (status, lines) = program.end().await;
    assert_eq!(status.code(), Some(0));
    let told = |text: &str| lines.iter().filter(|line| line.contains(text)).count();
    assert!(told("cognigytenants.cognigy.io is not installed") >= 1, "{lines:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_lets_the_work_under_way_end_and_the_program_ends_with_success() {
    world_without_operator(Options::default(), async |world| {
        let program = world.program(&[]).await;
        world.tenant("production", json!({})).await;
        world.policy("patient", json!({"intervalsMs": [50, 100, 200]})).await;
        let held = Fault::on(Route::PutWebhook).times(1).delay(Duration::from_secs(3));
        world.fault(held);
        world.webhook("orders", json!({"retryPolicyRef": {"name": "patient"}})).await;
        world.wait_until(|state| state.requests().iter().any(|r| r.route == Some(Route::PutWebhook))).await;
        assert!(!world.integrations()[0].active, "in the middle of the pass");
        program.terminate();
        world.webhook("refunds", json!({})).await;
        let (status, lines) = program.end().await;
        assert_eq!(status.code(), Some(0), "{lines:?}");
        // The pass that had begun came to its end, and told so; nothing new began.
        let integrations = world.integrations();
        assert_eq!(integrations.len(), 1, "{integrations:?}");
        assert!(integrations[0].active && integrations[0].retry_policy.is_some());
        let status = world.api::<CognigyWebhook>().get("orders").await.unwrap().status.unwrap();
        assert!(status.conditions.iter().any(|c| c.type_ == "Ready" && c.reason == "Active"), "{status:?}");
        assert!(world.events("orders").await.iter().any(|(reason, _)| reason == "Activated"), "events are written too");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_definitions_that_the_program_prints_are_those_of_the_repository() {
    let output = Command::new(env!("CARGO_BIN_EXE_cognigy-operator")).arg("crds").env_clear().output().await.unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/crds");
    let files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    assert_eq!(files.len(), 3);
    let definitions = |text: &str| -> Vec<Value> {
        serde_saphyr::from_multiple::<Value>(text).unwrap().into_iter().filter(|document| !document.is_null()).collect()
    };
    let printed = definitions(&printed);
    assert_eq!(printed.len(), 3);
    for file in files {
        let [definition] = &definitions(&std::fs::read_to_string(&file).unwrap())[..] else { panic!("{file:?}") };
        assert!(printed.contains(definition), "{}", file.display());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn standard_output_is_json_and_every_audit_line_has_every_key() {
    world_without_operator(Options::default(), async |world| {
        let program = world.program(&["--log-level", "debug"]).await;
        world.tenant("production", json!({})).await;
        world.webhook("orders", json!({})).await;
        world.until_reason("orders", "Active").await;
        world.webhook("lost", json!({"tenantRef": {"name": "nobody"}})).await;
        world.until_reason("lost", "TenantNotFound").await;
        world.delete::<CognigyWebhook>("orders").await;
        world.until_gone::<CognigyWebhook>("orders").await;
        world.until_event("orders", "Deleted").await;
        program.terminate();
        let (status, lines) = program.end().await;
        assert_eq!(status.code(), Some(0));
        let (audit, log): (Vec<_>, Vec<_>) =
            parsed(&lines).into_iter().partition(|line| line["target"] == json!("audit"));
        assert!(log.iter().all(|line| line["level"].is_string() && line["timestamp"].is_string()), "{log:?}");
        let actions: Vec<_> = audit.iter().map(|line| line["action"].as_str().unwrap()).collect();
        for action in ["Registered", "HealthCheckPassed", "Activated", "TenantNotFound", "Deleted"] {
            assert!(actions.contains(&action), "{actions:?}");
        }
        let expected: BTreeSet<_> = AUDIT_KEYS.into_iter().collect();
        for line in &audit {
            let keys: BTreeSet<_> = line.as_object().unwrap().keys().map(String::as_str).collect();
            assert_eq!(keys, expected, "{line}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_metrics_tell_of_a_life_cycle_and_forget_what_is_gone() {
    world_without_operator(Options::default(), async |world| {
        let program = world.program(&[]).await;
        world.tenant("production", json!({})).await;
        world.policy("patient", json!({"intervalsMs": [50, 100, 200]})).await;
        world.fault(Fault::on(Route::PutWebhook).times(1).status(409));
        world.webhook("orders", json!({"retryPolicyRef": {"name": "patient"}})).await;
        world.until_reason("orders", "Active").await;
        let (namespace, base_url) = (&world.namespace, world.https_base_url().unwrap());
        let tenant = format!("{namespace}/production");
        let host = format!("{}:{}", base_url.host_str().unwrap(), base_url.port().unwrap());
        let series = [
            format!(r#"api_requests_total{{code="201",route="create_integration",tenant="{tenant}"}} 1"#),
            format!(r#"api_requests_total{{code="409",route="put_webhook",tenant="{tenant}"}} 1"#),
            format!(r#"api_requests_total{{code="200",route="put_webhook",tenant="{tenant}"}} 1"#),
            r#"api_request_duration_seconds_count{route="create_integration"} 1"#.into(),
            format!(r#"api_rate_limit_per_minute{{host="{host}"}} 60000"#),
            format!(r#"api_circuit_state{{tenant="{tenant}"}} 0"#),
            format!(r#"token_requests_total{{outcome="fetched",tenant="{tenant}"}} 1"#),
            format!(r#"conflicts_total{{tenant="{tenant}"}} 1"#),
            r#"time_to_ready_seconds_count{kind="CognigyWebhook"} 1"#.into(),
            format!(r#"resource_condition{{kind="CognigyWebhook",name="orders",namespace="{namespace}",status="True",type="Ready"}} 1"#),
            format!(r#"resource_condition{{kind="CognigyTenant",name="production",namespace="{namespace}",status="True",type="Ready"}} 1"#),
            format!(r#"resource_condition{{kind="RetryPolicy",name="patient",namespace="{namespace}",status="True",type="Ready"}} 1"#),
            format!(r#"webhook_health{{name="orders",namespace="{namespace}"}} 1"#),
            "webhook_health_latency_seconds_count 1".into(),
            "leader 1".into(),
            format!(r#"build_info{{version="{}"}} 1"#, env!("CARGO_PKG_VERSION")),
        ];
        let has = |text: &str, series: &str| text.lines().any(|line| line == format!("cognigy_operator_{series}"));
        for series in &series {
            program.until("/metrics", |_, text| has(text, series)).await;
        }
        let text = program.until("/metrics", |status, _| status == 200).await;
        for beginning in [
            r#"reconciles_total{kind="CognigyWebhook",outcome="ok"}"#.to_owned(),
            r#"reconciles_total{kind="CognigyTenant",outcome="ok"}"#.to_owned(),
            r#"reconcile_duration_seconds_bucket{kind="CognigyWebhook",le="#.to_owned(),
            format!(r#"webhook_certificate_expiry_timestamp_seconds{{name="orders",namespace="{namespace}"}}"#),
        ] {
            let start = format!("cognigy_operator_{beginning}");
            assert!(text.lines().any(|line| line.starts_with(&start)), "{beginning}\n{text}");
        }

        world.delete::<CognigyWebhook>("orders").await;
        world.until_gone::<CognigyWebhook>("orders").await;
        world.delete::<CognigyTenant>("production").await;
        world.until_gone::<CognigyTenant>("production").await;
        world.delete::<RetryPolicy>("patient").await;
        let state = ["resource_condition{", "webhook_health{", "webhook_certificate_expiry", "api_circuit_state{"];
        let gone = |text: &str| {
            let shown = text.lines().filter(|line| !line.starts_with('#'));
            !shown.into_iter().any(|line| state.iter().any(|state| line.contains(&format!("cognigy_operator_{state}"))))
        };
        let text = program.until("/metrics", |_, text| gone(text)).await;
        assert!(text.contains("cognigy_operator_api_requests_total{"), "counters stay");
        program.terminate();
        assert_eq!(program.end().await.0.code(), Some(0));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_named_namespaces_are_watched() {
    world_without_operator(Options::default(), async |world| {
        let (second, unwatched) = (world.another_namespace(&[]).await, world.another_namespace(&[]).await);
        let scope = format!("{},{second}", world.namespace);
        let program = world.program(&["--watch-namespaces", &scope]).await;
        world.tenant("production", json!({"allowedNamespaces": {"from": "All"}})).await;
        let tenant = json!({"tenantRef": {"name": "production", "namespace": world.namespace}});
        world.webhook_in(&unwatched, "nobody", tenant.clone()).await;
        world.webhook("first", json!({})).await;
        world.webhook_in(&second, "second", tenant).await;
        world.until_reason("first", "Active").await;
        world.until_reason_in(&second, "second", "Active").await;
        program.terminate();
        assert_eq!(program.end().await.0.code(), Some(0));
        let untouched: Api<CognigyWebhook> = Api::namespaced(world.client.clone(), &unwatched);
        let webhook = untouched.get("nobody").await.unwrap();
        assert_eq!(webhook.status.unwrap().observed_generation, Some(-1));
        assert_eq!(webhook.metadata.finalizers, None);
        assert_eq!(world.integrations().len(), 2);
    })
    .await;
}
