//! Retry policies as Cognigy holds them, as `RetryPolicy`s; pure.
//!
//! Whether a `RetryPolicy` says what is there is not reckoned here: it is compiled as the operator would, and compared.

use std::{collections::BTreeMap, fmt::Display};

use cognigy_operator::{
    api::retry_policy::{Backoff, RetryPolicySpec, Strategy},
    cognigy::{BackoffStrategy, IntervalPolicy, StoredPolicy, WebhookId, WindowPolicy},
    controller::retry_policy::policy,
    retry::{self, to_intervals, to_window},
};

use super::{judge::Judge, names::Names};

/// The policies of an import: equal ones are one.
pub struct Policies<'j> {
    judge: &'j Judge,
    /// By what they say, so that their order is always the same.
    specs: BTreeMap<String, RetryPolicySpec>,
}

/// A policy among [`Policies`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyKey(String);

impl<'j> Policies<'j> {
    /// None so far.
    pub fn new(judge: &'j Judge) -> Self {
        Self { judge, specs: BTreeMap::new() }
    }

    /// The policy of a bot's webhook. The error says what a `RetryPolicy` cannot say.
    pub fn window(&mut self, stored: &WindowPolicy) -> Result<PolicyKey, String> {
        if !stored.enabled {
            return Err("its retry policy is switched off (enabled: false), which no RetryPolicy can say".into());
        }
        let spec = of_window(stored);
        self.judge.policy(&spec).map_err(|why| unsaid(&why))?;
        match to_window(&policy(&spec)) {
            Ok(window) if WindowPolicy::from(&window) == *stored => Ok(self.keep(spec)),
            Ok(_) => Err(unsaid(&"it has values that none compiles to")),
            Err(why) => Err(unsaid(&why)),
        }
    }

    /// The policy of a webhook; to be asked after those of all bots' webhooks, with which it may share one.
    pub fn interval(&mut self, id: &WebhookId, stored: &StoredPolicy) -> Result<PolicyKey, String> {
        let StoredPolicy::Interval(stored) = stored else {
            return Err("its retry policy has a form that is not documented".into());
        };
        let same = |spec: &RetryPolicySpec| {
            to_intervals(&policy(spec)).is_ok_and(|intervals| IntervalPolicy::new(id.clone(), &intervals) == *stored)
        };
        if let Some((key, _)) = self.specs.iter().find(|(_, spec)| same(spec)) {
            return Ok(PolicyKey(key.clone()));
        }
        let spec = of_intervals(stored)?;
        self.judge.policy(&spec).map_err(|why| unsaid(&why))?;
        if same(&spec) {
            return Ok(self.keep(spec));
        }
        Err(match to_intervals(&policy(&spec)) {
            Err(why) => unsaid(&why),
            Ok(_) => "its retry policy does not agree with itself (maxRetries, intervalsMs, webhookId)".into(),
        })
    }

    fn keep(&mut self, spec: RetryPolicySpec) -> PolicyKey {
        let key = serde_json::to_string(&spec).unwrap_or_default();
        self.specs.insert(key.clone(), spec);
        PolicyKey(key)
    }

    /// All of them with names that tell what they do.
    pub fn named(self) -> Vec<(PolicyKey, String, RetryPolicySpec)> {
        let mut names = Names::default();
        let name = |(key, spec): (String, RetryPolicySpec)| {
            let name = names.take(&name(&spec), &key);
            (PolicyKey(key), name, spec)
        };
        self.specs.into_iter().map(name).collect()
    }
}

fn unsaid(why: &dyn Display) -> String {
    format!("its retry policy is none that a RetryPolicy can say: {why}")
}

fn of_window(stored: &WindowPolicy) -> RetryPolicySpec {
    let strategy = match stored.backoff_strategy {
        BackoffStrategy::Exponential => Strategy::Exponential,
        BackoffStrategy::Linear => Strategy::Linear,
    };
    let defaults = retry::Policy::default();
    let retries = Some(stored.max_attempts).filter(|&retries| retries != defaults.max_retries);
    RetryPolicySpec {
        max_retries: retries.map(|retries| i32::try_from(retries).unwrap_or(i32::MAX)),
        backoff: Some(Backoff { strategy, base_delay_ms: stored.base_delay_ms, max_delay_ms: stored.max_delay_ms }),
        intervals_ms: None,
        max_retry_window_seconds: stored.max_retry_window_seconds,
        failure_threshold_percent: defaults.failure_threshold_percent.into(),
    }
}

fn of_intervals(stored: &IntervalPolicy) -> Result<RetryPolicySpec, String> {
    let percent = stored.failure_threshold_percent;
    let whole = (0..=100).find(|&whole: &i32| f64::from(whole).total_cmp(&percent).is_eq());
    let whole = whole.ok_or_else(|| {
        format!("its failureThresholdPercent is {percent}, and a RetryPolicy has whole numbers from 0 to 100")
    })?;
    Ok(RetryPolicySpec {
        max_retries: None,
        backoff: None,
        intervals_ms: Some(stored.intervals_ms.clone()),
        max_retry_window_seconds: i64::try_from(retry::Policy::default().window.as_secs()).unwrap_or(i64::MAX),
        failure_threshold_percent: whole,
    })
}

