//! The limits of cognigy-api.md §2–§4 as pure functions of JSON bodies.

use std::fmt;

use serde_json::{Map, Value};
use url::Url;

/// Largest number of retries or attempts (§3, §4).
const MAX_RETRIES: i64 = 10;
/// Largest retry window of §3, seconds.
const MAX_WINDOW_SECONDS: i64 = 86_400;
/// Largest sum of the intervals of §4, milliseconds.
const MAX_TOTAL_MS: i64 = 3_600_000;

/// The first limit that a body breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Path of the field.
    pub field: String,
    /// What is wrong with it.
    pub message: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.message)
    }
}

fn violation<T>(field: &str, message: impl Into<String>) -> Result<T, Violation> {
    Err(Violation { field: field.to_owned(), message: message.into() })
}

/// What §2 registers, with its defaults filled in.
#[derive(Clone, Debug, PartialEq)]
pub struct Registration {
    /// Name.
    pub name: String,
    /// URL.
    pub url: String,
    /// `POST`, `PUT` or `PATCH`.
    pub method: String,
    /// Headers of deliveries.
    pub headers: Map<String, Value>,
    /// Media type of deliveries.
    pub payload_format: String,
    /// Version, from 1.
    pub version: i64,
    /// Whether `status` is `active`.
    pub active: bool,
    /// Idempotency key.
    pub idempotency_key: String,
}

/// What a PUT of §4 says.
#[derive(Clone, Debug, PartialEq)]
pub struct WebhookView {
    /// Name.
    pub name: String,
    /// URL.
    pub url: String,
    /// Retry policy; none where it is null or missing.
    pub retry_policy: Option<Value>,
    /// Whether it is active.
    pub enabled: bool,
    /// Fields that no guide mentions.
    pub unknown: Map<String, Value>,
}

/// Checks the body of `POST` and `PUT /api/v1/integrations` (§2).
///
/// `headers` (none) and `payloadFormat` (`application/json`) may be missing, everything else must be there; unknown fields are refused.
pub fn registration(body: &Value, allow_http: bool) -> Result<Registration, Violation> {
    let object = Fields::of(body, "")?;
    object.only(&["name", "url", "method", "headers", "payloadFormat", "version", "status", "idempotencyKey"])?;
    let method = object.text("method")?;
    if !["POST", "PUT", "PATCH"].contains(&method) {
        return violation("method", format!("{method:?} is none of POST, PUT, PATCH"));
    }
    let headers = match object.0.get("headers") {
        None => Map::new(),
        Some(Value::Object(map)) => map.clone(),
        Some(_) => return violation("headers", "must be an object of texts"),
    };
    for (name, value) in &headers {
        let valid = http::HeaderName::try_from(name).is_ok()
            && value.as_str().is_some_and(|text| http::HeaderValue::try_from(text).is_ok());
        if !valid {
            return violation(&format!("headers.{name}"), "is no valid header field");
        }
    }
    let payload_format = match object.0.get("payloadFormat") {
        None => "application/json",
        Some(_) => object.text("payloadFormat")?,
    };
    if !payload_format.split_once('/').is_some_and(|(kind, rest)| !kind.is_empty() && !rest.is_empty()) {
        return violation("payloadFormat", format!("{payload_format:?} is no media type"));
    }
    Ok(Registration {
        name: object.text("name")?.to_owned(),
        url: object.url("url", allow_http)?,
        method: method.to_owned(),
        headers,
        payload_format: payload_format.to_owned(),
        version: object.integer("version", 1, i64::from(i32::MAX))?,
        active: match object.text("status")? {
            "active" => true,
            "inactive" => false,
            other => return violation("status", format!("{other:?} is neither active nor inactive")),
        },
        idempotency_key: object.text("idempotencyKey")?.to_owned(),
    })
}

