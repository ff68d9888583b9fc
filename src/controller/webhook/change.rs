//! What a pass is about: whether anything changed since the last one that went well, and whether the present change is
//! to be tried now. All of it from the status, so that a restart decides alike.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use kube::{ResourceExt as _, runtime::controller::Action};
use sha2::{Digest as _, Sha256};

use super::{ground::Ground, health, observe, status::conditions};
use crate::{
    api::{CognigyTenant, CognigyWebhook, CognigyWebhookStatus, Reason, webhook},
    controller::{
        backoff,
        context::Context,
        memo::NextTry,
        status::{has_reason, is_ready, is_stalled},
    },
    retry::Jitter,
};

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
    (is_ready(&status.conditions) || health::in_outage(webhook))
        && is_of_now(webhook, status, ground)
        && status.retry_policy.as_ref() == ground.policy
}

/// Whether the last pass went well and nothing that the registration is made from has changed since, whatever became of the policy:
/// under the entity tag that was known then, it is as wished.
pub fn registered(webhook: &CognigyWebhook, ground: Ground<'_>) -> bool {
    let Some(status) = &webhook.status else { return false };
    is_ready(&status.conditions) && is_of_now(webhook, status, ground)
}

/// Whether a status speaks of the present spec and Secrets.
fn is_of_now(webhook: &CognigyWebhook, status: &CognigyWebhookStatus, ground: Ground<'_>) -> bool {
    status.observed_generation == webhook.metadata.generation
        && (webhook.spec.is_existing() || status.version == Some(webhook.spec.version()))
        && status.secret_versions == *ground.secret_versions
}

/// The failure that the status tells of, where it is of this very change.
pub fn failure(webhook: &CognigyWebhook, change: &str) -> Option<webhook::Failure> {
    let failure = webhook.status.as_ref()?.failure.as_ref()?;
    (failure.change.as_deref() == Some(change)).then(|| failure.clone())
}

/// How long the present change waits for its next try; `None`: it can be tried now.
///
/// The status tells it in wall time, for people and for the next process. This one goes by its own memory, which no step of the clock
/// moves; a new process waits no longer than the delay that was once chosen, however far ahead the time in the status is.
pub fn wait(webhook: &CognigyWebhook, context: &Context, ground: Ground<'_>) -> Option<Action> {
    let failure = failure(webhook, &name(webhook, ground))?;
    let Some(told) = failure.next_attempt_at else { return Some(Action::await_change()) };
    let now = Instant::now();
    let uid = webhook.uid().unwrap_or_default();
    let next = context.memos.get(&uid).next_try.filter(|next| next.is(told.0)).unwrap_or_else(|| {
        let left = left(told.0, Timestamp::now()).min(longest(webhook, context, ground.tenant, failure.attempts));
        let next = NextTry::new(told.0, now + left);
        context.memos.update(&uid, |memo| memo.next_try = Some(next));
        next
    });
    let left = next.at.saturating_duration_since(now);
    (!left.is_zero()).then(|| Action::requeue(left + Duration::from_millis(20)))
}

fn left(next: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(next.duration_since(now)).unwrap_or_default()
}

/// The longest delay that can have been chosen after this many attempts.
fn longest(webhook: &CognigyWebhook, context: &Context, tenant: &CognigyTenant, attempts: i32) -> Duration {
    if is_stalled(conditions(webhook.status.as_ref())) {
        return backoff::longest_resync(observe::resync_period(Some(tenant)));
    }
    let schedule = observe::schedule(webhook, context);
    let attempts = u32::try_from(attempts).unwrap_or_default();
    let delay = |jitter| schedule.delay_before(attempts, Jitter::new(jitter));
    delay(0.0).max(delay(1.0))
}

/// Whether all that is told to be missing is a passing health check.
pub fn only_health_is_missing(webhook: &CognigyWebhook) -> bool {
    has_reason(conditions(webhook.status.as_ref()), Reason::HealthCheckFailed)
        && webhook.status.as_ref().and_then(|status| status.observed_generation) == webhook.metadata.generation
}
