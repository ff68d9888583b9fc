//! Shows the rate in force for each host, as a figure and in the status of its tenants, and how many calls it holds back.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use super::context::Context;
use crate::api::{CognigyTenant, ObjectKey};

/// How often those who wait are counted and a rate that rises again is looked at; one that falls is shown at once.
const PERIOD: Duration = Duration::from_secs(10);

/// Follows the rates for ever.
pub async fn follow(context: Arc<Context>) {
    let mut shown: BTreeMap<String, u32> = BTreeMap::new();
    loop {
        let rates: BTreeMap<_, _> = context.hosts.limits().into_iter().collect();
        for (host, rate) in &rates {
            context.metrics.rate_limit(host, Some((*rate).into()));
        }
        for host in shown.keys().filter(|host| !rates.contains_key(*host)) {
            context.metrics.rate_limit(host, None);
            context.metrics.requests_waiting(host, None);
        }
        for (host, waiting) in context.hosts.waiting() {
            context.metrics.requests_waiting(&host, Some(waiting));
        }
        if shown != rates {
            let outdated = context.sessions.rates().into_iter().filter(|(tenant, rate)| !says(&context, tenant, *rate));
            context.triggers.recount(outdated.map(|(tenant, _)| tenant), []);
            shown = rates;
        }
        tokio::select! {
            () = tokio::time::sleep(PERIOD) => {}
            () = context.hosts.retuned() => {}
        }
    }
}

/// Whether the tenant's status names this rate.
fn says(context: &Context, tenant: &ObjectKey, rate: u32) -> bool {
    let told = |tenant: &CognigyTenant| tenant.status.as_ref()?.api?.requests_per_minute;
    context.tenants.get(tenant).and_then(|tenant| told(&tenant)) == i32::try_from(rate).ok()
}
