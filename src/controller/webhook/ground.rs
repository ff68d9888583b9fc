//! What every pass stands on, whether the webhook is registered by it or exists already.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use kube::{ResourceExt as _, runtime::controller::Action};

use super::{
    caller, change,
    observe::{self, Line},
    report,
};
use crate::{
    api::{CognigyTenant, CognigyWebhook, ObjectKey, RECONCILE_REQUESTED_ANNOTATION, webhook::AppliedPolicy},
    cognigy::{Answer, ETag, Error, Place, Read, Session, Urgency, WebhookId},
    controller::{backoff, context::Context, door::Inside, error::Failure, tenant::config},
};

/// The references of a webhook, resolved.
#[derive(Clone, Copy)]
pub struct Ground<'a> {
    /// The tenant.
    pub tenant: &'a CognigyTenant,
    /// Its key.
    pub tenant_key: &'a ObjectKey,
    /// The retry policy as it is now.
    pub policy: Option<&'a AppliedPolicy>,
    /// The resourceVersion of each Secret behind `headersFrom`.
    pub secret_versions: &'a BTreeMap<String, String>,
    /// The resourceVersions of the tenant's own Secrets and `ConfigMap`s.
    pub tenant_versions: &'a [String],
}

/// Whether a pass can call Cognigy now.
pub enum Way {
    /// It can.
    Open(Session),
    /// It could, but as many others as may be are at it.
    Outside(Urgency),
    /// It has nothing to do yet.
    Rest(Action),
    /// Something stands in the way.
    Closed(Failure),
}

/// What is known of a webhook before Cognigy is asked.
#[derive(Default)]
pub struct Standing {
    /// Nothing changed since the last pass that went well.
    pub settled: bool,
    /// Something is to be done although nothing changed.
    pub owed: bool,
    /// The pass has learned something that another one would not: it calls at once, however many others do.
    pub urged: bool,
    /// What else may have to be waited for, where no full pass was asked for.
    pub waiting: Option<Action>,
}

/// Whether there is anything to do now, and whether the tenant can be called.
pub fn way(
    webhook: &Arc<CognigyWebhook>,
    context: &Arc<Context>,
    ground: Ground<'_>,
    Standing { settled, owed, urged, waiting }: Standing,
    (place, inside): (&Place, &mut Option<Inside>),
) -> Way {
    if !requested(webhook)
        && !owed
        && let Some(wait) = rest(webhook, context, ground, settled).or(waiting)
    {
        return Way::Rest(wait);
    }
    // Asked before the session is taken: one that comes in between has more.
    let covered = covered(webhook, context, ground);
    match observe::line(ground.tenant_key, context) {
        Line::Open(_) if !covered => {
            // The tenant makes a session with these scopes now, and then asks for this pass again.
            context.triggers.tenant(ground.tenant_key.clone());
            Way::Rest(Action::requeue(report::SCOPES))
        }
        Line::Open(session) => {
            let urgency = if is_resync(webhook, settled) && !owed { Urgency::Resync } else { Urgency::Change };
            if !urged && !enters(webhook, context, urgency, inside) {
                return Way::Outside(urgency);
            }
            Way::Open(session.on_behalf_of(caller::of(webhook, context, &session, urgency, place.clone())))
        }
        // It is asked for again as soon as the tenant is ready; what is Ready and has nothing pending stays untouched.
        Line::Unknown => Way::Rest(Action::await_change()),
        Line::Closed(_) if settled => Way::Rest(Action::await_change()),
        Line::Closed(failure) => Way::Closed(failure),
    }
}

/// Whether a pass may call: it is `inside` already, or is now.
pub fn enters(webhook: &CognigyWebhook, context: &Context, urgency: Urgency, inside: &mut Option<Inside>) -> bool {
    if inside.is_none() {
        *inside = context.doors.enter_now(caller::row(webhook, context, urgency));
    }
    inside.is_some()
}

/// Whether the tenant's session was made for what this webhook needs: the first one of its kind comes when the session has
/// other scopes. Where the tenant names its scopes itself, they are what every webhook has.
fn covered(webhook: &CognigyWebhook, context: &Context, ground: Ground<'_>) -> bool {
    let needed = config::scopes(ground.tenant, &config::surfaces(webhook).iter().copied().collect());
    let connection = context.sessions.get(ground.tenant_key);
    connection.is_none_or(|connection| needed.iter().all(|scope| connection.scopes.contains(scope)))
}

/// Whether a pass only compares: nothing is pending and nobody asked for it.
pub fn is_resync(webhook: &CognigyWebhook, settled: bool) -> bool {
    settled && !requested(webhook)
}

/// Whether a full pass was asked for and not yet made.
pub fn requested(webhook: &CognigyWebhook) -> bool {
    let handled = webhook.status.as_ref().and_then(|status| status.last_handled_reconcile_at.as_ref());
    webhook.annotations().get(RECONCILE_REQUESTED_ANNOTATION).is_some_and(|asked| Some(asked) != handled)
}

/// How long a pass can rest: nothing changed and the resync is not due, or a failed change waits for its next try.
fn rest(webhook: &CognigyWebhook, context: &Context, ground: Ground<'_>, settled: bool) -> Option<Action> {
    if !settled {
        return change::wait(webhook, context, ground);
    }
    let uid = webhook.uid().unwrap_or_default();
    let now = Instant::now();
    let memo = context.memos.get(&uid);
    let session = context.sessions.get(ground.tenant_key).and_then(|connection| connection.session);
    let base_url = session.map(|session| session.base_url().clone());
    if memo.base_url.is_some() && base_url.is_some() && memo.base_url != base_url {
        return None;
    }
    // One that is further away than a period was chosen for a longer one, before the tenant's was shortened.
    let furthest = now + backoff::longest_resync(observe::resync_period(Some(ground.tenant)));
    let next = memo.next_sync.filter(|next| *next <= furthest).unwrap_or_else(|| {
        let next = now + report::until_resync(webhook, Some(ground.tenant));
        context.memos.update(&uid, |memo| {
            memo.next_sync = Some(next);
            memo.base_url = base_url;
        });
        next
    });
    (next > now).then(|| Action::requeue(next - now))
}

/// How old a shared listing may be that a pass compares with: a resync period, which so costs one listing however many
/// webhooks there are. A pass that was asked for looks for itself.
pub fn listing_age(webhook: &CognigyWebhook, tenant: &CognigyTenant, settled: bool) -> Option<Duration> {
    is_resync(webhook, settled).then(|| observe::resync_period(Some(tenant)))
}

/// Reads a webhook, with a known tag only if it changed: from the shared listing where one that is not older than
/// `listing_age` says that, else by asking for the object.
pub async fn read(
    context: &Context,
    session: &Session,
    tenant: &ObjectKey,
    id: &WebhookId,
    known: (Option<&ETag>, Option<Duration>),
) -> Result<Answer<Read>, Error> {
    match known {
        (Some(tag), Some(listing_age)) => {
            let own = context.index.registered_webhooks_of_tenant(tenant);
            session.reread_webhook(id, tag, listing_age, own).await
        }
        (tag, _) => session.get_webhook(id, tag).await,
    }
}
