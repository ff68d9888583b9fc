//! Changes reach the webhooks that they concern, in whatever order they come, and no others.

use cognigy_operator::api::CognigyWebhook;
use cognigy_simulator::{Options, Request, Route, Simulator};
use control_plane::User;
use kube::{
    Api,
    api::{Patch, PatchParams},
};
use serde_json::json;

use crate::harness::{World, told, world, world_without_operator};

impl World {
    async fn id_of(&self, name: &str) -> String {
        self.api::<CognigyWebhook>().get(name).await.unwrap().status.unwrap().webhook_id.unwrap()
    }

    fn calls_about(&self, id: &str) -> Vec<Request> {
        self.requests().into_iter().filter(|request| request.path.contains(id)).collect()
    }

    async fn version_of(&self, name: &str) -> Option<String> {
        self.api::<CognigyWebhook>().get(name).await.unwrap().metadata.resource_version
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn references_may_come_later_and_each_missing_one_is_named() {
    world(Options::default(), async |world| {
        let headers = json!([{"name": "X-Api-Key", "secretKeyRef": {"name": "orders-hook", "key": "api-key"}}]);
        world.webhook("orders", json!({"retryPolicyRef": {"name": "patient"}, "headersFrom": headers})).await;
        let message = async |reason: &str| {
            let webhook = world.until_reason("orders", reason).await;
            told(&webhook.status.unwrap().conditions, ("False", reason, Some("Reconciling"))).to_owned()
        };
        let told = message("TenantNotFound").await;
        assert!(told.contains(&format!("tenant {}/production does not exist", world.namespace)), "{told}");
        let auth = json!({"oauth2": {"credentialsSecretRef": {"name": "later"}}});
        world.tenant("production", json!({"auth": auth})).await;
        let told = message("RetryPolicyNotFound").await;
        assert!(told.contains("retry policy patient does not exist"), "{told}");
        world.policy("patient", json!({"intervalsMs": [50, 100, 200]})).await;
        let told = message("SecretNotFound").await;
        assert!(told.contains("/orders-hook does not exist"), "{told}");
        world.secret("orders-hook", &[("api-key", "k-1")]).await;
        let told = message("TenantNotReady").await;
        assert!(told.contains("SecretNotFound") && told.contains("/later does not exist"), "{told}");
        world.credentials("later").await;
        world.until_reason("orders", "Active").await;
        assert_eq!(world.integrations()[0].headers["X-Api-Key"], json!("k-1"));
        for reason in ["TenantNotFound", "RetryPolicyNotFound", "SecretNotFound"] {
            world.until_event("orders", reason).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_order_in_which_everything_is_created_does_not_matter() {
    world(Options::default(), async |world| {
        let webhook = async |name: &str| {
            let headers = json!([{"name": "X-Api-Key", "secretKeyRef": {"name": name, "key": "api-key"}}]);
            let spec = json!({"tenantRef": {"name": name}, "retryPolicyRef": {"name": name}, "headersFrom": headers});
            world.webhook(name, spec).await;
        };
        let tenant = async |name: &str| {
            world.tenant(name, json!({"auth": {"oauth2": {"credentialsSecretRef": {"name": name}}}})).await;
        };
        let policy = async |name: &str| world.policy(name, json!({"intervalsMs": [50, 100, 200]})).await;
        let secret = async |name: &str| {
            let credentials = world.sim.credentials();
            let values = [
                ("api-key", "k-1"),
                ("client-id", credentials.client_id.as_str()),
                ("client-secret", credentials.client_secret.as_str()),
            ];
            world.secret(name, &values).await;
        };
        let orders = ["wpts", "wtps", "wstp", "sptw", "tspw", "pwst"];
        for name in orders {
            for object in name.chars() {
                match object {
                    'w' => webhook(name).await,
                    'p' => policy(name).await,
                    't' => tenant(name).await,
                    _ => secret(name).await,
                }
            }
        }
        for name in orders {
            world.until_reason(name, "Active").await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_key_that_is_missing_is_named_and_waited_for() {
    world(Options::default(), async |world| {
        world.tenant("production", json!({})).await;
        world.secret("orders-hook", &[("key", "k-1")]).await;
        let headers = json!([{"name": "X-Api-Key", "secretKeyRef": {"name": "orders-hook", "key": "api-key"}}]);
        world.webhook("orders", json!({"headersFrom": headers})).await;
        let webhook = world.until_reason("orders", "SecretNotFound").await;
        let conditions = webhook.status.unwrap().conditions;
        let message = told(&conditions, ("False", "SecretNotFound", Some("Reconciling")));
        assert!(message.contains("/orders-hook has no key `api-key` (it has: key)"), "{message}");
        assert!(world.integrations().is_empty());
        world.secret("orders-hook", &[("api-key", "k-2")]).await;
        world.until_reason("orders", "Active").await;
        assert_eq!(world.integrations()[0].headers["X-Api-Key"], json!("k-2"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_policy_or_secret_reaches_the_webhooks_that_use_it_and_no_others() {
    world(Options::default(), async |world| {
        world.tenant("production", json!({})).await;
        for name in ["orders", "refunds"] {
            world.policy(name, json!({"intervalsMs": [50, 100, 200]})).await;
            world.secret(name, &[("api-key", "k-1")]).await;
            let headers = json!([{"name": "X-Api-Key", "secretKeyRef": {"name": name, "key": "api-key"}}]);
            world.webhook(name, json!({"retryPolicyRef": {"name": name}, "headersFrom": headers})).await;
        }
        for name in ["orders", "refunds"] {
            world.until_reason(name, "Active").await;
        }
        let (orders, refunds) = (world.id_of("orders").await, world.id_of("refunds").await);
        let untouched = world.version_of("refunds").await;
        world.clear_log();
        world.policy("orders", json!({"intervalsMs": [60, 120, 240]})).await;
        world
            .until("orders", |webhook: &CognigyWebhook| {
                let status = webhook.status.clone().unwrap_or_default();
                status.retry_policy.is_some_and(|policy| policy.generation == 2)
                    && status.conditions.iter().any(|c| c.reason == "Active")
            })
            .await;
        let policy = world.integration(&orders).unwrap().retry_policy.unwrap();
        assert_eq!(policy["intervalsMs"], json!([60, 120, 240]));
        world.secret("orders", &[("api-key", "k-2")]).await;
        let header =
            |state: &cognigy_simulator::State| state.integration(&orders).unwrap().headers["X-Api-Key"].clone();
        world.wait_until(|state| header(state) == json!("k-2")).await;
        world.until_event("orders", "Updated").await;
        assert!(world.integration(&orders).unwrap().active, "a rotated Secret interrupts nothing");
        assert!(world.interruptions("orders").is_empty());
        assert!(world.calls_about(&orders).len() >= 2);
        assert_eq!(world.calls_about(&refunds).len(), 0, "{:?}", world.calls_about(&refunds));
        assert_eq!(world.version_of("refunds").await, untouched);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_tenant_reaches_its_webhooks_and_no_others() {
    world(Options::default(), async |world| {
        for name in ["orders", "refunds"] {
            world.tenant(name, json!({})).await;
            world.webhook(name, json!({"tenantRef": {"name": name}})).await;
        }
        for name in ["orders", "refunds"] {
            world.until_reason(name, "Active").await;
        }
        let refunds = world.id_of("refunds").await;
        let untouched = world.version_of("refunds").await;
        world.clear_log();
        world.tenant("orders", json!({"callbacks": {"allowedHosts": ["*.example.com"]}})).await;
        let webhook = world.until_reason("orders", "CallbackForbidden").await;
        told(&webhook.status.unwrap().conditions, ("False", "CallbackForbidden", Some("Stalled")));
        world.tenant("orders", json!({})).await;
        world.until_reason("orders", "Active").await;
        assert_eq!(world.calls_about(&refunds).len(), 0);
        assert_eq!(world.version_of("refunds").await, untouched);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_that_moves_to_another_installation_takes_its_webhooks_along() {
    world(Options::default(), async |world| {
        world.tenant("production", json!({})).await;
        world.webhook("orders", json!({})).await;
        world.until_reason("orders", "Active").await;
        let elsewhere = Simulator::start(Options::default()).unwrap();
        world.config_map("elsewhere-ca", "ca.crt", &format!("{}{}", elsewhere.ca_pem(), world.ca_pem())).await;
        let base_url = elsewhere.https_base_url().unwrap();
        world
            .tenant("production", json!({"baseUrl": base_url, "caBundle": {"configMapRef": {"name": "elsewhere-ca"}}}))
            .await;
        let moved = elsewhere.wait_until(|state| state.active_versions("orders") == [1]);
        tokio::time::timeout(std::time::Duration::from_secs(90), moved).await.unwrap();
        world.until_reason("orders", "Active").await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_webhooks_of_a_tenant_share_one_token() {
    world(Options::default(), async |world| {
        world.tenant("production", json!({})).await;
        world.policy("patient", json!({"intervalsMs": [50, 100, 200]})).await;
        let names: Vec<_> = (0..20).map(|number| format!("orders-{number}")).collect();
        for name in &names {
            world.webhook(name, json!({"retryPolicyRef": {"name": "patient"}})).await;
        }
        for name in &names {
            world.until_reason(name, "Active").await;
        }
        assert_eq!(world.count(Route::Token), 1);
        assert!((world.metric("cognigy_operator_token_requests_total{").await - 1.0).abs() < f64::EPSILON);
        assert_eq!(world.count(Route::ListIntegrations), 1, "the tenant's own read");
        assert_eq!(world.integrations().iter().filter(|one| one.active).count(), 20);
        for (route, calls) in [(Route::CreateIntegration, 20), (Route::PutWebhook, 20), (Route::UpdateIntegration, 20)]
        {
            assert_eq!(world.count(route), calls, "{route:?}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_decides_which_namespaces_may_use_it() {
    world_without_operator(Options::default(), async |world| {
        let other = world.another_namespace(&[("team", "cx")]).await;
        let operator = User::named(&world.user).group("system:masters");
        world.start_operator_as(&operator, &[&world.namespace, &other]).await;
        let webhook = async |name: &str| {
            let tenant = json!({"name": "production", "namespace": world.namespace});
            world.webhook_in(&other, name, json!({"tenantRef": tenant})).await;
        };
        world.tenant("production", json!({})).await;
        webhook("orders").await;
        let stalled = world.until_reason_in(&other, "orders", "TenantNotAllowed").await;
        let conditions = stalled.status.unwrap().conditions;
        let message = told(&conditions, ("False", "TenantNotAllowed", Some("Stalled")));
        assert!(message.contains(&other) && message.contains("spec.allowedNamespaces"), "{message}");
        assert!(world.integrations().is_empty());

        let selector = |team: &str| json!({"from": "Selector", "selector": {"matchLabels": {"team": team}}});
        world.tenant("production", json!({"allowedNamespaces": selector("cx")})).await;
        world.until_reason_in(&other, "orders", "Active").await;

        world.tenant("production", json!({"allowedNamespaces": selector("sales")})).await;
        world.until_reason_in(&other, "orders", "TenantNotAllowed").await;
        assert!(world.integrations()[0].active, "what serves traffic is not taken away");

        world.tenant("production", json!({"allowedNamespaces": {"from": "All"}})).await;
        world.until_reason_in(&other, "orders", "Active").await;
        webhook("refunds").await;
        world.until_reason_in(&other, "refunds", "Active").await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_that_gets_the_right_label_may_use_the_tenant_at_the_next_resync() {
    world_without_operator(Options::default(), async |world| {
        let other = world.another_namespace(&[]).await;
        let operator = User::named(&world.user).group("system:masters");
        world.start_operator_as(&operator, &[&world.namespace, &other]).await;
        let selector = json!({"from": "Selector", "selector": {"matchLabels": {"team": "cx"}}});
        world.tenant("production", json!({"allowedNamespaces": selector, "resyncPeriodSeconds": 5})).await;
        let tenant = json!({"name": "production", "namespace": world.namespace});
        world.webhook_in(&other, "orders", json!({"tenantRef": tenant})).await;
        world.until_reason_in(&other, "orders", "TenantNotAllowed").await;
        let namespaces = Api::<k8s_openapi::api::core::v1::Namespace>::all(world.client.clone());
        let labelled = Patch::Merge(json!({"metadata": {"labels": {"team": "cx"}}}));
        namespaces.patch(&other, &PatchParams::default(), &labelled).await.unwrap();
        world.until_reason_in(&other, "orders", "Active").await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_a_tenant_is_not_ready_pending_work_waits_and_what_is_live_is_left_alone() {
    world(Options::default(), async |world| {
        world.tenant("production", json!({})).await;
        for name in ["quiet", "changed"] {
            world.webhook(name, json!({})).await;
        }
        for name in ["quiet", "changed"] {
            world.until_reason(name, "Active").await;
        }
        let untouched = world.version_of("quiet").await;
        world.secret("cognigy-oauth", &[("client-id", "sim-client"), ("client-secret", "wrong")]).await;
        world.until_tenant("production", "Unauthorized").await;
        world.clear_log();
        world.webhook("changed", json!({"method": "PUT"})).await;
        world.webhook("new", json!({})).await;
        for name in ["changed", "new"] {
            let webhook = world.until_reason(name, "TenantNotReady").await;
            let conditions = webhook.status.unwrap().conditions;
            let message = told(&conditions, ("False", "TenantNotReady", Some("Reconciling")));
            assert!(message.contains("Unauthorized"), "{message}");
        }
        assert!(world.requests().iter().all(|request| request.route == Some(Route::Token)), "webhooks do not call");
        assert_eq!(world.version_of("quiet").await, untouched);
        world.credentials("cognigy-oauth").await;
        for name in ["changed", "new"] {
            world.until_reason(name, "Active").await;
        }
        world.until_tenant("production", "Connected").await;
        assert_eq!(world.version_of("quiet").await, untouched);
    })
    .await;
}
