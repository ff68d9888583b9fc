//! Lanes: each works off its own queue, and none waits for another.

use futures::{StreamExt as _, stream::FuturesUnordered};
use tokio::sync::Notify;

/// Runs lanes for ever, or until the future is dropped, with all work under way: none of it is a task of its own, so that nothing is
/// sent any more once this is not polled. `claim` hands out those that have something to do and are not at work yet; it is asked
/// again after each `more`.
pub async fn run<L, F>(more: &Notify, claim: impl Fn() -> Vec<L>, work: impl Fn(L) -> F)
where
    F: Future<Output = ()>,
{
    let mut at_work = FuturesUnordered::new();
    loop {
        for lane in claim() {
            at_work.push(work(lane));
        }
        tokio::select! {
            () = more.notified() => {}
            Some(()) = at_work.next() => {}
        }
    }
}
