//! Which objects are meant.

use clap::Args;
use cognigy_operator::api::{CognigyTenant, CognigyWebhook};
use kube::api::ListParams;

use super::plan::Object;
use crate::{
    candidates,
    cluster::Cluster,
    exit::{Error, Result, Trying as _},
    target::{Kind, Target},
};

/// Objects by name, by label, or all of a kind.
#[derive(Clone, Debug, Args)]
pub struct Selection {
    /// Objects by name: NAME or cwh/NAME (a webhook), ctenant/NAME (a tenant)
    #[arg(value_name = "TARGET", add = candidates::targets(), required_unless_present_any = ["selector", "all"], conflicts_with_all = ["selector", "all"])]
    targets: Vec<Target>,
    /// All webhooks with these labels, for example app=shop
    #[arg(short = 'l', long, value_name = "SELECTOR", conflicts_with = "all")]
    selector: Option<String>,
    /// All webhooks
    #[arg(long)]
    all: bool,
    /// With --selector or --all: tenants instead of webhooks
    #[arg(long, conflicts_with = "targets")]
    tenants: bool,
    /// With --selector or --all: in all namespaces
    #[arg(short = 'A', long, conflicts_with = "targets")]
    pub all_namespaces: bool,
}

impl Selection {
    /// Whether each object was named.
    pub fn is_by_name(&self) -> bool {
        !self.targets.is_empty()
    }

    /// The kind that labels and --all mean.
    pub fn kind(&self) -> Kind {
        if self.tenants { Kind::Tenant } else { Kind::Webhook }
    }

    /// The objects as they are now, each once.
    pub async fn find(&self, cluster: &Cluster) -> Result<Vec<Object>> {
        if !self.is_by_name() {
            let parameters = self.selector.as_ref().map(|selector| ListParams::default().labels(selector));
            let parameters = parameters.unwrap_or_default();
            return match self.kind() {
                Kind::Tenant => {
                    Ok(self.listed::<CognigyTenant>(cluster, &parameters).await?.iter().map(Object::tenant).collect())
                }
                Kind::Webhook => {
                    Ok(self.listed::<CognigyWebhook>(cluster, &parameters).await?.iter().map(Object::webhook).collect())
                }
            };
        }
        let mut objects: Vec<Object> = Vec::new();
        for target in &self.targets {
            let object = match target.kind {
                Kind::Tenant => Object::tenant(&cluster.get(&target.name).await.map_err(plainly(cluster, target))?),
                Kind::Webhook => Object::webhook(&cluster.get(&target.name).await.map_err(plainly(cluster, target))?),
            };
            if !objects.contains(&object) {
                objects.push(object);
            }
        }
        Ok(objects)
    }

    async fn listed<K>(&self, cluster: &Cluster, parameters: &ListParams) -> Result<Vec<K>>
    where
        K: kube::Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>
            + Clone
            + serde::de::DeserializeOwned
            + std::fmt::Debug,
    {
        let listed = cluster.scope::<K>(self.all_namespaces).list(parameters).await;
        let mut objects = listed.while_trying(|| format!("cannot list {}", K::plural(&())))?.items;
        objects.sort_by(|a, b| (&a.meta().namespace, &a.meta().name).cmp(&(&b.meta().namespace, &b.meta().name)));
        Ok(objects)
    }
}

/// A name that nothing has is said without the API server's words.
fn plainly(cluster: &Cluster, target: &Target) -> impl Fn(Error) -> Error {
    move |error| match error {
        Error::Api { error: kube::Error::Api(status), .. } if status.code == 404 => Error::Told(format!(
            "there is no {} {} in namespace {}",
            target.kind.name(),
            target.name,
            cluster.namespace
        )),
        other => other,
    }
}
