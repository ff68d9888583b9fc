//! Webhooks that exist already, of which only the retry policy is managed (`spec.existing`): observe → plan → apply →
//! report, like those that the operator registers.
//!
//! Nothing of them is ever registered, activated or removed, so there is no claim, no finalizer and nothing to wait for
//! when the resource is deleted.

mod apply;
mod bot;
pub mod observe;
pub mod plan;

use std::sync::Arc;

use kube::{ResourceExt as _, runtime::controller::Action};

use self::apply::Pass;
use super::{
    change,
    ground::{self, Standing, Way},
    report::Report,
};
use crate::{
    api::CognigyWebhook,
    cognigy::{Place, Session},
    controller::{context::Context, door::Inside, error::Class, pass::PassError},
};

/// One pass over a webhook that exists already.
pub async fn reconcile(
    webhook: &Arc<CognigyWebhook>,
    context: &Arc<Context>,
    report: Report<'_>,
    place: &Place,
    inside: &mut Option<Inside>,
) -> Result<Action, PassError> {
    let wish = match Box::pin(observe::wish(webhook, context)).await {
        Ok(wish) => wish,
        Err(failure) => return Box::pin(report.failure(failure, None)).await,
    };
    let settled = change::settled(webhook, wish.ground());
    let standing = Standing { settled, ..Standing::default() };
    let session = match ground::way(webhook, context, wish.ground(), standing, (place, inside)) {
        Way::Open(session) => session,
        Way::Outside(urgency) => return Err(PassError::Outside(urgency)),
        Way::Rest(wait) => return Ok(wait),
        Way::Closed(failure) => return Box::pin(report.failure(failure, None)).await,
    };
    let mut pass = open(webhook, context, &wish, session, settled);
    let ended = pass.run().await;
    let left = pass.left();
    let report = report.after(&left, wish.ground());
    match ended {
        Ok(outcome) => Box::pin(report.done(outcome, left)).await,
        // Nothing is pending: the tenant says what is wrong, and this webhook stays as it was.
        Err(failure) if ground::is_resync(webhook, settled) && failure.disposition().class == Class::Tenant => {
            Ok(report.undisturbed(&failure))
        }
        Err(failure) => Box::pin(report.failure(failure, Some(left.status))).await,
    }
}

/// A pass that begins with what the status and the memory of earlier passes tell.
pub(super) fn open<'a>(
    webhook: &'a Arc<CognigyWebhook>,
    context: &'a Context,
    wish: &'a observe::Wish,
    session: Session,
    settled: bool,
) -> Pass<'a> {
    let memo = context.memos.get(&webhook.uid().unwrap_or_default());
    let matching = settled || memo.matching.is_some_and(|matching| matching == change::name(webhook, wish.ground()));
    Pass::new(context, webhook, session, wish, (settled, matching), memo.tag)
}
