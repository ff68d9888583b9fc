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
