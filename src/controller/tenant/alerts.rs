//! Alerts about a tenant: one for each cause that holds back all of its webhooks, however many they are. Pure.

use std::{collections::BTreeSet, time::Duration};

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::{
    api::{
        CognigyTenant, MAX_UNDELIVERED, ObjectKey, Reason, SinkKind, condition,
        tenant::{TenantAlert, TenantAlerts},
    },
    outbox::message::{Figures, Resolution, TenantTold},
};

/// An alert is over when its cause was absent for so long, or for a resync period where that is shorter: what comes and goes
/// is one alert.
const QUIET: Duration = Duration::from_mins(5);
/// How many webhooks an alert names.
const EXAMPLES: usize = 5;

/// What is known of a tenant now.
pub struct Seen<'a> {
    /// The tenant.
    pub tenant: &'a CognigyTenant,
    /// Why it is not ready, where it is not.
    pub trouble: Option<(Reason, &'a str)>,
    /// How long it has been ready, where it is.
    pub ready_for: Option<Duration>,
    /// How long ago the last 429 was, where there was one that is not told and over.
    pub throttled: Option<Duration>,
    /// How long this process runs: as long at least nothing else is known.
    pub running_for: Duration,
    /// Its webhooks.
    pub webhooks: &'a BTreeSet<ObjectKey>,
    /// How its installation has answered lately.
    pub figures: Figures,
    /// Now.
    pub now: Timestamp,
}

/// Whether a Ready reason of a tenant is a cause for an alert.
fn is_cause(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::Unauthorized | Reason::Forbidden | Reason::CircuitOpen | Reason::Unreachable | Reason::TlsFailed
    )
}

impl Seen<'_> {
    /// How long a cause must be absent for its alert to be over.
    pub fn quiet(&self) -> Duration {
        Duration::from_secs(u64::try_from(self.tenant.spec.resync_period_seconds).unwrap_or(600)).min(QUIET)
    }

    /// The causes to tell, with a sentence each.
    fn causes(&self) -> Vec<(Reason, String)> {
        let trouble = self.trouble.filter(|(reason, _)| is_cause(*reason));
        // However long ago: a tenant that waited for its turn looks later than it was asked to.
        let throttled = self.throttled.is_some();
        let sentence = "Cognigy answered 429 Too Many Requests: calls to the installation are paused and slowed down";
        trouble
            .map(|(reason, message)| (reason, message.to_owned()))
            .into_iter()
            .chain(throttled.then(|| (Reason::RateLimited, sentence.to_owned())))
            .collect()
    }

    /// How long the cause of an alert has been absent; zero while it is present.
    fn absent(&self, alert: &TenantAlert) -> Duration {
        if alert.reason == Reason::RateLimited.as_str() {
            self.throttled.unwrap_or(self.running_for)
        } else {
            self.ready_for.unwrap_or_default()
        }
    }

    fn told<T>(&self, cause: &str, tell: impl FnOnce(&TenantTold<'_>) -> T) -> T {
        let examples: Vec<ObjectKey> = self.webhooks.iter().take(EXAMPLES).cloned().collect();
        tell(&TenantTold {
            tenant: &ObjectKey::of(self.tenant),
            cause,
            webhooks: self.webhooks.len(),
            examples: &examples,
            figures: self.figures,
            time: self.now,
        })
    }

    /// Tells what began and what is over; and how long until an alert may be over, where one is not.
    pub fn update(&self, alerts: &mut TenantAlerts) -> Option<Duration> {
        if self.tenant.sink(SinkKind::Alerts).is_none() {
            // Nobody is there to be told.
            alerts.firing.clear();
            return None;
        }
        let known: Vec<String> = alerts.firing.iter().map(|alert| alert.reason.clone()).collect();
        self.resolve(alerts, Resolution::Recovered, |alert| self.absent(alert) >= self.quiet());
        for (reason, message) in self.causes() {
            // The end of every alert needs a place as well.
            if known.iter().any(|one| one == reason.as_str())
                || alerts.undelivered.len() + alerts.firing.len() + 2 > MAX_UNDELIVERED
            {
                continue;
            }
            let message = self.told(reason.as_str(), |told| told.firing(&condition::clean(&message)));
            alerts.firing.push(TenantAlert {
                reason: reason.as_str().to_owned(),
                id: message.id.clone(),
                since: Time(message.time.0),
            });
            alerts.undelivered.push(message);
        }
        let left = alerts.firing.iter().map(|alert| self.quiet().saturating_sub(self.absent(alert)));
        left.min()
    }

    /// Everything is over: the tenant is about to go.
    pub fn end(&self, alerts: &mut TenantAlerts) {
        if self.tenant.sink(SinkKind::Alerts).is_some() {
            self.resolve(alerts, Resolution::Deleted, |_| true);
        }
        alerts.firing.clear();
    }

    fn resolve(&self, alerts: &mut TenantAlerts, resolution: Resolution, over: impl Fn(&TenantAlert) -> bool) {
        let (gone, firing) = std::mem::take(&mut alerts.firing).into_iter().partition(over);
        alerts.firing = firing;
        let messages = gone
            .iter()
            .map(|alert: &TenantAlert| self.told(&alert.reason, |told| told.resolved(&alert.id, resolution)));
        alerts.undelivered.extend(messages);
    }
}

#[cfg(test)]
#[path = "alerts_tests.rs"]
mod tests;
