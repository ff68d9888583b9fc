//! What Cognigy's own simulation says of a policy.

use super::MAX_RETRIES;

/// Of a thousand deliveries, how many Cognigy's simulation lets through: `round((1 − f/100)^retries · 1000)`
/// (cognigy-api.md §4). Reckoned in whole numbers, so that halves are rounded up on every machine.
///
/// `failure_percent` over 100 counts as 100, `retries` over [`MAX_RETRIES`] as that.
pub fn deliveries_per_thousand(failure_percent: u8, retries: u32) -> u32 {
    let retries = retries.min(MAX_RETRIES);
    let whole = 100_u128.pow(retries);
    let through = u128::from(100 - failure_percent.min(100)).pow(retries);
    u32::try_from((through * 2_000 + whole) / (whole * 2)).unwrap_or(1_000)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_figures_are_those_of_the_formula() {
        for (failure_percent, retries, expected) in [
            (15, 4, 522), // the worked example: 0.85⁴ = 0.52200625
            (15, 3, 614),
            (0, 10, 1_000),
            (100, 1, 0),
            (50, 9, 2),
            (50, 10, 1),
            (53, 10, 1),
            (54, 10, 0),
            (99, 1, 10),
            (99, 2, 0),
            (5, 2, 903), // 902.5: a half goes up
            (15, 0, 1_000),
        ] {
            assert_eq!(
                deliveries_per_thousand(failure_percent, retries),
                expected,
                "{failure_percent} % and {retries}"
            );
        }
    }

    proptest! {
        #[test]
        fn more_failures_or_retries_never_give_more_deliveries(failure_percent: u8, retries in 0..20_u32) {
            let deliveries = deliveries_per_thousand(failure_percent, retries);
            prop_assert!(deliveries <= 1_000);
            prop_assert!(deliveries_per_thousand(failure_percent.saturating_add(1), retries) <= deliveries);
            prop_assert!(deliveries_per_thousand(failure_percent, retries + 1) <= deliveries);
        }

        #[test]
        fn the_exact_figure_is_within_half_a_delivery(failure_percent in 0..=100_u8, retries in 0..=MAX_RETRIES) {
            let formula = (1.0 - f64::from(failure_percent) / 100.0).powi(retries.cast_signed()) * 1_000.0;
            let deliveries = f64::from(deliveries_per_thousand(failure_percent, retries));
            prop_assert!((deliveries - formula).abs() <= 0.5 + 1e-9);
        }
    }
}
