//! What may change in an object that exists.

use cognigy_operator::api::{CognigyWebhook, RetryPolicy};
use kube::{
    Api,
    api::{DynamicObject, Patch, PatchParams},
};
use serde_json::{Value, json};

use crate::server::{complaint, create, objects};

const REGISTERED: &str = "{tenantRef: {name: production}, url: 'https://api.example.com/hooks'}";
const EXISTING: &str =
    "{tenantRef: {name: production}, existing: {webhookId: wh_abc123def}, retryPolicyRef: {name: patient}}";

async fn change(api: &Api<DynamicObject>, name: &str, spec: Value) -> kube::Result<DynamicObject> {
    let params = PatchParams { dry_run: true, ..PatchParams::default() };
    api.patch(name, &params, &Patch::Merge(json!({"spec": spec}))).await
}

async fn assert_change_refused(api: &Api<DynamicObject>, name: &str, spec: Value, field: &str, says: &str) {
    let error = change(api, name, spec.clone()).await.expect_err(&format!("{spec} must be refused"));
    assert_eq!(complaint(&error, field, says), None, "{spec}");
}

#[tokio::test]
async fn the_name_of_a_registration_cannot_be_changed_added_or_removed() {
    const SAYS: &str = "name (by default metadata.name) cannot be changed";
    let api = objects::<CognigyWebhook>().await;
    create::<CognigyWebhook>(&api, "named", REGISTERED, "{name: orders}").await;
    assert_change_refused(&api, "named", json!({"name": "payments"}), "spec.name", SAYS).await;
    assert_change_refused(&api, "named", json!({"name": null}), "spec.name", "set it back, or create a new object")
        .await;

    create::<CognigyWebhook>(&api, "unnamed", REGISTERED, "{}").await;
    assert_change_refused(&api, "unnamed", json!({"name": "payments"}), "spec.name", SAYS).await;
}

#[tokio::test]
async fn the_default_name_may_be_written_down_and_left_out_again() {
    let api = objects::<CognigyWebhook>().await;
    create::<CognigyWebhook>(&api, "implicit", REGISTERED, "{}").await;
    change(&api, "implicit", json!({"name": "implicit"})).await.unwrap();
    create::<CognigyWebhook>(&api, "explicit", REGISTERED, "{name: explicit}").await;
    change(&api, "explicit", json!({"name": null})).await.unwrap();
}

#[tokio::test]
async fn a_webhook_is_registered_or_existing_for_all_its_life() {
    let api = objects::<CognigyWebhook>().await;
    create::<CognigyWebhook>(&api, "turned", REGISTERED, "{}").await;
    let existing = json!({"url": null, "existing": {"webhookId": "wh_1"}, "retryPolicyRef": {"name": "patient"}});
    assert_change_refused(&api, "turned", existing, "spec.existing", "create a new one and delete this").await;

    create::<CognigyWebhook>(&api, "turned-back", EXISTING, "{}").await;
    let registered = json!({"url": "https://api.example.com", "existing": null});
    assert_change_refused(&api, "turned-back", registered, "spec.existing", "cannot be added to or removed").await;
    change(&api, "turned-back", json!({"existing": {"webhookId": "wh_2"}})).await.unwrap();
}

#[tokio::test]
async fn everything_else_of_a_webhook_may_change_and_versions_go_back() {
    let api = objects::<CognigyWebhook>().await;
    create::<CognigyWebhook>(&api, "free", REGISTERED, "{version: 2}").await;
    for spec in [
        json!({"version": 3}),
        json!({"version": 1}),
        json!({"version": null}),
        json!({"url": "https://other.example.com", "method": "PUT", "headers": {"X-A": "a"}, "enabled": false}),
        json!({"tenantRef": {"name": "staging", "namespace": "cx"}, "retryPolicyRef": {"name": "patient"}}),
        json!({"mode": "Observe", "adoptionPolicy": "Always", "deletionPolicy": "Orphan", "suspend": true}),
    ] {
        change(&api, "free", spec.clone()).await.unwrap_or_else(|error| panic!("{spec}: {error}"));
    }
}

#[tokio::test]
async fn a_limit_holds_for_a_change_too() {
    let api = objects::<RetryPolicy>().await;
    create::<RetryPolicy>(&api, "changed", "{}", "{maxRetries: 2, intervalsMs: [1000, 2000]}").await;
    assert_change_refused(&api, "changed", json!({"maxRetries": 3}), "spec.maxRetries", "one interval per retry").await;
    assert_change_refused(&api, "changed", json!({"backoff": {}}), "spec", "remove the other").await;
    let other = json!({"backoff": {"strategy": "Linear"}, "intervalsMs": null, "maxRetries": 3});
    change(&api, "changed", other).await.unwrap();
}
