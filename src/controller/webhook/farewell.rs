//! The end of a webhook: what it registered is taken down as its `deletionPolicy` says, then the finalizer goes.

use std::sync::Arc;

use jiff::Timestamp;
use kube::{Api, ResourceExt as _, runtime::controller::Action};

use super::{
    apply::Pass,
    book::Book,
    caller, ground,
    letters::{self, Letters},
    observe::{self, Line},
    registration,
    report::Report,
    world::{Farewell, Health, Target, World},
};
use crate::{
    api::{CognigyWebhook, CognigyWebhookStatus, EventReason, FINALIZER, FORCE_ORPHAN_ANNOTATION, webhook::Mode},
    cluster::{audit::Fact, metadata},
    cognigy::{Place, Urgency},
    controller::{context::Context, door::Inside, error::Failure, office, pass::PassError},
    outbox::message::Resolution,
};

/// One pass over a webhook that is being deleted. Nothing is created on the way.
pub async fn reconcile(
    webhook: &Arc<CognigyWebhook>,
    context: &Arc<Context>,
    report: Report<'_>,
    place: &Place,
    inside: &mut Option<Inside>,
) -> Result<Action, PassError> {
    let api: Api<CognigyWebhook> = Api::namespaced(context.client.clone(), &webhook.namespace().unwrap_or_default());
    if !webhook.finalizers().iter().any(|finalizer| finalizer == FINALIZER) {
        return Ok(Action::await_change());
    }
    let leaving = Leaving::of(webhook);
    let lets_go = leaving.lets_go();
    let Leaving { version, mut book, world, farewell, nothing_outside, forced } = leaving;
    if lets_go {
        let mut status = webhook.status.clone().unwrap_or_default();
        if let Some(failure) = last_words(webhook, context, &mut status).filter(|_| !forced) {
            return report.failure(failure, Some(status)).await;
        }
        if !nothing_outside && (forced || !webhook.spec.is_existing()) {
            let why = match webhook.spec.mode {
                _ if forced => "annotation cognigy.io/force-orphan",
                Mode::Observe => "mode Observe",
                Mode::Enforce => "deletionPolicy Orphan",
            };
            let id = webhook.status.as_ref().and_then(|status| status.webhook_id.clone());
            let note = format!("{} is left in Cognigy as it is ({why})", id.as_deref().unwrap_or("what it registered"));
            context.trail.record(Fact { webhook_id: id, ..report.fact(EventReason::Orphaned, note) });
        }
        metadata::remove_finalizer(&api, &**webhook, FINALIZER).await?;
        return Ok(Action::await_change());
    }
    let blocked = |failure| Failure::DeletionBlocked(Box::new(failure));
    if let Err(failure) = observe::tenant(webhook, context).await {
        return report.failure(blocked(failure), None).await;
    }
    let session = match observe::last_line(&webhook.tenant_key(), context) {
        Line::Open(session) => session,
        Line::Unknown => return Ok(Action::await_change()),
        Line::Closed(failure) => return report.failure(blocked(failure), None).await,
    };
    if !ground::enters(webhook, context, Urgency::Deletion, inside) {
        return Err(PassError::Outside(Urgency::Deletion));
    }
    let session = session.on_behalf_of(caller::of(webhook, context, &session, Urgency::Deletion, place.clone()));
    book.tag = None;
    let mut pass = Pass::new(context, webhook.clone(), session, None, version, (world, book));
    let left = pass.take_down(farewell).await;
    let report = report.leaving(&pass);
    match left {
        Ok(()) => Ok(Action::await_change()),
        Err(Failure::Kubernetes(error)) => Err(error.into()),
        Err(failure @ Failure::Undelivered { .. }) => report.failure(failure, Some(pass.book.status.clone())).await,
        Err(failure) => report.failure(blocked(failure), Some(pass.book.status.clone())).await,
    }
}

/// What stands of a webhook that is being deleted, from the object alone.
pub(super) struct Leaving {
    /// The version that the books are opened for.
    pub(super) version: i32,
    pub(super) book: Book,
    pub(super) world: World,
    pub(super) farewell: Farewell,
    /// It has nothing in Cognigy.
    pub(super) nothing_outside: bool,
    /// A person asked to let go of it.
    pub(super) forced: bool,
}

impl Leaving {
    pub(super) fn of(webhook: &CognigyWebhook) -> Self {
        let version = registration::recorded_version(webhook).unwrap_or_else(|| webhook.spec.version());
        let book = Book::open(webhook.status.as_ref(), version);
        let world = World { claimed: true, ..book.world(webhook, version, Health::Unknown) };
        let nothing_outside = matches!(world.target, Target::Missing { .. }) && world.older.is_empty() && !world.ours;
        let forced = webhook.annotations().get(FORCE_ORPHAN_ANNOTATION).is_some_and(|value| value == "true");
        Self { version, book, world, farewell: observe::farewell(webhook), nothing_outside, forced }
    }

    /// Whether it goes without a call to Cognigy.
    pub(super) fn lets_go(&self) -> bool {
        self.forced || self.nothing_outside || self.farewell == Farewell::Orphan
    }
}

/// What a webhook that has nothing else to do still has to tell: its alert is over. `Some` until all of it is delivered.
pub(super) fn last_words(
    webhook: &CognigyWebhook,
    context: &Context,
    status: &mut CognigyWebhookStatus,
) -> Option<Failure> {
    let key = webhook.tenant_key();
    let tenant = context.tenants.get(&key);
    let letters = Letters::of(webhook, tenant.as_deref(), office::figures(context, &key), Timestamp::now());
    letters.over(status, Resolution::Deleted);
    letters::pending(status)
}
