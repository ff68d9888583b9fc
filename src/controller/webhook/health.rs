//! The health check before something goes live: when it is due, what it says, and what is kept of it.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt as _;
use secrecy::{ExposeSecret as _, SecretString};

use super::{
    change,
    observe::{self, Wish},
    world::Health,
};
use crate::{
    api::{
        CognigyWebhook, ObjectKey,
        webhook::{Health as HealthStatus, HealthResult},
    },
    cognigy::Registration,
    controller::{context::Context, error::Failure, memo::FailingChecks, tenant},
    probe::{Check, Report},
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
pub fn known(failing: Option<&FailingChecks>, subject: &str) -> (Health, Option<String>) {
    match failing {
        Some(failing) if failing.subject == subject && failing.next > Instant::now() => {
            (Health::Failing, Some(failing.message.clone()))
        }
        _ => (Health::Unknown, None),
    }
}

/// Makes the check, keeps its result in the draft of the status, and plans the next one after a failure: on the
/// policy's schedule first, then every `periodSeconds` (60 s where that is 0), for ever (resources.md).
pub async fn check(
    context: &Context,
    webhook: &CognigyWebhook,
    wish: &Wish,
    registration: &Registration,
    status: &mut Option<HealthStatus>,
) -> Result<Checked, Failure> {
    let settings = webhook.spec.health_check();
    let bundle = tenant::observe::ca_bundle(&wish.tenant, context).await?;
    let check = Check {
        url: registration.url.clone(),
        headers: registration
            .headers
            .iter()
            .map(|(name, value)| (name.clone(), SecretString::from(value.expose())))
            .collect(),
        version: registration.version,
        timeout: Duration::from_secs(u64::try_from(settings.timeout_seconds).unwrap_or(5)),
        ca_bundle: bundle.map(|pem| pem.expose_secret().as_bytes().into()),
    };
    let mut report = context.prober.check(&check, &wish.guard).await?;
    // The callback knows what it was sent, and chooses the names in its certificate.
    report.message = registration.secrets().redact(&report.message);
    let key = ObjectKey::of(webhook);
    context.metrics.health(&key.namespace, &key.name, report.passing, Some(report.latency));
    if let Some(expires) = report.certificate_expires_at {
        context.metrics.certificate(&key.namespace, &key.name, expires);
    }
    let uid = webhook.uid().unwrap_or_default();
    if report.passing {
        context.memos.update(&uid, |memo| memo.checks = None);
        *status = Some(kept(&report, 0));
        return Ok(Checked { passing: true, note: report.message, latency: report.latency, news: true });
    }
    let subject = subject(webhook, wish);
    let schedule = observe::schedule(webhook, context);
    // Compared with what was told, not with what is remembered: a restart is no news.
    let told = status.as_ref().and_then(|told| told.message.as_ref());
    let news = !(change::only_health_is_missing(webhook) && told == Some(&report.message));
    let count = context.memos.update(&uid, |memo| {
        let before = memo.checks.take().filter(|before| before.subject == subject);
        let count = before.as_ref().map_or(0, |before| before.count) + 1;
        let wait = if count <= schedule.max_retries {
            schedule.delay_before(count, Jitter::new(rand::random()))
        } else {
            Duration::from_secs(u64::try_from(settings.period_seconds).ok().filter(|period| *period > 0).unwrap_or(60))
        };
        let next = Instant::now() + wait;
        memo.checks = Some(FailingChecks { subject, count, next, message: report.message.clone() });
        count
    });
    *status = Some(kept(&report, count));
    Ok(Checked { passing: false, note: report.message, latency: report.latency, news })
}

fn kept(report: &Report, failures: u32) -> HealthStatus {
    HealthStatus {
        result: if report.passing { HealthResult::Passing } else { HealthResult::Failing },
        http_status: report.http_status.map(i32::from),
        latency_ms: i64::try_from(report.latency.as_millis()).ok(),
        consecutive_failures: i32::try_from(failures).unwrap_or(i32::MAX),
        last_checked_at: Some(Time(Timestamp::now())),
        trace_id: Some(report.trace_id.clone()),
        tls_version: report.tls_version.map(|version| version.as_str().to_owned()),
        certificate_expires_at: report.certificate_expires_at.map(Time),
        message: (!report.passing).then(|| report.message.clone()),
    }
}
