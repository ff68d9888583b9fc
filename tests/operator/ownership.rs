//! Whose registration it is: adopted, taken over, refused, contested, or our own after a crash.

use cognigy_operator::api::{CognigyWebhook, webhook::State};
use cognigy_simulator::{Change, Fault, Options, Route};
use serde_json::{Value, json};

use crate::harness::{World, reasons, told, world};

impl World {
    /// A registration of the name `orders` that somebody else made, as the spec of these tests says or with a change.
    fn registered_before(&self, change: &Value) -> String {
        let mut fields = json!({
            "name": "orders", "url": self.callback_url("orders"), "method": "POST", "payloadFormat": "application/json",
            "version": 1, "headers": {}, "idempotencyKey": "orders:1", "status": "active",
        });
        for (key, value) in change.as_object().unwrap() {
            fields[key] = value.clone();
        }
        self.add_integration(fields)
    }

    /// The changes that were not made behind the operator's back.
    fn changes_by_the_operator(&self) -> Vec<Change> {
        self.history().into_iter().filter(|change| change.by_api).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_identical_registration_is_adopted_and_stays_active() {
    world(Options::default(), async |world| {
        let id = world.registered_before(&json!({}));
        world.tenant("production", json!({})).await;
        world.webhook("orders", json!({})).await;
        let webhook = world.until_reason("orders", "Active").await;
        assert_eq!(webhook.status.unwrap().webhook_id, Some(id.clone()));
        let note = world.until_event("orders", "Adopted").await;
        assert!(note.contains(&id) && note.contains("active, and stays so"), "{note}");
        assert_eq!(world.integrations().len(), 1);
        assert!(world.integrations()[0].active);
        assert_eq!(world.changes_by_the_operator(), [], "there was nothing to change");
        assert!(!reasons(&world.events("orders").await).contains(&"Registered"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_adopted_registration_gets_its_policy_without_an_interruption() {
    world(Options::default(), async |world| {
        world.registered_before(&json!({}));
        world.tenant("production", json!({})).await;
        world.policy("patient", json!({"intervalsMs": [50, 100, 200]})).await;
        world.webhook("orders", json!({"retryPolicyRef": {"name": "patient"}})).await;
        world.until_reason("orders", "Active").await;
        let integration = &world.integrations()[0];
        assert_eq!(integration.retry_policy.as_ref().unwrap()["intervalsMs"], json!([50, 100, 200]));
        assert!(integration.active);
        assert!(world.interruptions("orders").is_empty());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_payload_under_the_same_key_is_refused_and_left_alone() {
    world(Options::default(), async |world| {
        let id = world.registered_before(&json!({"method": "PATCH"}));
        world.tenant("production", json!({"resyncPeriodSeconds": 5})).await;
        world.webhook("orders", json!({})).await;
        let webhook = world.until_reason("orders", "AlreadyExists").await;
        let status = webhook.status.unwrap();
        let message = told(&status.conditions, ("False", "AlreadyExists", Some("Stalled")));
        assert!(message.contains("orders:1") && message.contains("adoptionPolicy"), "{message}");
        assert_eq!(status.webhook_id, None, "it is not this resource's");
        world.until_event("orders", "AlreadyExists").await;
        // It is tried again at each resync, and never becomes this resource's own by that.
        let posts = world.count(Route::CreateIntegration);
        world.wait_until(|state| state.count(Route::CreateIntegration) >= posts + 2).await;
        let webhook = world.until_reason("orders", "AlreadyExists").await;
        assert_eq!(webhook.status.unwrap().webhook_id, None);
        assert_eq!(world.changes_by_the_operator(), []);
        world.delete::<CognigyWebhook>("orders").await;
        world.until_gone::<CognigyWebhook>("orders").await;
        assert!(world.integration(&id).is_some_and(|one| one.active), "deleting the loser removes nobody else's");
        assert_eq!(world.changes_by_the_operator(), []);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_adoption_policy_never_not_even_an_identical_registration_is_touched() {
    world(Options::default(), async |world| {
        let id = world.registered_before(&json!({}));
        world.tenant("production", json!({"resyncPeriodSeconds": 5})).await;
        world.policy("patient", json!({"intervalsMs": [50, 100, 200]})).await;
        let spec = json!({"adoptionPolicy": "Never", "retryPolicyRef": {"name": "patient"}});
        world.webhook("orders", spec).await;
        let webhook = world.until_reason("orders", "AlreadyExists").await;
        let status = webhook.status.unwrap();
        told(&status.conditions, ("False", "AlreadyExists", Some("Stalled")));
        assert_eq!((status.webhook_id, status.state), (None, None));
        let posts = world.count(Route::CreateIntegration);
        world.wait_until(|state| state.count(Route::CreateIntegration) >= posts + 2).await;
        world.until_reason("orders", "AlreadyExists").await;
        world.delete::<CognigyWebhook>("orders").await;
        world.until_gone::<CognigyWebhook>("orders").await;
        assert!(world.integration(&id).is_some_and(|one| one.active && one.retry_policy.is_none()));
        assert_eq!(world.changes_by_the_operator(), []);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_outlives_whatever_is_told_after_it() {
    world(Options::default(), async |world| {
        let id = world.registered_before(&json!({}));
        world.tenant("production", json!({})).await;
        world.webhook("orders", json!({"adoptionPolicy": "Never"})).await;
        world.until_reason("orders", "AlreadyExists").await;
        world.tenant("production", json!({"suspend": true})).await;
        world.until_reason("orders", "TenantNotReady").await;
        world.tenant("production", json!({"suspend": false})).await;
        world.until_reason("orders", "AlreadyExists").await;
        // Another version is another registration; the refused one does not become its predecessor.
        world.webhook("orders", json!({"adoptionPolicy": "Never", "version": 2})).await;
        let webhook = world.until_reason("orders", "Active").await;
        assert_eq!(webhook.status.unwrap().versions, []);
        assert_eq!(world.active_versions("orders"), [1, 2]);
        world.delete::<CognigyWebhook>("orders").await;
        world.until_gone::<CognigyWebhook>("orders").await;
        assert!(world.integration(&id).is_some_and(|one| one.active), "somebody else's goes on serving");
        assert!(world.changes_by_the_operator().iter().all(|change| change.id != id));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_registration_can_be_taken_over_when_the_policy_is_changed_to_always() {
    world(Options::default(), async |world| {
        let id = world.registered_before(&json!({"method": "PATCH"}));
        world.tenant("production", json!({})).await;
        world.webhook("orders", json!({})).await;
        world.until_reason("orders", "AlreadyExists").await;
        world.webhook("orders", json!({"adoptionPolicy": "Always"})).await;
        let webhook = world.until_reason("orders", "Active").await;
        let status = webhook.status.unwrap();
        assert_eq!((status.webhook_id, status.state), (Some(id.clone()), Some(State::Active)));
        let note = world.until_event("orders", "Adopted").await;
        assert!(note.contains("differs from the spec and is corrected"), "{note}");
        let integration = world.integration(&id).unwrap();
        assert_eq!((integration.method.as_str(), integration.active), ("POST", true));
        assert!(world.interruptions("orders").is_empty(), "it was active and stays so");
        world.delete::<CognigyWebhook>("orders").await;
        world.until_gone::<CognigyWebhook>("orders").await;
        assert!(world.integrations().is_empty(), "it is this resource's now");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn always_takes_over_another_payload_with_a_put() {
    world(Options::default(), async |world| {
        let id = world.registered_before(&json!({"method": "PATCH", "status": "inactive"}));
        world.tenant("production", json!({})).await;
        world.webhook("orders", json!({"adoptionPolicy": "Always"})).await;
        let webhook = world.until_reason("orders", "Active").await;
        assert_eq!(webhook.status.unwrap().webhook_id, Some(id.clone()));
        let post = &world.requests_to(Route::CreateIntegration)[0];
        assert_eq!(post.status, Some(409));
        assert!(world.count(Route::UpdateIntegration) >= 1);
        let integration = world.integration(&id).unwrap();
        assert_eq!((integration.method.as_str(), integration.active), ("POST", true));
        assert_eq!(world.callback("orders").requests().len(), 1, "checked before it goes live");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_resources_with_one_name_the_older_wins_and_is_untouched() {
    world(Options::default(), async |world| {
        world.tenant("production", json!({})).await;
        world.webhook("older", json!({"name": "orders"})).await;
        let winner = world.until_reason("older", "Active").await;
        world.clear_log();
        world.until_older(&winner).await;
        world.webhook("younger", json!({"name": "orders"})).await;
        let loser = world.until_reason("younger", "NameConflict").await;
        let conditions = loser.status.unwrap().conditions;
        let message = told(&conditions, ("False", "NameConflict", Some("Stalled")));
        assert!(message.contains(&format!("{}/older is older", world.namespace)), "{message}");
        world.until_event("younger", "NameConflict").await;
        assert_eq!(world.requests().len(), 0, "{:?}", world.requests());
        let now = world.api::<CognigyWebhook>().get("older").await.unwrap();
        assert_eq!(now.metadata.resource_version, winner.metadata.resource_version);

        world.delete::<CognigyWebhook>("younger").await;
        world.until_gone::<CognigyWebhook>("younger").await;
        assert_eq!(world.requests().len(), 0, "deleting the loser touches nothing outside");
        assert!(world.integrations()[0].active);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_winner_goes_the_loser_goes_on() {
    world(Options::default(), async |world| {
        world.tenant("production", json!({})).await;
        world.webhook("older", json!({"name": "orders"})).await;
        let winner = world.until_reason("older", "Active").await;
        world
            .eventually("the next second", async || {
                let now = jiff::Timestamp::now();
                now.as_second() > winner.metadata.creation_timestamp.as_ref().unwrap().0.as_second()
            })
            .await;
        world.webhook("younger", json!({"name": "orders"})).await;
        world.until_reason("younger", "NameConflict").await;
        world.delete::<CognigyWebhook>("older").await;
        world.until_gone::<CognigyWebhook>("older").await;
        let webhook = world.until_reason("younger", "Active").await;
        assert_eq!(world.integrations().len(), 1);
        assert_eq!(webhook.status.unwrap().webhook_id.as_deref(), Some(world.integrations()[0].id.as_str()));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_that_ended_between_the_post_and_its_answer_finds_its_own_object_again() {
    world(Options::default(), async |world| {
        world.tenant("production", json!({})).await;
        world.policy("patient", json!({"intervalsMs": [50, 100, 200]})).await;
        let lost = world.fault(Fault::on(Route::CreateIntegration).lose_after());
        world.webhook("orders", json!({"retryPolicyRef": {"name": "patient"}, "adoptionPolicy": "Never"})).await;
        world.wait_until(|state| !state.integrations().is_empty()).await;
        world.stop_operator().await;
        world.remove_fault(lost);
        let id = world.integrations()[0].id.clone();
        world.start_operator().await;
        let webhook = world.until_reason("orders", "Active").await;
        assert_eq!(webhook.status.unwrap().webhook_id, Some(id));
        assert_eq!(world.integrations().len(), 1);
        world.until_event("orders", "Activated").await;
        let events = world.events("orders").await;
        assert!(!reasons(&events).contains(&"AlreadyExists"), "{events:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spec_that_changed_while_the_answer_was_lost_still_finds_the_own_object() {
    world(Options::default(), async |world| {
        world.tenant("production", json!({})).await;
        let lost = world.fault(Fault::on(Route::CreateIntegration).lose_after());
        world.webhook("orders", json!({})).await;
        world.wait_until(|state| !state.integrations().is_empty()).await;
        world.stop_operator().await;
        world.remove_fault(lost);
        world.webhook("orders", json!({"method": "PUT"})).await;
        world.start_operator().await;
        world.until_reason("orders", "Active").await;
        let integrations = world.integrations();
        assert_eq!(integrations.len(), 1);
        assert_eq!((integrations[0].method.as_str(), integrations[0].active), ("PUT", true));
        let events = world.events("orders").await;
        assert!(!reasons(&events).contains(&"AlreadyExists"), "{events:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_half_done_registration_is_removed_when_the_resource_is_deleted() {
    world(Options::default(), async |world| {
        world.tenant("production", json!({})).await;
        let lost = world.fault(Fault::on(Route::CreateIntegration).lose_after());
        world.webhook("orders", json!({})).await;
        world.wait_until(|state| !state.integrations().is_empty()).await;
        world.stop_operator().await;
        world.remove_fault(lost);
        world.delete::<CognigyWebhook>("orders").await;
        world.start_operator().await;
        world.until_gone::<CognigyWebhook>("orders").await;
        assert!(world.integrations().is_empty());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn before_the_first_post_one_patch_records_the_finalizer_and_the_key() {
    world(Options::default(), async |world| {
        world.tenant("production", json!({})).await;
        world.until_tenant("production", "Connected").await;
        let held = world.fault(Fault::on(Route::CreateIntegration).times(1).hang());
        world.webhook("orders", json!({})).await;
        world.wait_until(|state| state.count(Route::CreateIntegration) == 1).await;
        let webhook = world.api::<CognigyWebhook>().get("orders").await.unwrap();
        assert_eq!(webhook.metadata.finalizers.unwrap(), ["cognigy.io/operator"]);
        assert_eq!(webhook.metadata.annotations.unwrap()["cognigy.io/registration"], "orders:1");
        let writes = world.writes("orders");
        let claims = writes.iter().filter(|write| write.subresource.is_none()).count();
        assert_eq!(claims, 1, "{writes:?}");
        world.remove_fault(held);
        world.until_reason("orders", "Active").await;
    })
    .await;
}
