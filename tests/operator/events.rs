//! Events: one for each fact, short enough to be taken, and never a condition for the work.

use cognigy_operator::api::{CognigyTenant, CognigyWebhook};
use cognigy_simulator::{Answer, Fault, Options, Route};
use control_plane::User;
use k8s_openapi::api::{
    events::v1::Event,
    rbac::v1::{ClusterRole, ClusterRoleBinding},
};
use kube::{
    Api,
    api::{ListParams, PostParams},
};
use serde_json::json;

use crate::harness::{World, reasons, world, world_without_operator};

#[tokio::test(flavor = "multi_thread")]
async fn two_facts_of_one_reason_are_two_events() {
    world(Options::default(), async |world| {
        world.tenant("production", json!({})).await;
        world.policy("patient", json!({"intervalsMs": [50, 100, 200]})).await;
        world.fault(Fault::on(Route::PutWebhook).times(2).status(409));
        world.webhook("orders", json!({"retryPolicyRef": {"name": "patient"}})).await;
        world.until_reason("orders", "Active").await;
        world.until_event("orders", "Activated").await;
        let events = world.events("orders").await;
        let conflicts: Vec<_> = events.iter().filter(|(reason, _)| reason == "Conflict").collect();
        assert_eq!(conflicts.len(), 2, "{events:?}");
        assert_ne!(conflicts[0].1, conflicts[1].1, "each says which try it was");
        let objects = world.api::<Event>().list(&ListParams::default()).await.unwrap().items;
        assert!(objects.iter().all(|event| event.series.is_none()), "nothing is merged away");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_event_is_also_an_audit_line_and_says_what_changed() {
    world(Options::default(), async |world| {
        world.tenant("production", json!({})).await;
        world.policy("patient", json!({"intervalsMs": [50, 100, 200]})).await;
        world.webhook("orders", json!({"retryPolicyRef": {"name": "patient"}})).await;
        let id = world.until_reason("orders", "Active").await.status.unwrap().webhook_id.unwrap();
        world.delete::<CognigyWebhook>("orders").await;
        world.until_gone::<CognigyWebhook>("orders").await;
        world.until_event("orders", "Deleted").await;
        let events = world.events("orders").await;
        let expected = ["Registered", "RetryPolicyApplied", "HealthCheckPassed", "Activated", "Deleted"];
        assert_eq!(reasons(&events), expected);
        let lines: Vec<_> = world.audit_lines().into_iter().filter(|line| line["name"] == json!("orders")).collect();
        let told: Vec<_> = lines
            .iter()
            .map(|line| (line["action"].as_str().unwrap().to_owned(), line["details"].as_str().unwrap().to_owned()))
            .collect();
        assert_eq!(told, events);
        for (reason, note) in &events {
            assert!(note.contains(&id) || reason == "HealthCheckPassed", "{reason}: {note}");
        }
        for line in &lines {
            assert_eq!((&line["webhook_id"], &line["version"]), (&json!(id), &json!(1)), "{line}");
            assert!(line["latency_ms"].as_f64().is_some_and(|latency| latency >= 0.0), "{line}");
        }
        let policy = &events[1].1;
        assert!(policy.contains("patient") && policy.contains("\"v"), "entity tags before and after: {policy}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_answer_of_cognigy_still_makes_an_event_that_the_api_server_takes() {
    world(Options::default(), async |world| {
        world.tenant("production", json!({})).await;
        let detail = "ü".repeat(3000);
        let problem = json!({"type": "about:blank", "title": "Unprocessable", "status": 422, "detail": detail});
        world.fault(Fault::on(Route::CreateIntegration).times(1).status(422).body(problem));
        world.webhook("orders", json!({})).await;
        world.until_reason("orders", "Rejected").await;
        world.until_event("orders", "Rejected").await;
        let long = "x".repeat(900);
        world.callback("refunds").answer(Answer::status(503));
        world.webhook("refunds", json!({"url": format!("{}?{long}", world.callback_url("refunds"))})).await;
        world.until_event("refunds", "HealthCheckFailed").await;
        for event in world.api::<Event>().list(&ListParams::default()).await.unwrap().items {
            assert!(event.note.as_ref().is_some_and(|note| note.len() <= 1024), "{event:?}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_that_may_not_write_events_does_its_work_all_the_same() {
    world_without_operator(Options::default(), async |world| {
        world.grant_all_but_events().await;
        world.start_operator_as(&User::named(&world.user), &[&world.namespace]).await;
        world.tenant("production", json!({})).await;
        world.policy("patient", json!({"intervalsMs": [50, 100, 200]})).await;
        world.webhook("orders", json!({"retryPolicyRef": {"name": "patient"}})).await;
        world.until_reason("orders", "Active").await;
        assert!(world.integrations()[0].active);
        world.delete::<CognigyWebhook>("orders").await;
        world.until_gone::<CognigyWebhook>("orders").await;
        world.delete::<CognigyTenant>("production").await;
        world.until_gone::<CognigyTenant>("production").await;
        assert!(world.integrations().is_empty());
        assert_eq!(world.events("orders").await, []);
        let actions: Vec<_> = world.audit_lines().into_iter().map(|line| line["action"].clone()).collect();
        for action in ["Registered", "Activated", "Deleted"] {
            assert!(actions.contains(&json!(action)), "the audit lines remain: {actions:?}");
        }
    })
    .await;
}

impl World {
    /// What the operator needs, and no right on events.
    async fn grant_all_but_events(&self) {
        let role: ClusterRole = serde_json::from_value(json!({
            "metadata": {"name": self.user},
            "rules": [
                {"apiGroups": ["cognigy.io"], "resources": ["*"], "verbs": ["get", "list", "watch", "patch", "update"]},
                {"apiGroups": [""], "resources": ["secrets", "configmaps"], "verbs": ["get", "list", "watch"]},
                {"apiGroups": [""], "resources": ["namespaces"], "verbs": ["get"]},
            ],
        }))
        .unwrap();
        let binding: ClusterRoleBinding = serde_json::from_value(json!({
            "metadata": {"name": self.user},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": self.user},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": self.user}],
        }))
        .unwrap();
        let parameters = PostParams::default();
        Api::all(self.client.clone()).create(&parameters, &role).await.unwrap();
        Api::all(self.client.clone()).create(&parameters, &binding).await.unwrap();
    }
}
