//! What the status of all kinds has in common.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use crate::api::{ConditionType, Reason, Status};

/// The condition `Ready`.
pub fn ready(conditions: &[Condition]) -> Option<&Condition> {
    conditions.iter().find(|condition| condition.type_ == ConditionType::Ready.as_str())
}

/// Whether `Ready` is True.
pub fn is_ready(conditions: &[Condition]) -> bool {
    ready(conditions).is_some_and(|condition| condition.status == Status::True.as_str())
}

/// Whether `Ready` has this reason.
pub fn has_reason(conditions: &[Condition], reason: Reason) -> bool {
    ready(conditions).is_some_and(|condition| condition.reason == reason.as_str())
}

/// Whether a person has to change something, or the attempts are used up.
pub fn is_stalled(conditions: &[Condition]) -> bool {
    let stalled = conditions.iter().find(|condition| condition.type_ == ConditionType::Stalled.as_str());
    stalled.is_some_and(|condition| condition.status == Status::True.as_str())
}
