//! Shows what only the process itself knows: how much is under way, waits or is remembered. All of it stays level in a
//! process that runs for months.

use std::{sync::Arc, time::Duration};

use tokio::runtime::Handle;

use super::context::Context;

/// How often the gauges are set.
const PERIOD: Duration = Duration::from_secs(5);

/// Sets the gauges for ever.
pub async fn follow(context: Arc<Context>) {
    loop {
        context.metrics.runtime_tasks(Handle::current().metrics().num_alive_tasks());
        context.metrics.events_pending(context.trail.pending());
        context.metrics.objects_remembered(context.memos.len());
        tokio::time::sleep(PERIOD).await;
    }
}
