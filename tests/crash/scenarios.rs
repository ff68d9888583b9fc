//! What the program is killed in the middle of.

use cognigy_operator::api::{CognigyTenant, CognigyWebhook};
use cognigy_simulator::{BotWebhook, Fault, Route};
use serde_json::{Value, json};

use crate::{
    harness::World,
    play::{Scenario, at_every_point},
};

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

    /// A tenant and a policy that are ready.
    async fn house(&self) {
        self.furniture().await;
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

struct Existing;

impl Scenario for Existing {
    async fn given(&self, world: &World) {
        world.house().await;
        // The first of its kind has the tenant ask for other scopes; that is not what is looked at here.
        let first =
            world.add_integration(json!({"name": "first", "url": "https://hooks.example.com/x", "status": "active"}));
        world.existing("first", json!({"webhookId": first})).await;
        world.until_reason("first", "Active").await;
        world.add_integration(
            json!({"id": "wh_by_hand", "name": "by-hand", "url": "https://hooks.example.com/x", "status": "active"}),
        );
    }

    async fn when(&self, world: &World) {
        world.existing("imported", json!({"webhookId": "wh_by_hand"})).await;
    }

    async fn then(&self, world: &World) {
        world.until_reason("imported", "Active").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_that_exists_already() {
    at_every_point("a webhook that exists already", Existing).await;
}

struct ExistingOfBot;

impl Scenario for ExistingOfBot {
    async fn given(&self, world: &World) {
        world.house().await;
        world.policy("quick", json!({"intervalsMs": [100, 200, 400]})).await;
        for name in ["first", "by-hand"] {
            world.add_bot_webhook(BotWebhook::new("support", name, "https://hooks.example.com/x"));
        }
        world.existing("first", json!({"botId": "support", "name": "first"})).await;
        world.until_reason("first", "Active").await;
    }

    async fn when(&self, world: &World) {
        world.existing("imported", json!({"botId": "support", "name": "by-hand"})).await;
    }

    async fn then(&self, world: &World) {
        world.until_reason("imported", "Active").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_of_a_bot() {
    at_every_point("a webhook of a bot", ExistingOfBot).await;
}

struct Deletion;

impl Scenario for Deletion {
    const SERVED: bool = false;

    async fn given(&self, world: &World) {
        world.house().await;
        world.live(1, json!({})).await;
        world.live(2, json!({})).await;
    }

    async fn when(&self, world: &World) {
        world.delete::<CognigyWebhook>("orders").await;
    }

    async fn then(&self, world: &World) {
        world.until_gone::<CognigyWebhook>("orders").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_with_a_kept_version() {
    at_every_point("a deletion with a kept version", Deletion).await;
}

struct NewTenant;

impl Scenario for NewTenant {
    fn counts(_: &str) -> bool {
        true
    }

    async fn given(&self, _: &World) {}

    async fn when(&self, world: &World) {
        world.furniture().await;
    }

    async fn then(&self, world: &World) {
        world.until_tenant("production", "Connected").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_tenant() {
    at_every_point("a new tenant", NewTenant).await;
}

/// A tenant that is deleted together with its webhook goes last.
struct TenantGoes;

impl Scenario for TenantGoes {
    const SERVED: bool = false;

    fn counts(call: &str) -> bool {
        !call.contains("retrypolicies")
    }

    async fn given(&self, world: &World) {
        world.house().await;
        world.live(1, json!({})).await;
    }

    async fn when(&self, world: &World) {
        world.delete::<CognigyTenant>("production").await;
        world.delete::<CognigyWebhook>("orders").await;
    }

    async fn then(&self, world: &World) {
        world.until_gone::<CognigyWebhook>("orders").await;
        world.until_gone::<CognigyTenant>("production").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_that_goes_with_its_webhook() {
    at_every_point("a tenant that goes with its webhook", TenantGoes).await;
}
