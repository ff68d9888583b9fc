//! Webhooks: observe → plan → apply → report (docs/design.md).
//!
//! ```text
//! observe.rs   what Kubernetes says: references resolved into a wish        no call to Cognigy
//! world.rs     what is known, as plain data         plan.rs    the next step, pure
//! apply.rs     runs the steps                       status.rs  the one status at the end
//! rehearsal.rs what a pass would do, without doing it
//! ```

pub mod apply;
mod book;
mod caller;
mod change;
mod compare;
pub mod existing;
mod farewell;
mod ground;
mod health;
mod letters;
mod observe;
pub mod plan;
mod policy;
mod registration;
pub mod rehearsal;
mod report;
mod request;
mod settle;
mod status;
pub mod world;

pub use self::{health::Course, observe::guard_of};

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use kube::{Api, ResourceExt as _, runtime::controller::Action};

use self::{
    apply::{Ended, Pass},
    book::Book,
    ground::{Standing, Way},
    health::Turn,
    observe::Wish,
    report::Report,
    world::{Health, World},
};
use super::{context::Context, door::Inside, error::Class, pass::PassError};
use crate::{
    api::{CognigyWebhook, CognigyWebhookStatus, ObjectKey, Reason},
    cognigy::Place,
    traces,
};

/// One pass over a webhook. Where it has calls to make while enough others are making theirs, it ends there, and is made once more
/// when it may call: thousands can wait, and what they take of memory is little while they do.
pub async fn reconcile(webhook: Arc<CognigyWebhook>, context: Arc<Context>, place: Place) -> Result<Action, PassError> {
    traces::of_tenant(&webhook.tenant_key());
    let urgency = match Box::pin(pass(webhook.clone(), &context, &place, None)).await {
        Err(PassError::Outside(urgency)) => urgency,
        ended => return ended,
    };
    let (row, asks) = (caller::row(&webhook, &context, urgency), caller::still_asks(&webhook, &context));
    // Where it asks for something else meanwhile, its next pass is asked for already.
    let Some(inside) = place.free_while(context.doors.enter(row, asks)).await else {
        return Ok(Action::await_change());
    };
    match context.webhooks.get(&ObjectKey::of(&*webhook)) {
        Some(now) => Box::pin(pass(now, &context, &place, Some(inside))).await,
        None => Ok(Action::await_change()),
    }
}

