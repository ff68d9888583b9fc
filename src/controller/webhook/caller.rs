//! For whom a pass calls Cognigy: with whom it takes turns, and what makes it give up waiting.

use std::sync::Arc;

use kube::ResourceExt as _;

use crate::{
    api::{CognigyWebhook, ObjectKey},
    cognigy::{Caller, Lane, Place, Session, Ticket, Urgency},
    controller::{context::Context, door::Row, watches::wish},
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

/// Where a pass over this webhook waits before it begins to call.
pub fn row(webhook: &CognigyWebhook, context: &Context, urgency: Urgency) -> Row {
    let tenant = webhook.tenant_key();
    let calls = context.tenants.get(&tenant).map_or(0, |tenant| tenant.spec.limits.max_concurrent_requests);
    Row {
        tenant,
        namespace: webhook.namespace().unwrap_or_default(),
        urgency,
        calls: usize::try_from(calls).unwrap_or_default(),
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
