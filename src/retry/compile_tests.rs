use std::time::Duration;

use proptest::prelude::*;

use super::{Strategy, *};
use crate::retry::arbitrary;

fn exponential(max_retries: u32, base_ms: i64, max_ms: i64) -> Policy {
    Policy { max_retries, backoff: Backoff::Exponential { base_ms, max_ms }, ..Policy::default() }
}

fn linear(max_retries: u32, base_ms: i64, max_ms: i64) -> Policy {
    Policy { max_retries, backoff: Backoff::Linear { base_ms, max_ms }, ..Policy::default() }
}

fn intervals(row: &[i64]) -> Policy {
    Policy { max_retries: count(row), backoff: Backoff::Intervals(row.to_vec()), ..Policy::default() }
}

fn within(seconds: u64, policy: Policy) -> Policy {
    Policy { window: Duration::from_secs(seconds), ..policy }
}

fn at_percent(failure_threshold_percent: u8, policy: Policy) -> Policy {
    Policy { failure_threshold_percent, ..policy }
}

/// The policy whose `backoff` states what the window form says.
fn policy_of(window: &Window, failure_threshold_percent: u8) -> Policy {
    let (base_ms, max_ms) = (window.base_delay_ms, window.max_delay_ms);
    Policy {
        max_retries: window.max_attempts,
        backoff: match window.strategy {
            Strategy::Exponential => Backoff::Exponential { base_ms, max_ms },
            Strategy::Linear => Backoff::Linear { base_ms, max_ms },
        },
        window: Duration::from_secs(window.max_retry_window_seconds.into()),
        failure_threshold_percent,
    }
}

#[test]
fn every_kind_of_policy_goes_where_the_contract_says() {
    use Surface::{BotWebhook, Webhook};
    let both: &[Surface] = &[BotWebhook, Webhook];
    let day = 86_400;
    let table: &[(&str, Policy, &[Surface])] = &[
        ("the default policy", Policy::default(), both),
        ("exponential, never at its cap", exponential(5, 1_000, 30_000), both),
        ("exponential, exactly reaching its cap", exponential(5, 1_000, 16_000), both),
        ("exponential, capped at 1.5 times the delay before", exponential(5, 1_000, 12_000), both),
        ("exponential, capped just below that", exponential(5, 1_000, 11_999), &[BotWebhook]),
        ("exponential, twice at its cap", exponential(7, 1_000, 30_000), &[BotWebhook]),
        ("exponential, base and cap the same", exponential(2, 1_000, 1_000), &[BotWebhook]),
        ("exponential, a single retry", exponential(1, 5_000, 5_000), both),
        ("exponential, flat part cut off by the window", within(20, exponential(7, 1_000, 8_000)), both),
        ("exponential, flat part within the window", within(23, exponential(7, 1_000, 8_000)), &[BotWebhook]),
        ("exponential, one hour together", within(day, exponential(2, 1_200_000, 2_400_000)), both),
        ("exponential, over an hour together", within(day, exponential(2, 1_200_001, 2_400_002)), &[BotWebhook]),
        ("exponential, over an hour but cut by the window", exponential(2, 1_200_001, 2_400_002), both),
        ("exponential, not even one within the window", within(1, exponential(3, 1_001, 9_000)), &[BotWebhook]),
        ("linear", linear(3, 1_000, 30_000), &[BotWebhook]),
        ("linear, a single retry", linear(1, 1_000, 30_000), &[BotWebhook]),
        ("linear, capped", linear(5, 1_000, 2_000), &[BotWebhook]),
        ("intervals of ratio 2", intervals(&[500, 1_000, 2_000]), both),
        ("intervals of ratio 2.5, the worked example", intervals(&[1_000, 2_500, 6_250, 15_625]), &[Webhook]),
        ("intervals of ratio 1.5", intervals(&[1_000, 1_500, 2_250]), &[Webhook]),
        ("intervals of ratio 2 but for the last", intervals(&[1_000, 2_000, 4_001]), &[Webhook]),
        ("a single interval", intervals(&[700]), both),
        ("intervals that grow too little", intervals(&[1_000, 1_499]), &[]),
        ("intervals that shrink", intervals(&[2_000, 1_000]), &[]),
        ("intervals of an hour together", intervals(&[1_200_000, 2_400_000]), both),
        ("intervals over an hour together", within(day, intervals(&[1_200_001, 2_400_002])), &[BotWebhook]),
        ("no simulated delivery", at_percent(100, exponential(1, 1_000, 1_000)), &[BotWebhook]),
        ("half a simulated delivery", at_percent(53, exponential(10, 1_000, 1_000_000)), both),
        ("less than half a simulated delivery", at_percent(54, exponential(10, 1_000, 1_000_000)), &[BotWebhook]),
    ];
    for (name, policy, expected) in table {
        assert_eq!(supports(policy), *expected, "{name}");
    }
}

