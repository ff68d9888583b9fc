//! Webhooks that are registered: their first version, the next ones, and every other change.

use cognigy_operator::api::CognigyWebhook;
use cognigy_simulator::{Fault, Route};
use serde_json::json;

use crate::{
    harness::World,
    play::{Scenario, at_every_point},
};

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

struct NewVersion;

impl Scenario for NewVersion {
    async fn given(&self, world: &World) {
        world.house().await;
        world.live(1, json!({})).await;
    }

    async fn when(&self, world: &World) {
        world.orders(2, json!({})).await;
    }

    async fn then(&self, world: &World) {
        world.until_version(2).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_version() {
    at_every_point("a new version", NewVersion).await;
}

/// The third version: there is one too many, which goes.
struct ThirdVersion;

impl Scenario for ThirdVersion {
    async fn given(&self, world: &World) {
        world.house().await;
        world.live(1, json!({})).await;
        world.live(2, json!({})).await;
    }

    async fn when(&self, world: &World) {
        world.orders(3, json!({})).await;
    }

    async fn then(&self, world: &World) {
        world.until_version(3).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_after_which_an_older_one_goes() {
    at_every_point("a version after which an older one goes", ThirdVersion).await;
}

struct RollBack;

impl Scenario for RollBack {
    async fn given(&self, world: &World) {
        world.house().await;
        world.live(1, json!({})).await;
        world.live(2, json!({})).await;
    }

    async fn when(&self, world: &World) {
        world.orders(1, json!({})).await;
    }

    async fn then(&self, world: &World) {
        world.until_version(1).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_roll_back_to_a_kept_version() {
    at_every_point("a roll-back to a kept version", RollBack).await;
}

/// The second version was registered, but no answer ever said so; then the third is asked for.
struct HalfRegistered;

impl Scenario for HalfRegistered {
    async fn given(&self, world: &World) {
        world.house().await;
        world.live(1, json!({})).await;
        world.fault(Fault::on(Route::CreateIntegration).status(503).after_commit());
        world.orders(2, json!({})).await;
        world.until_reason("orders", "RetriesExhausted").await;
        world.clear_faults();
    }

    async fn when(&self, world: &World) {
        world.orders(3, json!({})).await;
    }

    async fn then(&self, world: &World) {
        world.until_version(3).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_was_given_up_half_registered() {
    at_every_point("a version that was given up half registered", HalfRegistered).await;
}

struct RotatedSecret;

impl Scenario for RotatedSecret {
    async fn given(&self, world: &World) {
        world.house().await;
        world.secret("orders-hook", &[("api-key", "old")]).await;
        let headers = json!([{"name": "X-Api-Key", "secretKeyRef": {"name": "orders-hook", "key": "api-key"}}]);
        world.live(1, json!({"headersFrom": headers})).await;
    }

    async fn when(&self, world: &World) {
        world.secret("orders-hook", &[("api-key", "new")]).await;
    }

    async fn then(&self, world: &World) {
        world
            .until_sim("the new key is there", |state| {
                state.integrations().iter().any(|one| one.headers.get("X-Api-Key") == Some(&json!("new")))
            })
            .await;
        world.until_version(1).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotated_secret() {
    at_every_point("a rotated Secret", RotatedSecret).await;
}

struct OtherPolicy;

impl Scenario for OtherPolicy {
    async fn given(&self, world: &World) {
        world.house().await;
        world.live(1, json!({})).await;
    }

    async fn when(&self, world: &World) {
        world.policy("quick", json!({"intervalsMs": [50, 100, 200]})).await;
    }

    async fn then(&self, world: &World) {
        world
            .until("orders", |webhook: &CognigyWebhook| {
                webhook.status.as_ref().and_then(|status| status.retry_policy.as_ref()).map(|policy| policy.generation)
                    == Some(2)
            })
            .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_policy() {
    at_every_point("another policy", OtherPolicy).await;
}
