//! What is there against what is wished, field by field; pure.

use std::collections::BTreeMap;

use crate::{
    api::webhook::Drift,
    cognigy::{BackoffStrategy, Integration, IntervalPolicy, Registration, StoredPolicy, Webhook, WindowPolicy},
    redact::{REDACTED, Redactor},
    text,
};

/// How many differences a status or a sentence shows.
const SHOWN: usize = 10;
/// How much of a value is shown, in characters: what stands in Cognigy can be of any length and hold anything.
const SHOWN_CHARS: usize = 256;

/// Where a registration differs from the wished one. The status `active`/`inactive` is told apart: it is the plan's.
pub fn registration(wished: &Registration, actual: &Integration) -> Vec<Drift> {
    against(wished, Some(actual))
}

/// All fields of a registration that is not there yet.
pub fn new_registration(wished: &Registration) -> Vec<Drift> {
    against(wished, None)
}

fn against(wished: &Registration, actual: Option<&Integration>) -> Vec<Drift> {
    let mut differences = Vec::new();
    let url = actual.and_then(|actual| actual.url.as_deref()).map(normal_url);
    let method = actual.and_then(|actual| actual.method).map(|method| method.as_str().to_owned());
    let payload_format = actual.and_then(|actual| actual.payload_format.clone());
    let version = actual.and_then(|actual| actual.version).map(|version| version.to_string());
    field(&mut differences, "name", Some(wished.name.clone()), actual.and_then(|actual| actual.name.clone()));
    field(&mut differences, "url", Some(wished.url.to_string()), url);
    field(&mut differences, "method", Some(wished.method.as_str().into()), method);
    field(&mut differences, "payloadFormat", Some(wished.payload_format.clone()), payload_format);
    field(&mut differences, "version", Some(wished.version.to_string()), version);
    let none = BTreeMap::new();
    let headers = actual.and_then(|actual| actual.headers.as_ref()).unwrap_or(&none);
    let names = wished.headers.keys().chain(headers.keys().filter(|name| !wished.headers.contains_key(*name)));
    for name in names {
        if wished.headers.get(name) != headers.get(name) {
            let shown = |there: bool| there.then(|| REDACTED.to_owned());
            differences.push(Drift {
                path: format!("headers.{}", readable(name)),
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
        None => differences.push(new_policy(wished.max_retries, &wished.intervals_ms)),
        Some(StoredPolicy::Unknown(value)) => {
            let actual = Some(readable(&value.to_string()));
            differences.push(Drift { actual, ..new_policy(wished.max_retries, &wished.intervals_ms) });
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

/// A retry policy where none is.
pub fn new_policy(max_retries: u32, intervals_ms: &[i64]) -> Drift {
    Drift { path: "retryPolicy".into(), desired: Some(shown(max_retries, intervals_ms)), actual: None }
}

/// Where the retry policy of a bot's webhook differs from the wished one.
pub fn window_policy(wished: &WindowPolicy, actual: &WindowPolicy) -> Vec<Drift> {
    let values = |policy: &WindowPolicy| {
        [
            ("enabled", policy.enabled.to_string()),
            ("maxAttempts", policy.max_attempts.to_string()),
            ("backoffStrategy", strategy(policy).to_owned()),
            ("baseDelayMs", policy.base_delay_ms.to_string()),
            ("maxDelayMs", policy.max_delay_ms.to_string()),
            ("maxRetryWindowSeconds", policy.max_retry_window_seconds.to_string()),
        ]
    };
    let mut differences = Vec::new();
    for ((name, wished), (_, actual)) in values(wished).into_iter().zip(values(actual)) {
        field(&mut differences, &format!("retryPolicy.{name}"), Some(wished), Some(actual));
    }
    differences
}

/// The window form of a policy in words.
pub fn window(policy: &WindowPolicy) -> String {
    let WindowPolicy { max_attempts, base_delay_ms, max_delay_ms, max_retry_window_seconds, .. } = policy;
    format!(
        "{max_attempts} attempts, {} from {base_delay_ms} ms to {max_delay_ms} ms, within {max_retry_window_seconds} s",
        strategy(policy)
    )
}

fn strategy(policy: &WindowPolicy) -> &'static str {
    match policy.backoff_strategy {
        BackoffStrategy::Exponential => "exponential",
        BackoffStrategy::Linear => "linear",
    }
}

/// Takes out of the differences what secrets Cognigy shows in fields where none belongs.
pub fn hide(differences: &mut [Drift], secrets: &Redactor) {
    for Drift { path, actual, .. } in differences {
        *path = secrets.redact(path);
        *actual = actual.take().map(|actual| secrets.redact(&actual));
    }
}

/// The differences that a status shows.
pub fn for_status(mut differences: Vec<Drift>) -> Vec<Drift> {
    differences.truncate(SHOWN);
    differences
}

/// The differences as a sentence for an event.
pub fn sentence(differences: &[Drift]) -> String {
    let value = |value: &Option<String>| value.clone().unwrap_or_else(|| "nothing".into());
    let mut parts: Vec<String> = differences
        .iter()
        .take(SHOWN)
        .map(|drift| format!("{} {} → {}", drift.path, value(&drift.actual), value(&drift.desired)))
        .collect();
    if differences.len() > SHOWN {
        parts.push(format!("and {} more", differences.len() - SHOWN));
    }
    parts.join(", ")
}

fn field(differences: &mut Vec<Drift>, path: &str, desired: Option<String>, actual: Option<String>) {
    if desired != actual {
        let [desired, actual] = [desired, actual].map(|value| value.as_deref().map(readable));
        differences.push(Drift { path: path.into(), desired, actual });
    }
}

/// A value as a status shows it.
fn readable(value: &str) -> String {
    text::clean(value, SHOWN_CHARS).unwrap_or_default()
}

/// As the operator would write it, so that spellings of one URL do not count as a difference.
fn normal_url(text: &str) -> String {
    url::Url::parse(text).map_or_else(|_| text.to_owned(), String::from)
}

fn shown(max_retries: u32, intervals_ms: &[i64]) -> String {
    format!("{max_retries} retries after {intervals_ms:?} ms")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::is_unfit;

    #[test]
    fn what_cognigy_holds_is_shown_short_and_without_what_could_deceive() {
        let hostile = format!("a\u{1b}[31m\u{202e}{}", "x".repeat(100_000));
        let mut differences = Vec::new();
        for number in 0..1000 {
            field(&mut differences, &format!("field{number}"), Some("orders".into()), Some(hostile.clone()));
        }
        let sentence = sentence(&differences);
        assert!(sentence.ends_with("and 990 more") && sentence.len() < 2 * SHOWN * SHOWN_CHARS, "{sentence}");
        let shown = for_status(differences);
        assert_eq!(shown.len(), SHOWN);
        for drift in shown {
            let actual = drift.actual.unwrap();
            assert!(actual.chars().count() == SHOWN_CHARS && !actual.chars().any(is_unfit), "{actual:?}");
        }
    }
}
