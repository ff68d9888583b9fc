//! The figures of a policy's status (resources.md, `RetryPolicy`).

use jiff::Timestamp;

use crate::{
    api::{
        Conditions, Reason, RetryPolicy, RetryPolicyStatus,
        retry_policy::{RetryPolicySpec, Strategy, Surface},
    },
    retry::{self, Backoff, Policy, Unsupported},
};

/// The policy as the mathematics of retrying takes it.
pub fn policy(spec: &RetryPolicySpec) -> Policy {
    let defaults = Policy::default();
    let backoff = match (&spec.backoff, &spec.intervals_ms) {
        (_, Some(intervals)) => Backoff::Intervals(intervals.clone()),
        (Some(backoff), None) => {
            let (base_ms, max_ms) = (backoff.base_delay_ms, backoff.max_delay_ms);
            match backoff.strategy {
                Strategy::Exponential => Backoff::Exponential { base_ms, max_ms },
                Strategy::Linear => Backoff::Linear { base_ms, max_ms },
            }
        }
        (None, None) => defaults.backoff,
    };
    Policy {
        max_retries: u32::try_from(spec.retries()).unwrap_or(defaults.max_retries),
        backoff,
        window: u64::try_from(spec.max_retry_window_seconds).map_or(defaults.window, std::time::Duration::from_secs),
        failure_threshold_percent: u8::try_from(spec.failure_threshold_percent)
            .unwrap_or(defaults.failure_threshold_percent),
    }
}

/// The same for a spec that no API server has judged yet: numbers out of bounds are an error.
pub fn unjudged_policy(spec: &RetryPolicySpec) -> Result<Policy, Unsupported> {
    let judge = |field, value: i64, min, max| {
        if (min..=max).contains(&value) { Ok(()) } else { Err(Unsupported::OutOfBounds { field, value, min, max }) }
    };
    // What the types of the mathematics cannot hold; all other bounds are its own.
    judge("spec.maxRetries", spec.retries().into(), 1, retry::MAX_RETRIES.into())?;
    judge("spec.maxRetryWindowSeconds", spec.max_retry_window_seconds, 1, retry::MAX_WINDOW_SECONDS.into())?;
    judge("spec.failureThresholdPercent", spec.failure_threshold_percent.into(), 0, 100)?;
    let policy = policy(spec);
    retry::check_bounds(&policy)?;
    Ok(policy)
}

/// The whole status of a policy that `users` webhooks refer to.
pub fn status(object: &RetryPolicy, users: usize, now: Timestamp) -> RetryPolicyStatus {
    let generation = object.metadata.generation.unwrap_or_default();
    let old = object.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    let policy = policy(&object.spec);
    let effective = policy.effective_retries();
    let supports: Vec<Surface> = retry::supports(&policy)
        .into_iter()
        .map(|surface| match surface {
            retry::Surface::BotWebhook => Surface::BotWebhook,
            retry::Surface::Webhook => Surface::Webhook,
        })
        .collect();
    RetryPolicyStatus {
        observed_generation: Some(generation),
        conditions: Conditions::new(Reason::Accepted, message(&policy, effective, &supports), generation)
            .merge(old, now),
        delays_ms: policy.delays_ms(),
        total_delay_ms: Some(policy.total_delay_ms()),
        effective_retries: i32::try_from(effective).ok(),
        simulated_deliveries_per_thousand: i32::try_from(retry::deliveries_per_thousand(
            policy.failure_threshold_percent,
            policy.max_retries,
        ))
        .ok(),
        supports,
        webhooks: i32::try_from(users).ok(),
    }
}

fn message(policy: &Policy, effective: u32, supports: &[Surface]) -> String {
    let fit = if effective == policy.max_retries {
        format!("{effective} retries within the window")
    } else {
        format!("{effective} of {} retries fit into the window of {} s", policy.max_retries, policy.window.as_secs())
    };
    match (retry::to_intervals(policy).err(), supports.contains(&Surface::BotWebhook)) {
        (None, true) => format!("{fit}; usable for webhooks and bot webhooks"),
        (None, false) => format!("{fit}; usable for webhooks, not for bot webhooks"),
        (Some(why), true) => format!("{fit}; usable for bot webhooks; not for webhooks: {why}"),
        (Some(why), false) => format!("{fit}; not usable: {why}"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(spec: serde_json::Value) -> RetryPolicy {
        RetryPolicy::new("patient", serde_json::from_value(spec).unwrap())
    }

    #[test]
    fn the_worked_example_gives_the_figures_of_the_contract() {
        let object = object(json!({"intervalsMs": [1000, 2500, 6250, 15625], "failureThresholdPercent": 15}));
        let status = status(&object, 3, Timestamp::UNIX_EPOCH);
        assert_eq!(status.delays_ms, [1000, 2500, 6250, 15625]);
        assert_eq!(status.total_delay_ms, Some(25_375));
        assert_eq!(status.effective_retries, Some(4));
        assert_eq!(status.simulated_deliveries_per_thousand, Some(522));
        assert_eq!(status.supports, [Surface::Webhook]);
        assert_eq!(status.webhooks, Some(3));
    }

    #[test]
    fn a_number_out_of_bounds_is_told_before_any_api_server_sees_it() {
        for (change, told) in [
            (json!({"maxRetries": -1}), "spec.maxRetries of the RetryPolicy is -1 and must be from 1 to 10"),
            (json!({"maxRetries": 50}), "spec.maxRetries of the RetryPolicy is 50 and must be from 1 to 10"),
            (
                json!({"maxRetryWindowSeconds": 86_401}),
                "spec.maxRetryWindowSeconds of the RetryPolicy is 86401 and must be from 1 to 86400",
            ),
            (
                json!({"failureThresholdPercent": 300}),
                "spec.failureThresholdPercent of the RetryPolicy is 300 and must be from 0 to 100",
            ),
        ] {
            let mut spec = json!({"backoff": {}});
            spec.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
            assert_eq!(unjudged_policy(&object(spec).spec).unwrap_err().to_string(), told);
        }
        assert_eq!(unjudged_policy(&object(json!({"backoff": {}})).spec), Ok(Policy::default()));
    }

    #[test]
    fn retries_beyond_the_window_are_not_counted_and_the_message_says_so() {
        let object = object(json!({
            "maxRetries": 5, "backoff": {"baseDelayMs": 1000, "maxDelayMs": 60000}, "maxRetryWindowSeconds": 8,
        }));
        let status = status(&object, 0, Timestamp::UNIX_EPOCH);
        assert_eq!(status.effective_retries, Some(3));
        assert!(status.conditions[0].message.starts_with("3 of 5 retries fit into the window of 8 s"));
    }
}