/// Checks the body of `PATCH /api/v2/bots/{botId}/webhooks/{webhookId}` (§3) and gives the policy.
///
/// `enabled` and `backoffStrategy` must be there; the numbers have defaults.
pub fn window_policy(body: &Value) -> Result<Value, Violation> {
    let patch = Fields::of(body, "")?;
    patch.only(&["retryPolicy"])?;
    let Some(value) = patch.0.get("retryPolicy") else { return violation("retryPolicy", "is missing") };
    let policy = Fields::of(value, "retryPolicy")?;
    policy.only(&[
        "enabled",
        "maxAttempts",
        "backoffStrategy",
        "baseDelayMs",
        "maxDelayMs",
        "maxRetryWindowSeconds",
    ])?;
    policy.boolean("enabled")?;
    let strategy = policy.text("backoffStrategy")?;
    if !["exponential", "linear"].contains(&strategy) {
        return violation(&policy.path("backoffStrategy"), format!("{strategy:?} is neither exponential nor linear"));
    }
    for (field, default, max) in [
        ("maxAttempts", 3, MAX_RETRIES),
        ("baseDelayMs", 1000, i64::MAX),
        ("maxDelayMs", 30_000, i64::MAX),
        ("maxRetryWindowSeconds", 3600, MAX_WINDOW_SECONDS),
    ] {
        policy.integer_or(field, default, 1, max)?;
    }
    Ok(value.clone())
}

/// Checks a retry policy of §4 for the webhook `id`.
pub fn interval_policy(value: &Value, id: &str) -> Result<(), Violation> {
    let policy = Fields::of(value, "retryPolicy")?;
    policy.only(&["webhookId", "maxRetries", "backoffType", "intervalsMs", "failureThresholdPercent"])?;
    let webhook_id = policy.text("webhookId")?;
    if webhook_id != id {
        return violation(&policy.path("webhookId"), format!("{webhook_id:?} is not this webhook, {id:?}"));
    }
    let retries = policy.integer("maxRetries", 1, MAX_RETRIES)?;
    let backoff = policy.text("backoffType")?;
    if backoff != "exponential" {
        return violation(&policy.path("backoffType"), format!("{backoff:?} is not exponential"));
    }
    let intervals = intervals(&policy)?;
    let path = policy.path("intervalsMs");
    if usize::try_from(retries) != Ok(intervals.len()) {
        return violation(&path, format!("has {} intervals for {retries} retries", intervals.len()));
    }
    for (index, pair) in intervals.windows(2).enumerate() {
        if pair[1].saturating_mul(2) < pair[0].saturating_mul(3) {
            let message = format!("{} is less than 1.5 times the interval before it, {}", pair[1], pair[0]);
            return violation(&format!("{path}[{}]", index + 1), message);
        }
    }
    let total = intervals.iter().fold(0_i64, |sum, interval| sum.saturating_add(*interval));
    if total > MAX_TOTAL_MS {
        return violation(&path, format!("the sum {total} is above {MAX_TOTAL_MS}"));
    }
    let threshold = policy.number("failureThresholdPercent", 0.0, 100.0)?;
    let deliveries = simulated_deliveries(threshold, retries);
    if deliveries < 1.0 {
        return violation(
            &policy.path("failureThresholdPercent"),
            format!(
                "{threshold} leaves {deliveries} of 1000 simulated deliveries after {retries} retries; at least 1 is needed"
            ),
        );
    }
    Ok(())
}

/// `round((1 − f/100)^maxRetries · 1000)` of §4.
fn simulated_deliveries(threshold_percent: f64, retries: i64) -> f64 {
    let exponent = i32::try_from(retries).unwrap_or(i32::MAX);
    ((1.0 - threshold_percent / 100.0).powi(exponent) * 1000.0).round()
}

fn intervals(policy: &Fields<'_>) -> Result<Vec<i64>, Violation> {
    let path = policy.path("intervalsMs");
    let Some(list) = policy.0.get("intervalsMs").and_then(Value::as_array) else {
        return violation(&path, "must be a list of integers");
    };
    list.iter()
        .enumerate()
        .map(|(index, value)| match value.as_i64() {
            Some(interval) if interval > 0 => Ok(interval),
            _ => violation(&format!("{path}[{index}]"), format!("{value} is no integer above 0")),
        })
        .collect()
}

