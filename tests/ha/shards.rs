//! Several operators, each for its own part: three leaders at the same time that never meet.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Instant,
};

use cognigy_operator::api::{CognigyTenant, CognigyWebhook};
use cognigy_simulator::{Options, Route};
use futures::{StreamExt as _, stream};
use k8s_openapi::api::coordination::v1::Lease;
use kube::{
    Api, ResourceExt as _,
    api::{ListParams, Patch, PatchParams},
};
use serde_json::{Value, json};

use crate::{
    harness::{World, world_without_operator},
    replica::Replica,
};

const SHARDS: [&str; 3] = ["red", "green", "blue"];
const WEBHOOKS: usize = 300;

/// The shard that a webhook belongs to.
fn shard_of(nth: usize) -> &'static str {
    SHARDS[nth % SHARDS.len()]
}

impl World {
    /// An object with the label of a shard.
    async fn sharded(&self, namespace: &str, kind: &str, name: &str, shard: &str, spec: Value) {
        let metadata = json!({"name": name, "labels": {"shard": shard}});
        let object = json!({"apiVersion": "cognigy.io/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec});
        self.apply_in(namespace, object).await;
    }

    /// Moves an object to another shard.
    async fn move_to(&self, plural: &str, name: &str, shard: &str) {
        let label = Patch::Merge(json!({"metadata": {"labels": {"shard": shard}}}));
        let parameters = PatchParams::default();
        match plural {
            "cognigytenants" => drop(self.api::<CognigyTenant>().patch(name, &parameters, &label).await.unwrap()),
            _ => drop(self.api::<CognigyWebhook>().patch(name, &parameters, &label).await.unwrap()),
        }
    }

    /// A tenant at the simulator, with what it needs in its namespace.
    async fn tenant_of_shard(&self, namespace: &str, name: &str, shard: &str) {
        let credentials = self.sim.credentials();
        let data = json!({"client-id": credentials.client_id, "client-secret": credentials.client_secret});
        let secret =
            json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "cognigy-oauth"}, "stringData": data});
        self.apply_in(namespace, secret).await;
        let ca = json!({"ca.crt": self.ca_pem()});
        self.apply_in(
            namespace,
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "simulator-ca"}, "data": ca}),
        )
        .await;
        let spec = json!({
            "baseUrl": self.sim.https_base_url().unwrap(),
            "auth": {"oauth2": {"credentialsSecretRef": {"name": "cognigy-oauth"}}},
            "caBundle": {"configMapRef": {"name": "simulator-ca", "key": "ca.crt"}},
            "limits": {"requestsPerMinute": 60000, "burst": 1000},
            "callbacks": {"allowPrivateNetworks": true},
        });
        self.sharded(namespace, "CognigyTenant", name, shard, spec).await;
    }

    fn webhook_spec(&self, tenant: &str, name: &str) -> Value {
        json!({"tenantRef": {"name": tenant}, "url": self.sim.callback_url(name)})
    }

    /// Starts a leader for the objects of one shard in this namespace.
    async fn shard(&self, name: &str) -> Replica {
        let selector = format!("shard={name}");
        let scope = ["--watch-namespaces", &self.namespace, "--watch-label-selector", &selector];
        let shard = self.replica_with(name, &scope, &[]).await;
        shard.leads().await;
        shard
    }

    /// Waits until all webhooks of these namespaces are active, that many in all. A slow machine may take its time for all of
    /// them, but not for the next few.
    async fn until_active(&self, namespaces: &[&str], count: usize) {
        const FEW: usize = 30;
        for enough in (FEW..count).step_by(FEW).chain([count]) {
            self.eventually(&format!("{enough} webhooks are active"), async || self.active(namespaces).await >= enough)
                .await;
        }
    }

    async fn active(&self, namespaces: &[&str]) -> usize {
        let mut active = 0;
        for namespace in namespaces {
            let webhooks: Api<CognigyWebhook> = Api::namespaced(self.client.clone(), namespace);
            let webhooks = webhooks.list(&ListParams::default()).await.unwrap();
            active += webhooks.iter().filter(|webhook| is_active(webhook)).count();
        }
        active
    }

    /// Who wrote each webhook, by namespace and name.
    fn writers_of_webhooks(&self, namespaces: &[&str]) -> BTreeMap<(String, String), BTreeSet<String>> {
        let suffix = format!("-of-{}", self.namespace);
        let mut writers: BTreeMap<_, BTreeSet<String>> = BTreeMap::new();
        for event in self.plane.audit_events().unwrap() {
            let (Some(namespace), Some(name)) = (event.namespace.clone(), event.name.clone()) else { continue };
            let Some(writer) = event.user.strip_suffix(&suffix) else { continue };
            if event.is_write() && event.resource == "cognigywebhooks" && namespaces.contains(&namespace.as_str()) {
                writers.entry((namespace, name)).or_default().insert(writer.to_owned());
            }
        }
        writers
    }

    /// Every webhook was registered once and by nobody but the shard that `belongs` says.
    fn each_once(&self, namespaces: &[&str], count: usize, belongs: impl Fn(&str, &str) -> &'static str) {
        let integrations = self.integrations();
        assert_eq!(integrations.len(), count, "none is left");
        assert!(integrations.iter().all(|integration| integration.active));
        assert_eq!(self.count(Route::CreateIntegration), count, "none is done twice");
        let writers = self.writers_of_webhooks(namespaces);
        assert_eq!(writers.len(), count);
        for ((namespace, name), writers) in &writers {
            assert_eq!(*writers, BTreeSet::from([belongs(namespace, name).to_owned()]), "{namespace}/{name}");
        }
    }
}

