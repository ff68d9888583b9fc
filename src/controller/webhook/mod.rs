//! Webhooks: observe → plan → apply → report (docs/design.md).
//!
//! ```text
//! observe.rs   what Kubernetes says: references resolved into a wish        no call to Cognigy
//! world.rs     what is known, as plain data         plan.rs    the next step, pure
//! apply.rs     runs the steps                       status.rs  the one status at the end
//! ```

pub mod apply;
mod book;
mod caller;
mod change;
mod compare;
mod farewell;
mod health;
mod observe;
pub mod plan;
mod registration;
mod report;
mod status;
pub mod world;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use kube::{Api, ResourceExt as _, runtime::controller::Action};

use self::{
    apply::{Ended, Pass},
    book::Book,
    observe::{Line, Wish},
    report::Report,
    world::Health,
};
use super::{
    context::Context,
    error::{Class, Failure},
    pass::PassError,
};
use crate::{
    api::{CognigyWebhook, CognigyWebhookStatus, RECONCILE_REQUESTED_ANNOTATION, Reason},
    cognigy::{Place, Urgency},
};

/// One pass over a webhook.
pub async fn reconcile(webhook: Arc<CognigyWebhook>, context: Arc<Context>, place: Place) -> Result<Action, PassError> {
    let api: Api<CognigyWebhook> = Api::namespaced(context.client.clone(), &webhook.namespace().unwrap_or_default());
    let Some(webhook) = context.fresh(&api, webhook).await? else { return Ok(Action::await_change()) };
    let report = Report::new(&context, &api, &webhook);
    if webhook.metadata.deletion_timestamp.is_some() {
        return farewell::reconcile(&webhook, &context, report, place).await;
    }
    if webhook.spec.suspend {
        return report.verdict(Reason::Suspended, "spec.suspend is true: Cognigy is left as it is").await;
    }
    let wish = match observe::wish(&webhook, &context).await {
        Ok(wish) => wish,
        Err(failure) => return report.failure(failure, None).await,
    };
    let settled = change::settled(&webhook, &wish);
    let requested = requested(&webhook);
    if !requested && let Some(wait) = rest(&webhook, &context, &wish, settled) {
        return Ok(wait);
    }
    let session = match observe::line(&wish.tenant_key, &context) {
        Line::Open(session) => session,
        // It is asked for again as soon as the tenant is ready; what is Ready and has nothing pending stays untouched.
        Line::Unknown => return Ok(Action::await_change()),
        Line::Closed(_) if settled => return Ok(Action::await_change()),
        Line::Closed(failure) => return report.failure(failure, None).await,
    };
    let resync = settled && !requested;
    let urgency = if resync { Urgency::Resync } else { Urgency::Change };
    let session = session.on_behalf_of(caller::of(&webhook, &context, &session, urgency, place));
    let version = webhook.spec.version();
    let (pass, ended) = run(&webhook, &context, &wish, session, (version, settled)).await;
    let report = report.after(&pass, &wish);
    match ended {
        Ok(Ended::Done(outcome)) => report.done(outcome, &pass).await,
        Ok(Ended::Unhealthy) => report.unhealthy(&pass).await,
        // Nothing is pending: the tenant says what is wrong, and this webhook stays as it was.
        Err(failure) if resync && failure.disposition().class == Class::Tenant => Ok(report.undisturbed(&failure)),
        Err(failure) => report.failure(failure, Some(pass.book.status.clone())).await,
    }
}

async fn run<'a>(
    webhook: &Arc<CognigyWebhook>,
    context: &'a Context,
    wish: &'a Wish,
    session: crate::cognigy::Session,
    (version, settled): (i32, bool),
) -> (Pass<'a>, Result<Ended, Failure>) {
    let memo = context.memos.get(&webhook.uid().unwrap_or_default());
    let (health, unhealthy) = health::known(memo.checks.as_ref(), &health::subject(webhook, wish));
    let mut book = Book::open(webhook.status.as_ref(), version);
    let world = book.world(webhook, version, health);
    let recorded = webhook.status.as_ref().and_then(|status: &CognigyWebhookStatus| status.etag.as_deref());
    book.tag = memo.tag.or_else(|| recorded.and_then(crate::cognigy::ETag::from_header));
    let mut pass = Pass::new(context, webhook.clone(), session, Some(wish), version, (world, book));
    pass.settled = settled;
    pass.matching = settled || memo.matching.is_some_and(|matching| matching == change::name(webhook, wish));
    pass.unhealthy = unhealthy;
    let ended = pass.bring_up(wish).await;
    (pass, ended)
}

/// Whether a full pass was asked for and not yet made.
fn requested(webhook: &CognigyWebhook) -> bool {
    let handled = webhook.status.as_ref().and_then(|status| status.last_handled_reconcile_at.as_ref());
    webhook.annotations().get(RECONCILE_REQUESTED_ANNOTATION).is_some_and(|asked| Some(asked) != handled)
}

/// How long a pass can rest: nothing changed and the resync is not due, or a failed change waits for its next try.
fn rest(webhook: &CognigyWebhook, context: &Context, wish: &Wish, settled: bool) -> Option<Action> {
    let uid = webhook.uid().unwrap_or_default();
    let memo = context.memos.get(&uid);
    let now = Instant::now();
    if settled {
        let session = context.sessions.get(&wish.tenant_key).and_then(|connection| connection.session);
        let base_url = session.map(|session| session.base_url().clone());
        if memo.base_url.is_some() && base_url.is_some() && memo.base_url != base_url {
            return None;
        }
        let next = memo.next_sync.unwrap_or_else(|| {
            let next = now + report::until_resync(webhook, Some(&wish.tenant));
            context.memos.update(&uid, |memo| {
                memo.next_sync = Some(next);
                memo.base_url = base_url;
            });
            next
        });
        return (next > now).then(|| Action::requeue(next - now));
    }
    if let Some(wait) = change::wait(webhook, wish) {
        return Some(wait);
    }
    match health::known(memo.checks.as_ref(), &health::subject(webhook, wish)) {
        (Health::Failing, _) if change::only_health_is_missing(webhook) => {
            let next = memo.checks.map_or(now, |checks| checks.next);
            Some(Action::requeue(next.saturating_duration_since(now) + Duration::from_millis(20)))
        }
        _ => None,
    }
}
