//! What a webhook has to tell the user's own systems: alerts and dead letters, kept in its status until they are delivered.
//! Pure.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::{
    api::{
        CognigyTenant, CognigyWebhook, CognigyWebhookStatus, FiringAlert, MAX_UNDELIVERED, ObjectKey, SinkKind,
        webhook::{DeadLetter, Failure},
    },
    controller::error,
    outbox::{
        Progress, Settled,
        message::{Exhaustion, Figures, Resolution, WebhookTold},
        settle,
    },
};

/// The webhook and where its messages go.
pub struct Letters<'a> {
    webhook: &'a CognigyWebhook,
    tenant: Option<&'a CognigyTenant>,
    tenant_key: ObjectKey,
    figures: Figures,
    now: Timestamp,
}

impl<'a> Letters<'a> {
    /// The letters of a webhook, for the sinks that its tenant has now.
    pub fn of(
        webhook: &'a CognigyWebhook,
        tenant: Option<&'a CognigyTenant>,
        figures: Figures,
        now: Timestamp,
    ) -> Self {
        Self { webhook, tenant, tenant_key: webhook.tenant_key(), figures, now }
    }

    fn has(&self, kind: SinkKind) -> bool {
        self.tenant.is_some_and(|tenant| tenant.sink(kind).is_some())
    }

    fn told<T>(&self, webhook_id: Option<&str>, tell: impl FnOnce(&WebhookTold<'_>) -> T) -> T {
        let (object, name) = (ObjectKey::of(self.webhook), self.webhook.registered_name());
        tell(&WebhookTold {
            object: &object,
            tenant: &self.tenant_key,
            webhook_id: webhook_id.unwrap_or(&name),
            name: &name,
            figures: self.figures,
            time: self.now,
        })
    }

    /// The attempts of a change are used up: one alert and one dead letter, as far as the tenant has sinks for them. `false`
    /// where there is no room for them: then the change is not given up yet, rather than anything being dropped.
    pub fn exhausted(&self, failure: &mut Failure, webhook_id: Option<&str>, (reason, error): (&str, &str)) -> bool {
        let (alerts, letters) = (self.has(SinkKind::Alerts), self.has(SinkKind::DeadLetter));
        // The end of the alert will need a place as well.
        let end = alerts || failure.alert.is_some();
        let wanted = usize::from(alerts) + usize::from(letters) + usize::from(end);
        if (alerts || letters) && failure.undelivered.len() + wanted > MAX_UNDELIVERED {
            return false;
        }
        failure.exhausted_at = Some(Time(self.now));
        let what =
            Exhaustion { attempts: failure.attempts, reason, error, since: failure.since.as_ref().map(|at| at.0) };
        if alerts {
            let alert = self.told(webhook_id, |told| told.exhausted(&what));
            failure.alert = Some(FiringAlert { id: alert.id.clone(), since: alert.time.clone() });
            failure.undelivered.push(alert);
        }
        if letters {
            let (letter, named) = self.told(webhook_id, |told| (told.dead_letter(&what), told.webhook_id.to_owned()));
            failure.dead_letter = Some(DeadLetter {
                id: letter.id.clone(),
                delivered: false,
                discarded: false,
                time: Some(letter.time.clone()),
                webhook_id: Some(named),
                attempts: Some(what.attempts),
                error: Some(error.to_owned()),
            });
            failure.undelivered.push(letter);
        }
        true
    }

    /// The failure is over: its alert is resolved, and what is still to be delivered is kept.
    pub fn over(&self, status: &mut CognigyWebhookStatus, resolution: Resolution) {
        let Some(mut carried) = carried(status.failure.take()) else { return };
        if let Some(alert) = carried.alert.take()
            && self.has(SinkKind::Alerts)
        {
            let id = status.webhook_id.as_deref();
            carried.undelivered.push(self.told(id, |told| told.resolved(&alert.id, resolution)));
        }
        status.failure = (!carried.undelivered.is_empty()).then_some(carried);
    }
}

/// What outlives the change that failed: its alert, and what is still to be delivered.
pub fn carried(failure: Option<Failure>) -> Option<Failure> {
    let Failure { alert, undelivered, .. } = failure?;
    (alert.is_some() || !undelivered.is_empty()).then(|| Failure { alert, undelivered, ..Failure::default() })
}

/// Whether the object must not vanish before its messages are delivered.
pub fn holds(status: &CognigyWebhookStatus) -> bool {
    status.failure.as_ref().is_some_and(|failure| failure.alert.is_some() || !failure.undelivered.is_empty())
}

/// What a webhook that is being deleted still waits for.
pub fn pending(status: &CognigyWebhookStatus) -> Option<error::Failure> {
    error::undelivered(&status.failure.as_ref()?.undelivered)
}

/// Notes in a failure what became of its messages; `None` where nothing is left of it.
pub fn settled(mut failure: Failure, progress: &BTreeMap<String, Progress>) -> (Option<Failure>, Settled) {
    let settled = settle(&mut failure.undelivered, progress);
    if let Some(letter) = &mut failure.dead_letter {
        letter.delivered |= settled.delivered.iter().any(|message| message.id == letter.id);
    }
    let nothing = failure == Failure::default();
    ((!nothing).then_some(failure), settled)
}

#[cfg(test)]
#[path = "letters_tests.rs"]
mod tests;