#[test]
fn the_worked_example_keeps_its_intervals_and_its_522_deliveries() {
    let compiled = to_intervals(&intervals(&[1_000, 2_500, 6_250, 15_625])).unwrap();
    assert_eq!(compiled.intervals_ms, [1_000, 2_500, 6_250, 15_625]);
    assert_eq!((compiled.max_retries, compiled.failure_threshold_percent), (4, 15));
    assert_eq!(deliveries_per_thousand(compiled.failure_threshold_percent, compiled.max_retries), 522);
}

#[test]
fn an_exponential_backoff_becomes_its_delays() {
    let compiled = to_intervals(&exponential(4, 1_000, 30_000)).unwrap();
    assert_eq!(compiled.intervals_ms, [1_000, 2_000, 4_000, 8_000]);
}

#[test]
fn retries_outside_the_window_are_left_out_of_the_intervals() {
    let compiled = to_intervals(&within(8, exponential(4, 1_000, 30_000))).unwrap();
    assert_eq!((compiled.max_retries, compiled.intervals_ms), (3, vec![1_000, 2_000, 4_000]));
}

#[test]
fn doubling_intervals_become_base_and_cap() {
    let expected = Window {
        max_attempts: 3,
        strategy: Strategy::Exponential,
        base_delay_ms: 500,
        max_delay_ms: 2_000,
        max_retry_window_seconds: 3_600,
    };
    assert_eq!(to_window(&intervals(&[500, 1_000, 2_000])), Ok(expected));
}

#[test]
fn each_refusal_says_what_to_change() {
    let webhook = |policy: Policy| to_intervals(&policy).unwrap_err().to_string();
    let bot_webhook = |policy: Policy| to_window(&policy).unwrap_err().to_string();
    let day = 86_400;
    let table = [
        (webhook(linear(3, 1_000, 30_000)), vec!["spec.backoff.strategy", "Exponential", "spec.intervalsMs"]),
        (webhook(within(1, exponential(3, 5_000, 9_000))), vec!["5000 ms", "spec.maxRetryWindowSeconds", "is 1;"]),
        (
            webhook(exponential(7, 1_000, 30_000)),
            vec!["retry 7", "30000 ms", "maxDelayMs of the RetryPolicy to at least 48000", "spec.maxRetries to 6"],
        ),
        (webhook(intervals(&[1_000, 1_200])), vec!["retry 2", "1200 ms", "1000 ms", "to 1", "spec.intervalsMs"]),
        (webhook(within(day, intervals(&[1_500_000, 3_000_000]))), vec!["4500000 ms", "3600000 ms", "to 1"]),
        (
            webhook(at_percent(100, exponential(2, 1, 9))),
            vec!["Percent 100", "2 retries", "lower spec.failureThreshold"],
        ),
        (webhook(at_percent(54, exponential(10, 10, 9_000))), vec!["10 retries", "spec.maxRetries", "to 9"]),
        (bot_webhook(intervals(&[1_000, 2_500])), vec!["retry 2", "2500 ms instead of 2000 ms", "spec.backoff"]),
        (bot_webhook(exponential(11, 1, 9)), vec!["spec.maxRetries", "is 11", "from 1 to 10"]),
        (webhook(exponential(3, 1_000, 999)), vec!["spec.backoff.maxDelayMs", "is 999", "from 1000"]),
        (bot_webhook(within(86_401, Policy::default())), vec!["spec.maxRetryWindowSeconds", "86401", "86400"]),
        (webhook(at_percent(101, Policy::default())), vec!["spec.failureThresholdPercent", "101"]),
        (
            webhook(Policy { max_retries: 3, ..intervals(&[1, 2]) }),
            vec!["the length of spec.intervalsMs", "is 2", "to 3"],
        ),
    ];
    for (message, parts) in table {
        for part in parts {
            assert!(message.contains(part), "\"{part}\" is not in: {message}");
        }
    }
}

