//! Tells of verdicts as events: once when a reason that needs attention appears, and once when it is over.

use k8s_openapi::{api::core::v1::ObjectReference, apimachinery::pkg::apis::meta::v1::Condition};
use kube::Resource;

use super::{context::Context, status};
use crate::{
    api::{EventReason, Reason},
    cluster::audit::Fact,
};

/// Tells of a verdict, as `event`, unless the object's conditions say it already. `fact` dresses the note with what is known
/// of the webhook.
pub fn verdict<K: Resource<DynamicType = ()>>(
    context: &Context,
    fact: impl FnOnce(EventReason, ObjectReference, String) -> Fact,
    object: &K,
    told: &[Condition],
    (reason, event): (Reason, Option<EventReason>),
    message: &str,
) {
    let before = status::ready(told);
    if before.is_some_and(|ready| ready.reason == reason.as_str() && steady(&ready.message) == steady(message)) {
        return;
    }
    if let Some(event) = event {
        context.trail.record(fact(event, object.object_ref(&()), message.to_owned()));
    }
}

/// A message without Cognigy's trace id, which differs from try to try although the cause is the same.
fn steady(message: &str) -> (&str, &str) {
    let Some((before, rest)) = message.split_once(" (trace id ") else { return (message, "") };
    (before, rest.split_once(')').map_or("", |(_, after)| after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_tries_of_one_cause_are_one_piece_of_news() {
        let one = "cannot list: Cognigy is in trouble (status 503): busy (trace id api--1); call support";
        let two = "cannot list: Cognigy is in trouble (status 503): busy (trace id api--2); call support";
        let other = "cannot list: Cognigy is in trouble (status 500): busy (trace id api--2); call support";
        assert_eq!(steady(one), steady(two));
        assert_ne!(steady(one), steady(other));
    }
}
