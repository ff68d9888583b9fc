//! Lanes: each works off its own queue, and none waits for another.

use tokio::{sync::Notify, task::JoinSet};

/// Runs lanes for ever, or until the future is dropped, with all work under way. `claim` hands out those that have
/// something to do and are not at work yet; it is asked again after each `more`.
pub async fn run<L, F>(more: &Notify, claim: impl Fn() -> Vec<L>, work: impl Fn(L) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let mut at_work = JoinSet::new();
    loop {
        for lane in claim() {
            at_work.spawn(work(lane));
        }
        tokio::select! {
            () = more.notified() => {}
            Some(_) = at_work.join_next() => {}
        }
    }
}
