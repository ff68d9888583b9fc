//! Another version is another object: blue/green, and back.

use cognigy_operator::api::webhook::{KeptVersion, State};
use cognigy_simulator::{Change, ChangeKind, Options, Route};
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
        assert_eq!(status.versions, [KeptVersion { version: 1, webhook_id: old.id, state: State::Inactive }]);
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
            [(1, State::Active)]
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
        assert_eq!(kept.iter().map(|kept| (kept.version, kept.state)).collect::<Vec<_>>(), [(2, State::Inactive)]);
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