/// Checks the body of `PUT /api/v2/webhooks/{id}` (§4).
///
/// `name`, `url` and `enabled` must be there. What the server itself puts into a GET (`id`, `_id`, `_version`, `lastChanged`) may be sent
/// back and is not stored; another id is refused. Fields that no guide mentions are kept as they are.
pub fn webhook_view(body: &Value, id: &str, allow_http: bool) -> Result<WebhookView, Violation> {
    let object = Fields::of(body, "")?;
    let mut unknown = object.0.clone();
    for field in ["id", "_id"] {
        if unknown.remove(field).is_some_and(|sent| sent != *id) {
            return violation(field, format!("cannot be changed; it is {id:?}"));
        }
    }
    for field in ["_version", "lastChanged", "name", "url", "enabled", "retryPolicy"] {
        unknown.remove(field);
    }
    // A client that mixes up the two views would otherwise find its fields stored and ignored.
    for field in ["method", "headers", "payloadFormat", "version", "status", "idempotencyKey"] {
        if unknown.contains_key(field) {
            return violation(field, "belongs to /api/v1/integrations");
        }
    }
    let retry_policy = object.0.get("retryPolicy").filter(|policy| !policy.is_null()).cloned();
    if let Some(policy) = &retry_policy {
        interval_policy(policy, id)?;
    }
    Ok(WebhookView {
        name: object.text("name")?.to_owned(),
        url: object.url("url", allow_http)?,
        enabled: object.boolean("enabled")?,
        retry_policy,
        unknown,
    })
}

/// Typed access to the fields of an object; the second part is its own path.
struct Fields<'a>(&'a Map<String, Value>, &'static str);

impl<'a> Fields<'a> {
    fn of(value: &'a Value, path: &'static str) -> Result<Self, Violation> {
        value.as_object().map_or_else(
            || violation(if path.is_empty() { "body" } else { path }, "must be an object"),
            |map| Ok(Self(map, path)),
        )
    }

    fn path(&self, field: &str) -> String {
        if self.1.is_empty() { field.to_owned() } else { format!("{}.{field}", self.1) }
    }

    fn only(&self, known: &[&str]) -> Result<(), Violation> {
        match self.0.keys().find(|key| !known.contains(&key.as_str())) {
            Some(key) => violation(&self.path(key), "is no known field"),
            None => Ok(()),
        }
    }

    fn get(&self, field: &str) -> Result<&'a Value, Violation> {
        self.0.get(field).map_or_else(|| violation(&self.path(field), "is missing"), Ok)
    }

    fn text(&self, field: &str) -> Result<&'a str, Violation> {
        match self.get(field)?.as_str() {
            Some(text) if !text.is_empty() => Ok(text),
            _ => violation(&self.path(field), "must be a text that is not empty"),
        }
    }

    fn boolean(&self, field: &str) -> Result<bool, Violation> {
        self.get(field)?.as_bool().map_or_else(|| violation(&self.path(field), "must be true or false"), Ok)
    }

    fn integer(&self, field: &str, min: i64, max: i64) -> Result<i64, Violation> {
        let value = self.get(field)?;
        let Some(number) = value.as_i64() else {
            return violation(&self.path(field), format!("{value} is no integer"));
        };
        if number < min {
            return violation(&self.path(field), format!("{number} is below the limit {min}"));
        }
        if number > max {
            return violation(&self.path(field), format!("{number} is above the limit {max}"));
        }
        Ok(number)
    }

    fn integer_or(&self, field: &str, default: i64, min: i64, max: i64) -> Result<i64, Violation> {
        if self.0.contains_key(field) { self.integer(field, min, max) } else { Ok(default) }
    }

    fn number(&self, field: &str, min: f64, max: f64) -> Result<f64, Violation> {
        let value = self.get(field)?;
        match value.as_f64() {
            Some(number) if (min..=max).contains(&number) => Ok(number),
            _ => violation(&self.path(field), format!("{value} is no number from {min} to {max}")),
        }
    }

    fn url(&self, field: &str, allow_http: bool) -> Result<String, Violation> {
        let text = self.text(field)?;
        let scheme_is_good =
            |url: &Url| url.has_host() && (url.scheme() == "https" || allow_http && url.scheme() == "http");
        match Url::parse(text) {
            Ok(url) if scheme_is_good(&url) => Ok(text.to_owned()),
            _ => violation(&self.path(field), format!("{text:?} is no https URL")),
        }
    }
}

#[cfg(test)]
mod tests;
