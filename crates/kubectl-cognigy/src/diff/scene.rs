//! The objects of a rehearsal: manifests over what the cluster holds, and all that they refer to.

use std::{
    collections::{BTreeMap, HashMap},
    fmt::Debug,
};

use cognigy_operator::{
    api::{CognigyTenant, CognigyWebhook, ObjectKey, tenant::NamespacesFrom},
    controller::{
        rehearsal::Scene,
        tenant::{config::surfaces, observe::Sources},
    },
};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use k8s_openapi::{
    NamespaceResourceScope,
    api::core::v1::{Namespace, Secret},
    apimachinery::pkg::apis::meta::v1::Time,
};
use kube::{Api, Client, Resource, ResourceExt, api::ListParams};
use serde::{Serialize, de::DeserializeOwned};

use super::manifests::Manifests;
use crate::{
    cluster::Cluster,
    exit::{Error, Result, Trying as _},
    session::{self, Connector},
};

/// How many objects are read from the API server at the same time.
const AT_ONCE: usize = 8;

/// Which webhooks of the cluster are asked about.
pub struct Asked {
    pub names: Vec<String>,
    pub all: bool,
    pub everywhere: bool,
}

/// Manifests and webhooks of a cluster, as they would stand there. Gives the webhooks that are asked about.
pub async fn of_cluster(
    manifests: Manifests,
    asked: &Asked,
    cluster: &Cluster,
) -> Result<(Scene, Vec<CognigyWebhook>)> {
    let Manifests { tenants, policies, webhooks, secrets, config_maps } = manifests.within(&cluster.namespace);
    let live = webhooks_of(cluster, asked).await?;
    let mut asked_about: Vec<CognigyWebhook> = live.iter().filter(|one| asked.means(one, cluster)).cloned().collect();
    if let Some(missing) = asked.names.iter().find(|name| !asked_about.iter().any(|one| one.name_any() == **name)) {
        return Err(Error::Told(format!(
            "there is no CognigyWebhook {missing} in namespace {}; name one that is there, or give its manifest with -f",
            cluster.namespace
        )));
    }
    let mut all = keyed(live);
    for manifest in webhooks {
        let there = all.remove(&ObjectKey::of(&manifest));
        let status = there.as_ref().and_then(|there| there.status.clone());
        let webhook = CognigyWebhook { status, ..as_it_would_stand(manifest, there.as_ref(), |one| json(&one.spec)) };
        asked_about.retain(|one| ObjectKey::of(one) != ObjectKey::of(&webhook));
        asked_about.push(webhook.clone());
        all.insert(ObjectKey::of(&webhook), webhook);
    }
    asked_about.sort_by_key(ObjectKey::of);
    let client = &cluster.client;
    let wanted = asked_about.iter().map(CognigyWebhook::tenant_key);
    let tenants = beside(client, tenants, wanted, |one: &CognigyTenant| json(&one.spec)).await?;
    let wanted = asked_about.iter().filter_map(CognigyWebhook::retry_policy_key);
    let policies = beside(client, policies, wanted, |one| json(&one.spec)).await?;
    let sources: Vec<Sources> = tenants.iter().map(Sources::of).collect();
    let wanted = sources.iter().flat_map(|sources| sources.secrets.clone());
    let secrets = beside(client, secrets, wanted.chain(headers(&asked_about)), |one: &Secret| json(&one.data)).await?;
    let wanted = sources.iter().flat_map(|sources| sources.config_maps.clone());
    let config_maps = beside(client, config_maps, wanted, |one| json(&(&one.data, &one.binary_data))).await?;
    let namespaces = namespaces(client, &asked_about, &tenants).await?;
    let webhooks = all.into_values().collect();
    let scene = Scene { tenants, policies, webhooks, secrets, config_maps, namespaces, ..Scene::default() };
    Ok((scene, asked_about))
}

/// Manifests alone, with the tenant of `--tenant-file`. Gives the webhooks that are asked about.
pub fn of_files(
    manifests: Manifests,
    flags: &session::Flags,
    namespace: Option<&str>,
) -> Result<(Scene, Vec<CognigyWebhook>)> {
    let namespace = namespace.unwrap_or("default");
    let connector = Connector::new(flags);
    let mut manifests = manifests.within(namespace);
    let mut sessions = HashMap::new();
    if let Some(mut tenant) = connector.tenant_of_file()? {
        tenant.metadata.namespace.get_or_insert_with(|| namespace.to_owned());
        let key = ObjectKey::of(&tenant);
        let users = manifests.webhooks.iter().filter(|webhook| webhook.tenant_key() == key);
        let used = users.flat_map(surfaces).copied().collect();
        sessions.insert(key.clone(), connector.of_environment(&tenant, &used)?);
        manifests.tenants.retain(|one| ObjectKey::of(one) != key);
        manifests.tenants.push(tenant);
    }
    let Manifests { tenants, policies, webhooks, secrets, config_maps } = manifests;
    let mut webhooks: Vec<_> =
        webhooks.into_iter().map(|one| as_it_would_stand(one, None, |one| json(&one.spec))).collect();
    webhooks.sort_by_key(ObjectKey::of);
    let namespaces = webhooks.iter().map(|one| named(&one.namespace().unwrap_or_default())).collect();
    let scene = Scene { tenants, policies, webhooks: webhooks.clone(), secrets, config_maps, namespaces, sessions };
    Ok((scene, webhooks))
}

