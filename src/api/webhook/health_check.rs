//! How a callback is checked.

#![allow(clippy::doc_markdown)] // fields are documented for `kubectl explain`, which shows plain text

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How a callback is checked; what is absent is the operator's default (see [`HealthCheck`]).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct HealthCheckSpec {
    /// Turns all health checks off: the webhook is activated unchecked. Default: false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disabled: Option<bool>,
    /// Seconds until a check is given up: 1 to 30. Default: 5.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 30))]
    pub timeout_seconds: Option<i32>,
    /// Seconds between two checks of an active webhook: 2 to 86400, or 0 to check only before activation. Default: 300.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 86_400))]
    #[x_kube(validation = Rule::new("self != 1")
        .message("periodSeconds must be 0 (check only before activation) or 2 to 86400"))]
    pub period_seconds: Option<i32>,
    /// Failed checks in a row after which an active webhook counts as failing: 1 to 100. Default: 3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100))]
    pub failure_threshold: Option<i32>,
    /// What happens to an active webhook that fails: Report says so, Deactivate switches it off until it passes. Default: Report.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "OnFailure")]
    pub on_failure: Option<OnFailure>,
}

/// What happens to an active webhook whose callback fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OnFailure {
    /// It stays active and the failure is reported.
    #[default]
    Report,
    /// It is deactivated until the check passes.
    Deactivate,
}

/// How a callback is checked, with the operator's defaults filled in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HealthCheck {
    /// Whether the callback is checked at all.
    pub enabled: bool,
    /// Seconds until a check is given up.
    pub timeout_seconds: i32,
    /// Seconds between two checks of an active webhook; 0: only before activation.
    pub period_seconds: i32,
    /// Failed checks in a row after which an active webhook counts as failing.
    pub failure_threshold: i32,
    /// What happens to an active webhook that fails.
    pub on_failure: OnFailure,
}

impl From<HealthCheckSpec> for HealthCheck {
    /// With the defaults of docs/resources.md.
    fn from(given: HealthCheckSpec) -> Self {
        Self {
            enabled: !given.disabled.unwrap_or(false),
            timeout_seconds: given.timeout_seconds.unwrap_or(5),
            period_seconds: given.period_seconds.unwrap_or(300),
            failure_threshold: given.failure_threshold.unwrap_or(3),
            on_failure: given.on_failure.unwrap_or_default(),
        }
    }
}
