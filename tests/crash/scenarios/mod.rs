//! What the program is killed in the middle of.

mod existing;
mod registered;
mod trouble;

use cognigy_operator::api::{CognigyWebhook, RetryPolicy, webhook::State};
use serde_json::{Value, json};

use crate::harness::World;

/// A policy whose retries are over soon.
const QUICK: [i64; 5] = [100, 150, 225, 340, 510];

impl World {
    /// A tenant and a policy.
    async fn furniture(&self) {
        self.tenant(
            "production",
            json!({"limits": {"requestTimeoutSeconds": 5}, "circuitBreaker": {"failureThreshold": 100}}),
        )
        .await;
        self.policy("quick", json!({"intervalsMs": QUICK})).await;
    }

    /// Waits until tenant and policy are ready.
    async fn until_furnished(&self) {
        self.until_tenant("production", "Connected").await;
        self.until("quick", |policy: &RetryPolicy| {
            policy.status.as_ref().is_some_and(|status| status.observed_generation == policy.metadata.generation)
        })
        .await;
    }

    /// A tenant and a policy that are ready.
    async fn house(&self) {
        self.furniture().await;
        self.until_furnished().await;
    }

    /// Asks for a version of `orders`, of which one older is kept.
    async fn orders(&self, version: i32, change: Value) {
        let mut spec = json!({"version": version, "previousVersions": 1, "retryPolicyRef": {"name": "quick"}});
        spec.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        self.webhook("orders", spec).await;
    }

    async fn until_version(&self, version: i32) {
        self.until("orders", |webhook: &CognigyWebhook| {
            let status = webhook.status.clone().unwrap_or_default();
            status.observed_generation == webhook.metadata.generation
                && status.version == Some(version)
                && status.conditions.iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
        })
        .await;
    }

    async fn until_state(&self, state: State) {
        self.until("orders", |webhook: &CognigyWebhook| {
            webhook.status.as_ref().is_some_and(|status| status.state == Some(state))
        })
        .await;
    }

    /// A version of `orders` that is live.
    async fn live(&self, version: i32, change: Value) {
        self.orders(version, change).await;
        self.until_version(version).await;
    }

    /// A resource for a webhook that exists already.
    async fn existing(&self, name: &str, existing: Value) {
        let spec = json!({"url": null, "existing": existing, "retryPolicyRef": {"name": "quick"}});
        self.webhook(name, spec).await;
    }
}
