//! What `status` looks at, read from the API server.

use std::collections::BTreeSet;

use cognigy_operator::api::{CognigyTenant, CognigyWebhook, ObjectKey, RetryPolicy};
use k8s_openapi::api::events::v1::Event;
use kube::{Api, api::ListParams};

use crate::{
    cluster::Cluster,
    exit::{Result, Trying as _},
};

/// The objects that a tree is made of.
#[derive(Clone, Debug, Default)]
pub struct Objects {
    /// Tenants of the namespaces in question, and those elsewhere that webhooks refer to.
    pub tenants: Vec<CognigyTenant>,
    /// Tenants elsewhere that the user must not read.
    pub unreadable: BTreeSet<ObjectKey>,
    /// Retry policies, for their generations.
    pub policies: Vec<RetryPolicy>,
    /// Webhooks.
    pub webhooks: Vec<CognigyWebhook>,
}

/// Lists everything once.
pub async fn objects(cluster: &Cluster, everywhere: bool) -> Result<Objects> {
    let (tenants, policies, webhooks) =
        tokio::try_join!(cluster.list(everywhere), cluster.list(everywhere), cluster.list(everywhere))?;
    let mut objects = Objects { tenants, policies, webhooks, ..Objects::default() };
    if !everywhere {
        add_tenants_elsewhere(cluster, &mut objects).await?;
    }
    Ok(objects)
}

/// Reads the tenants that webhooks refer to in other namespaces, one by one: to list those might not be allowed.
pub async fn add_tenants_elsewhere(cluster: &Cluster, objects: &mut Objects) -> Result<()> {
    let keys: BTreeSet<ObjectKey> = objects.webhooks.iter().map(CognigyWebhook::tenant_key).collect();
    for key in keys.into_iter().filter(|key| key.namespace != cluster.namespace) {
        let api = Api::<CognigyTenant>::namespaced(cluster.client.clone(), &key.namespace);
        match api.get_opt(&key.name).await {
            Err(kube::Error::Api(refusal)) if refusal.code == 403 => {
                objects.unreadable.insert(key);
            }
            read => objects.tenants.extend(read.while_trying(|| format!("cannot read CognigyTenant {key}"))?),
        }
    }
    Ok(())
}

/// The events about an object that the API server still has, the newest last.
pub async fn events(cluster: &Cluster, uid: &str) -> Result<Vec<Event>> {
    let about = ListParams::default().fields(&format!("regarding.uid={uid}"));
    let listed = cluster.api::<Event>().list(&about).await;
    let mut events = listed.while_trying(|| format!("cannot list events in namespace {}", cluster.namespace))?.items;
    events.sort_by_key(last_seen);
    Ok(events)
}

/// When an event happened, for the last time where it is a series.
pub fn last_seen(event: &Event) -> Option<jiff::Timestamp> {
    let series = event.series.as_ref().map(|series| series.last_observed_time.0);
    let once = event.event_time.as_ref().map(|time| time.0);
    series.or(once).or_else(|| event.metadata.creation_timestamp.as_ref().map(|time| time.0))
}
