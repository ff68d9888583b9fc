//! Whether there is anybody to send a dead letter to.

use std::collections::HashMap;

use cognigy_operator::api::{CognigyTenant, ObjectKey, SinkKind};
use kube::Api;

use super::plan::Object;
use crate::cluster::Cluster;

/// Looks at each tenant once. What may not be read is left to the operator, which says the same.
pub async fn look(cluster: &Cluster, objects: &mut [Object]) {
    let mut known: HashMap<ObjectKey, Option<String>> = HashMap::new();
    for object in objects {
        let Some(key) = object.tenant.clone() else { continue };
        if !known.contains_key(&key) {
            known.insert(key.clone(), missing(cluster, &key).await);
        }
        object.no_sink = known.get(&key).cloned().flatten();
    }
}

async fn missing(cluster: &Cluster, key: &ObjectKey) -> Option<String> {
    let api: Api<CognigyTenant> = Api::namespaced(cluster.client.clone(), &key.namespace);
    match api.get_opt(&key.name).await.ok()? {
        None => Some(format!("tenant {key} does not exist, so nobody takes its dead letter")),
        Some(tenant) if tenant.sink(SinkKind::DeadLetter).is_none() => {
            Some(format!("tenant {key} has no spec.sinks.deadLetter, so nobody takes its dead letter"))
        }
        Some(_) => None,
    }
}
