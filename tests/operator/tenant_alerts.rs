//! What concerns all webhooks of a tenant is one alert, from its beginning to its end (docs/outbox.md).

use cognigy_operator::api::CognigyTenant;
use cognigy_simulator::{Answer, Fault, Options, Route};
use serde_json::json;

use crate::{
    harness::{World, told, world},
    outbox::{accepted, quick, states, tenant},
};

#[tokio::test(flavor = "multi_thread")]
async fn refused_credentials_are_one_alert_for_all_webhooks_of_the_tenant() {
    world(Options::default(), async |world| {
        tenant(world, "production", json!({})).await;
        world.until_tenant("production", "Connected").await;
        world.webhooks(20, quick()).await;
        for nth in 0..20 {
            world.until_reason(&World::nth(nth), "Active").await;
        }
        let mut credentials = world.sim.credentials();
        credentials.client_secret = "another-secret".into();
        world.set_credentials(credentials);
        world.until_tenant("production", "Unauthorized").await;
        // One that wants something waits for the tenant, and costs no attempt.
        world.webhook("late", quick()).await;
        let late = world.until_reason("late", "TenantNotReady").await;
        assert_eq!(late.status.unwrap().failure, None);
        let alerts = accepted(world, "alerts", 1).await;
        let (body, details) = (&alerts[0].body, &alerts[0].body["error_details"]);
        assert_eq!(body["event"], json!("tenant_unavailable"));
        assert_eq!(body["tenant"], json!(format!("{}/production", world.namespace)));
        assert_eq!((&details["cause"], &details["webhooks"]), (&json!("Unauthorized"), &json!(20)));
        let examples: Vec<_> = (0..5).map(|nth| format!("{}/{}", world.namespace, World::nth(nth))).collect();
        assert_eq!(details["examples"], json!(examples));
        world.credentials("cognigy-oauth").await;
        world.until_tenant("production", "Connected").await;
        world.until_reason("late", "Active").await;
        let alerts = accepted(world, "alerts", 2).await;
        assert_eq!(states(&alerts), ["firing", "resolved"]);
        assert_eq!(alerts[0].header("ce-fingerprint"), alerts[1].header("ce-fingerprint"));
        assert_eq!(alerts[1].body["error_details"]["alert_id"], json!(alerts[0].header("ce-id").unwrap()));
        world
            .until("production", |tenant: &CognigyTenant| tenant.status.as_ref().is_some_and(|s| s.alerts.is_none()))
            .await;
        assert_eq!((world.sink("alerts").messages().len(), world.sink("letters").messages().len()), (2, 0));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_circuit_that_opens_again_and_again_is_one_alert() {
    world(Options::default(), async |world| {
        let breaker = json!({"failureThreshold": 1, "openSeconds": 1});
        tenant(world, "production", json!({"resyncPeriodSeconds": 600, "circuitBreaker": breaker})).await;
        world.webhook("orders", json!({"retryPolicyRef": {"name": "forgiving"}})).await;
        world.until_reason("orders", "Active").await;
        for flap in ["1", "2", "3"] {
            world.fault(Fault::any().status(503));
            world.annotate("orders", "cognigy.io/reconcile-requested-at", flap).await;
            world.until_tenant("production", "CircuitOpen").await;
            world.clear_faults();
            world.until_tenant("production", "Connected").await;
            world.until_reason("orders", "Active").await;
        }
        let alerts = accepted(world, "alerts", 1).await;
        assert_eq!(alerts[0].body["error_details"]["cause"], json!("CircuitOpen"));
        let breaker = json!({"failureThreshold": 100});
        tenant(world, "production", json!({"resyncPeriodSeconds": 5, "circuitBreaker": breaker})).await;
        let alerts = accepted(world, "alerts", 2).await;
        assert_eq!(states(&alerts), ["firing", "resolved"]);
        assert_eq!(world.sink("letters").messages().len(), 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rate_limited_installation_is_one_alert_until_no_429_comes_any_more() {
    world(Options::default(), async |world| {
        tenant(world, "production", json!({})).await;
        world.until_tenant("production", "Connected").await;
        world.fault(Fault::on(Route::CreateIntegration).times(1).status(429));
        world.webhook("orders", quick()).await;
        world.until_reason("orders", "Active").await;
        let alerts = accepted(world, "alerts", 2).await;
        assert_eq!(states(&alerts), ["firing", "resolved"]);
        assert_eq!(alerts[0].body["error_details"]["cause"], json!("RateLimited"));
        assert_eq!(world.sink("letters").messages().len(), 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_tenant_waits_until_its_alerts_are_over_and_delivered() {
    world(Options::default(), async |world| {
        world.sink("alerts").answer(Answer::status(500));
        world.secret("wrong", &[("client-id", "nobody"), ("client-secret", "nothing")]).await;
        let auth = json!({"oauth2": {"credentialsSecretRef": {"name": "wrong"}}});
        tenant(world, "production", json!({"auth": auth})).await;
        world.until_tenant("production", "Unauthorized").await;
        world.delete::<CognigyTenant>("production").await;
        let tenant = world.until_tenant("production", "InUse").await;
        let said = told(&tenant.status.as_ref().unwrap().conditions, ("False", "InUse", Some("Reconciling")));
        assert!(said.contains("sink"), "{said}");
        world.sink("alerts").answer(Answer::ok());
        world.until_gone::<CognigyTenant>("production").await;
        assert_eq!(states(&accepted(world, "alerts", 2).await), ["firing", "resolved"]);
    })
    .await;
}