impl Asked {
    fn means(&self, webhook: &CognigyWebhook, cluster: &Cluster) -> bool {
        let here = webhook.namespace().is_some_and(|namespace| namespace == cluster.namespace);
        self.everywhere || (here && (self.all || self.names.contains(&webhook.name_any())))
    }
}

/// All webhooks, since one may have the name that another one wants; those of the namespace where no more may be listed.
async fn webhooks_of(cluster: &Cluster, asked: &Asked) -> Result<Vec<CognigyWebhook>> {
    let api: Api<CognigyWebhook> = Api::all(cluster.client.clone());
    match api.list(&ListParams::default()).await {
        Err(kube::Error::Api(status)) if status.is_forbidden() && !asked.everywhere => cluster.list(false).await,
        listed => Ok(listed.while_trying(|| "cannot list CognigyWebhooks in all namespaces".into())?.items),
    }
}

/// The Secrets behind headers.
fn headers(webhooks: &[CognigyWebhook]) -> impl Iterator<Item = ObjectKey> {
    webhooks.iter().flat_map(|webhook| {
        let namespace = webhook.namespace().unwrap_or_default();
        let names = webhook.spec.headers_from().iter().map(|header| header.secret_key_ref.name.clone());
        names.map(move |name| ObjectKey::new(&*namespace, name)).collect::<Vec<_>>()
    })
}

/// The given objects over those of the cluster, and the wanted ones that are not among them. What is not there is left out:
/// the operator says so.
async fn beside<K>(
    client: &Client,
    given: Vec<K>,
    wanted: impl Iterator<Item = ObjectKey>,
    content: impl Fn(&K) -> Option<String>,
) -> Result<Vec<K>>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + DeserializeOwned + Debug,
{
    let mut given = keyed(given);
    let mut keys: Vec<ObjectKey> = wanted.chain(given.keys().cloned()).collect();
    keys.sort();
    keys.dedup();
    let there: Vec<(ObjectKey, Option<K>)> = stream::iter(keys)
        .map(async |key| {
            let api: Api<K> = Api::namespaced(client.clone(), &key.namespace);
            let found = api.get_opt(&key.name).await.while_trying(|| format!("cannot read {} {key}", K::kind(&())))?;
            Ok::<_, Error>((key, found))
        })
        .buffered(AT_ONCE)
        .try_collect()
        .await?;
    let merged = there.into_iter().filter_map(|(key, found)| match given.remove(&key) {
        Some(manifest) => Some(as_it_would_stand(manifest, found.as_ref(), &content)),
        None => found,
    });
    Ok(merged.collect())
}

/// A manifest with what the API server would add: another content is another generation and another resourceVersion.
fn as_it_would_stand<K>(mut manifest: K, there: Option<&K>, content: impl Fn(&K) -> Option<String>) -> K
where
    K: Resource<DynamicType = ()>,
{
    let key = ObjectKey::of(&manifest);
    let given = manifest.meta().clone();
    let same = there.is_some_and(|there| content(there) == content(&manifest));
    let meta = manifest.meta_mut();
    if let Some(there) = there {
        *meta = there.meta().clone();
        meta.annotations.get_or_insert_default().extend(given.annotations.unwrap_or_default());
        meta.labels.get_or_insert_default().extend(given.labels.unwrap_or_default());
    } else {
        meta.uid = Some(format!("not yet made: {key}"));
        meta.creation_timestamp = Some(Time(jiff::Timestamp::now()));
    }
    if !same {
        meta.generation = Some(meta.generation.unwrap_or_default() + 1);
        meta.resource_version = Some("not yet written".to_owned());
    }
    manifest
}

fn json(content: &impl Serialize) -> Option<String> {
    serde_json::to_string(content).ok()
}

fn keyed<K: Resource<DynamicType = ()>>(objects: Vec<K>) -> BTreeMap<ObjectKey, K> {
    objects.into_iter().map(|object| (ObjectKey::of(&object), object)).collect()
}

/// The namespaces of the webhooks: a tenant may choose them by label, and nothing is made in one that is going.
async fn namespaces(client: &Client, webhooks: &[CognigyWebhook], tenants: &[CognigyTenant]) -> Result<Vec<Namespace>> {
    let mut names: Vec<String> = webhooks.iter().filter_map(ResourceExt::namespace).collect();
    names.sort();
    names.dedup();
    let by_label = tenants.iter().any(|tenant| tenant.spec.allowed_namespaces.from == NamespacesFrom::Selector);
    let api: Api<Namespace> = Api::all(client.clone());
    let mut namespaces = Vec::new();
    for name in names {
        namespaces.push(match api.get_opt(&name).await {
            Err(kube::Error::Api(status)) if status.is_forbidden() && !by_label => named(&name),
            found => found.while_trying(|| format!("cannot read namespace {name}"))?.unwrap_or_else(|| named(&name)),
        });
    }
    Ok(namespaces)
}

fn named(name: &str) -> Namespace {
    let mut namespace = Namespace::default();
    namespace.metadata.name = Some(name.to_owned());
    namespace
}
