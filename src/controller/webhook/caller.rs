//! For whom a pass calls Cognigy: with whom it takes turns, and what makes it give up waiting.

use std::sync::Arc;

use kube::ResourceExt as _;

use super::ground;
use crate::{
    api::{CognigyWebhook, ObjectKey},
    cognigy::{Caller, Lane, Place, Session, Ticket, Urgency},
    controller::{
        context::Context,
        door::{Inside, Row},
        status::is_ready,
        watches::wish,
    },
};

/// The caller that a pass over this webhook is. A pass that waited is given up as soon as its object asks for something
/// else, or its tenant stops being ready or gets another session: the next pass sees the world as it is then.
pub fn of(
    webhook: &Arc<CognigyWebhook>,
    context: &Arc<Context>,
    session: &Session,
    urgency: Urgency,
    place: Place,
) -> Caller {
    let (asks, context, session) = (still_asks(webhook, context), context.clone(), session.clone());
    let tenant = webhook.tenant_key();
    let lane = Lane { namespace: webhook.namespace().unwrap_or_default() };
    let wanted = move || context.sessions.offers(&tenant, &session) && asks();
    Caller { lane, urgency, ticket: Ticket::take(), place, wanted: Arc::new(wanted) }
}

/// Waits until a pass over this webhook may begin; `None` where the webhook asks for something else meanwhile: its next pass is asked
/// for already.
pub async fn enter(webhook: Arc<CognigyWebhook>, context: Arc<Context>) -> Option<Inside> {
    let tenant = webhook.tenant_key();
    let calls = context.tenants.get(&tenant).map_or(0, |tenant| tenant.spec.limits.max_concurrent_requests);
    let row = Row {
        tenant,
        namespace: webhook.namespace().unwrap_or_default(),
        urgency: urgency(&webhook),
        calls: usize::try_from(calls).unwrap_or_default(),
    };
    context.doors.enter(row, still_asks(&webhook, &context)).await
}

/// How urgent a pass is as far as the object alone says it: one that is well may be about a changed policy or Secret, and yet lets
/// those go first who wait for something.
fn urgency(webhook: &CognigyWebhook) -> Urgency {
    let status = webhook.status.as_ref();
    let is_well = status.is_some_and(|status| {
        status.observed_generation == webhook.metadata.generation && is_ready(&status.conditions)
    });
    match webhook.metadata.deletion_timestamp {
        Some(_) => Urgency::Deletion,
        None if is_well && !ground::requested(webhook) => Urgency::Resync,
        None => Urgency::Change,
    }
}

/// Whether the operator goes on and the object still asks for what it asked for when its pass began.
pub fn still_asks(webhook: &Arc<CognigyWebhook>, context: &Arc<Context>) -> impl Fn() -> bool + Send + Sync + use<> {
    let (then, context, key) = (webhook.clone(), context.clone(), ObjectKey::of(&**webhook));
    move || !context.stop.is_cancelled() && context.webhooks.get(&key).is_some_and(|now| asks_the_same(&now, &then))
}

/// Whether the object as it is watched now asks for what it asked for when the pass began; the watch may lag behind.
fn asks_the_same(now: &CognigyWebhook, then: &CognigyWebhook) -> bool {
    now.metadata.uid == then.metadata.uid
        && (now.metadata.generation < then.metadata.generation || wish(now) == wish(then))
}
