//! What deploy/install.yaml grants: enough for everything, and nothing besides.

use cognigy_operator::api::{CognigyTenant, CognigyWebhook, RetryPolicy};
use cognigy_simulator::Options;
use control_plane::User;
use k8s_openapi::api::core::v1::{Namespace, Pod, Secret};
use kube::{
    Api,
    api::{DeleteParams, ListParams, Patch, PatchParams},
};
use serde_json::{Value, json};

use crate::harness::{World, client_for, world_without_operator};

impl World {
    /// Binds the operator's `ClusterRole` of deploy/install.yaml, under a name of this world's own, to its operator's user.
    async fn grant_what_is_documented(&self) {
        let text = include_str!("../../deploy/install.yaml");
        let documents = serde_saphyr::from_multiple::<Value>(text).unwrap();
        // The others are for users.
        let is_own = |role: &Value| role["metadata"]["name"] == "cognigy-operator-cognigy-system";
        let mut role = documents.into_iter().find(|role| role["kind"] == "ClusterRole" && is_own(role)).unwrap();
        role["metadata"]["name"] = json!(self.user);
        let group = "rbac.authorization.k8s.io";
        let binding = json!({
            "apiVersion": format!("{group}/v1"), "kind": "ClusterRoleBinding", "metadata": {"name": self.user},
            "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": self.user},
            "subjects": [{"kind": "User", "name": self.user, "apiGroup": group}],
        });
        for (plural, object) in [("clusterroles", role), ("clusterrolebindings", binding)] {
            let uri = format!("/apis/{group}/v1/{plural}");
            let request = http::Request::post(uri)
                .header("content-type", "application/json")
                .body(object.to_string().into_bytes());
            let _: Value = self.client.request(request.unwrap()).await.unwrap();
        }
    }
}

fn is_forbidden<T>(answer: kube::Result<T>) -> bool {
    matches!(answer, Err(kube::Error::Api(status)) if status.is_forbidden())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_documented_rights_are_enough_for_a_whole_life_and_reach_no_further() {
    world_without_operator(Options::default(), async |world| {
        world.grant_what_is_documented().await;
        let user = User::named(&world.user);
        world.start_operator_as(&user, &[&world.namespace]).await;
        world.secret("header", &[("value", "x")]).await;
        world.tenant("production", json!({"allowedNamespaces": {"from": "All"}})).await;
        world.policy("patient", json!({"intervalsMs": [50, 100, 200]})).await;
        let header = json!([{"name": "X-Api-Key", "secretKeyRef": {"name": "header", "key": "value"}}]);
        world.webhook("orders", json!({"retryPolicyRef": {"name": "patient"}, "headersFrom": header})).await;
        world.until_reason("orders", "Active").await;
        world.webhook("orders", json!({"version": 2, "retryPolicyRef": {"name": "patient"}})).await;
        world.until_reason("orders", "Active").await;
        world.until_event("orders", "Activated").await;

        let client = client_for(&world.plane, &user).await;
        let (change, apply) = (Patch::Merge(json!({"spec": {"suspend": true}})), PatchParams::default());
        let secrets: Api<Secret> = Api::namespaced(client.clone(), &world.namespace);
        let data = Patch::Merge(json!({"stringData": {"value": "y"}}));
        assert!(is_forbidden(secrets.patch("header", &apply, &data).await), "Secrets are only read");
        assert!(is_forbidden(secrets.delete("header", &DeleteParams::default()).await));
        let policies: Api<RetryPolicy> = Api::namespaced(client.clone(), &world.namespace);
        assert!(is_forbidden(policies.patch("patient", &apply, &change).await), "policies are only read");
        let webhooks: Api<CognigyWebhook> = Api::namespaced(client.clone(), &world.namespace);
        assert!(
            is_forbidden(webhooks.delete("orders", &DeleteParams::default()).await),
            "nothing of a user's is deleted"
        );
        let pods: Api<Pod> = Api::namespaced(client.clone(), &world.namespace);
        assert!(is_forbidden(pods.list(&ListParams::default()).await), "workloads are nobody's business");
        let namespaces: Api<Namespace> = Api::all(client.clone());
        assert!(is_forbidden(namespaces.delete(&world.namespace, &DeleteParams::default()).await));

        world.delete::<CognigyWebhook>("orders").await;
        world.until_gone::<CognigyWebhook>("orders").await;
        world.delete::<CognigyTenant>("production").await;
        world.until_gone::<CognigyTenant>("production").await;
        world.stop_operator().await;
        // Up to its end the operator asked for nothing that it may not have; what was refused was asked for here.
        let requests = world.plane.audit_events().unwrap();
        let refused = requests.iter().filter(|event| event.user == world.user && event.code == 403);
        let uris: Vec<_> = refused.map(|event| (event.verb.as_str(), event.request_uri.as_str())).collect();
        assert_eq!(uris.len(), 6, "{uris:?}");
    })
    .await;
}
