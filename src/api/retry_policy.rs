//! `RetryPolicy`: how deliveries, and this operator's own writes, are retried.

// Fields are documented for `kubectl explain`, which shows plain text; clippy takes the columns' types for duplicates.
#![allow(clippy::doc_markdown, clippy::duplicated_attributes)]

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::schema;

/// How failed deliveries of a webhook, and this operator's own writes to Cognigy, are retried.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "cognigy.io",
    version = "v1alpha1",
    kind = "RetryPolicy",
    plural = "retrypolicies",
    namespaced,
    derive = "PartialEq",
    status = "RetryPolicyStatus",
    shortname = "crp",
    category = "cognigy",
    doc = "A retry policy: how failed deliveries of the webhooks that refer to it, and this operator's own writes, are retried.",
    printcolumn(
        name = "Strategy",
        type_ = "string",
        json_path = ".spec.backoff.strategy",
        description = "Exponential or Linear; empty where the intervals are listed."
    ),
    printcolumn(
        name = "Retries",
        type_ = "integer",
        json_path = ".status.effectiveRetries",
        description = "Retries that fit into the window."
    ),
    printcolumn(
        name = "Total",
        type_ = "integer",
        json_path = ".status.totalDelayMs",
        description = "Sum of all delays in milliseconds."
    ),
    printcolumn(
        name = "Deliveries (‰)",
        type_ = "integer",
        json_path = ".status.simulatedDeliveriesPerThousand",
        description = "Simulated deliveries per thousand."
    ),
    printcolumn(
        name = "Webhooks",
        type_ = "integer",
        json_path = ".status.webhooks",
        description = "Webhooks that use this policy."
    ),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type=='Ready')].status",
        description = "Whether the policy is accepted."
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp",
        description = "Time since the policy was created."
    )
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.backoff) != has(self.intervalsMs)").message(ONE_OF_MESSAGE))]
#[x_kube(validation = schema::rule(".maxRetries", rules::COUNT, rules::COUNT_MESSAGE))]
#[x_kube(validation = schema::rule(".intervalsMs", rules::GROWTH, rules::GROWTH_MESSAGE))]
#[x_kube(validation = schema::rule(".intervalsMs", rules::SUM, rules::SUM_MESSAGE))]
#[x_kube(validation = schema::rule(".failureThresholdPercent", rules::DELIVERIES, rules::DELIVERIES_MESSAGE))]
pub struct RetryPolicySpec {
    /// How often a failed delivery is repeated: 1 to 10. Default: 3, or the number of intervals where intervalsMs is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10))]
    pub max_retries: Option<i32>,
    /// Delays that are calculated. Give exactly one of backoff and intervalsMs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backoff: Option<Backoff>,
    /// The delay before each retry in milliseconds: 1 to 10 values of 1 to 3600000, each at least 1.5 times the one before,
    /// 3600000 (one hour) in all. Give exactly one of backoff and intervalsMs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 10), inner(range(min = 1, max = 3_600_000)))]
    pub intervals_ms: Option<Vec<i64>>,
    /// Seconds after the first failure within which retries may start: 1 to 86400. Retries that do not fit are left out.
    #[serde(default = "default_window")]
    #[schemars(range(min = 1, max = 86_400))]
    pub max_retry_window_seconds: i64,
    /// Share of attempts in percent that is expected to fail: 0 to 100. It feeds the simulated deliveries, of which at least
    /// one in a thousand must remain.
    #[serde(default = "default_failure_threshold")]
    #[schemars(range(min = 0, max = 100))]
    pub failure_threshold_percent: i32,
}

/// What the API server says where the delays are not told, or told twice.
pub const ONE_OF_MESSAGE: &str = "exactly one of backoff and intervalsMs must be given: add one, or remove the other";

/// The API server's rules on several fields at once, and what the user is told. The messages are CEL expressions with
/// `format`, the one way to put numbers into them that stays within the API server's cost budget.
mod rules {
    pub const COUNT: &str =
        "!has(self.maxRetries) || !has(self.intervalsMs) || self.maxRetries == size(self.intervalsMs)";
    pub const COUNT_MESSAGE: &str = "'maxRetries %d must equal the number of intervalsMs, which is %d: remove maxRetries, or list one interval \
                                     per retry'.format([self.maxRetries, size(self.intervalsMs)])";

    /// Each one at least 1.5 times the one before, in whole numbers.
    pub const GROWTH: &str = "!has(self.intervalsMs) || [0, 1, 2, 3, 4, 5, 6, 7, 8].all(i, i + 1 >= size(self.intervalsMs) || \
                              self.intervalsMs[i + 1] * 2 >= self.intervalsMs[i] * 3)";
    pub const GROWTH_MESSAGE: &str = "'each of intervalsMs %s must be at least 1.5 times the one before: lengthen the later ones, or shorten \
                                      the earlier ones'.format([self.intervalsMs])";

    pub const SUM: &str = "!has(self.intervalsMs) || self.intervalsMs.sum() <= 3600000";
    pub const SUM_MESSAGE: &str = "'the sum of intervalsMs is %d and may be at most 3600000 (one hour): shorten the intervals, or list \
                                   fewer'.format([self.intervalsMs.sum()])";

