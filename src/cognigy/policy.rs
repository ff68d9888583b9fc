//! The two forms of a retry policy, exactly as they are sent.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::WebhookId;
use crate::retry::{Intervals, Strategy, Window};

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

/// The window form of a retry policy (cognigy-api.md §3). What a listing leaves out has Cognigy's own default.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
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

impl Default for WindowPolicy {
    /// Cognigy's own.
    fn default() -> Self {
        Self {
            enabled: true,
            max_attempts: 3,
            backoff_strategy: BackoffStrategy::Exponential,
            base_delay_ms: 1000,
            max_delay_ms: 30_000,
            max_retry_window_seconds: 3600,
        }
    }
}

impl From<&Window> for WindowPolicy {
    fn from(window: &Window) -> Self {
        Self {
            enabled: true,
            max_attempts: window.max_attempts,
            backoff_strategy: match window.strategy {
                Strategy::Exponential => BackoffStrategy::Exponential,
                Strategy::Linear => BackoffStrategy::Linear,
            },
            base_delay_ms: window.base_delay_ms,
            max_delay_ms: window.max_delay_ms,
            max_retry_window_seconds: window.max_retry_window_seconds.into(),
        }
    }
}

impl IntervalPolicy {
    /// The interval form of a policy, for this webhook.
    pub fn new(webhook_id: WebhookId, intervals: &Intervals) -> Self {
        Self {
            webhook_id,
            max_retries: intervals.max_retries,
            backoff_type: BackoffType::Exponential,
            intervals_ms: intervals.intervals_ms.clone(),
            failure_threshold_percent: intervals.failure_threshold_percent.into(),
        }
    }
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
