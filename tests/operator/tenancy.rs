//! Who may use what: tenants across namespaces, and Secrets never.

use cognigy_operator::api::{CognigyWebhook, FORCE_ORPHAN_ANNOTATION, RECONCILE_REQUESTED_ANNOTATION};
use cognigy_simulator::Options;
use control_plane::User;
use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Api,
    api::{DeleteParams, Patch, PatchParams},
};
use serde_json::{Value, json};

use crate::harness::{World, condition, message, told, world_without_operator};

/// A world with the tenant `production` in its own namespace and a second namespace, both watched.
async fn two_namespaces(tenant: Value, labels: &[(&str, &str)], test: impl AsyncFnOnce(&World, &str)) {
    world_without_operator(Options::default(), async |world| {
        let other = world.another_namespace(labels).await;
        let operator = User::named(&world.user).group("system:masters");
        world.start_operator_as(&operator, &[&world.namespace, &other]).await;
        world.tenant("production", tenant).await;
        test(world, &other).await;
    })
    .await;
}

impl World {
    /// A webhook in the other namespace at this namespace's tenant.
    async fn guest(&self, other: &str, name: &str, change: Value) {
        let tenant = json!({"tenantRef": {"name": "production", "namespace": self.namespace}});
        let mut spec = tenant;
        spec.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        self.webhook_in(other, name, spec).await;
    }

    async fn ask_in(&self, namespace: &str, name: &str, annotation: &str, value: &str) {
        let api: Api<CognigyWebhook> = Api::namespaced(self.client.clone(), namespace);
        let patch = Patch::Merge(json!({"metadata": {"annotations": {annotation: value}}}));
        api.patch(name, &PatchParams::default(), &patch).await.unwrap();
    }

    async fn label(&self, namespace: &str, labels: Value) {
        let patch = Patch::Merge(json!({"metadata": {"labels": labels}}));
        let namespaces = Api::<Namespace>::all(self.client.clone());
        namespaces.patch(namespace, &PatchParams::default(), &patch).await.unwrap();
    }

    async fn secret_in(&self, namespace: &str, name: &str, values: Value) {
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": values});
        self.apply_in(namespace, secret).await;
    }
}