/// What a policy does, in a name: `patient-4x-25s` has four retries within 25 seconds.
fn name(spec: &RetryPolicySpec) -> String {
    let (policy, defaults) = (policy(spec), retry::Policy::default());
    let total = policy.total_delay_ms();
    let pace = match (&policy.backoff, total) {
        (retry::Backoff::Linear { .. }, _) => "linear",
        (_, total) if total < 10_000 => "quick",
        (_, total) if total < 300_000 => "patient",
        _ => "persistent",
    };
    let mut parts = vec![pace.to_owned(), format!("{}x", policy.max_retries), span(total)];
    if policy.failure_threshold_percent != defaults.failure_threshold_percent {
        parts.push(format!("{}percent", policy.failure_threshold_percent));
    }
    if policy.window != defaults.window {
        let window = i64::try_from(policy.window.as_millis()).unwrap_or(i64::MAX);
        parts.push(format!("within-{}", span(window)));
    }
    parts.join("-")
}

fn span(ms: i64) -> String {
    match ms {
        ms if ms < 1_000 => format!("{ms}ms"),
        ms if ms < 120_000 => format!("{}s", ms / 1_000),
        ms if ms < 7_200_000 => format!("{}m", ms / 60_000),
        ms => format!("{}h", ms / 3_600_000),
    }
}

#[cfg(test)]
mod tests {
    use cognigy_operator::cognigy::BackoffType;

    use super::*;

    fn stored(intervals_ms: &[i64], failure_threshold_percent: f64) -> StoredPolicy {
        StoredPolicy::Interval(IntervalPolicy {
            webhook_id: id(),
            max_retries: u32::try_from(intervals_ms.len()).unwrap(),
            backoff_type: BackoffType::Exponential,
            intervals_ms: intervals_ms.into(),
            failure_threshold_percent,
        })
    }

    fn id() -> WebhookId {
        WebhookId::new("wh_1").unwrap()
    }

    #[test]
    fn names_tell_what_policies_do() {
        let judge = Judge::new();
        let mut policies = Policies::new(&judge);
        policies.interval(&id(), &stored(&[1000, 2500, 6250, 15625], 15.0)).unwrap();
        policies.interval(&id(), &stored(&[100, 200], 20.0)).unwrap();
        let linear = WindowPolicy { backoff_strategy: BackoffStrategy::Linear, ..WindowPolicy::default() };
        policies.window(&linear).unwrap();
        policies.window(&WindowPolicy { max_retry_window_seconds: 86_400, ..WindowPolicy::default() }).unwrap();
        let mut names: Vec<_> = policies.named().into_iter().map(|(_, name, _)| name).collect();
        names.sort();
        assert_eq!(names, ["linear-3x-6s", "patient-4x-25s", "quick-2x-300ms-20percent", "quick-3x-7s-within-24h"]);
    }

    #[test]
    fn equal_policies_are_one_whatever_api_they_come_from() {
        let judge = Judge::new();
        let mut policies = Policies::new(&judge);
        let of_bot = policies.window(&WindowPolicy::default()).unwrap();
        assert_eq!(policies.interval(&id(), &stored(&[1000, 2000, 4000], 15.0)), Ok(of_bot));
        assert_ne!(
            policies.interval(&id(), &stored(&[1000, 2000, 4000], 16.0)),
            policies.interval(&id(), &stored(&[1000, 2000], 15.0))
        );
        assert_eq!(policies.named().len(), 3);
    }

    #[test]
    fn what_a_retry_policy_cannot_say_is_told() {
        let judge = Judge::new();
        let mut policies = Policies::new(&judge);
        let mut told = |stored| policies.interval(&id(), &stored).unwrap_err();
        assert!(told(stored(&[1000], 12.5)).contains("12.5"));
        assert!(told(stored(&[1000, 1100], 15.0)).contains("1.5 times"));
        assert!(told(stored(&[], 15.0)).contains("none that a RetryPolicy can say"));
        assert!(told(StoredPolicy::Unknown(serde_json::json!({}))).contains("not documented"));
        let other =
            IntervalPolicy::new(WebhookId::new("wh_2").unwrap(), &to_intervals(&retry::Policy::default()).unwrap());
        assert!(told(StoredPolicy::Interval(other)).contains("webhookId"));
        for odd in [
            WindowPolicy { enabled: false, ..WindowPolicy::default() },
            WindowPolicy { max_attempts: 11, ..WindowPolicy::default() },
            WindowPolicy { max_delay_ms: 86_400_001, ..WindowPolicy::default() },
            WindowPolicy { base_delay_ms: 40_000, ..WindowPolicy::default() },
        ] {
            assert!(policies.window(&odd).is_err(), "{odd:?}");
        }
        assert!(policies.named().is_empty());
    }
}
