//! A namespace is deleted as a whole: its objects go in any order, nothing hangs, and nothing new is made.

use cognigy_operator::api::{CognigyTenant, CognigyWebhook, FORCE_ORPHAN_ANNOTATION, RetryPolicy};
use cognigy_simulator::{Options, Route};
use futures::StreamExt as _;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Secret};
use kube::{
    Api,
    api::{DeleteParams, ListParams},
};
use serde_json::{Value, json};

use crate::harness::{World, condition, message, told, world};

/// How many orders are tried at the same time.
const AT_ONCE: usize = 4;

impl World {
    /// What `kubectl delete namespace` does first. No namespace controller runs here: the test deletes the objects itself.
    async fn terminate_namespace(&self) {
        let namespaces = Api::<Namespace>::all(self.client.clone());
        namespaces.delete(&self.namespace, &DeleteParams::background()).await.unwrap();
        let namespace = namespaces.get(&self.namespace).await.unwrap();
        assert!(namespace.metadata.deletion_timestamp.is_some());
    }

    /// Deletes all objects of the kind with this letter, as the namespace controller does.
    async fn delete_all(&self, kind: char) {
        let (how, which) = (DeleteParams::background(), ListParams::default());
        match kind {
            't' => drop(self.api::<CognigyTenant>().delete_collection(&how, &which).await.unwrap()),
            'p' => drop(self.api::<RetryPolicy>().delete_collection(&how, &which).await.unwrap()),
            'w' => drop(self.api::<CognigyWebhook>().delete_collection(&how, &which).await.unwrap()),
            's' => drop(self.api::<Secret>().delete_collection(&how, &which).await.unwrap()),
            _ => drop(self.api::<ConfigMap>().delete_collection(&how, &which).await.unwrap()),
        }
    }
}

/// Two live webhooks with all that they refer to.
async fn live(world: &World, tenant: Value) {
    world.tenant("production", tenant).await;
    world.policy("patient", json!({"intervalsMs": [50, 100, 200]})).await;
    world.secret("hooks", &[("api-key", "k-1")]).await;
    for name in ["orders", "refunds"] {
        let headers = json!([{"name": "X-Api-Key", "secretKeyRef": {"name": "hooks", "key": "api-key"}}]);
        world.webhook(name, json!({"retryPolicyRef": {"name": "patient"}, "headersFrom": headers})).await;
    }
    for name in ["orders", "refunds"] {
        world.until_reason(name, "Active").await;
    }
}

async fn all_gone(world: &World) {
    for name in ["orders", "refunds"] {
        world.until_gone::<CognigyWebhook>(name).await;
    }
    world.until_gone::<CognigyTenant>("production").await;
    world.until_gone::<RetryPolicy>("patient").await;
}

async fn emptied_in(order: &str) {
    world(Options::default(), async |world| {
        live(world, json!({})).await;
        let registered = world.count(Route::CreateIntegration);
        world.terminate_namespace().await;
        for kind in order.chars() {
            world.delete_all(kind).await;
        }
        all_gone(world).await;
        assert_eq!(world.integrations(), [], "{order}");
        assert_eq!(world.count(Route::CreateIntegration), registered, "{order}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_is_emptied_in_any_order() {
    // Tenant, policy, webhooks, Secrets, ConfigMaps.
    let orders = ["tpscw", "scptw", "psctw", "wtpsc", "ctswp", "stwpc", "cswpt", "tswpc"];
    futures::stream::iter(orders).for_each_concurrent(AT_ONCE, emptied_in).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_that_are_gone_still_serve_what_is_being_deleted() {
    world(Options::default(), async |world| {
        live(world, json!({})).await;
        world.delete::<Secret>("cognigy-oauth").await;
        world.until_tenant("production", "SecretNotFound").await;
        // A new token is asked for with what is remembered.
        world.expire_tokens();
        world.delete_all('w').await;
        for name in ["orders", "refunds"] {
            world.until_gone::<CognigyWebhook>(name).await;
        }
        assert_eq!(world.integrations(), []);
        // For nothing else: what is new waits.
        world.webhook("tickets", json!({})).await;
        let waiting = message(&world.until_reason("tickets", "TenantNotReady").await);
        assert!(waiting.contains("SecretNotFound"), "{waiting}");
        assert_eq!(world.integrations(), []);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_operator_waits_for_the_credentials_or_for_somebody_to_let_go() {
    world(Options::default(), async |world| {
        live(world, json!({})).await;
        world.stop_operator().await;
        world.delete::<Secret>("cognigy-oauth").await;
        for kind in ['t', 'w'] {
            world.delete_all(kind).await;
        }
        world.start_operator().await;
        for name in ["orders", "refunds"] {
            let webhook = world
                .until(name, |webhook: &CognigyWebhook| {
                    let status = webhook.status.clone().unwrap_or_default();
                    condition(&status.conditions, "Ready").is_some_and(|ready| ready.reason == "DeletionBlocked")
                })
                .await;
            let conditions = webhook.status.unwrap().conditions;
            let message = told(&conditions, ("False", "DeletionBlocked", Some("Reconciling")));
            assert!(message.contains("SecretNotFound") && message.contains("cognigy-oauth"), "{message}");
        }
        assert_eq!(world.integrations().len(), 2);
        world.annotate("refunds", FORCE_ORPHAN_ANNOTATION, "true").await;
        world.until_gone::<CognigyWebhook>("refunds").await;
        world.credentials("cognigy-oauth").await;
        world.until_gone::<CognigyWebhook>("orders").await;
        world.until_gone::<CognigyTenant>("production").await;
        let left: Vec<_> = world.integrations().into_iter().map(|one| (one.name, one.active)).collect();
        assert_eq!(left, [("refunds".to_owned(), true)]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_made_in_a_namespace_that_is_being_deleted() {
    world(Options::default(), async |world| {
        live(world, json!({})).await;
        // One that waits for its tenant, and would be made as soon as that is ready.
        world.tenant("later", json!({"suspend": true})).await;
        world.webhook("tickets", json!({"tenantRef": {"name": "later"}})).await;
        world.until_reason("tickets", "TenantNotReady").await;
        world.terminate_namespace().await;
        world.clear_log();

        world.tenant("later", json!({"suspend": false})).await;
        let webhook = world.until_reason("tickets", "Deleting").await;
        let conditions = webhook.status.unwrap().conditions;
        let message = told(&conditions, ("False", "Deleting", Some("Reconciling")));
        assert!(message.contains(&format!("namespace {} is being deleted", world.namespace)), "{message}");
        assert_eq!(webhook.metadata.finalizers, None, "it can go at once");

        // One that was deleted behind our back is not made again, and a new version is not made either.
        let id = world.get("orders").await.status.unwrap().webhook_id.unwrap();
        assert!(world.delete_behind(&id));
        world.full_pass("orders", "now").await;
        world.until_reason("orders", "Deleting").await;
        world.webhook("refunds", json!({"version": 2, "retryPolicyRef": {"name": "patient"}})).await;
        world.until_reason("refunds", "Deleting").await;
        assert_eq!(world.active_versions("refunds"), [1], "what serves goes on until it is deleted");
        assert_eq!(world.count(Route::CreateIntegration), 0);

        for kind in ['t', 'w', 'p'] {
            world.delete_all(kind).await;
        }
        world.until_gone::<CognigyWebhook>("tickets").await;
        all_gone(world).await;
        assert_eq!(world.integrations(), []);
        assert_eq!(world.count(Route::CreateIntegration), 0);
    })
    .await;
}
