//! From one intent to what each API takes: the window form (cognigy-api.md §3) and the interval form (§4).

use std::{fmt, iter};

use super::{Backoff, MAX_RETRIES, Policy, deliveries_per_thousand};

/// The longest sum of intervals (cognigy-api.md §4).
const MAX_INTERVALS_SUM_MS: i64 = 3_600_000;

/// The longest `maxRetryWindowSeconds` (cognigy-api.md §3).
pub const MAX_WINDOW_SECONDS: u32 = 86_400;

/// Where a policy can go (`status.supports`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Surface {
    /// Bot webhooks: the window form (cognigy-api.md §3).
    BotWebhook,
    /// Webhooks: the interval form (cognigy-api.md §4).
    Webhook,
}

impl Surface {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::BotWebhook, Self::Webhook];

    /// Whether a policy can go there; if not, why.
    pub fn takes(self, policy: &Policy) -> Result<(), Unsupported> {
        match self {
            Self::BotWebhook => to_window(policy).map(drop),
            Self::Webhook => to_intervals(policy).map(drop),
        }
    }

    /// As `status.supports` shows it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BotWebhook => "BotWebhook",
            Self::Webhook => "Webhook",
        }
    }
}

impl fmt::Display for Surface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A policy in the interval form (cognigy-api.md §4); it always satisfies the limits given there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Intervals {
    /// How many retries, 1–10: exactly the number of intervals.
    pub max_retries: u32,
    /// The delay before each retry in milliseconds, each at least 1.5 times the one before.
    pub intervals_ms: Vec<i64>,
    /// The share of failed deliveries in percent that Cognigy reckons with.
    pub failure_threshold_percent: u8,
}

/// A policy in the window form (cognigy-api.md §3); it always satisfies the limits given there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// How many retries, 1–10.
    pub max_attempts: u32,
    /// How the delays grow.
    pub strategy: Strategy,
    /// The delay before the first retry in milliseconds.
    pub base_delay_ms: i64,
    /// The cap on every delay in milliseconds.
    pub max_delay_ms: i64,
    /// How long after the failure retries may still start, in seconds, 1–86400.
    pub max_retry_window_seconds: u32,
}

/// How the delays of the window form grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strategy {
    /// Each delay is twice the one before.
    Exponential,
    /// Each delay is longer than the one before by the base delay.
    Linear,
}

/// Why a policy cannot go to a [`Surface`]; its text says what to change (Ready reason `RetryPolicyUnsupported`).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unsupported {
    /// A linear backoff has no interval form.
    #[error(
        "a Linear backoff cannot be applied to a webhook, whose intervals must grow by half at least: set \
         spec.backoff.strategy of the RetryPolicy to Exponential, or write the delays out in spec.intervalsMs"
    )]
    Linear,
    /// Not even the first retry starts within the window.
    #[error(
        "no retry fits in the window: the first waits {first_ms} ms, spec.maxRetryWindowSeconds of the RetryPolicy is \
         {window_seconds}; lengthen the window or shorten the first delay"
    )]
    NothingFits {
        /// The first delay in milliseconds.
        first_ms: i64,
        /// The window in seconds.
        window_seconds: u64,
    },
    /// A delay is less than 1.5 times the one before, as after the cap of an exponential backoff.
    #[error(
        "the delay before retry {retry} is {delay_ms} ms, less than 1.5 times the {previous_ms} ms before it, which a \
         webhook needs: {advice}"
    )]
    TooFlat {
        /// The retry, from 2.
        retry: u32,
        /// The delay before it in milliseconds.
        delay_ms: i64,
        /// The delay before the retry before it in milliseconds.
        previous_ms: i64,
        /// What to change.
        advice: Advice,
    },
    /// The intervals are longer than an hour together.
    #[error(
        "the delays are {sum_ms} ms together, and a webhook takes {MAX_INTERVALS_SUM_MS} ms (one hour) at most: {advice}"
    )]
    TooLong {
        /// The sum in milliseconds.
        sum_ms: i64,
        /// What to change.
        advice: Advice,
    },
    /// The simulation of cognigy-api.md §4 lets nothing through.
    #[error(
        "with spec.failureThresholdPercent {percent} and {retries} retries not one of 1,000 simulated deliveries comes \
         through, and a webhook needs one: {advice}"
    )]
    NoDeliveries {
        /// The failure threshold in percent.
        percent: u8,
        /// How many retries were reckoned with.
        retries: u32,
        /// What to change.
        advice: Advice,
    },
    /// Intervals that are no geometric row of ratio 2 have no window form.
    #[error(
        "intervals can be applied to a bot webhook only where each is twice the one before: the one before retry {retry} is \
         {interval_ms} ms instead of {doubled_ms} ms; change spec.intervalsMs of the RetryPolicy or use spec.backoff"
    )]
    NotDoubling {
        /// The retry, from 2.
        retry: u32,
        /// The interval before it in milliseconds.
        interval_ms: i64,
        /// What it would have to be in milliseconds.
        doubled_ms: i64,
    },
    /// A number that the custom resource does not allow either.
    #[error("{field} of the RetryPolicy is {value} and must be from {min} to {max}")]
    OutOfBounds {
        /// The field.
        field: &'static str,
        /// Its value.
        value: i64,
        /// The least value.
        min: i64,
        /// The greatest value.
        max: i64,
    },
}

