//! The two forms of a retry policy, exactly as they are sent.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::WebhookId;

/// A retry policy as Cognigy holds it.
#[derive(Clone, Debug, PartialEq)]
pub enum StoredPolicy {
    /// The documented form.
    Interval(IntervalPolicy),
    /// Another form: shown and compared as it is.
    Unknown(Value),
}

/// The interval form of a retry policy (cognigy-api.md §4).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct IntervalPolicy {
    /// The webhook it belongs to.
    pub webhook_id: WebhookId,
    /// 1–10.
    pub max_retries: u32,
    /// Always exponential.
    pub backoff_type: BackoffType,
    /// Exactly `max_retries` delays, each ≥ 1.5 × the one before.
    pub intervals_ms: Vec<i64>,
    /// 0–100.
    pub failure_threshold_percent: f64,
}

/// The only backoff of the interval form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BackoffType {
    /// `exponential`.
    Exponential,
}

/// The window form of a retry policy (cognigy-api.md §3).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WindowPolicy {
    /// Whether deliveries are repeated at all.
    pub enabled: bool,
    /// 1–10.
    pub max_attempts: u32,
    /// How the delay grows.
    pub backoff_strategy: BackoffStrategy,
    /// The first delay.
    pub base_delay_ms: i64,
    /// The longest delay.
    pub max_delay_ms: i64,
    /// Nothing is repeated later than this after the first try; ≤ 86400.
    pub max_retry_window_seconds: i64,
}

/// How the delay of the window form grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BackoffStrategy {
    /// Doubled each time.
    Exponential,
    /// By the base delay each time.
    Linear,
}
