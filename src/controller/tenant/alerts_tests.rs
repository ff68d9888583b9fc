use serde_json::json;

use super::*;
use crate::api::AlertState;

fn tenant(resync: i32) -> CognigyTenant {
    let spec = json!({
        "baseUrl": "https://cognigy.example.com", "auth": {"apiKey": {"secretRef": {"name": "key"}}},
        "sinks": {"alerts": {"url": "https://sinks.example.com"}}, "resyncPeriodSeconds": resync,
    });
    let mut tenant = CognigyTenant::new("production", serde_json::from_value(spec).unwrap());
    tenant.metadata.namespace = Some("cx".into());
    tenant
}

const SECOND: Duration = Duration::from_secs(1);
const DOWN: Option<(Reason, &str)> = Some((Reason::CircuitOpen, "calls are stopped"));

/// A tenant with a resync period of a minute, looked at again and again.
struct Story {
    tenant: CognigyTenant,
    webhooks: BTreeSet<ObjectKey>,
    alerts: TenantAlerts,
}

impl Story {
    fn new() -> Self {
        let webhooks = (0..20).map(|nth| ObjectKey::new("cx", format!("hook-{nth:02}"))).collect();
        Self { tenant: tenant(60), webhooks, alerts: TenantAlerts::default() }
    }

    fn look(
        &mut self,
        trouble: Option<(Reason, &str)>,
        ready_for: Option<Duration>,
        throttled: Option<Duration>,
    ) -> Option<Duration> {
        let seen = Seen {
            tenant: &self.tenant,
            trouble,
            ready_for,
            throttled,
            running_for: SECOND * 3600,
            webhooks: &self.webhooks,
            figures: Figures::default(),
            now: Timestamp::now(),
        };
        seen.update(&mut self.alerts)
    }

    fn told(&self) -> Vec<(AlertState, &str)> {
        let messages = self.alerts.undelivered.iter();
        messages.map(|one| (one.alert_state.unwrap(), one.fingerprint.as_deref().unwrap())).collect()
    }

    fn states(&self) -> Vec<AlertState> {
        self.told().into_iter().map(|(state, _)| state).collect()
    }
}

#[test]
fn one_cause_is_one_alert_with_the_count_and_five_examples() {
    let mut story = Story::new();
    for _ in 0..3 {
        story.look(DOWN, None, None);
    }
    assert_eq!(story.states(), [AlertState::Firing]);
    let body: serde_json::Value = serde_json::from_str(&story.alerts.undelivered[0].body).unwrap();
    let details = &body["error_details"];
    assert_eq!((&details["webhooks"], details["examples"].as_array().unwrap().len()), (&json!(20), 5));
    assert_eq!(details["message"], "calls are stopped");
}

#[test]
fn what_comes_and_goes_is_one_alert_and_one_end() {
    let mut story = Story::new();
    for _ in 0..5 {
        story.look(DOWN, None, None);
        assert_eq!(story.look(None, Some(SECOND * 10), None), Some(SECOND * 50));
    }
    assert_eq!(story.states(), [AlertState::Firing]);
    assert_eq!(story.look(None, Some(SECOND * 60), None), None);
    let told = story.told();
    assert_eq!(told.len(), 2);
    assert_eq!((told[1].0, told[1].1), (AlertState::Resolved, told[0].1));
}

#[test]
fn nobody_waits_longer_than_five_minutes_for_the_end() {
    let mut story = Story::new();
    story.tenant = tenant(86_400);
    story.look(DOWN, None, None);
    assert_eq!(story.look(None, Some(SECOND * 299), None), Some(SECOND));
    story.look(None, Some(SECOND * 300), None);
    assert_eq!(story.states(), [AlertState::Firing, AlertState::Resolved]);
}

#[test]
fn two_causes_are_two_alerts_and_end_together() {
    let mut story = Story::new();
    story.look(DOWN, None, None);
    story.look(Some((Reason::Unauthorized, "refused")), None, None);
    assert_eq!(story.alerts.firing.len(), 2);
    story.look(None, Some(SECOND * 60), None);
    assert!(story.alerts.firing.is_empty());
    let told = story.told();
    assert_ne!(told[0].1, told[1].1);
    assert_eq!(told.iter().filter(|(state, _)| *state == AlertState::Resolved).count(), 2);
}

#[test]
fn a_429_is_an_alert_however_late_it_is_looked_at_and_ends_when_none_follows() {
    let mut story = Story::new();
    assert_eq!(story.look(None, Some(SECOND * 900), Some(SECOND * 70)), Some(Duration::ZERO));
    assert_eq!(story.states(), [AlertState::Firing]);
    assert_eq!(story.look(None, Some(SECOND * 900), Some(SECOND * 20)), Some(SECOND * 40));
    story.look(None, Some(SECOND * 900), Some(SECOND * 60));
    assert_eq!(story.states(), [AlertState::Firing, AlertState::Resolved]);
}

#[test]
fn reasons_that_only_wait_or_that_the_owner_asked_for_are_no_alert() {
    for reason in [Reason::Connecting, Reason::SecretNotFound, Reason::InvalidSpec, Reason::Suspended] {
        let mut story = Story::new();
        story.look(Some((reason, "because")), None, None);
        assert_eq!(story.alerts, TenantAlerts::default(), "{reason}");
    }
}

#[test]
fn a_list_that_is_full_takes_no_new_alert_and_every_end() {
    let mut story = Story::new();
    for _ in 0..40 {
        story.look(DOWN, None, None);
        story.look(None, Some(SECOND * 60), None);
    }
    assert_eq!(story.alerts.undelivered.len(), MAX_UNDELIVERED);
    assert!(story.alerts.firing.is_empty());
    let ends = story.states().into_iter().filter(|state| *state == AlertState::Resolved).count();
    assert_eq!(ends, MAX_UNDELIVERED / 2);
}

#[test]
fn without_a_sink_nothing_is_told_and_what_was_told_ends_silently() {
    let mut story = Story::new();
    story.look(DOWN, None, None);
    story.tenant.spec.sinks = None;
    assert_eq!(story.look(DOWN, None, None), None);
    assert!(story.alerts.firing.is_empty());
    assert_eq!(story.states(), [AlertState::Firing], "what is to be delivered is kept");
}
