//! The checks of what is live: they go to the callback only. Cognigy is called by the plan, where it has to be.

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use jiff::Timestamp;
use kube::ResourceExt as _;

use super::{
    super::{
        caller,
        observe::{self, Line, Wish},
        registration, report,
        status::conditions,
    },
    course::{Course, News},
    note, probe, subject,
};
use crate::{
    api::{
        CognigyWebhook, CognigyWebhookStatus, EventReason, ObjectKey, Reason,
        webhook::{HealthResult, OnFailure, State},
    },
    cluster::audit::Fact,
    cognigy::Place,
    controller::{backoff, context::Context, error::Failure, memo::PeriodicChecks, status::has_reason},
    probe::Report,
};

/// How often it is asked whether a check under way is still wanted.
const LOOK: Duration = Duration::from_secs(1);

/// What the checks of what is live mean for a pass.
pub enum Turn {
    /// Nothing: none was due, or it says nothing that a person would act on.
    Quiet,
    /// The status has something to tell; nothing else is to be done for it.
    Tell(Box<CognigyWebhookStatus>),
    /// What an outage had switched off passes again: it is to be activated.
    Activate(Box<CognigyWebhookStatus>),
}

/// Whether the status tells of an outage that the spec wants to be watched.
pub fn is_out(webhook: &CognigyWebhook) -> bool {
    let health = webhook.status.as_ref().and_then(|status| status.health.as_ref());
    webhook.spec.is_watched() && health.is_some_and(|health| health.failing_since.is_some())
}

/// Whether an outage that was told goes on; what is not watched any more has none.
pub fn go_on_with_outage(webhook: &CognigyWebhook, draft: &mut CognigyWebhookStatus) -> bool {
    let Some(health) = draft.health.as_mut() else { return false };
    if !webhook.spec.is_watched() {
        health.failing_since = None;
    }
    health.failing_since.is_some()
}

/// Whether an outage is all that the status tells.
pub fn in_outage(webhook: &CognigyWebhook) -> bool {
    is_out(webhook) && has_reason(conditions(webhook.status.as_ref()), Reason::HealthCheckFailed)
}

/// Whether an outage is still to switch the webhook off.
pub fn owes_deactivation(webhook: &CognigyWebhook) -> bool {
    let active = webhook.status.as_ref().is_some_and(|status| status.state == Some(State::Active));
    active && is_out(webhook) && webhook.spec.health_check().on_failure == OnFailure::Deactivate
}

/// Makes a check where one is due, and says what it means. `asked`: a full pass was asked for, which ends an outage sooner.
pub async fn turn(
    webhook: &Arc<CognigyWebhook>,
    context: &Arc<Context>,
    wish: &Wish,
    (settled, asked): (bool, bool),
    place: &Place,
) -> Result<Turn, Failure> {
    let uid = webhook.uid().unwrap_or_default();
    if !webhook.spec.is_watched() || wish.tenant.spec.suspend {
        context.memos.update(&uid, |memo| memo.periodic = None);
        return Ok(Turn::Quiet);
    }
    let due = is_due(webhook, context, wish) || (asked && is_out(webhook));
    if !due {
        return Ok(Turn::Quiet);
    }
    let checked = if settled && can_be_acted_on(webhook, context, wish) {
        check(webhook, context, wish, place).await
    } else {
        Ok(None)
    };
    schedule(webhook, context, wish);
    let Some(report) = checked? else { return Ok(Turn::Quiet) };
    Ok(take(webhook, context, &report))
}

/// Whether a check is due. One that was not scheduled yet gets its own phase: neither a restart nor a mass creation makes a
/// wave.
fn is_due(webhook: &CognigyWebhook, context: &Context, wish: &Wish) -> bool {
    let memo = context.memos.get(&webhook.uid().unwrap_or_default());
    match memo.periodic {
        Some(checks) if checks.subject == subject(webhook, wish) => checks.next <= Instant::now(),
        _ => {
            schedule(webhook, context, wish);
            false
        }
    }
}

/// Plans the next check; another subject starts from what the status tells.
fn schedule(webhook: &CognigyWebhook, context: &Context, wish: &Wish) {
    let uid = webhook.uid().unwrap_or_default();
    let seconds = u64::try_from(webhook.spec.health_check().period_seconds).unwrap_or(300);
    let wait = backoff::until_resync(&uid, Duration::from_secs(seconds), SystemTime::now(), rand::random());
    let next = Instant::now() + wait;
    let subject = subject(webhook, wish);
    context.memos.update(&uid, |memo| {
        let course = memo.periodic.take().filter(|checks| checks.subject == subject).map(|checks| checks.course);
        let course =
            course.unwrap_or_else(|| Course::of(webhook.status.as_ref().and_then(|status| status.health.as_ref())));
        memo.periodic = Some(PeriodicChecks { subject, course, next });
    });
    context.triggers.webhook_at(ObjectKey::of(webhook), next);
}

