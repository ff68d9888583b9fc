//! Health checks of the callback (cognigy-api.md §5): before something goes live, and periodically while it is.
//!
//! ```text
//! before.rs    the check that the plan asks for         course.rs        what a periodic check adds to what was told, pure
//! periodic.rs  the checks of what is live, and when     certificate.rs   when a certificate that expires is told, pure
//! ```

mod before;
mod certificate;
mod course;
mod periodic;

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use secrecy::{ExposeSecret as _, SecretString};
use tracing::{Instrument as _, Span};

pub use self::{
    before::{Checked, check, known, subject},
    course::Course,
    periodic::{Turn, go_on_with_outage, in_outage, owes_deactivation, turn},
};
use super::{
    observe::{self, Wish},
    report as told,
};
use crate::{
    api::{
        CognigyWebhook, CognigyWebhookStatus, EventReason, ObjectKey,
        webhook::{CertificateWarning, Health, HealthResult},
    },
    cognigy::Registration,
    controller::{context::Context, error::Failure, office},
    outbox::message::Monitoring,
    probe::{Check, Report},
    traces,
};

/// Makes one check and shows it in the figures.
async fn probe(
    context: &Context,
    webhook: &CognigyWebhook,
    wish: &Wish,
    registration: &Registration,
) -> Result<Report, Failure> {
    let settings = webhook.spec.health_check();
    let bundle = context.bundles.of(&wish.tenant).await?;
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
    let span = traces::health_check(&check.url);
    let checked = Box::pin(context.prober.check(&check, &wish.guard)).instrument(span.clone()).await;
    let mut report = checked.inspect_err(|refusal| traces::fail(&span, "callback_forbidden", refusal))?;
    // The callback knows what it was sent, and chooses the names in its certificate.
    report.message = registration.secrets().redact(&report.message);
    trace(&span, &report);
    let key = ObjectKey::of(webhook);
    context.metrics.health(&key.namespace, &key.name, report.passing, Some(report.latency));
    if let Some(expires) = report.certificate_expires_at {
        context.metrics.certificate(&key.namespace, &key.name, expires);
    }
    Ok(report)
}

/// What a check found, as its span tells it.
fn trace(span: &Span, report: &Report) {
    if let Some(status) = report.http_status {
        span.record("http.response.status_code", i64::from(status));
    }
    if let Some(version) = report.tls_version {
        span.record("tls.protocol.version", version.as_str());
    }
    if !report.passing {
        traces::fail(span, "health_check_failed", &report.message);
    }
}

/// What a check found, as the status tells it. What it could not see of TLS is kept from `before`.
fn shown(report: &Report, failures: u32, before: Option<&Health>) -> Health {
    let tls_version = report.tls_version.map(|version| version.as_str().to_owned());
    Health {
        result: if report.passing { HealthResult::Passing } else { HealthResult::Failing },
        failing_since: None,
        http_status: report.http_status.map(i32::from),
        latency_ms: i64::try_from(report.latency.as_millis()).ok(),
        consecutive_failures: i32::try_from(failures).unwrap_or(i32::MAX),
        last_checked_at: Some(Time(Timestamp::now())),
        trace_id: Some(report.trace_id.clone()).filter(|id| !id.is_empty()),
        tls_version: tls_version.or_else(|| before?.tls_version.clone()),
        certificate_expires_at: report
            .certificate_expires_at
            .map(Time)
            .or_else(|| before?.certificate_expires_at.clone()),
        last_certificate_warning: before.and_then(|before| before.last_certificate_warning.clone()),
        message: (!report.passing).then(|| report.message.clone()),
    }
}

/// Puts a result into the draft of the status, tells the tenant's monitoring where it changed or is the first (cognigy-api.md
/// §6), and warns of a certificate that expires soon. The only way into it.
fn note(
    context: &Context,
    webhook: &CognigyWebhook,
    draft: &mut CognigyWebhookStatus,
    report: &Report,
    mut health: Health,
) {
    if draft.health.as_ref().map(|told| told.result) != Some(health.result) {
        let message = Monitoring::HealthChecked {
            integration: webhook.registered_name(),
            version: webhook.spec.version().into(),
            passing: report.passing,
            latency: report.latency,
        };
        office::monitor(context, webhook, &message);
    }
    if let Some(days) = certificate::due(&health, Timestamp::now())
        && let Some(expires_at) = health.certificate_expires_at.clone()
    {
        let url = observe::url(webhook).ok();
        let host = url.as_ref().and_then(|url| url.host_str()).unwrap_or_default();
        let note = format!("the certificate of {host} expires on {} (in {days} days or less): renew it", expires_at.0);
        context.trail.record(told::fact(context, webhook, Some(draft), EventReason::CertificateExpiring, note));
        health.last_certificate_warning = Some(CertificateWarning { expires_at, days });
    }
    draft.health = Some(health);
}
