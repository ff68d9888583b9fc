//! The tries of a change: counted, given up and told when they are used up, and over when it works.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::{ResourceExt as _, runtime::controller::Action};

use super::{
    super::{
        letters::{self, Letters},
        observe,
        status::Verdict,
    },
    Report, SOON, until_resync,
};
use crate::{
    api::{CognigyTenant, CognigyWebhookStatus, EventReason, Reason, condition, webhook::Failure as FailureStatus},
    controller::{
        error::{Class, Disposition},
        memo::NextTry,
        office,
    },
    outbox::message::Resolution,
    retry::Jitter,
};

impl<'a> Report<'a> {
    /// What failed works: that is told where the attempts were used up, and nothing that is still to be delivered is lost.
    pub(super) fn over(&self, draft: &mut CognigyWebhookStatus) {
        let exhausted = draft.failure.as_ref().is_some_and(|one| one.exhausted_at.is_some() || one.alert.is_some());
        if exhausted {
            let note = "the change that had used up its attempts went through".to_owned();
            self.context.trail.record(self.fact_of(Some(draft), EventReason::Recovered, note));
        }
        let tenant = self.context.tenants.get(&self.webhook.tenant_key());
        self.letters(tenant.as_deref()).over(draft, Resolution::Recovered);
    }

    /// What the webhook may have to tell the tenant's sinks.
    pub fn letters<'t>(&self, tenant: Option<&'t CognigyTenant>) -> Letters<'t>
    where
        'a: 't,
    {
        let figures = office::figures(self.context, &self.webhook.tenant_key());
        Letters::of(self.webhook, tenant, figures, Timestamp::now())
    }

    /// What a failure means for the attempts, and when the next try is.
    pub(super) fn next_try(
        &self,
        disposition: &Disposition,
        message: String,
        draft: &mut CognigyWebhookStatus,
    ) -> (Verdict, Action) {
        let verdict = Verdict { reason: disposition.reason, message: message.clone() };
        let tenant = self.context.tenants.get(&self.webhook.tenant_key());
        let resync = until_resync(self.webhook, tenant.as_deref());
        match disposition.class {
            Class::Passing => {
                let schedule = observe::schedule(self.webhook, self.context);
                let mut failure = self.failed_before(draft);
                let given_up = failure.exhausted_at.is_some();
                // What is tried at a resync after the attempts are used up is no further attempt, and no news.
                failure.attempts += i32::from(!given_up);
                let tries = u32::try_from(failure.attempts).unwrap_or(u32::MAX);
                let now = Timestamp::now();
                failure.change.clone_from(&self.change);
                failure.since = failure.since.or(Some(Time(now)));
                failure.last_error = Some(message.clone());
                // A deletion waits on: nobody has to change anything for it to go through.
                let leaving = disposition.reason == Reason::DeletionBlocked;
                let exhausted = given_up
                    || (tries > schedule.max_retries && !leaving && {
                        let error = condition::clean(&message);
                        let told = (disposition.reason.as_str(), error.as_str());
                        let letters = self.letters(tenant.as_deref());
                        letters.exhausted(&mut failure, draft.webhook_id.as_deref(), told)
                    });
                if exhausted && !given_up {
                    self.context.metrics.retries_exhausted(&self.webhook.tenant_key().to_string());
                }
                let wait = if exhausted || (leaving && tries > schedule.max_retries) {
                    resync
                } else {
                    schedule.delay_before(tries.min(schedule.max_retries), Jitter::new(rand::random()))
                };
                failure.next_attempt_at = now.checked_add(wait).ok().map(Time);
                self.remember(failure.next_attempt_at.as_ref(), wait);
                let tries = failure.attempts;
                draft.failure = Some(failure);
                let verdict = if exhausted {
                    let message = format!("given up after {tries} tries, tried again at each resync: {message}");
                    Verdict { reason: Reason::RetriesExhausted, message }
                } else {
                    verdict
                };
                (verdict, Action::requeue(wait))
            }
            Class::User | Class::Refused => {
                let now = Timestamp::now();
                let next = (disposition.class == Class::User).then(|| now.checked_add(resync).ok()).flatten().map(Time);
                self.remember(next.as_ref(), resync);
                let before = self.failed_before(draft);
                draft.failure = match &self.change {
                    Some(change) => Some(FailureStatus {
                        change: Some(change.clone()),
                        attempts: 1,
                        since: before.since.clone().or(Some(Time(now))),
                        next_attempt_at: next,
                        last_error: Some(message),
                        ..before
                    }),
                    None => letters::carried(Some(before)),
                };
                (verdict, Action::requeue(resync))
            }
            Class::Tenant | Class::Waiting | Class::Kubernetes | Class::Abandoned => {
                let wait =
                    disposition.retry_after.map_or(resync, |after| after + after.mul_f64(0.2 * rand::random::<f64>()));
                // What is waited for is looked at at each resync; what the tenant's failure says is to be kept.
                let wait = if disposition.class == Class::Waiting { wait.min(resync) } else { wait };
                (verdict, Action::requeue(wait.max(SOON)))
            }
        }
    }

    /// Remembers when the next try is, so that the wait for it ends in time though somebody sets the clock.
    fn remember(&self, told: Option<&Time>, wait: Duration) {
        let next = told.map(|told| NextTry::new(told.0, Instant::now() + wait));
        self.context.memos.update(&self.webhook.uid().unwrap_or_default(), |memo| memo.next_try = next);
    }

    /// What is known of the failure of this very change, and what is carried on from earlier ones.
    fn failed_before(&self, draft: &CognigyWebhookStatus) -> FailureStatus {
        let failure = draft.failure.clone();
        let same = failure.as_ref().is_some_and(|failure| failure.change.is_some() && failure.change == self.change);
        if same { failure } else { letters::carried(failure) }.unwrap_or_default()
    }
}