    /// `round((1 - f/100)^n x 1000) >= 1` holds up to these percentages for 1 to 10 retries.
    pub const DELIVERIES: &str = "self.failureThresholdPercent <= [99, 97, 92, 85, 78, 71, 66, 61, 57, 53][(has(self.maxRetries) ? \
                                  self.maxRetries : has(self.intervalsMs) ? size(self.intervalsMs) : 3) - 1]";
    pub const DELIVERIES_MESSAGE: &str = "'failureThresholdPercent %d leaves less than one simulated delivery in a thousand: lower it to at most %d, or have fewer \
         retries'.format([self.failureThresholdPercent, [99, 97, 92, 85, 78, 71, 66, 61, 57, 53][(has(self.maxRetries) ? \
         self.maxRetries : has(self.intervalsMs) ? size(self.intervalsMs) : 3) - 1]])";

    pub const CAP: &str = "self.maxDelayMs >= self.baseDelayMs";
    pub const CAP_MESSAGE: &str = "'maxDelayMs %d must be at least baseDelayMs, which is %d: raise maxDelayMs, or lower \
                                   baseDelayMs'.format([self.maxDelayMs, self.baseDelayMs])";
}

fn default_window() -> i64 {
    3600
}

fn default_failure_threshold() -> i32 {
    15
}

/// Delays that are calculated from a base and a cap (cognigy-api.md §3).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = schema::rule(".maxDelayMs", rules::CAP, rules::CAP_MESSAGE))]
pub struct Backoff {
    /// How the delays grow: Exponential doubles each one (baseDelayMs, 2 x baseDelayMs, 4 x …), Linear adds baseDelayMs each time.
    #[serde(default)]
    pub strategy: Strategy,
    /// Delay before the first retry in milliseconds: 1 to 86400000.
    #[serde(default = "default_base_delay")]
    #[schemars(range(min = 1, max = 86_400_000))]
    pub base_delay_ms: i64,
    /// Longest delay in milliseconds: 1 to 86400000, at least baseDelayMs.
    #[serde(default = "default_max_delay")]
    #[schemars(range(min = 1, max = 86_400_000))]
    pub max_delay_ms: i64,
}

fn default_base_delay() -> i64 {
    1000
}

fn default_max_delay() -> i64 {
    30_000
}

/// How calculated delays grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Strategy {
    /// Each delay is twice the one before.
    #[default]
    Exponential,
    /// Each delay is longer than the one before by the base.
    Linear,
}

/// What the policy amounts to, and who uses it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct RetryPolicyStatus {
    /// The metadata.generation that this status speaks of; -1 before the operator has looked at the object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The state of the policy. Ready is the summary.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
    /// The delay before each retry in milliseconds, without jitter.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10))]
    pub delays_ms: Vec<i64>,
    /// Sum of all delays in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total_delay_ms: Option<i64>,
    /// Number of retries that start within maxRetryWindowSeconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effective_retries: Option<i32>,
    /// Deliveries per thousand that the simulation expects: round((1 - failureThresholdPercent/100)^maxRetries x 1000).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub simulated_deliveries_per_thousand: Option<i32>,
    /// The Cognigy APIs that can express this policy: BotWebhook (backoff and window), Webhook (list of intervals).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 2))]
    pub supports: Vec<Surface>,
    /// Number of CognigyWebhooks that use this policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhooks: Option<i32>,
}

/// A Cognigy API that takes a retry policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum Surface {
    /// The window form (cognigy-api.md §3).
    BotWebhook,
    /// The interval form (cognigy-api.md §4).
    Webhook,
}

/// Retries where neither `maxRetries` nor `intervalsMs` says otherwise (cognigy-api.md §3).
pub const DEFAULT_RETRIES: i32 = 3;

impl RetryPolicySpec {
    /// Number of retries: `maxRetries`, else the number of intervals, else 3.
    pub fn retries(&self) -> i32 {
        let listed = || self.intervals_ms.as_ref().and_then(|list| i32::try_from(list.len()).ok());
        self.max_retries.or_else(listed).unwrap_or(DEFAULT_RETRIES)
    }

    /// Whether exactly one of `backoff` and `intervalsMs` tells the delays.
    pub fn tells_delays_once(&self) -> bool {
        self.backoff.is_some() != self.intervals_ms.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::crd_yaml;
    use kube::CustomResourceExt;

    /// The highest `failureThresholdPercent` per number of retries, as the API server's rule lists it.
    fn listed() -> Vec<i128> {
        let yaml = crd_yaml(&RetryPolicy::crd()).unwrap();
        let list = yaml.split("self.failureThresholdPercent <= [").nth(1).unwrap().split(']').next().unwrap();
        list.split(", ").map(|number| number.parse().unwrap()).collect()
    }

    #[test]
    fn the_rule_refuses_exactly_what_leaves_no_delivery_in_a_thousand() {
        let listed = listed();
        assert_eq!(listed.len(), 10, "one limit per number of retries");
        for (retries, limit) in (1..).zip(listed) {
            for percent in 0..=100 {
                // round((1 - percent/100)^retries x 1000) >= 1, in whole numbers (cognigy-api.md §4)
                let delivered = (100_i128 - percent).pow(retries) * 2000 >= 100_i128.pow(retries);
                assert_eq!(percent <= limit, delivered, "{retries} retries, {percent} %");
            }
        }
    }

    #[test]
    fn retries_are_those_given_else_the_intervals_else_three() {
        let spec = |yaml: &str| serde_saphyr::from_str::<RetryPolicySpec>(yaml).unwrap();
        assert_eq!(spec("{backoff: {}, maxRetries: 7}").retries(), 7);
        assert_eq!(spec("{intervalsMs: [1, 2]}").retries(), 2);
        assert_eq!(spec("{backoff: {}}").retries(), 3);
    }
}
