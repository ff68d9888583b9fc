//! The rules of kstatus and Flux that Helm 4, Argo CD, Flux and `kubectl wait` rely on (docs/resources.md, *Status
//! rules*), as a checker that tests run on every version of every object they see.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::{
    condition::{ConditionType, Status},
    reason::{Reason, With},
};
use crate::text::is_unfit;

/// `status.observedGeneration` of an object that nobody has looked at.
const UNSEEN: i64 = -1;

/// Every rule that a status breaks, as sentences; empty where it keeps them all.
///
/// `generation` is the object's `metadata.generation`. An object that nobody has looked at (`observedGeneration` -1 or
/// absent, no conditions) keeps the rules.
pub fn kstatus_violations(conditions: &[Condition], observed_generation: Option<i64>, generation: i64) -> Vec<String> {
    let observed = observed_generation.unwrap_or(UNSEEN);
    if observed == UNSEEN && conditions.is_empty() {
        return Vec::new();
    }
    let mut broken = Vec::new();
    if observed < 1 {
        broken.push(format!("there are conditions, but status.observedGeneration is {observed}"));
    }
    if observed > generation {
        broken.push(format!("status.observedGeneration {observed} is ahead of metadata.generation {generation}"));
    }
    for (index, condition) in conditions.iter().enumerate() {
        broken.extend(broken_by_one(condition, observed));
        if conditions[..index].iter().any(|earlier| earlier.type_ == condition.type_) {
            broken.push(format!("{} is there twice", condition.type_));
        }
    }
    broken.extend(broken_together(conditions));
    broken
}

/// What one condition does wrong by itself.
fn broken_by_one(condition: &Condition, observed: i64) -> Vec<String> {
    let Condition { type_, status, reason, message, observed_generation, .. } = condition;
    let known = [Status::True, Status::False, Status::Unknown].map(Status::as_str).contains(&status.as_str());
    let abnormal =
        [ConditionType::Reconciling, ConditionType::Stalled].map(ConditionType::as_str).contains(&type_.as_str());
    let checks = [
        (known, format!("{type_} has the status {status:?}")),
        (!abnormal || status == Status::True.as_str(), format!("{type_} is {status}: it must be absent unless True")),
        (
            *observed_generation == Some(observed),
            format!("{type_}.observedGeneration is {observed_generation:?}, status.observedGeneration is {observed}"),
        ),
        (is_camel_case(reason), format!("{type_} has the reason {reason:?}, which is not CamelCase")),
        (message.len() <= 32_768, format!("the message of {type_} is longer than 32768 bytes")),
        (!message.chars().any(is_unfit), format!("the message of {type_} holds control characters or invisible ones")),
    ];
    checks.into_iter().filter(|(kept, _)| !kept).map(|(_, sentence)| sentence).collect()
}

/// What the conditions do wrong together.
fn broken_together(conditions: &[Condition]) -> Vec<String> {
    let find = |type_: ConditionType| conditions.iter().find(|condition| condition.type_ == type_.as_str());
    let is = |type_, status: Status| find(type_).is_some_and(|condition| condition.status == status.as_str());
    let (reconciling, stalled) =
        (is(ConditionType::Reconciling, Status::True), is(ConditionType::Stalled, Status::True));
    let ready = is(ConditionType::Ready, Status::True);
    let mut broken = Vec::new();
    if reconciling && stalled {
        broken.push("Reconciling and Stalled are both True".into());
    }
    if ready && (reconciling || stalled) {
        broken.push("Ready is True together with Reconciling or Stalled".into());
    }
    if stalled && !is(ConditionType::Ready, Status::False) {
        broken.push("Stalled is True, but Ready is not False".into());
    }
    let Some(summary) = find(ConditionType::Ready) else {
        broken.push("Ready is missing".into());
        return broken;
    };
    match Reason::ALL.iter().find(|reason| reason.as_str() == summary.reason).map(|reason| reason.verdict()) {
        None => broken.push(format!("Ready has the reason {}, which the contract does not know", summary.reason)),
        Some(verdict) => {
            let with = match (reconciling, stalled) {
                (true, _) => With::Reconciling,
                (_, true) => With::Stalled,
                _ => With::Nothing,
            };
            if summary.status != Status::from(verdict.ready).as_str() || with != verdict.with {
                broken.push(format!(
                    "Ready is {} with the reason {} and {with:?}, but the contract says {verdict:?}",
                    summary.status, summary.reason
                ));
            }
        }
    }
    broken
}

