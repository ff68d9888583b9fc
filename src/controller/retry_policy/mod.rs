//! Retry policies: what a policy amounts to, and who uses it.

mod status;

use std::sync::Arc;

use kube::{Api, ResourceExt as _, runtime::controller::Action};

use super::{context::Context, pass::PassError};
use crate::{
    api::{ObjectKey, RetryPolicy},
    cluster,
};

/// One pass over a policy: its figures are computed and its users counted; nothing outside is touched.
pub async fn reconcile(policy: Arc<RetryPolicy>, context: Arc<Context>) -> Result<Action, PassError> {
    if policy.metadata.deletion_timestamp.is_some() {
        return Ok(Action::await_change());
    }
    let key = ObjectKey::of(&*policy);
    let users = context.index.webhooks_of_policy(&key).len();
    let status = status::status(&policy, users, jiff::Timestamp::now());
    let api = Api::namespaced(context.client.clone(), &policy.namespace().unwrap_or_default());
    cluster::status::write(&api, &*policy, &status, policy.status.as_ref()).await?;
    context.metrics.conditions("RetryPolicy", &key.namespace, &key.name, &status.conditions);
    Ok(Action::await_change())
}
