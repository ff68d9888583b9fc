//! Another version is another object: blue/green, and back.

use cognigy_operator::api::{
    CognigyWebhook,
    webhook::{KeptVersion, State},
};
use cognigy_simulator::{Change, ChangeKind, Fault, Options, Route};
use serde_json::{Value, json};

use crate::harness::{World, reasons, world};

/// Version 1, live, with a policy.
async fn live(world: &World, change: Value) {
    world.tenant("production", json!({})).await;
    world.policy("patient", json!({"intervalsMs": [1000, 2500]})).await;
    version(world, 1, change).await;
}

/// Asks for a version and waits until it is live.
async fn version(world: &World, version: i32, change: Value) {
    let mut spec = json!({"version": version, "retryPolicyRef": {"name": "patient"}});
    spec.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    world.webhook("orders", spec).await;
    world.until_reason("orders", "Active").await;
}

fn steps(history: &[Change]) -> Vec<(i64, ChangeKind, bool, bool)> {
    history.iter().map(|change| (change.version, change.kind, change.active, change.has_policy)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_version_comes_up_before_the_old_one_goes_down() {
    use ChangeKind::{Created, Updated};
    world(Options::default(), async |world| {
        live(world, json!({})).await;
        let before = world.history().len();
        version(world, 2, json!({})).await;
        let expected = [
            (2, Created, false, false),
            (2, Updated, false, true),
            (2, Updated, true, true),
            (1, Updated, false, true),
        ];
        assert_eq!(steps(&world.history()[before..]), expected);
        assert_eq!(world.interruptions("orders"), []);
        assert_eq!(world.active_versions("orders"), [2]);
        let status = world.get("orders").await.status.unwrap();
        let old = world.integrations().into_iter().find(|one| one.version == 1).unwrap();
        assert_eq!((status.version, status.state), (Some(2), Some(State::Active)));
        assert_eq!(status.versions, [KeptVersion { version: 1, webhook_id: old.id, state: Some(State::Inactive) }]);
        world.until_event("orders", "Deactivated").await;
        let events = world.events("orders").await;
        let expected =
            ["Registered", "VersionDeprecated", "RetryPolicyApplied", "HealthCheckPassed", "Activated", "Deactivated"];
        assert_eq!(reasons(&events)[4..], expected);
        assert!(events.iter().any(|(reason, note)| reason == "VersionDeprecated" && note.contains("version 1")));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_version_that_is_not_healthy_leaves_the_old_one_serving() {
    world(Options::default(), async |world| {
        live(world, json!({})).await;
        world.callback("orders").answer(cognigy_simulator::Answer::status(500));
        world.webhook("orders", json!({"version": 2, "retryPolicyRef": {"name": "patient"}})).await;
        let webhook = world.until_reason("orders", "HealthCheckFailed").await;
        assert_eq!(world.active_versions("orders"), [1]);
        let status = webhook.status.unwrap();
        assert_eq!((status.version, status.state), (Some(2), Some(State::Inactive)));
        assert_eq!(
            status.versions.iter().map(|kept| (kept.version, kept.state)).collect::<Vec<_>>(),
            [(1, Some(State::Active))]
        );
        // Thought better of: the old version never stopped.
        world.callback("orders").answer(cognigy_simulator::Answer::ok());
        version(world, 1, json!({})).await;
        assert_eq!(world.active_versions("orders"), [1]);
        assert_eq!(world.interruptions("orders"), []);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn going_back_to_a_kept_version_reactivates_it_without_registering_anything() {
    world(Options::default(), async |world| {
        live(world, json!({})).await;
        version(world, 2, json!({})).await;
        world.clear_log();
        version(world, 1, json!({})).await;
        assert_eq!(world.count(Route::CreateIntegration), 0);
        assert_eq!(world.active_versions("orders"), [1]);
        assert_eq!(world.interruptions("orders"), []);
        assert_eq!(world.integrations().len(), 2);
        world.until_event("orders", "VersionRolledBack").await;
        let kept = world.get("orders").await.status.unwrap().versions;
        assert_eq!(
            kept.iter().map(|kept| (kept.version, kept.state)).collect::<Vec<_>>(),
            [(2, Some(State::Inactive))]
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_version_that_is_not_to_be_kept_is_deleted_after_the_switch() {
    world(Options::default(), async |world| {
        live(world, json!({"previousVersions": 0})).await;
        let before = world.history().len();
        version(world, 2, json!({"previousVersions": 0})).await;
        world.until_event("orders", "Deleted").await;
        let integrations = world.integrations();
        assert_eq!(integrations.iter().map(|one| (one.version, one.active)).collect::<Vec<_>>(), [(2, true)]);
        assert_eq!(world.interruptions("orders"), []);
        let last = steps(&world.history()[before..]).last().copied();
        assert_eq!(last, Some((1, ChangeKind::Deleted, false, false)));
        assert_eq!(world.get("orders").await.status.unwrap().versions, []);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_old_versions_are_kept_than_asked_for() {
    world(Options::default(), async |world| {
        live(world, json!({})).await;
        version(world, 2, json!({})).await;
        version(world, 3, json!({})).await;
        let there: Vec<_> = world.integrations().iter().map(|one| (one.version, one.active)).collect();
        assert_eq!(there, [(2, false), (3, true)]);
        assert_eq!(world.interruptions("orders"), []);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_version_that_cannot_be_deactivated_at_once_is_later() {
    world(Options::default(), async |world| {
        live(world, json!({})).await;
        world.policy("patient", json!({"intervalsMs": [50, 100]})).await;
        // The activation of the new one passes, the deactivation of the old one does not at first.
        world.fault(Fault::on(Route::UpdateIntegration).skip(1).times(2).status(503));
        version(world, 2, json!({})).await;
        assert_eq!(world.active_versions("orders"), [2]);
        assert_eq!(world.interruptions("orders"), []);
        assert_eq!(world.event_count("orders", "Activated").await, 2, "one for each version");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kept_version_that_is_gone_is_registered_again() {
    world(Options::default(), async |world| {
        live(world, json!({})).await;
        version(world, 2, json!({})).await;
        let old = world.integrations().into_iter().find(|one| one.version == 1).unwrap();
        assert!(world.delete_behind(&old.id));
        version(world, 1, json!({})).await;
        assert_eq!(world.active_versions("orders"), [1]);
        assert_eq!(world.interruptions("orders"), []);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_was_given_up_half_way_is_not_forgotten() {
    world(Options::default(), async |world| {
        live(world, json!({"previousVersions": 0})).await;
        world.policy("patient", json!({"intervalsMs": [3_600_000]})).await;
        world.until_reason("orders", "Active").await;
        world.fault(Fault::on(Route::CreateIntegration).times(1).lose_after());
        world
            .webhook("orders", json!({"version": 2, "previousVersions": 0, "retryPolicyRef": {"name": "patient"}}))
            .await;
        world.until_reason("orders", "ServerError").await;
        assert_eq!(world.integrations().len(), 2, "made, although its answer was lost");
        version(world, 1, json!({"previousVersions": 0})).await;
        let there: Vec<_> = world.integrations().iter().map(|one| (one.version, one.active)).collect();
        assert_eq!(there, [(1, true)]);
        assert_eq!(world.interruptions("orders"), []);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_version_that_is_taken_back_leaves_the_old_one_untouched() {
    world(Options::default(), async |world| {
        live(world, json!({})).await;
        let before = world.history().len();
        world.fault(Fault::on(Route::CreateIntegration).times(1).status(422));
        world.webhook("orders", json!({"version": 2, "retryPolicyRef": {"name": "patient"}})).await;
        let webhook = world.until_reason("orders", "Rejected").await;
        let kept = webhook.status.unwrap().versions;
        assert_eq!(kept.iter().map(|kept| (kept.version, kept.state)).collect::<Vec<_>>(), [(1, Some(State::Active))]);
        version(world, 1, json!({})).await;
        assert_eq!(world.history()[before..], []);
        assert_eq!(world.active_versions("orders"), [1]);
        let status = world.get("orders").await.status.unwrap();
        assert_eq!((status.version, status.state, status.versions), (Some(1), Some(State::Active), vec![]));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_is_somebody_elses_is_left_alone_when_it_is_taken_back() {
    world(Options::default(), async |world| {
        live(world, json!({"previousVersions": 0})).await;
        let other = json!({
            "name": "orders", "version": 2, "idempotencyKey": "orders:2", "method": "PATCH", "status": "active",
            "url": world.callback_url("somebody-elses"),
        });
        let id = world.add_integration(other);
        let before = world.history().len();
        world
            .webhook("orders", json!({"version": 2, "previousVersions": 0, "retryPolicyRef": {"name": "patient"}}))
            .await;
        world.until_reason("orders", "AlreadyExists").await;
        version(world, 1, json!({"previousVersions": 0})).await;
        world.delete::<CognigyWebhook>("orders").await;
        world.until_gone::<CognigyWebhook>("orders").await;
        assert!(world.integration(&id).is_some_and(|one| one.active));
        let changed: Vec<_> = world.history()[before..].iter().map(|change| change.version).collect();
        assert_eq!(changed, [1], "only its own version, when it was deleted");
    })
    .await;
}
