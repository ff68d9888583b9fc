//! The check before something goes live: when it is due, and what it says.

use std::time::{Duration, Instant};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt as _;

use super::{
    super::{
        change,
        observe::{self, Wish},
        world::Health as Known,
    },
    Course, note, probe, shown,
};
use crate::{
    api::{CognigyWebhook, CognigyWebhookStatus, webhook::Health},
    cognigy::Registration,
    controller::{context::Context, error::Failure, memo::FailingChecks},
    retry::Jitter,
};

/// What a check said.
pub struct Checked {
    /// Whether the callback answered 2xx.
    pub passing: bool,
    /// For people.
    pub note: String,
    /// How long it took.
    pub latency: Duration,
    /// Whether the failure differs from the one before.
    pub news: bool,
}

/// What a failing check was about: another generation, Secret or tenant starts afresh.
pub fn subject(webhook: &CognigyWebhook, wish: &Wish) -> String {
    format!(
        "{}/{:?}/{}",
        webhook.metadata.generation.unwrap_or_default(),
        wish.secret_versions,
        wish.tenant.metadata.generation.unwrap_or_default()
    )
}

/// Whether the check is to be made, or failed and is not due again; with what the last one said.
pub fn known(failing: Option<&FailingChecks>, subject: &str) -> (Known, Option<String>) {
    match failing {
        Some(failing) if failing.subject == subject && failing.next > Instant::now() => {
            (Known::Failing, Some(failing.message.clone()))
        }
        _ => (Known::Unknown, None),
    }
}

/// Makes the check, keeps its result in the draft of the status, and plans the next one after a failure: on the
/// policy's schedule first, then every `periodSeconds` (60 s where that is 0), for ever (resources.md). `since`: the outage
/// that a failure goes on with.
pub async fn check(
    context: &Context,
    webhook: &CognigyWebhook,
    wish: &Wish,
    registration: &Registration,
    (draft, since): (&mut CognigyWebhookStatus, Option<Time>),
) -> Result<Checked, Failure> {
    let report = probe(context, webhook, wish, registration).await?;
    let uid = webhook.uid().unwrap_or_default();
    if report.passing {
        context.memos.update(&uid, |memo| {
            memo.checks = None;
            // Failures before this do not count towards the next outage.
            memo.periodic.iter_mut().for_each(|checks| checks.course = Course::default());
        });
        let health = shown(&report, 0, draft.health.as_ref());
        note(context, webhook, draft, &report, health);
        return Ok(Checked { passing: true, note: report.message, latency: report.latency, news: true });
    }
    let subject = subject(webhook, wish);
    let schedule = observe::schedule(webhook, context);
    // Compared with what was told, not with what is remembered: a restart is no news.
    let told = draft.health.as_ref().and_then(|told| told.message.as_ref());
    let news = !(change::only_health_is_missing(webhook) && told == Some(&report.message));
    let period = u64::try_from(webhook.spec.health_check().period_seconds).ok().filter(|period| *period > 0);
    let count = context.memos.update(&uid, |memo| {
        let before = memo.checks.take().filter(|before| before.subject == subject);
        let count = before.as_ref().map_or(0, |before| before.count) + 1;
        let wait = if count <= schedule.max_retries {
            schedule.delay_before(count, Jitter::new(rand::random()))
        } else {
            Duration::from_secs(period.unwrap_or(60))
        };
        let next = Instant::now() + wait;
        memo.checks = Some(FailingChecks { subject, count, next, message: report.message.clone() });
        count
    });
    let health = Health { failing_since: since, ..shown(&report, count, draft.health.as_ref()) };
    note(context, webhook, draft, &report, health);
    Ok(Checked { passing: false, note: report.message, latency: report.latency, news })
}
