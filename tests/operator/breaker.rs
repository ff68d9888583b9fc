//! Circuit breaker and flood gate: the tenant says what is wrong, one probe decides, and its webhooks wait without calls.

use std::collections::BTreeMap;

use cognigy_operator::api::{CognigyTenant, CognigyWebhook, tenant::Circuit};
use cognigy_simulator::{Fault, Options, Route};
use kube::{ResourceExt as _, api::ListParams};
use serde_json::json;

use crate::harness::{World, condition, message, told, true_conditions, world};

const MANY: usize = 200;

/// The resourceVersion of each webhook: another one means that it was written.
async fn versions(world: &World) -> BTreeMap<String, String> {
    let webhooks = world.api::<CognigyWebhook>().list(&ListParams::default()).await.unwrap().items;
    webhooks.into_iter().map(|webhook| (webhook.name_any(), webhook.resource_version().unwrap())).collect()
}

async fn until_all(world: &World, count: usize, reason: &str) {
    for nth in 0..count {
        world.until_reason(&World::nth(nth), reason).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_circuit_is_told_once_and_probed_alone_while_the_webhooks_wait() {
    world(Options::default(), async |world| {
        let tenant = json!({
            "circuitBreaker": {"failureThreshold": 3, "openSeconds": 1},
            "limits": {"maxConcurrentRequests": 1},
        });
        world.tenant("production", tenant).await;
        world.policy("patient", json!({"intervalsMs": [50, 100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600]})).await;
        world.webhooks(20, json!({})).await;
        until_all(world, 20, "Active").await;
        let settled = versions(world).await;
        world.clear_log();

        world.fault(Fault::any().status(503));
        for name in ["late-1", "late-2", "late-3", "late-4", "late-5"] {
            world.webhook(name, json!({"retryPolicyRef": {"name": "patient"}})).await;
        }
        let tenant = world.until_tenant("production", "CircuitOpen").await;
        let status = tenant.status.unwrap();
        told(&status.conditions, ("False", "CircuitOpen", Some("Reconciling")));
        assert_eq!(status.circuit, Some(Circuit::Open));
        for name in ["late-1", "late-2", "late-3", "late-4", "late-5"] {
            let late = world.until_reason(name, "TenantNotReady").await;
            assert_eq!(true_conditions(&late), ["Reconciling"]);
            assert!(message(&late).contains("CircuitOpen"), "{}", message(&late));
        }
        // However often it is probed: one call each time, and the news was told.
        world.until_sim("three probes", |state| state.count(Route::ListIntegrations) >= 3).await;
        let requests = world.requests();
        let (probes, others): (Vec<_>, Vec<_>) =
            requests.iter().partition(|request| request.route == Some(Route::ListIntegrations));
        assert_eq!(others.len(), 3, "the failures that opened the circuit: {others:?}");
        assert!(probes.len() >= 3);
        world
            .eventually("the figure", async || {
                let state = format!("cognigy_operator_api_circuit_state{{tenant=\"{}/production\"}}", world.namespace);
                world.metric(&state).await > 1.5
            })
            .await;
        assert_eq!(world.event_count("production", "CircuitOpened").await, 1);
        let mut now = versions(world).await;
        now.retain(|name, _| settled.contains_key(name));
        assert_eq!(now, settled, "who is Ready and has nothing pending is not written");

        world.clear_faults();
        world.until_tenant("production", "Connected").await;
        for name in ["late-1", "late-2", "late-3", "late-4", "late-5"] {
            world.until_reason(name, "Active").await;
        }
        world.until_event("production", "Recovered").await;
        assert_eq!(world.event_count("production", "CircuitOpened").await, 1);
        let mut now = versions(world).await;
        now.retain(|name, _| settled.contains_key(name));
        assert_eq!(now, settled);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_webhooks_with_wrong_credentials_cost_a_handful_of_token_requests_until_the_secret_changes() {
    world(Options::default(), async |world| {
        world.tenant("production", json!({})).await;
        world.until_tenant("production", "Connected").await;
        world.rotate_credentials();
        world.clear_log();
        world.webhooks(MANY, json!({"healthCheck": {"disabled": true}})).await;
        let tenant = world.until_tenant("production", "Unauthorized").await;
        told(&tenant.status.unwrap().conditions, ("False", "Unauthorized", Some("Reconciling")));
        for nth in 0..MANY {
            let waiting = world
                .until(&World::nth(nth), |webhook: &CognigyWebhook| {
                    let conditions = webhook.status.as_ref().map(|status| &*status.conditions).unwrap_or_default();
                    condition(conditions, "Ready")
                        .is_some_and(|ready| ["TenantNotReady", "Unauthorized"].contains(&ready.reason.as_str()))
                })
                .await;
            assert_eq!(true_conditions(&waiting), ["Reconciling"]);
        }
        let (tokens, calls) = (world.count(Route::Token), world.requests().len());
        println!("{MANY} webhooks with wrong credentials: {tokens} token requests, {calls} requests in all");
        assert!(tokens <= 5, "{tokens} token requests");
        // Calls that were under way with the token of before, at most.
        assert!(calls <= tokens + 32, "{calls} requests");
        assert_eq!(world.event_count("production", "Unauthorized").await, 1);

        world.clear_log();
        world.credentials("cognigy-oauth").await;
        world.until_tenant("production", "Connected").await;
        until_all(world, MANY, "Active").await;
        assert_eq!(world.count(Route::Token), 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ready_webhooks_are_not_written_when_the_credentials_stop_working() {
    world(Options::default(), async |world| {
        world.tenant("production", json!({"resyncPeriodSeconds": 5})).await;
        world.webhooks(20, json!({})).await;
        until_all(world, 20, "Active").await;
        world
            .until("production", |tenant: &CognigyTenant| {
                tenant.status.as_ref().and_then(|status| status.webhooks).is_some_and(|counts| counts.ready == 20)
            })
            .await;
        let settled = versions(world).await;
        world.clear_log();
        // Found out by a resync; the tenant is not probed on its own.
        world.rotate_credentials();
        world.until_tenant("production", "Unauthorized").await;
        world.webhook("pending", json!({})).await;
        world.until_reason("pending", "TenantNotReady").await;
        let mut now = versions(world).await;
        now.remove("pending");
        assert_eq!(now, settled);
        assert!(world.count(Route::Token) <= 5, "{}", world.count(Route::Token));
        world.credentials("cognigy-oauth").await;
        world.until_reason("pending", "Active").await;
        let mut now = versions(world).await;
        now.remove("pending");
        assert_eq!(now, settled);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn webhooks_that_lack_a_scope_share_their_tokens() {
    world(Options::default(), async |world| {
        let scopes = cognigy_simulator::ALL_SCOPES.into_iter().filter(|scope| *scope != "integrations:write");
        world.set_granted_scopes(scopes);
        world.tenant("production", json!({})).await;
        world.webhooks(MANY, json!({"healthCheck": {"disabled": true}})).await;
        until_all(world, MANY, "Forbidden").await;
        let (tokens, posts) = (world.count(Route::Token), world.count(Route::CreateIntegration));
        println!("{MANY} webhooks that lack a scope: {tokens} token requests, {posts} refused registrations");
        assert!(tokens <= 5, "{tokens} token requests");
        assert_eq!(posts, MANY, "each is refused once");
    })
    .await;
}
