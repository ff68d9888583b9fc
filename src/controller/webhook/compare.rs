//! What is there against what is wished, field by field; pure.

use std::collections::BTreeMap;

use crate::{
    api::webhook::Drift,
    cognigy::{Integration, IntervalPolicy, Registration, StoredPolicy, Webhook},
};

/// How many differences a status shows.
const SHOWN: usize = 10;
/// What stands for a value that may be secret.
const REDACTED: &str = "***";

/// Where a registration differs from the wished one. The status `active`/`inactive` is told apart: it is the plan's.
pub fn registration(wished: &Registration, actual: &Integration) -> Vec<Drift> {
    let mut differences = Vec::new();
    field(&mut differences, "name", Some(wished.name.clone()), actual.name.clone());
    field(&mut differences, "url", Some(wished.url.to_string()), actual.url.as_deref().map(normal_url));
    field(&mut differences, "method", Some(wished.method.as_str().into()), actual.method.map(|m| m.as_str().into()));
    field(&mut differences, "payloadFormat", Some(wished.payload_format.clone()), actual.payload_format.clone());
    field(&mut differences, "version", Some(wished.version.to_string()), actual.version.map(|v| v.to_string()));
    let none = BTreeMap::new();
    let headers = actual.headers.as_ref().unwrap_or(&none);
    let names = wished.headers.keys().chain(headers.keys().filter(|name| !wished.headers.contains_key(*name)));
    for name in names {
        if wished.headers.get(name) != headers.get(name) {
            let shown = |there: bool| there.then(|| REDACTED.to_owned());
            differences.push(Drift {
                path: format!("headers.{name}"),
                desired: shown(wished.headers.contains_key(name)),
                actual: shown(headers.contains_key(name)),
            });
        }
    }
    differences
}

/// Where a registration's name and URL differ, as far as its webhook shows them (cognigy-api.md §4).
pub fn view(wished: &Registration, actual: &Webhook) -> Vec<Drift> {
    let mut differences = Vec::new();
    field(&mut differences, "name", Some(wished.name.clone()), actual.name().map(str::to_owned));
    field(&mut differences, "url", Some(wished.url.to_string()), actual.url().map(normal_url));
    differences
}

/// Where a retry policy differs from the wished one.
pub fn policy(wished: &IntervalPolicy, actual: &Webhook) -> Vec<Drift> {
    let mut differences = Vec::new();
    let path = |name: &str| format!("retryPolicy.{name}");
    match actual.retry_policy() {
        None => differences.push(Drift { path: "retryPolicy".into(), desired: Some(shown(wished)), actual: None }),
        Some(StoredPolicy::Unknown(value)) => {
            let actual = Some(value.to_string());
            differences.push(Drift { path: "retryPolicy".into(), desired: Some(shown(wished)), actual });
        }
        Some(StoredPolicy::Interval(actual)) => {
            let list = |list: &[i64]| format!("{list:?}");
            for (name, wished, actual) in [
                ("maxRetries", wished.max_retries.to_string(), actual.max_retries.to_string()),
                ("intervalsMs", list(&wished.intervals_ms), list(&actual.intervals_ms)),
                (
                    "failureThresholdPercent",
                    wished.failure_threshold_percent.to_string(),
                    actual.failure_threshold_percent.to_string(),
                ),
            ] {
                field(&mut differences, &path(name), Some(wished), Some(actual));
            }
        }
    }
    differences
}

/// The differences that a status shows.
pub fn for_status(mut differences: Vec<Drift>) -> Vec<Drift> {
    differences.truncate(SHOWN);
    differences
}

/// The differences as a sentence for an event.
pub fn sentence(differences: &[Drift]) -> String {
    let value = |value: &Option<String>| value.clone().unwrap_or_else(|| "nothing".into());
    let parts: Vec<String> = differences
        .iter()
        .map(|drift| format!("{} {} → {}", drift.path, value(&drift.actual), value(&drift.desired)))
        .collect();
    parts.join(", ")
}

fn field(differences: &mut Vec<Drift>, path: &str, desired: Option<String>, actual: Option<String>) {
    if desired != actual {
        differences.push(Drift { path: path.into(), desired, actual });
    }
}

/// As the operator would write it, so that spellings of one URL do not count as a difference.
fn normal_url(text: &str) -> String {
    url::Url::parse(text).map_or_else(|_| text.to_owned(), String::from)
}

fn shown(policy: &IntervalPolicy) -> String {
    format!("{} retries after {:?} ms", policy.max_retries, policy.intervals_ms)
}
