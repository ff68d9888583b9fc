//! Conditions: their types, and how a pass's verdict becomes the new list (docs/resources.md, *Status rules*).

use k8s_openapi::{
    apimachinery::pkg::apis::meta::v1::{Condition, Time},
    jiff::Timestamp,
};

pub use super::reason::{FactReason, Reason, Verdict, With};
use crate::text;

/// The types of conditions that the operator writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ConditionType {
    /// The summary; always there.
    Ready,
    /// The webhook exists in Cognigy.
    Registered,
    /// The callback passes its health check.
    Healthy,
    /// Cognigy has the retry policy.
    RetryPolicyApplied,
    /// It will be tried again by itself; present only when true.
    Reconciling,
    /// A person must change something; present only when true.
    Stalled,
}

impl ConditionType {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Ready, Self::Registered, Self::Healthy, Self::RetryPolicyApplied, Self::Reconciling, Self::Stalled];

    /// The condition's `type`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "Ready",
            Self::Registered => "Registered",
            Self::Healthy => "Healthy",
            Self::RetryPolicyApplied => "RetryPolicyApplied",
            Self::Reconciling => "Reconciling",
            Self::Stalled => "Stalled",
        }
    }
}

/// Status of a fact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It is so.
    True,
    /// It is not so.
    False,
    /// Nobody knows.
    Unknown,
}

impl Status {
    /// The condition's `status`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }
}

impl From<bool> for Status {
    fn from(value: bool) -> Self {
        if value { Self::True } else { Self::False }
    }
}

/// A message longer than this is cut: Kubernetes allows 32768, people read less.
pub const MAX_MESSAGE_CHARS: usize = 1024;

/// What one pass has to say: the Ready reason and the facts, from which the list of conditions is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conditions {
    observed_generation: i64,
    reason: Reason,
    message: String,
    facts: Vec<(ConditionType, Status, FactReason, String)>,
}

impl Conditions {
    /// The verdict of a pass over this generation.
    pub fn new(reason: Reason, message: impl AsRef<str>, observed_generation: i64) -> Self {
        Self { observed_generation, reason, message: clean(message.as_ref()), facts: Vec::new() }
    }

    /// Whether the webhook exists in Cognigy.
    #[must_use]
    pub fn registered(self, status: impl Into<Status>, reason: FactReason, message: impl AsRef<str>) -> Self {
        self.fact(ConditionType::Registered, status.into(), reason, message.as_ref())
    }

    /// Whether the callback passes its health check.
    #[must_use]
    pub fn healthy(self, status: impl Into<Status>, reason: FactReason, message: impl AsRef<str>) -> Self {
        self.fact(ConditionType::Healthy, status.into(), reason, message.as_ref())
    }

    /// Whether Cognigy has the retry policy.
    #[must_use]
    pub fn retry_policy_applied(self, status: impl Into<Status>, reason: FactReason, message: impl AsRef<str>) -> Self {
        self.fact(ConditionType::RetryPolicyApplied, status.into(), reason, message.as_ref())
    }

    fn fact(mut self, type_: ConditionType, status: Status, reason: FactReason, message: &str) -> Self {
        self.facts.retain(|fact| fact.0 != type_);
        self.facts.push((type_, status, reason, clean(message)));
        self
    }

    /// The new list: `lastTransitionTime` is kept where a condition's status stays what it was in `old`.
    pub fn merge(&self, old: &[Condition], now: Timestamp) -> Vec<Condition> {
        let verdict = self.reason.verdict();
        let abnormal = match verdict.with {
            With::Nothing => None,
            With::Reconciling => Some(ConditionType::Reconciling),
            With::Stalled => Some(ConditionType::Stalled),
        };
        let summary = |type_, status| (type_, status, self.reason.as_str(), self.message.as_str());
        let mut facts: Vec<_> = std::iter::once(summary(ConditionType::Ready, verdict.ready.into()))
            .chain(
                self.facts
                    .iter()
                    .map(|(type_, status, reason, message)| (*type_, *status, reason.as_str(), message.as_str())),
            )
            .chain(abnormal.map(|type_| summary(type_, Status::True)))
            .collect();
        facts.sort_by_key(|fact| fact.0);
        facts
            .into_iter()
            .map(|(type_, status, reason, message)| {
                let kept = old.iter().find(|c| c.type_ == type_.as_str() && c.status == status.as_str());
                Condition {
                    type_: type_.as_str().into(),
                    status: status.as_str().into(),
                    reason: reason.into(),
                    message: message.into(),
                    observed_generation: Some(self.observed_generation),
                    last_transition_time: kept.map_or(Time(now), |c| c.last_transition_time.clone()),
                }
            })
            .collect()
    }
}

