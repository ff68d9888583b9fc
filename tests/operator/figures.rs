//! Success rate and latency of each tenant: in its status, in metrics and on audit lines, without writing for their sake.

use cognigy_operator::api::{CognigyTenant, tenant::ApiFigures};
use cognigy_simulator::{Fault, Options, Route};
use serde_json::json;

use crate::harness::{World, world};

const RATIO: &str = "cognigy_operator_api_success_ratio{";

fn api(tenant: &CognigyTenant) -> ApiFigures {
    tenant.status.as_ref().and_then(|status| status.api).unwrap_or_default()
}

fn success_rate(tenant: &CognigyTenant) -> Option<i32> {
    api(tenant).success_rate_percent
}

/// The audit lines with this action about an object: their `success_rate`.
fn rates(world: &World, action: &str, name: &str) -> Vec<Option<f64>> {
    let lines = world.audit_lines().into_iter().filter(|line| line["action"] == action && line["name"] == name);
    lines.map(|line| line["success_rate"].as_f64()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_verdict_has_the_figures_and_every_audit_line_the_rate_of_its_moment() {
    world(Options::default(), async |world| {
        world.tenant("production", json!({})).await;
        let tenant = world.until_tenant("production", "Connected").await;
        assert_eq!(success_rate(&tenant), Some(100));
        assert!(api(&tenant).average_latency_ms.is_some(), "{:?}", api(&tenant));
        assert_eq!(api(&tenant).requests_per_minute, Some(60000));

        // Of the token, the probe and two registrations, one fails.
        world.fault(Fault::on(Route::CreateIntegration).times(1).status(503));
        world.policy("quick", json!({"intervalsMs": [50, 100, 200]})).await;
        world.webhook("orders", json!({"retryPolicyRef": {"name": "quick"}})).await;
        world.until_reason("orders", "Active").await;
        assert_eq!(rates(world, "Registered", "orders"), [Some(75.0)]);
        let ratio = world.metric(&format!("{RATIO}tenant=\"{}/production\"}}", world.namespace)).await;
        assert!(ratio > 0.75 && ratio < 1.0, "{ratio}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_audit_line_has_no_rate_before_the_first_call() {
    world(Options::default(), async |world| {
        let auth = json!({"oauth2": {"credentialsSecretRef": {"name": "missing"}}});
        world.tenant("production", json!({"auth": auth})).await;
        let tenant = world.until_tenant("production", "SecretNotFound").await;
        assert_eq!(rates(world, "SecretNotFound", "production"), [None]);
        assert_eq!(api(&tenant), ApiFigures::default());
        assert!(!world.http("/metrics").await.1.contains(RATIO));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rate_that_falls_is_told_although_nothing_else_of_the_tenant_changes() {
    world(Options::default(), async |world| {
        // The tenant stays Ready: its circuit never opens.
        world.tenant("production", json!({"circuitBreaker": {"failureThreshold": 100}})).await;
        world.until_tenant("production", "Connected").await;
        world.policy("quick", json!({"intervalsMs": [50, 100, 200]})).await;
        world.fault(Fault::on(Route::CreateIntegration).status(500));
        world.webhook("orders", json!({"retryPolicyRef": {"name": "quick"}})).await;
        world.until_reason("orders", "RetriesExhausted").await;
        // Two of six calls: the token, the probe and four tries.
        let fell = world.until("production", |tenant| success_rate(tenant) == Some(33)).await;
        let ready = &fell.status.unwrap().conditions[0];
        assert_eq!((ready.reason.as_str(), ready.status.as_str()), ("Connected", "True"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn figures_that_move_a_little_write_nothing() {
    world(Options::default(), async |world| {
        const MANY: i32 = 30;
        world.tenant("production", json!({})).await;
        world.webhooks(MANY as usize, json!({})).await;
        let counted = |tenant: &CognigyTenant| {
            tenant.status.as_ref().and_then(|status| status.webhooks).is_some_and(|webhooks| webhooks.ready == MANY)
        };
        world.until("production", counted).await;
        let written = world.writes("production").await.len();
        // One of some ninety calls is repeated with another token: no news to a status that says 100.
        world.fault(Fault::on(Route::GetWebhook).times(1).status(401));
        world.full_pass(&World::nth(0), "now").await;
        let moved = world.metric(&format!("{RATIO}tenant=\"{}/production\"}}", world.namespace)).await;
        assert!((0.96..1.0).contains(&moved), "{moved}");
        // A pass of the tenant would write them, were they news …
        let probes = world.count(Route::ListIntegrations);
        world.config_map("simulator-ca", "ca.crt", &format!("{}\n", world.ca_pem())).await;
        world.until_sim("a pass connects anew", |sim| sim.count(Route::ListIntegrations) > probes).await;
        // … but the next write is the one that is due anyway, with the figures of its moment.
        world.tenant("production", json!({"limits": {"burst": 999}})).await;
        let tenant = world.until_tenant("production", "Connected").await;
        assert!(success_rate(&tenant).is_some_and(|rate| (96..100).contains(&rate)), "{:?}", api(&tenant));
        assert_eq!(world.writes("production").await.len(), written + 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ratio_vanishes_with_its_tenant() {
    world(Options::default(), async |world| {
        world.tenant("production", json!({})).await;
        world.until_tenant("production", "Connected").await;
        assert!(world.http("/metrics").await.1.contains(RATIO));
        world.delete::<CognigyTenant>("production").await;
        world.until_gone::<CognigyTenant>("production").await;
        world.eventually("the ratio goes", async || !world.http("/metrics").await.1.contains(RATIO)).await;
    })
    .await;
}
