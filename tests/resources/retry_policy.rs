//! `RetryPolicy`: every limit of cognigy-api.md §3 and §4 that one object shows.

use cognigy_operator::api::RetryPolicy;

use crate::server::{Refused, assert_accepted, assert_refused, refused};

const BASE: &str = "{backoff: {}}";

const REFUSED: &[Refused] = &[
    refused("{backoff: null}", "spec", "exactly one of backoff and intervalsMs must be given: add one"),
    refused("{intervalsMs: [1000]}", "spec", "exactly one of backoff and intervalsMs must be given"),
    refused("{maxRetries: 0}", "spec.maxRetries", "greater than or equal to 1"),
    refused("{maxRetries: 11}", "spec.maxRetries", "less than or equal to 10"),
    refused("{maxRetries: 2.5}", "spec.maxRetries", "must be of type integer"),
    refused("{backoff: {strategy: Constant}}", "spec.backoff.strategy", r#"supported values: "Exponential", "Linear""#),
    refused("{backoff: {strategy: exponential}}", "spec.backoff.strategy", "supported values"),
    refused("{backoff: {baseDelayMs: 0}}", "spec.backoff.baseDelayMs", "greater than or equal to 1"),
    refused(
        "{backoff: {baseDelayMs: 86400001, maxDelayMs: 86400000}}",
        "spec.backoff.baseDelayMs",
        "less than or equal to 86400000",
    ),
    refused("{backoff: {maxDelayMs: 86400001}}", "spec.backoff.maxDelayMs", "less than or equal to 86400000"),
    refused(
        "{backoff: {baseDelayMs: 2000, maxDelayMs: 1999}}",
        "spec.backoff.maxDelayMs",
        "maxDelayMs 1999 must be at least baseDelayMs, which is 2000: raise",
    ),
    refused(
        "{backoff: {baseDelayMs: 30001}}",
        "spec.backoff.maxDelayMs",
        "maxDelayMs 30000 must be at least baseDelayMs, which is 30001",
    ),
    refused("{maxRetryWindowSeconds: 0}", "spec.maxRetryWindowSeconds", "greater than or equal to 1"),
    refused("{maxRetryWindowSeconds: 86401}", "spec.maxRetryWindowSeconds", "less than or equal to 86400"),
    refused("{failureThresholdPercent: -1}", "spec.failureThresholdPercent", "greater than or equal to 0"),
    refused("{failureThresholdPercent: 101}", "spec.failureThresholdPercent", "less than or equal to 100"),
    refused("{failureThresholdPercent: 15.5}", "spec.failureThresholdPercent", "must be of type integer"),
    refused(
        "{failureThresholdPercent: 93}",
        "spec.failureThresholdPercent",
        "93 leaves less than one simulated delivery in a thousand: lower it to at most 92, or",
    ),
    refused(
        "{maxRetries: 1, failureThresholdPercent: 100}",
        "spec.failureThresholdPercent",
        "100 leaves less than one",
    ),
    refused("{maxRetries: 10, failureThresholdPercent: 54}", "spec.failureThresholdPercent", "lower it to at most 53"),
    refused("{backoff: null, intervalsMs: []}", "spec.intervalsMs", "at least 1 items"),
    refused("{backoff: null, intervalsMs: [0]}", "spec.intervalsMs[0]", "greater than or equal to 1"),
    refused("{backoff: null, intervalsMs: [3600001]}", "spec.intervalsMs[0]", "less than or equal to 3600000"),
    refused(
        "{backoff: null, intervalsMs: [1,2,4,8,16,32,64,128,256,512,1024]}",
        "spec.intervalsMs",
        "at most 10 items",
    ),
    refused(
        "{backoff: null, intervalsMs: [1000, 1499]}",
        "spec.intervalsMs",
        "each of intervalsMs [1000, 1499] must be at least 1.5 times the one before: lengthen",
    ),
    refused("{backoff: null, intervalsMs: [1,2,4,8,16,32,64,128,256,383]}", "spec.intervalsMs", "at least 1.5 times"),
    refused("{backoff: null, intervalsMs: [3, 4]}", "spec.intervalsMs", "at least 1.5 times the one before"),
    refused(
        "{backoff: null, intervalsMs: [1200001, 2400000]}",
        "spec.intervalsMs",
        "is 3600001 and may be at most 3600000 (one hour): shorten",
    ),
    refused(
        "{backoff: null, maxRetries: 3, intervalsMs: [1000, 2000]}",
        "spec.maxRetries",
        "maxRetries 3 must equal the number of intervalsMs, which is 2: remove",
    ),
    refused(
        "{backoff: null, intervalsMs: [1,2], failureThresholdPercent: 98}",
        "spec.failureThresholdPercent",
        "at most 97",
    ),
];

#[tokio::test]
async fn a_policy_beyond_a_limit_is_refused_with_field_limit_and_advice() {
    assert_refused::<RetryPolicy>(BASE, REFUSED).await;
}

const ACCEPTED: &[&str] = &[
    "{}",
    "{maxRetries: 1}",
    "{maxRetries: 10}",
    "{backoff: {strategy: Linear}}",
    "{backoff: {baseDelayMs: 1, maxDelayMs: 1}}",
    "{backoff: {baseDelayMs: 86400000, maxDelayMs: 86400000}}",
    "{backoff: {baseDelayMs: 30000}}",
    "{maxRetryWindowSeconds: 1}",
    "{maxRetryWindowSeconds: 86400}",
    "{failureThresholdPercent: 0}",
    "{failureThresholdPercent: 92}",
    "{maxRetries: 1, failureThresholdPercent: 99}",
    "{maxRetries: 10, failureThresholdPercent: 53}",
    "{backoff: null, intervalsMs: [1]}",
    "{backoff: null, intervalsMs: [3600000]}",
    "{backoff: null, intervalsMs: [1,2,4,8,16,32,64,128,256,384]}",
    "{backoff: null, intervalsMs: [3, 5]}",
    "{backoff: null, intervalsMs: [1000, 1500]}",
    "{backoff: null, intervalsMs: [1200000, 2400000]}",
    "{backoff: null, maxRetries: 4, intervalsMs: [1000, 2500, 6250, 15625]}",
    "{backoff: null, intervalsMs: [1,2], failureThresholdPercent: 97}",
];

#[tokio::test]
async fn a_policy_at_each_limit_is_accepted() {
    assert_accepted::<RetryPolicy>(BASE, ACCEPTED).await;
}
