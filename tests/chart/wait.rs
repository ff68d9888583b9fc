//! `helm install --wait` on a user's own chart: what Helm 4 reads from the conditions.

use cognigy_operator::api::{CognigyTenant, CognigyWebhook, RetryPolicy};
use cognigy_simulator::{Fault, Options, Route};

use crate::{
    chart::{beside, helm},
    harness::{World, told, world},
};

impl World {
    /// `helm upgrade --install --wait` of the chart with a tenant, a policy and a webhook that has this URL.
    async fn install_webhook(&self, url: &str) -> Result<String, String> {
        let base = format!("baseUrl={}", self.https_base_url().unwrap());
        let (host, url) = (format!("host={}", self.callback_host()), format!("url={url}"));
        let chart = beside("fixtures/webhook");
        let chart = chart.to_str().unwrap();
        let release = ["upgrade", "--install", "--namespace", &self.namespace, "webhooks", chart];
        let values = ["--set", &base, "--set", &host, "--set", &url];
        helm(&self.plane, &[&release[..], &values, &["--wait", "--timeout", "90s"]].concat()).await
    }

    fn callback_host(&self) -> String {
        let url = self.sim.callback_url("orders").to_string();
        url.split("://").nth(1).unwrap().split([':', '/']).next().unwrap().to_owned()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn helm_waits_until_the_webhook_is_live_and_uninstalls_it_without_a_rest() {
    world(Options::default(), async |world| {
        // Passing faults on the way are no reason to give up.
        world.fault(Fault::on(Route::CreateIntegration).times(2).status(503));
        world.fault(Fault::on(Route::PutWebhook).times(1).status(409));
        let url = world.sim.callback_url("orders").to_string();
        world.install_webhook(&url).await.unwrap();
        let conditions = world.get("orders").await.status.unwrap().conditions;
        told(&conditions, ("True", "Active", None));
        let integrations = world.integrations();
        assert!(integrations.len() == 1 && integrations[0].active && integrations[0].retry_policy.is_some());

        helm(&world.plane, &["uninstall", "--namespace", &world.namespace, "webhooks", "--wait", "--timeout", "90s"])
            .await
            .unwrap();
        world.until_gone::<CognigyWebhook>("orders").await;
        world.until_gone::<RetryPolicy>("patient").await;
        world.until_gone::<CognigyTenant>("production").await;
        assert_eq!(world.integrations(), []);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn helm_fails_at_once_on_what_a_person_must_change_and_succeeds_when_it_is_changed() {
    world(Options::default(), async |world| {
        let refused = world.install_webhook("https://elsewhere.example.com/orders").await.unwrap_err();
        assert!(refused.contains("orders") && refused.contains("Failed"), "{refused}");
        assert!(!refused.contains("deadline exceeded"), "it did not wait in vain: {refused}");
        let conditions = world.get("orders").await.status.unwrap().conditions;
        told(&conditions, ("False", "CallbackForbidden", Some("Stalled")));
        let url = world.sim.callback_url("orders").to_string();
        world.install_webhook(&url).await.unwrap();
        told(&world.get("orders").await.status.unwrap().conditions, ("True", "Active", None));
        assert_eq!(world.integrations().len(), 1);
    })
    .await;
}
