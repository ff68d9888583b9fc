//! Retry policies: what a policy amounts to, and who uses it.

mod status;

pub use status::{policy, unjudged_policy};

use std::sync::Arc;

use kube::{Api, runtime::controller::Action};

use super::{context::Context, pass::PassError};
use crate::{
    api::{ObjectKey, RetryPolicy},
    cluster,
    cognigy::Place,
};

/// One pass over a policy: its figures are computed and its users counted; nothing outside is touched.
pub async fn reconcile(policy: Arc<RetryPolicy>, context: Arc<Context>, _place: Place) -> Result<Action, PassError> {
    if policy.metadata.deletion_timestamp.is_some() {
        return Ok(Action::await_change());
    }
    let key = ObjectKey::of(&*policy);
    let api = Api::namespaced(context.client.clone(), &key.namespace);
    let Some(policy) = context.fresh(&api, policy).await? else { return Ok(Action::await_change()) };
    let users = context.index.webhooks_of_policy(&key).len();
    let status = status::status(&policy, users, jiff::Timestamp::now());
    if let Some(written) = cluster::status::write(&api, &*policy, &status, policy.status.as_ref()).await?.applied() {
        context.wrote(&written);
    }
    Ok(Action::await_change())
}