/// A check of what is switched off leads to a call: it waits for the tenant. One of what is active does not.
fn can_be_acted_on(webhook: &CognigyWebhook, context: &Context, wish: &Wish) -> bool {
    let active = webhook.status.as_ref().is_some_and(|status| status.state == Some(State::Active));
    active || matches!(observe::line(&wish.tenant_key, context), Line::Open(_))
}

/// Makes the check, without a place at work. `None` where it could not be made, or is not wanted any more.
async fn check(
    webhook: &Arc<CognigyWebhook>,
    context: &Arc<Context>,
    wish: &Wish,
    place: &Place,
) -> Result<Option<Report>, Failure> {
    let check = Box::pin(async {
        let registration = registration::read(webhook, context).await?;
        probe(context, webhook, wish, &registration).await
    });
    let wanted = caller::still_asks(webhook, context);
    let unwanted = async {
        while wanted() {
            tokio::time::sleep(LOOK).await;
        }
    };
    let until_unwanted = async {
        tokio::select! {
            report = check => Some(report),
            () = unwanted => None,
        }
    };
    let session = context.sessions.get(&wish.tenant_key).and_then(|connection| connection.session);
    let report = match session {
        Some(session) => place.free_while(session.elsewhere(until_unwanted)).await,
        None => place.free_while(until_unwanted).await,
    };
    match report {
        None => Ok(None),
        Some(Ok(report)) => Ok(Some(report)),
        Some(Err(Failure::CallbackForbidden(refusal))) => {
            let key = ObjectKey::of(&**webhook);
            context.metrics.health(&key.namespace, &key.name, false, None);
            Ok(Some(refused(&refusal.to_string())))
        }
        Some(Err(Failure::Kubernetes(error))) => Err(Failure::Kubernetes(error)),
        Some(Err(failure)) => {
            tracing::warn!(object = %ObjectKey::of(&**webhook), error = %failure, "a health check cannot be made");
            Ok(None)
        }
    }
}

/// Where a name leads changes behind everybody's back: what is live and leads to where nothing may go fails its check.
fn refused(message: &str) -> Report {
    Report {
        passing: false,
        http_status: None,
        latency: Duration::ZERO,
        trace_id: String::new(),
        tls_version: None,
        certificate_expires_at: None,
        message: message.to_owned(),
    }
}

/// What a check means, told as an event where it is one.
fn take(webhook: &CognigyWebhook, context: &Context, report: &Report) -> Turn {
    let settings = webhook.spec.health_check();
    let mut draft = webhook.status.clone().unwrap_or_default();
    let threshold = u32::try_from(settings.failure_threshold).unwrap_or(1);
    let news = context.memos.update(&webhook.uid().unwrap_or_default(), |memo| {
        let course = &mut memo.periodic.as_mut()?.course;
        course.take(report, draft.health.as_ref(), threshold, Timestamp::now())
    });
    let Some((news, health)) = news else { return Turn::Quiet };
    let failures = health.consecutive_failures;
    let first = draft.health.is_none();
    note(context, webhook, &mut draft, report, health);
    let tell = |reason, note: String| {
        let note = format!("{note} ({} ms)", report.latency.as_millis());
        let fact = report::fact(context, webhook, Some(&draft), reason, note);
        context.trail.record(Fact { latency: Some(report.latency), ..fact });
    };
    match news {
        News::Out => {
            let then = match settings.on_failure {
                OnFailure::Report => "it stays active",
                OnFailure::Deactivate => "it is deactivated until a check passes",
            };
            tell(
                EventReason::HealthCheckFailed,
                format!("{}; failed {failures} times in a row: {then}", report.message),
            );
        }
        News::Passes if first => {}
        News::Passes => tell(EventReason::HealthCheckPassed, report.message.clone()),
        News::Differs => {}
    }
    let inactive = draft.state != Some(State::Active);
    let passing = draft.health.as_ref().is_some_and(|health| health.result == HealthResult::Passing);
    if passing && inactive { Turn::Activate(Box::new(draft)) } else { Turn::Tell(Box::new(draft)) }
}
