//! Short ways to ask what a status says.

use cognigy_operator::api::CognigyWebhook;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

/// The condition of a type.
pub fn condition<'a>(conditions: &'a [Condition], type_: &str) -> Option<&'a Condition> {
    conditions.iter().find(|condition| condition.type_ == type_)
}

/// Asserts what Ready says: its status, its reason, the abnormal condition with it, and returns its message.
pub fn told<'a>(conditions: &'a [Condition], (status, reason, with): (&str, &str, Option<&str>)) -> &'a str {
    let ready = condition(conditions, "Ready").unwrap();
    assert_eq!((ready.status.as_str(), ready.reason.as_str()), (status, reason), "{}", ready.message);
    for abnormal in ["Reconciling", "Stalled"] {
        assert_eq!(condition(conditions, abnormal).is_some(), with == Some(abnormal), "{abnormal}: {conditions:?}");
    }
    &ready.message
}

/// The message of a webhook's Ready.
pub fn message(webhook: &CognigyWebhook) -> String {
    let conditions = &webhook.status.as_ref().unwrap().conditions;
    condition(conditions, "Ready").unwrap().message.clone()
}

/// The conditions of a webhook that are True.
pub fn true_conditions(webhook: &CognigyWebhook) -> Vec<&str> {
    let conditions = &webhook.status.as_ref().unwrap().conditions;
    conditions.iter().filter(|condition| condition.status == "True").map(|condition| condition.type_.as_str()).collect()
}

/// The reasons of events.
pub fn reasons(events: &[(String, String)]) -> Vec<&str> {
    events.iter().map(|(reason, _)| reason.as_str()).collect()
}