fn is_camel_case(reason: &str) -> bool {
    reason.starts_with(|c: char| c.is_ascii_uppercase()) && reason.chars().all(|c| c.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use k8s_openapi::{apimachinery::pkg::apis::meta::v1::Time, jiff::Timestamp};

    use super::*;

    fn condition(type_: &str, status: &str, reason: &str) -> Condition {
        Condition {
            type_: type_.into(),
            status: status.into(),
            reason: reason.into(),
            message: "as it is".into(),
            observed_generation: Some(2),
            last_transition_time: Time(Timestamp::UNIX_EPOCH),
        }
    }

    fn violations(conditions: &[(&str, &str, &str)]) -> Vec<String> {
        let conditions: Vec<_> = conditions.iter().map(|(t, s, r)| condition(t, s, r)).collect();
        kstatus_violations(&conditions, Some(2), 2)
    }

    #[track_caller]
    fn assert_told(violations: &[String], sentence: &str) {
        assert!(violations.iter().any(|told| told.contains(sentence)), "{sentence:?} is not in {violations:?}");
    }

    #[test]
    fn an_object_that_nobody_has_looked_at_keeps_the_rules() {
        assert_eq!(kstatus_violations(&[], Some(-1), 1), Vec::<String>::new());
        assert_eq!(kstatus_violations(&[], None, 1), Vec::<String>::new());
    }

    #[test]
    fn a_good_status_breaks_no_rule() {
        for good in [
            &[("Ready", "True", "Active"), ("Registered", "True", "Registered"), ("Healthy", "Unknown", "NotChecked")]
                [..],
            &[("Ready", "False", "ServerError"), ("Reconciling", "True", "ServerError")],
            &[("Ready", "False", "Rejected"), ("Stalled", "True", "Rejected")],
            &[("Ready", "False", "Suspended")],
        ] {
            assert_eq!(violations(good), Vec::<String>::new());
        }
    }

    #[test]
    fn each_broken_rule_is_told() {
        for (bad, sentence) in [
            (&[("Healthy", "True", "CheckPassed")][..], "Ready is missing"),
            (&[], "Ready is missing"),
            (&[("Ready", "True", "Active"), ("Ready", "True", "Active")], "Ready is there twice"),
            (&[("Ready", "true", "Active")], "Ready has the status \"true\""),
            (&[("Ready", "True", "Active"), ("Stalled", "False", "Active")], "Stalled is False: it must be absent"),
            (&[("Ready", "True", "Active"), ("Reconciling", "True", "Active")], "Ready is True together with"),
            (
                &[("Ready", "False", "Rejected"), ("Reconciling", "True", "Rejected"), ("Stalled", "True", "Rejected")],
                "both True",
            ),
            (&[("Ready", "Unknown", "Rejected"), ("Stalled", "True", "Rejected")], "Ready is not False"),
            (&[("Ready", "False", "Rejected")], "the contract says"),
            (&[("Ready", "False", "ServerError"), ("Stalled", "True", "ServerError")], "the contract says"),
            (&[("Ready", "False", "Active")], "the contract says"),
            (&[("Ready", "False", "Whatever"), ("Reconciling", "True", "Whatever")], "the contract does not know"),
            (&[("Ready", "True", "Active"), ("Healthy", "True", "")], "not CamelCase"),
        ] {
            assert_told(&violations(bad), sentence);
        }
    }

    #[test]
    fn generations_must_agree() {
        let ready = [condition("Ready", "True", "Active")];
        assert_told(&kstatus_violations(&ready, Some(2), 1), "ahead of metadata.generation");
        assert_told(&kstatus_violations(&ready, Some(3), 3), "Ready.observedGeneration is Some(2)");
        assert_told(&kstatus_violations(&ready, Some(-1), 3), "status.observedGeneration is -1");
        assert_eq!(
            kstatus_violations(&ready, Some(2), 3),
            Vec::<String>::new(),
            "a spec that was just changed is in progress"
        );
    }

    #[test]
    fn messages_are_one_line_of_bounded_length() {
        let mut ready = condition("Ready", "True", "Active");
        ready.message = "two\nlines".into();
        assert_told(&kstatus_violations(&[ready.clone()], Some(2), 2), "control characters");
        ready.message = "x".repeat(32_769);
        assert_told(&kstatus_violations(&[ready], Some(2), 2), "longer than 32768");
    }
}
