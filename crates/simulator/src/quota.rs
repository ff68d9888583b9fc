//! How many requests a source address may make.

use std::{collections::HashMap, net::IpAddr};

use tokio::time::Instant;

use crate::{
    faults::RetryAfter,
    options::{Options, Quota},
    problem::Refusal,
};

/// Windows by source address, and the fixed budget that tests refill by hand.
#[derive(Debug, Default)]
pub(crate) struct Quotas {
    windows: HashMap<IpAddr, (Instant, u32)>,
    /// Requests left for all together; none for no such limit.
    pub(crate) budget: Option<u32>,
}

impl Quotas {
    /// Counts one request; refused with 429 where there is no room for it.
    pub(crate) fn admit(&mut self, source: IpAddr, options: &Options) -> Result<(), Refusal> {
        if let Some(quota) = &options.quota {
            self.admit_to_window(source, quota)?;
        }
        match &mut self.budget {
            Some(0) => Err(Refusal::new(429, "The request budget is used up.").retry_after(options.budget_retry_after)),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn admit_to_window(&mut self, source: IpAddr, quota: &Quota) -> Result<(), Refusal> {
        let now = Instant::now();
        let window = self.windows.entry(source).or_insert((now, 0));
        if now.duration_since(window.0) >= quota.window {
            *window = (now, 0);
        }
        if window.1 < quota.requests {
            window.1 += 1;
            return Ok(());
        }
        let left = quota.window.saturating_sub(now.duration_since(window.0));
        let seconds = left.as_secs() + u64::from(left.subsec_nanos() > 0);
        let detail = format!("More than {} requests in {} s from {source}.", quota.requests, quota.window.as_secs());
        let retry_after = if quota.as_http_date { RetryAfter::DateIn(seconds) } else { RetryAfter::Seconds(seconds) };
        Err(Refusal::new(429, detail).retry_after(retry_after))
    }
}
