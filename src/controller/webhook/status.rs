//! What a webhook's status says, and when it is worth a write.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use crate::api::{
    CognigyWebhook, CognigyWebhookStatus, Conditions, FactReason, Reason, Status,
    webhook::{Health, HealthResult, Mode, OnFailure, State},
};

/// The Ready reason and its sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The Ready reason.
    pub reason: Reason,
    /// The sentence.
    pub message: String,
}

/// Completes the draft of a status with its conditions.
pub fn complete(
    webhook: &CognigyWebhook,
    mut draft: CognigyWebhookStatus,
    verdict: &Verdict,
    now: Timestamp,
) -> CognigyWebhookStatus {
    let generation = webhook.metadata.generation.unwrap_or_default();
    if unchecked(webhook).is_some() {
        draft.health = None;
    }
    let old = webhook.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    let conditions = facts(webhook, &draft, verdict, Conditions::new(verdict.reason, &verdict.message, generation));
    draft.conditions = conditions.merge(old, now);
    draft.observed_generation = Some(generation);
    draft
}

fn facts(
    webhook: &CognigyWebhook,
    draft: &CognigyWebhookStatus,
    verdict: &Verdict,
    conditions: Conditions,
) -> Conditions {
    let because = |reason| if verdict.reason.verdict().ready { reason } else { FactReason::Because(verdict.reason) };
    let conditions = match (&draft.webhook_id, draft.version) {
        (Some(id), _) if webhook.spec.is_existing() => {
            conditions.registered(true, FactReason::Registered, format!("it exists in Cognigy as {id}"))
        }
        (None, _) if webhook.spec.is_existing() => {
            conditions.registered(false, because(FactReason::NotRegistered), "it was not found in Cognigy")
        }
        (Some(id), Some(version)) => {
            let message = format!("{} version {version} is registered as {id}", webhook.registered_name());
            conditions.registered(true, FactReason::Registered, message)
        }
        _ => conditions.registered(false, because(FactReason::NotRegistered), "nothing is registered in Cognigy"),
    };
    let conditions = health(webhook, draft.health.as_ref(), conditions);
    let Some(reference) = &webhook.spec.retry_policy_ref else { return conditions };
    match &draft.retry_policy {
        Some(applied) if applied.name == reference.name => {
            let message = format!("Cognigy has policy {} as of generation {}", applied.name, applied.generation);
            conditions.retry_policy_applied(true, FactReason::Applied, message)
        }
        _ => {
            let message = format!("Cognigy does not have policy {} yet", reference.name);
            conditions.retry_policy_applied(false, because(FactReason::NotApplied), message)
        }
    }
}

/// Why the callback of a webhook is never checked.
fn unchecked(webhook: &CognigyWebhook) -> Option<(FactReason, &'static str)> {
    if webhook.spec.is_existing() {
        Some((FactReason::NotChecked, "only the retry policy is managed (spec.existing)"))
    } else if !webhook.spec.health_check().enabled {
        Some((FactReason::CheckDisabled, "spec.healthCheck.disabled is true"))
    } else if webhook.spec.mode == Mode::Observe {
        Some((FactReason::NotChecked, "nothing is done (mode Observe)"))
    } else {
        None
    }
}

fn health(webhook: &CognigyWebhook, health: Option<&Health>, conditions: Conditions) -> Conditions {
    if let Some((reason, why)) = unchecked(webhook) {
        return conditions.healthy(Status::Unknown, reason, format!("{why}: the callback is not checked"));
    }
    match health {
        None => conditions.healthy(Status::Unknown, FactReason::NotChecked, "the callback was not checked yet"),
        Some(Health { result: HealthResult::Failing, message, .. }) => {
            conditions.healthy(false, FactReason::CheckFailed, message.as_deref().unwrap_or("the check failed"))
        }
        Some(Health { result: HealthResult::Passing, http_status, .. }) => {
            let status = http_status.map(|status| format!(" with HTTP {status}")).unwrap_or_default();
            let message = if webhook.spec.is_watched() {
                let period = webhook.spec.health_check().period_seconds;
                format!("the callback passes its health checks{status}, every {period} s")
            } else {
                format!("the callback passed its last health check{status}; it is checked before it is activated only")
            };
            conditions.healthy(true, FactReason::CheckPassed, message)
        }
    }
}

