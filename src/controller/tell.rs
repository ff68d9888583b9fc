//! Tells of verdicts as events: once when a reason that needs attention appears, and once when it is over.

use k8s_openapi::{api::core::v1::ObjectReference, apimachinery::pkg::apis::meta::v1::Condition};
use kube::Resource;

use super::{context::Context, status};
use crate::{
    api::{EventReason, Reason},
    cluster::audit::Fact,
};

/// Tells of a verdict unless the object's conditions say it already. `fact` dresses the note with what is known of the
/// webhook.
pub fn verdict<K: Resource<DynamicType = ()>>(
    context: &Context,
    fact: impl FnOnce(EventReason, ObjectReference, String) -> Fact,
    object: &K,
    told: &[Condition],
    reason: Reason,
    message: &str,
) {
    let before = status::ready(told);
    if before.is_some_and(|ready| ready.reason == reason.as_str() && ready.message == message) {
        return;
    }
    if let Some(event) = EventReason::telling(reason) {
        context.trail.record(fact(event, object.object_ref(&()), message.to_owned()));
    }
}
