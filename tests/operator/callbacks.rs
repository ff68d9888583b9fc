//! Where callbacks may be (docs/resources.md: `callbacks`): judged before anything is registered.

use cognigy_simulator::{Options, Route};
use serde_json::{Value, json};

use crate::harness::{World, message, true_conditions, world};

/// A webhook that the tenant's `callbacks` forbid for a reason that contains `why`, until they are `changed`.
async fn forbidden_until(world: &World, callbacks: Value, why: &str, changed: Value) {
    world.tenant("production", json!({"callbacks": callbacks})).await;
    world.webhook("orders", json!({})).await;
    let webhook = world.until_reason("orders", "CallbackForbidden").await;
    assert_eq!(true_conditions(&webhook), ["Stalled"]);
    assert!(message(&webhook).contains(why), "{}", message(&webhook));
    assert!(world.until_event("orders", "CallbackForbidden").await.contains(why));
    // Another webhook's life from beginning to end gives the forbidden one every opportunity.
    world.tenant("roomy", json!({})).await;
    world.webhook("others", json!({"tenantRef": {"name": "roomy"}})).await;
    world.until_reason("others", "Active").await;
    assert_eq!(world.count(Route::CreateIntegration), 1, "only the other webhook is registered");
    assert!(world.callback("orders").requests().is_empty());

    world.tenant("production", json!({"callbacks": changed})).await;
    world.until_reason("orders", "Active").await;
    assert_eq!(world.event_count("orders", "CallbackForbidden").await, 1);
    assert_eq!(world.active_versions("orders"), [1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_callback_whose_host_the_tenant_does_not_allow_is_never_registered() {
    world(Options::default(), async |world| {
        let elsewhere = json!({"allowedHosts": ["*.example.com"], "allowPrivateNetworks": true});
        let here = json!({"allowedHosts": ["*.example.com", "127.0.0.1"], "allowPrivateNetworks": true});
        forbidden_until(world, elsewhere, "allowedHosts", here).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_private_callback_is_never_registered_without_the_tenants_permission() {
    world(Options::default(), async |world| {
        let public = json!({"allowPrivateNetworks": false});
        forbidden_until(world, public, "allowPrivateNetworks", json!({"allowPrivateNetworks": true})).await;
    })
    .await;
}