/// Whether the last check that was told failed.
pub fn is_failing(status: &CognigyWebhookStatus) -> bool {
    status.health.as_ref().is_some_and(|health| health.result == HealthResult::Failing)
}

/// The sentence on an outage: what fails, and what that means for deliveries.
pub fn outage(webhook: &CognigyWebhook, draft: &CognigyWebhookStatus) -> String {
    let settings = webhook.spec.health_check();
    let cause = draft.health.as_ref().and_then(|health| health.message.as_deref()).unwrap_or("the check fails");
    let active = draft.state.is_some_and(State::is_active);
    let state = match (active, settings.on_failure) {
        (true, OnFailure::Report) => "it stays active",
        (true, OnFailure::Deactivate) => "it is to be deactivated",
        (false, _) => "it is inactive until a check passes",
    };
    format!("{cause}; {state}, and is checked every {} s", settings.period_seconds)
}

/// The status to write, where it says something new: what only tells when and how fast is not worth a write
/// (resources.md, *Status rules* 4).
pub fn worth_writing(
    mut new: CognigyWebhookStatus,
    old: Option<&CognigyWebhookStatus>,
    synced: bool,
    now: Timestamp,
) -> Option<CognigyWebhookStatus> {
    let quiet = |status: &CognigyWebhookStatus| {
        let mut status = status.clone();
        status.etag = None;
        status.last_synced_at = None;
        if let Some(health) = &mut status.health {
            health.last_checked_at = None;
            health.latency_ms = None;
            health.trace_id = None;
            health.consecutive_failures = 0;
        }
        status
    };
    if old.is_some_and(|old| quiet(old) == quiet(&new)) {
        return None;
    }
    if synced {
        new.last_synced_at = Some(Time(now));
    }
    Some(new)
}

/// The conditions of a status that may not be there.
pub fn conditions(status: Option<&CognigyWebhookStatus>) -> &[Condition] {
    status.map(|status| status.conditions.as_slice()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::api::kstatus_violations;

    fn webhook() -> CognigyWebhook {
        let spec = json!({"tenantRef": {"name": "production"}, "url": "https://api.example.com/hooks"});
        let mut webhook = CognigyWebhook::new("orders", serde_json::from_value(spec).unwrap());
        webhook.metadata.generation = Some(3);
        webhook
    }

    fn passing(latency_ms: i64) -> Health {
        Health {
            result: HealthResult::Passing,
            failing_since: None,
            http_status: Some(200),
            latency_ms: Some(latency_ms),
            consecutive_failures: 0,
            last_checked_at: Some(Time(Timestamp::now())),
            trace_id: Some(latency_ms.to_string()),
            tls_version: None,
            certificate_expires_at: None,
            last_certificate_warning: None,
            message: None,
        }
    }

    #[test]
    fn every_reason_gives_conditions_that_keep_the_rules_of_kstatus() {
        for &reason in Reason::ALL {
            let verdict = Verdict { reason, message: "because".into() };
            let status = complete(&webhook(), CognigyWebhookStatus::default(), &verdict, Timestamp::now());
            let violations = kstatus_violations(&status.conditions, status.observed_generation, 3);
            assert!(violations.is_empty(), "{reason}: {violations:?}");
        }
    }

    #[test]
    fn a_pass_that_only_measured_again_is_not_worth_a_write() {
        let verdict = Verdict { reason: Reason::Active, message: "active".into() };
        let draft =
            |latency| CognigyWebhookStatus { health: Some(passing(latency)), ..CognigyWebhookStatus::default() };
        let old = complete(&webhook(), draft(10), &verdict, Timestamp::now());
        let mut again = complete(&webhook(), draft(20), &verdict, Timestamp::now());
        again.conditions.clone_from(&old.conditions);
        again.etag = Some("\"v2\"".into());
        assert_eq!(worth_writing(again.clone(), Some(&old), true, Timestamp::now()), None);
        again.webhook_id = Some("wh_1".into());
        let written = worth_writing(again, Some(&old), true, Timestamp::now()).unwrap();
        assert!(written.last_synced_at.is_some());
        assert_eq!(written.health.unwrap().latency_ms, Some(20));
    }
}
