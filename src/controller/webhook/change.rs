//! What a pass is about: whether anything changed since the last one that went well, and whether the present change is
//! to be tried now. All of it from the status, so that a restart decides alike.

use std::time::Duration;

use jiff::Timestamp;
use kube::runtime::controller::Action;
use sha2::{Digest as _, Sha256};

use super::{ground::Ground, health, status::conditions};
use crate::{
    api::{CognigyWebhook, Reason, webhook},
    controller::status::{has_reason, is_ready},
};

/// No try is put off longer than the longest delay that a policy can have (a day), whatever the clock says.
const LONGEST: Duration = Duration::from_hours(24);

/// Names the change that the spec, the policy, the Secrets and the tenant ask for together.
pub fn name(webhook: &CognigyWebhook, ground: Ground<'_>) -> String {
    let parts = format!(
        "{:?}/{:?}/{:?}/{}/{:?}/{:?}",
        webhook.metadata.generation,
        ground.policy.map(|policy| (&policy.name, policy.generation)),
        ground.secret_versions,
        ground.tenant_key,
        ground.tenant.metadata.generation,
        ground.tenant_versions,
    );
    let digest = Sha256::digest(parts.as_bytes());
    digest.iter().take(8).fold(0_u64, |name, byte| name << 8 | u64::from(*byte)).to_string()
}

/// Whether the last pass went well and nothing that it was made from has changed since: what differs outside is drift.
/// An outage of the callback changes nothing of that.
pub fn settled(webhook: &CognigyWebhook, ground: Ground<'_>) -> bool {
    let Some(status) = &webhook.status else { return false };
    status.observed_generation == webhook.metadata.generation
        && (is_ready(&status.conditions) || health::in_outage(webhook))
        && (webhook.spec.is_existing() || status.version == Some(webhook.spec.version()))
        && status.secret_versions == *ground.secret_versions
        && status.retry_policy.as_ref() == ground.policy
}

/// The failure that the status tells of, where it is of this very change.
pub fn failure(webhook: &CognigyWebhook, change: &str) -> Option<webhook::Failure> {
    let failure = webhook.status.as_ref()?.failure.as_ref()?;
    (failure.change.as_deref() == Some(change)).then(|| failure.clone())
}

/// How long the present change waits for its next try; `None`: it can be tried now.
pub fn wait(webhook: &CognigyWebhook, ground: Ground<'_>) -> Option<Action> {
    let failure = failure(webhook, &name(webhook, ground))?;
    let Some(next) = failure.next_attempt_at else { return Some(Action::await_change()) };
    let next = next.0;
    let left = Duration::try_from(next.duration_since(Timestamp::now())).ok()?.min(LONGEST);
    (!left.is_zero()).then(|| Action::requeue(left + Duration::from_millis(20)))
}

/// Whether all that is told to be missing is a passing health check.
pub fn only_health_is_missing(webhook: &CognigyWebhook) -> bool {
    has_reason(conditions(webhook.status.as_ref()), Reason::HealthCheckFailed)
        && webhook.status.as_ref().and_then(|status| status.observed_generation) == webhook.metadata.generation
}
