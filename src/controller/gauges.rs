//! Shows what only the process itself knows: how much is under way, waits or is remembered. All of it stays level in a
//! process that runs for months.

use std::sync::{Arc, Weak};

use tokio::runtime::Handle;

use super::context::Context;

/// Has it looked at whenever somebody asks for the figures. The context, which has the figures, is not kept by that.
pub fn show(context: &Arc<Context>) {
    let (of, runtime): (Weak<Context>, _) = (Arc::downgrade(context), Handle::current());
    context.metrics.before_each_look(move |metrics| {
        let Some(context) = of.upgrade() else { return };
        metrics.runtime_tasks(runtime.metrics().num_alive_tasks());
        metrics.events_pending(context.trail.pending());
        metrics.objects_remembered(context.memos.len());
    });
}