/// A change that makes a policy fit the interval form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advice {
    /// The greatest number of retries that fits, where lowering it is enough.
    pub lower_max_retries: Option<u32>,
    /// The least `maxDelayMs` that fits, where raising it is enough.
    pub raise_max_delay_ms: Option<i64>,
    /// The change that remains where neither of the two is enough or possible.
    pub otherwise: &'static str,
}

impl fmt::Display for Advice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.raise_max_delay_ms, self.lower_max_retries) {
            (Some(cap), Some(retries)) => write!(
                f,
                "raise spec.backoff.maxDelayMs of the RetryPolicy to at least {cap}, or lower spec.maxRetries to {retries}"
            ),
            (Some(cap), None) => write!(f, "raise spec.backoff.maxDelayMs of the RetryPolicy to at least {cap}"),
            (None, Some(retries)) => {
                write!(f, "lower spec.maxRetries of the RetryPolicy to {retries}, or {}", self.otherwise)
            }
            (None, None) => f.write_str(self.otherwise),
        }
    }
}

/// Compiles a policy to the interval form of cognigy-api.md §4. That has no window, so retries that start after the
/// policy's window are left out.
pub fn to_intervals(policy: &Policy) -> Result<Intervals, Unsupported> {
    if matches!(policy.backoff, Backoff::Linear { .. }) {
        return Err(Unsupported::Linear);
    }
    check_bounds(policy)?;
    let mut intervals_ms = policy.delays_ms();
    intervals_ms.truncate(usize::try_from(policy.effective_retries()).unwrap_or(usize::MAX));
    check_intervals(policy, &intervals_ms)?;
    Ok(Intervals {
        max_retries: count(&intervals_ms),
        intervals_ms,
        failure_threshold_percent: policy.failure_threshold_percent,
    })
}

/// Compiles a policy to the window form of cognigy-api.md §3, which has no place for the failure threshold.
pub fn to_window(policy: &Policy) -> Result<Window, Unsupported> {
    check_bounds(policy)?;
    let (strategy, base_delay_ms, max_delay_ms) = match &policy.backoff {
        Backoff::Exponential { base_ms, max_ms } => (Strategy::Exponential, *base_ms, *max_ms),
        Backoff::Linear { base_ms, max_ms } => (Strategy::Linear, *base_ms, *max_ms),
        Backoff::Intervals(_) => {
            let intervals = policy.delays_ms();
            check_doubling(&intervals)?;
            let end = |interval: Option<&i64>| interval.copied().unwrap_or_default();
            (Strategy::Exponential, end(intervals.first()), end(intervals.last()))
        }
    };
    Ok(Window {
        max_attempts: policy.max_retries,
        strategy,
        base_delay_ms,
        max_delay_ms,
        max_retry_window_seconds: u32::try_from(policy.window.as_secs()).unwrap_or(MAX_WINDOW_SECONDS),
    })
}

/// Where a policy can go, for `status.supports`.
pub fn supports(policy: &Policy) -> Vec<Surface> {
    Surface::ALL.into_iter().filter(|surface| surface.takes(policy).is_ok()).collect()
}

/// The limits of cognigy-api.md §4 on a row of intervals.
fn check_intervals(policy: &Policy, intervals: &[i64]) -> Result<(), Unsupported> {
    let Some(violation) = violation(policy.failure_threshold_percent, intervals) else { return Ok(()) };
    let lower_max_retries = (1..intervals.len())
        .rev()
        .find(|length| self::violation(policy.failure_threshold_percent, &intervals[..*length]).is_none())
        .and_then(|length| u32::try_from(length).ok());
    let advice = |otherwise| Advice { lower_max_retries, raise_max_delay_ms: None, otherwise };
    Err(match violation {
        Violation::Empty => Unsupported::NothingFits {
            first_ms: policy.delays_ms().first().copied().unwrap_or_default(),
            window_seconds: policy.window.as_secs(),
        },
        Violation::TooFlat { retry, previous_ms, delay_ms } => Unsupported::TooFlat {
            retry,
            delay_ms,
            previous_ms,
            advice: Advice {
                raise_max_delay_ms: sufficient_cap_ms(policy),
                ..advice("write delays that grow by half at least in spec.intervalsMs")
            },
        },
        Violation::TooLong { sum_ms } => {
            Unsupported::TooLong { sum_ms, advice: advice("shorten the delays of the RetryPolicy") }
        }
        Violation::NoDeliveries => Unsupported::NoDeliveries {
            percent: policy.failure_threshold_percent,
            retries: count(intervals),
            advice: advice("lower spec.failureThresholdPercent of the RetryPolicy"),
        },
    })
}

