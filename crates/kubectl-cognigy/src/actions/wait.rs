//! Until the status echoes what was asked for.

use std::{fmt::Debug, time::Duration};

use cognigy_operator::api::{CognigyTenant, CognigyWebhook, ConditionType, LetterRequest};
use k8s_openapi::{NamespaceResourceScope, apimachinery::pkg::apis::meta::v1::Condition};
use kube::{Api, Resource, runtime::wait::await_condition};
use serde::de::DeserializeOwned;

use super::plan::Object;
use crate::{
    cluster::Cluster,
    exit::{Error, Result},
    target::Kind,
};

/// What a status says of requested passes, and of how it went.
trait Echoes {
    /// The request that was handled last.
    fn handled(&self) -> Option<&str>;
    /// The conditions.
    fn conditions(&self) -> &[Condition];
}

impl Echoes for CognigyTenant {
    fn handled(&self) -> Option<&str> {
        self.status.as_ref()?.last_handled_reconcile_at.as_deref()
    }

    fn conditions(&self) -> &[Condition] {
        self.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default()
    }
}

impl Echoes for CognigyWebhook {
    fn handled(&self) -> Option<&str> {
        self.status.as_ref()?.last_handled_reconcile_at.as_deref()
    }

    fn conditions(&self) -> &[Condition] {
        self.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default()
    }
}

/// Waits until the operator has handled this request; what `Ready` says then.
pub async fn handled(cluster: &Cluster, object: &Object, asked: &str, limit: Duration) -> Result<String> {
    match object.target.kind {
        Kind::Tenant => echoed::<CognigyTenant>(cluster, object, asked, limit).await,
        Kind::Webhook => echoed::<CognigyWebhook>(cluster, object, asked, limit).await,
    }
}

async fn echoed<K>(cluster: &Cluster, object: &Object, asked: &str, limit: Duration) -> Result<String>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Echoes
        + Clone
        + Debug
        + DeserializeOwned
        + Send
        + 'static,
{
    let (target, name) = (&object.target, &object.target.name);
    let api = Api::<K>::namespaced(cluster.client.clone(), &object.namespace);
    let is_done = |seen: Option<&K>| seen.is_none_or(|seen| seen.handled() == Some(asked));
    match tokio::time::timeout(limit, await_condition(api.clone(), name, is_done)).await {
        Ok(Ok(Some(seen))) => Ok(ready(&seen)),
        Ok(Ok(None)) => Err(Error::Told(format!("{target} was deleted while its pass was waited for"))),
        Ok(Err(error)) => Err(Error::Told(format!("cannot watch {target}: {error}"))),
        Err(_) => {
            let state =
                api.get_opt(name).await.ok().flatten().map_or_else(|| "nothing is known".into(), |seen| ready(&seen));
            let seconds = limit.as_secs();
            Err(Error::Told(format!(
                "{target} was not reconciled within {seconds} s; it goes on, and Ready is {state}"
            )))
        }
    }
}

/// Waits until the operator has done what was asked about messages. What it refused is an error. An object that is gone has
/// none any more.
pub async fn obeyed(cluster: &Cluster, object: &Object, asked: &str, limit: Duration) -> Result<()> {
    let target = &object.target;
    let api = Api::<CognigyWebhook>::namespaced(cluster.client.clone(), &object.namespace);
    let (echo, uid) = (LetterRequest::echo(asked), Some(object.uid.as_str()));
    let handled = |seen: &CognigyWebhook| {
        let handled = seen.status.as_ref()?.last_handled_dead_letter_request.clone()?;
        (handled.request == echo).then_some(handled.refused)
    };
    let replaced = |seen: &CognigyWebhook| seen.metadata.uid.as_deref() != uid;
    let is_done = |seen: Option<&CognigyWebhook>| seen.is_none_or(|seen| replaced(seen) || handled(seen).is_some());
    match tokio::time::timeout(limit, await_condition(api, &target.name, is_done)).await {
        Ok(Ok(seen)) => match seen.as_ref().and_then(handled).flatten() {
            Some(refused) => Err(Error::Told(format!("{target}: {refused}"))),
            None => Ok(()),
        },
        Ok(Err(error)) => Err(Error::Told(format!("cannot watch {target}: {error}"))),
        Err(_) => Err(Error::Told(format!(
            "{target}: nobody did it within {} s; it is done as soon as the operator is there",
            limit.as_secs()
        ))),
    }
}

/// `True (Active)`, `False (ServerError): Cognigy answers 503`.
fn ready(object: &impl Echoes) -> String {
    let ready = object.conditions().iter().find(|one| one.type_ == ConditionType::Ready.as_str());
    ready.map_or_else(
        || "not told yet".to_owned(),
        |ready| match ready.status.as_str() {
            "True" => format!("True ({})", ready.reason),
            status => format!("{status} ({}): {}", ready.reason, ready.message),
        },
    )
}