/// A message on one line, without what could deceive, and no longer than people read.
pub(crate) fn clean(message: &str) -> String {
    text::clean(message, MAX_MESSAGE_CHARS).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::{prelude::*, sample::select};

    use super::*;
    use crate::api::kstatus_violations;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn types(conditions: &[Condition]) -> Vec<&str> {
        conditions.iter().map(|condition| condition.type_.as_str()).collect()
    }

    fn transition(conditions: &[Condition], type_: ConditionType) -> Timestamp {
        conditions.iter().find(|condition| condition.type_ == type_.as_str()).unwrap().last_transition_time.0
    }

    #[test]
    fn the_transition_time_moves_only_when_the_status_does() {
        let failing = Conditions::new(Reason::ServerError, "Cognigy answers 503", 1).merge(&[], at(1));
        let limited = Conditions::new(Reason::RateLimited, "Cognigy asks for a pause", 2).merge(&failing, at(2));
        assert_eq!(transition(&limited, ConditionType::Ready), at(1));
        assert_eq!(transition(&limited, ConditionType::Reconciling), at(1));
        assert_eq!(limited[0].reason, "RateLimited");
        assert_eq!(limited[0].observed_generation, Some(2));

        let live = Conditions::new(Reason::Active, "live", 2).merge(&limited, at(3));
        assert_eq!(transition(&live, ConditionType::Ready), at(3));
    }

    #[test]
    fn an_abnormal_condition_goes_when_it_is_no_longer_true() {
        let stalled = Conditions::new(Reason::Rejected, "url is refused", 1).merge(&[], at(1));
        assert_eq!(types(&stalled), ["Ready", "Stalled"]);
        let going_on = Conditions::new(Reason::Progressing, "registering", 2).merge(&stalled, at(2));
        assert_eq!(types(&going_on), ["Ready", "Reconciling"]);
        let live = Conditions::new(Reason::Active, "live", 2).merge(&going_on, at(3));
        assert_eq!(types(&live), ["Ready"]);
    }

    #[test]
    fn facts_stand_between_the_summary_and_the_abnormal_in_a_fixed_order() {
        let conditions = Conditions::new(Reason::HealthCheckFailed, "503", 1)
            .retry_policy_applied(true, FactReason::Applied, "patient, generation 1")
            .healthy(Status::Unknown, FactReason::NotChecked, "")
            .healthy(false, FactReason::Because(Reason::HealthCheckFailed), "503")
            .registered(true, FactReason::Registered, "wh_1")
            .merge(&[], at(1));
        assert_eq!(types(&conditions), ["Ready", "Registered", "Healthy", "RetryPolicyApplied", "Reconciling"]);
        assert_eq!((conditions[2].status.as_str(), conditions[2].reason.as_str()), ("False", "HealthCheckFailed"));
    }

    #[test]
    fn a_message_is_one_line_and_cut() {
        let conditions = Conditions::new(Reason::Rejected, "  bad\r\nurl\u{1b}[31m ", 1).merge(&[], at(1));
        assert_eq!(conditions[0].message, "bad url [31m");
        let long = Conditions::new(Reason::Rejected, "ü".repeat(2000), 1).merge(&[], at(1));
        assert_eq!(long[0].message.chars().count(), MAX_MESSAGE_CHARS);
        assert!(long[0].message.ends_with('…'));
    }

    fn verdicts() -> impl Strategy<Value = Conditions> {
        let status = || select(vec![Status::True, Status::False, Status::Unknown]);
        let fact = move || proptest::option::of((status(), any::<String>()));
        (select(Reason::ALL), any::<String>(), 1_i64..4, fact(), fact(), fact()).prop_map(
            |(reason, message, generation, registered, healthy, applied)| {
                let mut conditions = Conditions::new(reason, message, generation);
                if let Some((status, message)) = registered {
                    conditions = conditions.registered(status, FactReason::NotRegistered, message);
                }
                if let Some((status, message)) = healthy {
                    conditions = conditions.healthy(status, FactReason::CheckFailed, message);
                }
                if let Some((status, message)) = applied {
                    conditions = conditions.retry_policy_applied(status, FactReason::Because(reason), message);
                }
                conditions
            },
        )
    }

    proptest! {
        #[test]
        fn every_history_keeps_the_rules_of_kstatus(history in proptest::collection::vec(verdicts(), 1..8)) {
            let mut conditions = Vec::new();
            for (second, verdict) in (1..).zip(&history) {
                let before = std::mem::take(&mut conditions);
                conditions = verdict.merge(&before, at(second));
                let generation = verdict.observed_generation;
                prop_assert_eq!(kstatus_violations(&conditions, Some(generation), generation), Vec::<String>::new());
                for condition in &conditions {
                    let same = before.iter().find(|old| old.type_ == condition.type_ && old.status == condition.status);
                    let wanted = same.map_or(at(second), |old| old.last_transition_time.0);
                    prop_assert_eq!(condition.last_transition_time.0, wanted);
                }
            }
        }

        #[test]
        fn merging_again_changes_nothing(verdict in verdicts()) {
            let once = verdict.merge(&[], at(1));
            prop_assert_eq!(verdict.merge(&once, at(2)), once);
        }
    }
}