fn is_active(webhook: &CognigyWebhook) -> bool {
    let conditions = webhook.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    conditions.iter().any(|condition| condition.type_ == "Ready" && condition.reason == "Active")
}

#[tokio::test(flavor = "multi_thread")]
async fn three_shards_by_label_do_three_hundred_webhooks_none_twice_and_none_not() {
    world_without_operator(Options::default(), async |world| {
        let shards = futures::future::join_all(SHARDS.map(|name| world.shard(name))).await;
        for shard in SHARDS {
            world.tenant_of_shard(&world.namespace, &format!("production-{shard}"), shard).await;
        }
        let began = Instant::now();
        let made = stream::iter(0..WEBHOOKS).map(|nth| async move {
            let (name, shard) = (World::nth(nth), shard_of(nth));
            let spec = world.webhook_spec(&format!("production-{shard}"), &name);
            world.sharded(&world.namespace, "CognigyWebhook", &name, shard, spec).await;
        });
        made.buffer_unordered(16).collect::<()>().await;
        world.until_active(&[&world.namespace], WEBHOOKS).await;
        println!("{WEBHOOKS} webhooks in {} shards by label: {:?}", SHARDS.len(), began.elapsed());

        let nth = |name: &str| (0..WEBHOOKS).find(|nth| World::nth(*nth) == name).unwrap();
        world.each_once(&[&world.namespace], WEBHOOKS, |_, name| shard_of(nth(name)));
        let leases = world.api::<Lease>().list(&ListParams::default()).await.unwrap().items;
        let holders: BTreeSet<_> =
            leases.iter().filter_map(|lease| crate::lease::holder(lease.spec.as_ref()?)).collect();
        assert_eq!(holders, SHARDS.into_iter().map(str::to_owned).collect(), "three Leases");
        for shard in SHARDS {
            let tenant = world.api::<CognigyTenant>();
            let counted = async || {
                let webhooks = tenant.get(&format!("production-{shard}")).await.unwrap().status.unwrap().webhooks;
                webhooks.is_some_and(|webhooks| (webhooks.total, webhooks.ready) == (100, 100))
            };
            world.eventually("each tenant counts its own", counted).await;
        }
        futures::future::join_all(shards.into_iter().map(Replica::retire)).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn three_shards_by_namespace_do_three_hundred_webhooks_none_twice_and_none_not() {
    world_without_operator(Options::default(), async |world| {
        let others = [world.another_namespace(&[]).await, world.another_namespace(&[]).await];
        let namespaces = [world.namespace.as_str(), &others[0], &others[1]];
        let start = async |nth: usize| {
            let shard = world.replica_with(SHARDS[nth], &["--watch-namespaces", namespaces[nth]], &[]).await;
            shard.leads().await;
            world.tenant_of_shard(namespaces[nth], "production", SHARDS[nth]).await;
            shard
        };
        let shards = futures::future::join_all((0..SHARDS.len()).map(start)).await;
        let made = stream::iter(0..WEBHOOKS).map(|nth| async move {
            let (name, namespace) = (World::nth(nth), namespaces[nth % SHARDS.len()]);
            world.webhook_in(namespace, &name, json!({})).await;
        });
        made.buffer_unordered(16).collect::<()>().await;
        world.until_active(&namespaces, WEBHOOKS).await;
        let place = |namespace: &str| namespaces.iter().position(|one| *one == namespace).unwrap();
        world.each_once(&namespaces, WEBHOOKS, |namespace, _| SHARDS[place(namespace)]);
        futures::future::join_all(shards.into_iter().map(Replica::retire)).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_that_moves_to_another_shard_serves_on_with_its_webhooks() {
    world_without_operator(Options::default(), async |world| {
        let (red, blue) = (world.shard("red").await, world.shard("blue").await);
        world.tenant_of_shard(&world.namespace, "production", "red").await;
        for name in ["orders", "refunds"] {
            let spec = world.webhook_spec("production", name);
            world.sharded(&world.namespace, "CognigyWebhook", name, "red", spec).await;
            world.until_reason(name, "Active").await;
        }
        let (versions, ids) =
            (world.history().len(), world.integrations().into_iter().map(|one| one.id).collect::<Vec<_>>());

        // One after the other, as labels are; the webhooks say what they wait for until all are there.
        world.move_to("cognigywebhooks", "orders", "blue").await;
        world.until_reason("orders", "TenantNotFound").await;
        world.until_reason("refunds", "Active").await;
        world.move_to("cognigytenants", "production", "blue").await;
        world.until_reason("orders", "Active").await;
        world.move_to("cognigywebhooks", "refunds", "blue").await;
        let shown = |name: &str| {
            let namespace = &world.namespace;
            format!(r#"cognigy_operator_webhook_health{{name="{name}",namespace="{namespace}"}} 1"#)
        };
        for name in ["orders", "refunds"] {
            blue.program.until("/metrics", |_, text| text.contains(&shown(name))).await;
            red.program.until("/metrics", |_, text| !text.contains(&shown(name))).await;
            world.full_pass(name, "moved").await;
            world.until_reason(name, "Active").await;
        }
        // Cognigy has noticed nothing.
        assert_eq!(world.history().len(), versions, "{:#?}", world.history());
        assert_eq!(world.integrations().into_iter().map(|one| one.id).collect::<Vec<_>>(), ids);
        for name in ["orders", "refunds"] {
            assert!(world.interruptions(name).is_empty());
            assert_eq!(world.event_count(name, "Registered").await, 1);
        }

        // The finalizer that one operator set is the other one's to remove.
        assert!(!world.get("orders").await.finalizers().is_empty());
        world.delete::<CognigyWebhook>("orders").await;
        world.until_gone::<CognigyWebhook>("orders").await;
        assert_eq!(world.integrations().len(), 1);
        red.retire().await;
        blue.retire().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_that_moves_in_the_middle_of_its_registration_is_registered_once() {
    world_without_operator(Options::default(), async |world| {
        let (red, blue) = (world.shard("red").await, world.shard("blue").await);
        for shard in ["red", "blue"] {
            world.tenant_of_shard(&world.namespace, &format!("production-{shard}"), shard).await;
            world.until_tenant(&format!("production-{shard}"), "Connected").await;
        }
        // The answer to the registration comes when the webhook is another one's already.
        world.fault(
            cognigy_simulator::Fault::on(Route::CreateIntegration).times(1).delay(std::time::Duration::from_secs(3)),
        );
        let spec = world.webhook_spec("production-red", "orders");
        world.sharded(&world.namespace, "CognigyWebhook", "orders", "red", spec).await;
        world.until_sim("it is being registered", |sim| sim.count(Route::CreateIntegration) == 1).await;
        let spec = world.webhook_spec("production-blue", "orders");
        world.sharded(&world.namespace, "CognigyWebhook", "orders", "blue", spec).await;
        world.until_reason("orders", "Active").await;
        world.full_pass("orders", "look").await;
        world.until_reason("orders", "Active").await;
        let integrations = world.integrations();
        assert!(integrations.len() == 1 && integrations[0].active, "{integrations:#?}");
        red.retire().await;
        blue.retire().await;
    })
    .await;
}
