//! What a user does: applies, annotates and deletes objects.

use std::fmt::Debug;

use cognigy_operator::api::CognigyWebhook;
use cognigy_simulator::Credentials;
use futures::StreamExt as _;
use k8s_openapi::NamespaceResourceScope;
use kube::{
    Api, Resource,
    api::{DeleteParams, Patch, PatchParams},
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{World, api_of};

impl World {
    /// Applies manifests as a user does; the namespace is added.
    pub async fn apply(&self, manifest: Value) -> Value {
        self.apply_in(&self.namespace, manifest).await
    }

    /// The same in another namespace.
    pub async fn apply_in(&self, namespace: &str, manifest: Value) -> Value {
        let mut manifest = manifest;
        manifest["metadata"]["namespace"] = json!(namespace);
        let kind = manifest["kind"].as_str().unwrap();
        let api_version = manifest["apiVersion"].as_str().unwrap();
        let resource = kube::core::ApiResource::from_gvk(
            &kube::core::GroupVersionKind::try_from(kube::core::TypeMeta {
                api_version: api_version.into(),
                kind: kind.into(),
            })
            .unwrap(),
        );
        let api: Api<kube::core::DynamicObject> = Api::namespaced_with(self.client.clone(), namespace, &resource);
        let parameters = PatchParams::apply("a-user").force();
        let name = manifest["metadata"]["name"].as_str().unwrap().to_owned();
        let applied = api.patch(&name, &parameters, &Patch::Apply(&manifest)).await.unwrap();
        serde_json::to_value(applied).unwrap()
    }

    /// Creates or replaces a Secret.
    pub async fn secret(&self, name: &str, values: &[(&str, &str)]) {
        let data: serde_json::Map<String, Value> =
            values.iter().map(|(key, value)| ((*key).to_owned(), json!(value))).collect();
        self.apply(json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data})).await;
    }

    /// The simulator's credentials as a Secret.
    pub async fn credentials(&self, name: &str) {
        let credentials = self.sim.credentials();
        self.secret(name, &[("client-id", &credentials.client_id), ("client-secret", &credentials.client_secret)])
            .await;
    }

    /// Cognigy takes another client secret from now on; the Secret still has the old one.
    pub fn rotate_credentials(&self) {
        let rotated = Credentials { client_secret: "sim-secret-rotated".into(), ..self.sim.credentials() };
        self.sim.set_credentials(rotated);
    }

    pub async fn config_map(&self, name: &str, key: &str, value: &str) {
        let data = json!({key: value});
        self.apply(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data})).await;
    }

    /// A tenant at the simulator; `change` is merged into its spec.
    pub async fn tenant(&self, name: &str, change: Value) {
        let mut spec = json!({
            "baseUrl": self.sim.https_base_url().unwrap(),
            "auth": {"oauth2": {"credentialsSecretRef": {"name": "cognigy-oauth"}}},
            "caBundle": {"configMapRef": {"name": "simulator-ca", "key": "ca.crt"}},
            "limits": {"requestsPerMinute": 60000, "burst": 1000},
            "callbacks": {"allowPrivateNetworks": true},
        });
        merge(&mut spec, change);
        self.apply(json!({"apiVersion": "cognigy.io/v1alpha1", "kind": "CognigyTenant", "metadata": {"name": name}, "spec": spec}))
            .await;
    }

    /// The worked example of cognigy-api.md §4, or another policy.
    pub async fn policy(&self, name: &str, spec: Value) {
        self.apply(json!({"apiVersion": "cognigy.io/v1alpha1", "kind": "RetryPolicy", "metadata": {"name": name}, "spec": spec}))
            .await;
    }

    /// A webhook at the tenant `production` whose callback is the simulator's of the same name; `change` is merged into its
    /// spec.
    pub async fn webhook(&self, name: &str, change: Value) {
        self.webhook_in(&self.namespace, name, change).await;
    }

    /// The same in another namespace.
    pub async fn webhook_in(&self, namespace: &str, name: &str, change: Value) {
        let mut spec = json!({"tenantRef": {"name": "production"}, "url": self.sim.callback_url(name)});
        merge(&mut spec, change);
        let manifest = json!({"apiVersion": "cognigy.io/v1alpha1", "kind": "CognigyWebhook", "metadata": {"name": name}, "spec": spec});
        self.apply_in(namespace, manifest).await;
    }

    /// That many webhooks, made at the same time; their names are [`nth`](Self::nth).
    pub async fn webhooks(&self, count: usize, change: Value) {
        let made = futures::stream::iter(0..count).map(|nth| {
            let change = change.clone();
            async move { self.webhook(&Self::nth(nth), change).await }
        });
        made.buffer_unordered(16).collect::<()>().await;
    }

    /// The name of one of many webhooks.
    pub fn nth(nth: usize) -> String {
        format!("hook-{nth:03}")
    }

    /// An API for objects of this namespace.
    pub fn api<K>(&self) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        api_of(&self.client, &self.namespace)
    }

    pub async fn annotate(&self, name: &str, annotation: &str, value: &str) {
        let patch = json!({"metadata": {"annotations": {annotation: value}}});
        self.api::<CognigyWebhook>().patch(name, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
    }

    pub async fn delete<K>(&self, name: &str)
    where
        K: Resource<Scope = NamespaceResourceScope> + Clone + DeserializeOwned + Debug,
        K::DynamicType: Default,
    {
        self.api::<K>().delete(name, &DeleteParams::background()).await.unwrap();
    }
}

fn merge(into: &mut Value, change: Value) {
    match (into, change) {
        (Value::Object(into), Value::Object(change)) => {
            for (key, value) in change {
                if value.is_null() {
                    into.remove(&key);
                } else {
                    merge(into.entry(key).or_insert(Value::Null), value);
                }
            }
        }
        (into, change) => *into = change,
    }
}