fn selector(resync: u32) -> Value {
    let selector = json!({"from": "Selector", "selector": {"matchLabels": {"team": "cx"}}});
    json!({"allowedNamespaces": selector, "resyncPeriodSeconds": resync})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_that_loses_its_label_loses_the_tenant_at_a_request_and_nothing_is_deleted() {
    two_namespaces(selector(86_400), &[("team", "cx")], async |world, other| {
        world.guest(other, "orders", json!({})).await;
        world.until_reason_in(other, "orders", "Active").await;
        let before = world.integrations();
        world.clear_log();
        world.label(other, json!({"team": "sales"})).await;
        world.ask_in(other, "orders", RECONCILE_REQUESTED_ANNOTATION, "now").await;
        let stopped = world.until_reason_in(other, "orders", "TenantNotAllowed").await;
        let status = stopped.status.unwrap();
        let message = told(&status.conditions, ("False", "TenantNotAllowed", Some("Stalled")));
        assert!(message.contains(other), "{message}");
        assert!(status.webhook_id.is_some(), "what is known stays in the status");

        // Neither a change nor a deletion reaches Cognigy any more.
        world.guest(other, "orders", json!({"method": "PUT"})).await;
        world.until_reason_in(other, "orders", "TenantNotAllowed").await;
        let webhooks: Api<CognigyWebhook> = Api::namespaced(world.client.clone(), other);
        webhooks.delete("orders", &DeleteParams::background()).await.unwrap();
        let blocked = world
            .until_in(other, "orders", |webhook: &CognigyWebhook| {
                let status = webhook.status.clone().unwrap_or_default();
                condition(&status.conditions, "Ready").is_some_and(|ready| ready.reason == "DeletionBlocked")
            })
            .await;
        let conditions = blocked.status.unwrap().conditions;
        let message = told(&conditions, ("False", "DeletionBlocked", Some("Reconciling")));
        assert!(message.contains("does not allow") && message.contains("force-orphan"), "{message}");
        assert_eq!(world.integrations(), before);
        assert_eq!(world.requests().len(), 0, "{:#?}", world.requests());

        world.ask_in(other, "orders", FORCE_ORPHAN_ANNOTATION, "true").await;
        world.eventually("it is let go", async || webhooks.get_opt("orders").await.unwrap().is_none()).await;
        assert_eq!(world.integrations(), before);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_that_loses_its_label_loses_the_tenant_at_the_next_resync() {
    two_namespaces(selector(5), &[("team", "cx")], async |world, other| {
        world.guest(other, "orders", json!({})).await;
        world.until_reason_in(other, "orders", "Active").await;
        world.label(other, json!({"team": null})).await;
        world.until_reason_in(other, "orders", "TenantNotAllowed").await;
        assert_eq!(world.active_versions("orders"), [1]);
        // And has it again as soon as somebody asks.
        world.label(other, json!({"team": "cx"})).await;
        world.ask_in(other, "orders", RECONCILE_REQUESTED_ANNOTATION, "now").await;
        world.until_reason_in(other, "orders", "Active").await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_permission_that_is_revoked_stops_the_webhooks_at_once_and_deletes_nothing() {
    let all = json!({"allowedNamespaces": {"from": "All"}, "resyncPeriodSeconds": 86_400});
    two_namespaces(all, &[], async |world, other| {
        world.guest(other, "orders", json!({})).await;
        world.webhook("own", json!({})).await;
        world.until_reason_in(other, "orders", "Active").await;
        world.until_reason("own", "Active").await;
        let before = world.integrations();
        world.tenant("production", json!({"allowedNamespaces": {"from": "Same"}})).await;
        world.until_reason_in(other, "orders", "TenantNotAllowed").await;
        assert_eq!(world.integrations(), before);
        // Its own namespace needs no permission.
        world.full_pass("own", "now").await;
        world.until_reason("own", "Active").await;
        world.tenant("production", json!({"allowedNamespaces": {"from": "All"}})).await;
        world.until_reason_in(other, "orders", "Active").await;
        assert_eq!(world.interruptions("orders"), []);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhooks_headers_come_from_its_own_namespace_only() {
    two_namespaces(json!({"allowedNamespaces": {"from": "All"}}), &[], async |world, other| {
        // The tenant's namespace has a Secret of this name; the webhook's has not.
        world.secret("orders-hook", &[("api-key", "of-the-tenants-namespace")]).await;
        let headers = json!([{"name": "X-Api-Key", "secretKeyRef": {"name": "orders-hook", "key": "api-key"}}]);
        world.guest(other, "orders", json!({"headersFrom": headers})).await;
        let waiting = message(&world.until_reason_in(other, "orders", "SecretNotFound").await);
        assert!(waiting.contains(&format!("{other}/orders-hook does not exist")), "{waiting}");
        assert_eq!(world.integrations(), []);
        world.secret_in(other, "orders-hook", json!({"api-key": "of-its-own"})).await;
        world.until_reason_in(other, "orders", "Active").await;
        assert_eq!(world.integrations()[0].headers["X-Api-Key"], json!("of-its-own"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenants_credentials_come_from_its_own_namespace_only() {
    let later =
        json!({"allowedNamespaces": {"from": "All"}, "auth": {"oauth2": {"credentialsSecretRef": {"name": "later"}}}});
    two_namespaces(later, &[], async |world, other| {
        let credentials = world.sim.credentials();
        let values = json!({"client-id": credentials.client_id, "client-secret": credentials.client_secret});
        world.secret_in(other, "later", values).await;
        world.guest(other, "orders", json!({})).await;
        let waiting = message(&world.until_reason_in(other, "orders", "TenantNotReady").await);
        assert!(waiting.contains(&format!("{}/later does not exist", world.namespace)), "{waiting}");
        assert_eq!(world.requests().len(), 0, "{:#?}", world.requests());
        world.credentials("later").await;
        world.until_reason_in(other, "orders", "Active").await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhooks_policy_comes_from_its_own_namespace_only() {
    two_namespaces(json!({"allowedNamespaces": {"from": "All"}}), &[], async |world, other| {
        world.policy("patient", json!({"intervalsMs": [50, 100]})).await;
        world.guest(other, "orders", json!({"retryPolicyRef": {"name": "patient"}})).await;
        world.until_reason_in(other, "orders", "RetryPolicyNotFound").await;
        let policy = json!({"apiVersion": "cognigy.io/v1alpha1", "kind": "RetryPolicy", "metadata": {"name": "patient"}, "spec": {"intervalsMs": [70, 140]}});
        world.apply_in(other, policy).await;
        world.until_reason_in(other, "orders", "Active").await;
        assert_eq!(world.integrations()[0].retry_policy.as_ref().unwrap()["intervalsMs"], json!([70, 140]));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn guests_of_two_namespaces_with_one_name_conflict_at_one_tenant() {
    two_namespaces(json!({"allowedNamespaces": {"from": "All"}}), &[], async |world, other| {
        world.webhook("orders", json!({})).await;
        let winner = world.until_reason("orders", "Active").await;
        let registered = world.integrations();
        world.until_older(&winner).await;
        world.guest(other, "orders", json!({})).await;
        let loser = message(&world.until_reason_in(other, "orders", "NameConflict").await);
        assert!(loser.contains(&format!("{}/orders is older", world.namespace)), "{loser}");
        assert_eq!(world.integrations(), registered);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_callback_that_is_forbidden_later_is_left_as_it_is() {
    two_namespaces(json!({"allowedNamespaces": {"from": "All"}}), &[], async |world, other| {
        world.guest(other, "orders", json!({})).await;
        world.until_reason_in(other, "orders", "Active").await;
        let before = world.integrations();
        let elsewhere = json!({"allowedNamespaces": {"from": "All"}, "callbacks": {"allowedHosts": ["*.example.com"]}});
        world.tenant("production", elsewhere).await;
        let stalled = world.until_reason_in(other, "orders", "CallbackForbidden").await;
        let conditions = stalled.status.unwrap().conditions;
        let message = told(&conditions, ("False", "CallbackForbidden", Some("Stalled")));
        assert!(message.contains("allowedHosts"), "{message}");
        assert_eq!(world.integrations(), before);
        // A deletion sends nothing to the callback, so it is not held up.
        let webhooks: Api<CognigyWebhook> = Api::namespaced(world.client.clone(), other);
        webhooks.delete("orders", &DeleteParams::background()).await.unwrap();
        world.eventually("it is deleted", async || webhooks.get_opt("orders").await.unwrap().is_none()).await;
        assert_eq!(world.integrations(), []);
    })
    .await;
}
