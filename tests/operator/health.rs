//! Nothing goes live before its callback passed the health check (docs/cognigy-api.md §5).

use cognigy_operator::api::{
    CognigyWebhook,
    webhook::{HealthResult, State},
};
use cognigy_simulator::{Answer, Certificate, Options, Route, Simulator};
use serde_json::json;

use crate::harness::{World, message, reasons, true_conditions, world};

/// A webhook whose callback fails; what its status says.
async fn failing(world: &World, change: serde_json::Value) -> CognigyWebhook {
    world.tenant("production", json!({})).await;
    world.policy("quick", json!({"intervalsMs": [50, 100, 200]})).await;
    world.webhook("orders", change).await;
    let webhook = world.until_reason("orders", "HealthCheckFailed").await;
    assert_eq!(true_conditions(&webhook), ["Registered", "RetryPolicyApplied", "Reconciling"]);
    let status = webhook.status.clone().unwrap();
    assert_eq!(status.state, Some(State::Inactive));
    assert_eq!(status.failure, None, "a failing health check costs no attempt");
    let health = status.health.unwrap();
    assert_eq!(health.result, HealthResult::Failing);
    assert!(message(&webhook).contains(health.message.as_deref().unwrap()));
    assert!(world.active_versions("orders").is_empty());
    webhook
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_health_check_keeps_the_webhook_inactive_until_it_passes() {
    world(Options::default(), async |world| {
        world.callback("orders").answer(Answer::status(503));
        let quick = json!({"retryPolicyRef": {"name": "quick"}, "healthCheck": {"periodSeconds": 2}});
        let webhook = failing(world, quick).await;
        assert!(message(&webhook).contains("503"), "{}", message(&webhook));
        assert_eq!(webhook.status.unwrap().health.unwrap().http_status, Some(503));
        let written = world.writes("orders").len();
        // The first check, the policy's three repeats and one more after periodSeconds.
        world.until_sim("checks that go on", |state| state.callback_requests("orders").len() >= 5).await;
        assert_eq!(world.writes("orders").len(), written, "an equal failure is nothing to write");
        assert_eq!(world.event_count("orders", "HealthCheckFailed").await, 1, "an equal failure is no news");
        assert_eq!(world.count(Route::CreateIntegration), 1);

        // A restart looks again at once, and has nothing new to tell.
        let checked = world.callback("orders").requests().len();
        world.stop_operator().await;
        world.start_operator().await;
        world.until_sim("a check", |state| state.callback_requests("orders").len() > checked + 1).await;
        assert_eq!(world.event_count("orders", "HealthCheckFailed").await, 1, "a restart is no news");

        world.callback("orders").answer(Answer::status(500));
        world
            .until("orders", |webhook: &CognigyWebhook| {
                webhook.status.as_ref().is_some_and(|status| {
                    status.health.as_ref().is_some_and(|health| health.http_status == Some(500))
                        && status.failure.is_none()
                })
            })
            .await;
        world
            .eventually("another cause is news", async || world.event_count("orders", "HealthCheckFailed").await == 2)
            .await;

        world.callback("orders").answer(Answer::ok());
        let webhook = world.until_reason("orders", "Active").await;
        assert_eq!(true_conditions(&webhook), ["Ready", "Registered", "Healthy", "RetryPolicyApplied"]);
        assert_eq!(world.active_versions("orders"), [1]);
        world.until_event("orders", "Activated").await;
        let events = world.events("orders").await;
        let expected = [
            "Registered",
            "RetryPolicyApplied",
            "HealthCheckFailed",
            "HealthCheckFailed",
            "HealthCheckPassed",
            "Activated",
        ];
        assert_eq!(reasons(&events), expected);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_callback_that_hangs_fails_its_check_by_its_time_limit() {
    world(Options::default(), async |world| {
        world.callback("orders").answer(Answer::hang());
        let quick = json!({"retryPolicyRef": {"name": "quick"}, "healthCheck": {"timeoutSeconds": 1}});
        let webhook = failing(world, quick).await;
        assert!(message(&webhook).contains("no success within 1s"), "{}", message(&webhook));
        assert_eq!(webhook.status.unwrap().health.unwrap().http_status, None);
        world.callback("orders").answer(Answer::ok());
        world.until_reason("orders", "Active").await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_of_an_unknown_issuer_is_named_as_the_cause() {
    world(Options::default(), async |world| {
        let url = world.callback_url_with(Certificate::UnknownIssuer, "orders");
        let webhook = failing(world, json!({"url": url, "retryPolicyRef": {"name": "quick"}})).await;
        assert!(message(&webhook).contains("unknown issuer"), "{}", message(&webhook));
        assert!(world.until_event("orders", "HealthCheckFailed").await.contains("unknown issuer"));
        assert!(
            world.callback("orders").requests().is_empty(),
            "nothing is sent over a connection that is not trusted"
        );
        // Another URL starts afresh.
        world.webhook("orders", json!({"retryPolicyRef": {"name": "quick"}})).await;
        world.until_reason("orders", "Active").await;
        assert_eq!(world.integrations().len(), 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_fails_the_check_and_is_not_followed() {
    world(Options::default(), async |world| {
        let elsewhere = world.callback_url("elsewhere");
        world.callback("orders").answer(Answer::redirect(elsewhere.as_str()));
        let webhook = failing(world, json!({"retryPolicyRef": {"name": "quick"}})).await;
        assert!(message(&webhook).contains("302"), "{}", message(&webhook));
        assert!(message(&webhook).contains("redirect"), "{}", message(&webhook));
        world.until_sim("a repeated check", |state| state.callback_requests("orders").len() >= 2).await;
        assert!(world.callback("elsewhere").requests().is_empty());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_whose_health_check_is_disabled_goes_live_unchecked() {
    world(Options::default(), async |world| {
        world.callback("orders").answer(Answer::status(503));
        world.tenant("production", json!({})).await;
        world.webhook("orders", json!({"healthCheck": {"disabled": true}})).await;
        let webhook = world.until_reason("orders", "Active").await;
        assert_eq!(true_conditions(&webhook), ["Ready", "Registered"]);
        assert_eq!(webhook.status.unwrap().health, None);
        assert_eq!(world.active_versions("orders"), [1]);
        assert!(world.callback("orders").requests().is_empty());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_check_is_what_the_callback_will_get_later_and_its_result_is_told() {
    world(Options::default(), async |world| {
        world.secret("orders-hook", &[("api-key", "hook-secret-4711")]).await;
        world.tenant("production", json!({})).await;
        let headers = json!({
            "version": 7,
            "headers": {"X-Environment": "production"},
            "headersFrom": [{"name": "X-Api-Key", "secretKeyRef": {"name": "orders-hook", "key": "api-key"}}],
        });
        world.webhook("orders", headers).await;
        let webhook = world.until_reason("orders", "Active").await;
        let requests = world.callback("orders").requests();
        assert_eq!(requests.len(), 1);
        let request = &requests[0];
        assert_eq!(request.violations, Vec::<String>::new());
        assert_eq!(request.method, "POST");
        assert_eq!(request.header("x-environment"), Some("production"));
        assert_eq!(request.header("x-api-key"), Some("hook-secret-4711"));
        assert!(request.header("user-agent").unwrap().starts_with("CognigyWebhookRegistrar/"));
        assert_eq!(request.body["source"], "cognigy-registrar");
        assert_eq!(request.body["event"], "health_check");
        assert_eq!(request.body["data"], json!({"status": "ready", "version": 7}));

        let health = webhook.status.as_ref().unwrap().health.clone().unwrap();
        assert_eq!(health.result, HealthResult::Passing);
        assert_eq!((health.http_status, health.consecutive_failures), (Some(200), 0));
        assert_eq!(health.tls_version.as_deref(), Some("TLSv1.3"));
        assert_eq!(health.certificate_expires_at.unwrap().0.to_string(), "2100-01-01T00:00:00Z");
        assert_eq!(health.trace_id.as_deref(), request.body["trace_id"].as_str());
        assert!(health.latency_ms.is_some() && health.last_checked_at.is_some());
        assert_eq!(health.message, None);

        // The value of the Secret reaches the callback and Cognigy, and nothing else.
        assert_eq!(world.integrations()[0].headers["X-Api-Key"], "hook-secret-4711");
        world.until_event("orders", "Activated").await;
        let told = format!("{:?}{}", world.events("orders").await, serde_json::to_string(&webhook).unwrap());
        assert!(!told.contains("hook-secret-4711"), "{told}");
        assert!(!format!("{:?}", world.audit_lines()).contains("hook-secret-4711"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ca_bundle_is_read_once_for_all_checks_and_once_more_when_it_changed() {
    const MANY: usize = 12;
    world(Options::default(), async |world| {
        world.tenant("production", json!({})).await;
        world.webhooks(MANY, json!({})).await;
        let names: Vec<_> = (0..MANY).map(World::nth).collect();
        for name in &names {
            world.until_reason(name, "Active").await;
        }
        // The API server writes its audit log after its answer, and each verdict comes after its check.
        let told = async || names.iter().all(|name| world.writes(name).len() >= 3);
        world.eventually("claim, id and verdict of each", told).await;
        assert_eq!(world.reads("configmaps", "simulator-ca"), 1);

        let strangers = Simulator::start(Options::default()).unwrap();
        world.config_map("simulator-ca", "ca.crt", &strangers.ca_pem()).await;
        world.until_tenant("production", "TlsFailed").await;
        world.config_map("simulator-ca", "ca.crt", &world.ca_pem()).await;
        world.until_tenant("production", "Connected").await;
        world.webhook("late", json!({})).await;
        world.until_reason("late", "Active").await;
        world.eventually("claim, id and verdict", async || world.writes("late").len() >= 3).await;
        assert_eq!(world.reads("configmaps", "simulator-ca"), 3, "one for each bundle");
    })
    .await;
}