/// One pass, `inside` once it may call.
///
/// Hundreds of passes wait for Cognigy at the same time, so that the size of this future is what a roll-out takes of memory: what is
/// not under way while they wait is on the heap, and only while it is.
async fn pass(
    webhook: Arc<CognigyWebhook>,
    context: &Arc<Context>,
    place: &Place,
    mut inside: Option<Inside>,
) -> Result<Action, PassError> {
    let api: Api<CognigyWebhook> = Api::namespaced(context.client.clone(), &webhook.namespace().unwrap_or_default());
    let Some(webhook) = Box::pin(context.fresh(&api, webhook)).await? else { return Ok(Action::await_change()) };
    let Some(webhook) = Box::pin(settle::note(webhook, context, &api)).await? else {
        return Ok(Action::await_change());
    };
    let report = Report::new(context, &api, &webhook);
    if webhook.metadata.deletion_timestamp.is_some() {
        return Box::pin(farewell::reconcile(&webhook, context, report, place, &mut inside)).await;
    }
    if webhook.spec.suspend {
        return Box::pin(report.verdict(Reason::Suspended, rehearsal::SUSPENDED)).await;
    }
    if webhook.spec.is_existing() {
        return Box::pin(existing::reconcile(&webhook, context, report, place, &mut inside)).await;
    }
    let wish = match Box::pin(observe::wish(&webhook, context)).await {
        Ok(wish) => wish,
        Err(failure) => return Box::pin(report.failure(failure, None)).await,
    };
    let settled = change::settled(&webhook, wish.ground());
    let passes =
        match Box::pin(health::turn(&webhook, context, &wish, (settled, ground::requested(&webhook)), place)).await {
            Ok(Turn::Quiet) => None,
            Ok(Turn::Tell(draft)) => return Box::pin(report.checked(*draft)).await,
            Ok(Turn::Activate(draft)) => Some(*draft),
            Err(failure) => return Box::pin(report.failure(failure, None)).await,
        };
    // The pass goes on with what the check said, which is told together with its end.
    let (webhook, settled, passing) = match passes {
        None => (webhook.clone(), settled, false),
        Some(status) => (Arc::new(CognigyWebhook { status: Some(status), ..(*webhook).clone() }), false, true),
    };
    let waiting = if settled || passing { None } else { failing(&webhook, context, &wish) };
    let standing = Standing { settled, owed: health::owes_deactivation(&webhook), urged: passing, waiting };
    let session = match ground::way(&webhook, context, wish.ground(), standing, (place, &mut inside)) {
        Way::Open(session) => session,
        Way::Outside(urgency) => return Err(PassError::Outside(urgency)),
        Way::Rest(wait) => return Ok(wait),
        Way::Closed(failure) => return Box::pin(report.failure(failure, webhook.status.clone())).await,
    };
    let mut pass = open(&webhook, context, &wish, session, (settled, passing));
    let ended = pass.bring_up(&wish).await;
    let report = report.after(&pass.left(), wish.ground());
    match ended {
        Ok(Ended::Done(outcome)) => Box::pin(report.done(outcome, pass.left())).await,
        Ok(Ended::Unhealthy) => Box::pin(report.unhealthy(&pass)).await,
        // Nothing is pending: the tenant says what is wrong, and this webhook stays as it was.
        Err(failure) if ground::is_resync(&webhook, settled) && failure.disposition().class == Class::Tenant => {
            Ok(report.undisturbed(&failure))
        }
        Err(failure) => Box::pin(report.failure(failure, Some(pass.book.status.clone()))).await,
    }
}

/// A pass that begins with what the status and the memory of earlier passes tell.
fn open<'a>(
    webhook: &Arc<CognigyWebhook>,
    context: &'a Context,
    wish: &'a Wish,
    session: crate::cognigy::Session,
    (settled, passing): (bool, bool),
) -> Pass<'a> {
    let version = webhook.spec.version();
    let memo = context.memos.get(&webhook.uid().unwrap_or_default());
    let mut book = Book::open(webhook.status.as_ref(), version);
    let outage = health::go_on_with_outage(webhook, &mut book.status);
    let (health, unhealthy) = match health::known(memo.checks.as_ref(), &health::subject(webhook, wish)) {
        _ if passing => (Health::Passing, None),
        // Its checks are made on their own schedule, not by the plan.
        _ if settled && outage => (Health::Failing, None),
        known => known,
    };
    let world = World { outage, ..book.world(webhook, version, health) };
    let recorded = webhook.status.as_ref().and_then(|status: &CognigyWebhookStatus| status.etag.as_deref());
    book.tag = memo.tag.or_else(|| recorded.and_then(crate::cognigy::ETag::from_header));
    let mut pass = Pass::new(context, webhook.clone(), session, Some(wish), version, (world, book));
    pass.settled = settled;
    pass.matching = settled || memo.matching.is_some_and(|matching| matching == change::name(webhook, wish.ground()));
    let moved = memo.base_url.is_some_and(|known| known != *pass.session.base_url());
    pass.standing = pass.book.tag.clone().filter(|_| change::registered(webhook, wish.ground()) && !moved);
    pass.unhealthy = unhealthy;
    pass
}

/// How long a health check that failed before activation is not due again, where nothing else is missing.
fn failing(webhook: &CognigyWebhook, context: &Context, wish: &Wish) -> Option<Action> {
    let memo = context.memos.get(&webhook.uid().unwrap_or_default());
    match health::known(memo.checks.as_ref(), &health::subject(webhook, wish)) {
        (Health::Failing, _) if change::only_health_is_missing(webhook) => {
            let now = Instant::now();
            let next = memo.checks.map_or(now, |checks| checks.next);
            Some(Action::requeue(next.saturating_duration_since(now) + Duration::from_millis(20)))
        }
        _ => None,
    }
}
