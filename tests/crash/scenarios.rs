//! What the program is killed in the middle of.

use cognigy_operator::api::CognigyWebhook;
use serde_json::{Value, json};

use crate::{
    harness::World,
    play::{Scenario, at_every_point},
};

/// A policy whose retries are over soon.
const QUICK: [i64; 5] = [100, 150, 225, 340, 510];

impl World {
    /// A tenant and a policy that are ready.
    async fn house(&self) {
        self.tenant("production", json!({"limits": {"requestTimeoutSeconds": 5}})).await;
        self.policy("quick", json!({"intervalsMs": QUICK})).await;
        self.until_tenant("production", "Connected").await;
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
}

struct NewWebhook;

impl Scenario for NewWebhook {
    async fn given(&self, world: &World) {
        world.house().await;
    }

    async fn when(&self, world: &World) {
        world.orders(1, json!({})).await;
    }

    async fn then(&self, world: &World) {
        world.until_version(1).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_webhook() {
    at_every_point("a new webhook", NewWebhook).await;
}
