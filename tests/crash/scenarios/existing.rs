//! Webhooks that exist already, and the beginning and end of webhooks and tenants.

use cognigy_operator::api::{CognigyTenant, CognigyWebhook};
use cognigy_simulator::BotWebhook;
use serde_json::json;

use crate::{
    harness::World,
    play::{Scenario, at_every_point, is_of_webhooks},
};

/// The first webhook of a kind has the tenant ask for other scopes, now or a little later; that is played with the tenant.
fn is_of_session(call: &str) -> bool {
    ["cognigy Token", "cognigy ListIntegrations"].contains(&call)
}

struct Existing;

impl Scenario for Existing {
    fn counts(call: &str) -> bool {
        is_of_webhooks(call) && !is_of_session(call)
    }

    async fn given(&self, world: &World) {
        world.house().await;
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
    fn counts(call: &str) -> bool {
        is_of_webhooks(call) && !is_of_session(call)
    }

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
        world.until_furnished().await;
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