enum Violation {
    Empty,
    TooFlat { retry: u32, previous_ms: i64, delay_ms: i64 },
    TooLong { sum_ms: i64 },
    NoDeliveries,
}

fn violation(failure_percent: u8, intervals: &[i64]) -> Option<Violation> {
    if intervals.is_empty() {
        return Some(Violation::Empty);
    }
    if let Some((retry, previous_ms, delay_ms)) =
        steps(intervals).find(|(_, previous, delay)| !grows(*previous, *delay))
    {
        return Some(Violation::TooFlat { retry, previous_ms, delay_ms });
    }
    let sum_ms = intervals.iter().copied().fold(0, i64::saturating_add);
    if sum_ms > MAX_INTERVALS_SUM_MS {
        return Some(Violation::TooLong { sum_ms });
    }
    (deliveries_per_thousand(failure_percent, count(intervals)) == 0).then_some(Violation::NoDeliveries)
}

fn grows(previous: i64, delay: i64) -> bool {
    i128::from(delay) * 2 >= i128::from(previous) * 3
}

/// The least cap with which all retries of an exponential backoff fit, if there is one.
fn sufficient_cap_ms(policy: &Policy) -> Option<i64> {
    let Backoff::Exponential { base_ms, .. } = policy.backoff else { return None };
    let last_but_one = base_ms.checked_mul(1_i64.checked_shl(policy.max_retries.checked_sub(2)?)?)?;
    let max_ms = last_but_one.checked_mul(3)?.checked_add(1)? / 2;
    let raised = Policy { backoff: Backoff::Exponential { base_ms, max_ms }, ..policy.clone() };
    let fits = raised.effective_retries() == raised.max_retries
        && violation(raised.failure_threshold_percent, &raised.delays_ms()).is_none();
    fits.then_some(max_ms)
}

fn check_doubling(intervals: &[i64]) -> Result<(), Unsupported> {
    match steps(intervals).find(|(_, previous, interval)| previous.saturating_mul(2) != *interval) {
        Some((retry, previous, interval_ms)) => {
            Err(Unsupported::NotDoubling { retry, interval_ms, doubled_ms: previous.saturating_mul(2) })
        }
        None => Ok(()),
    }
}

/// The bounds that the schema of the custom resource and both APIs share.
pub fn check_bounds(policy: &Policy) -> Result<(), Unsupported> {
    let within = |field, value, min, max| {
        if (min..=max).contains(&value) { Ok(()) } else { Err(Unsupported::OutOfBounds { field, value, min, max }) }
    };
    let window_seconds = i64::try_from(policy.window.as_secs()).unwrap_or(i64::MAX);
    within("spec.maxRetries", policy.max_retries.into(), 1, MAX_RETRIES.into())?;
    within("spec.maxRetryWindowSeconds", window_seconds, 1, MAX_WINDOW_SECONDS.into())?;
    within("spec.failureThresholdPercent", policy.failure_threshold_percent.into(), 0, 100)?;
    match &policy.backoff {
        Backoff::Exponential { base_ms, max_ms } | Backoff::Linear { base_ms, max_ms } => {
            within("spec.backoff.baseDelayMs", *base_ms, 1, i64::MAX)?;
            within("spec.backoff.maxDelayMs", *max_ms, *base_ms, i64::MAX)
        }
        Backoff::Intervals(intervals) => {
            let length = i64::try_from(intervals.len()).unwrap_or(i64::MAX);
            within("the length of spec.intervalsMs", length, policy.max_retries.into(), policy.max_retries.into())?;
            intervals.iter().try_for_each(|interval| within("spec.intervalsMs", *interval, 1, i64::MAX))
        }
    }
}

/// Each delay from the second on, with its retry and the delay before it.
fn steps(delays: &[i64]) -> impl Iterator<Item = (u32, i64, i64)> {
    iter::zip(2.., delays.windows(2)).map(|(retry, pair)| (retry, pair[0], pair[1]))
}

fn count(delays: &[i64]) -> u32 {
    u32::try_from(delays.len()).unwrap_or(u32::MAX)
}

#[cfg(test)]
#[path = "compile_tests.rs"]
mod tests;