proptest! {
    #[test]
    fn the_interval_form_always_satisfies_its_limits(policy in arbitrary::policy()) {
        if let Ok(compiled) = to_intervals(&policy) {
            let row = &compiled.intervals_ms;
            prop_assert!((1..=10).contains(&row.len()));
            prop_assert_eq!(compiled.max_retries as usize, row.len());
            prop_assert!(row.iter().all(|interval| *interval > 0));
            prop_assert!(row.windows(2).all(|pair| 2 * pair[1] >= 3 * pair[0]));
            prop_assert!(row.iter().sum::<i64>() <= 3_600_000);
            prop_assert!(compiled.failure_threshold_percent <= 100);
            prop_assert!(deliveries_per_thousand(compiled.failure_threshold_percent, compiled.max_retries) >= 1);
        }
    }

    #[test]
    fn the_interval_form_keeps_every_delay_within_the_window(policy in arbitrary::policy()) {
        if let Ok(compiled) = to_intervals(&policy) {
            prop_assert_eq!(&compiled.intervals_ms[..], &policy.delays_ms()[..policy.effective_retries() as usize]);
            let back = Policy {
                max_retries: compiled.max_retries,
                backoff: Backoff::Intervals(compiled.intervals_ms.clone()),
                ..policy
            };
            prop_assert_eq!(to_intervals(&back), Ok(compiled));
        }
    }

    #[test]
    fn the_window_form_always_satisfies_its_limits(policy in arbitrary::policy()) {
        if let Ok(compiled) = to_window(&policy) {
            prop_assert!((1..=10).contains(&compiled.max_attempts));
            prop_assert!(1 <= compiled.base_delay_ms && compiled.base_delay_ms <= compiled.max_delay_ms);
            prop_assert!((1..=86_400).contains(&compiled.max_retry_window_seconds));
        }
    }

    #[test]
    fn the_window_form_keeps_every_delay_and_the_window(policy in arbitrary::policy()) {
        if let Ok(compiled) = to_window(&policy) {
            let back = policy_of(&compiled, policy.failure_threshold_percent);
            prop_assert_eq!(back.delays_ms(), policy.delays_ms());
            prop_assert_eq!(back.window, policy.window);
            prop_assert_eq!(to_window(&back), Ok(compiled));
        }
    }

    #[test]
    fn doubling_intervals_go_to_the_window_form(first in 1..=3_000_i64, length in 1..=10_u32) {
        let row: Vec<i64> = (0..length).map(|n| first << n).collect();
        let compiled = to_window(&intervals(&row)).unwrap();
        prop_assert_eq!(policy_of(&compiled, 15).delays_ms(), row);
    }

    #[test]
    fn an_exponential_backoff_goes_to_a_webhook_exactly_where_the_contract_says(policy in arbitrary::backoff_policy()) {
        let delays = &policy.delays_ms()[..policy.effective_retries() as usize];
        let expected = matches!(policy.backoff, Backoff::Exponential { .. })
            && !delays.is_empty()
            && delays.windows(2).all(|pair| 2 * pair[1] >= 3 * pair[0])
            && delays.iter().sum::<i64>() <= 3_600_000
            && deliveries_per_thousand(policy.failure_threshold_percent, count(delays)) >= 1;
        prop_assert_eq!(supports(&policy).contains(&Surface::Webhook), expected);
    }

    #[test]
    fn advice_that_is_followed_helps(policy in arbitrary::policy()) {
        let Err(
            Unsupported::TooFlat { advice, .. }
            | Unsupported::TooLong { advice, .. }
            | Unsupported::NoDeliveries { advice, .. },
        ) = to_intervals(&policy)
        else {
            return Ok(());
        };
        if let Some(max_retries) = advice.lower_max_retries {
            let backoff = match &policy.backoff {
                Backoff::Intervals(row) => Backoff::Intervals(row[..max_retries as usize].to_vec()),
                backoff => backoff.clone(),
            };
            let followed = Policy { max_retries, backoff, ..policy.clone() };
            prop_assert!(to_intervals(&followed).is_ok());
        }
        if let Some(max_ms) = advice.raise_max_delay_ms {
            let Backoff::Exponential { base_ms, .. } = policy.backoff else { panic!("only an exponential backoff has a cap") };
            let followed = Policy { backoff: Backoff::Exponential { base_ms, max_ms }, ..policy };
            prop_assert!(to_intervals(&followed).is_ok());
        }
    }
}
