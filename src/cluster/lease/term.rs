//! For how long this process may work.

use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::Poll,
};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// The time of one leader, from its election to its end; cheap to clone, every clone is the same term. It ends by itself
/// where nobody prolongs it, by a clock that is never set, so that a process that was stopped and goes on hours later finds
/// it over before it does anything else. A term that has ended never begins again.
#[derive(Clone, Debug)]
pub struct Term(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    made: Instant,
    /// Nanoseconds after `made` until which the term lasts; 0 before it begins and after it was ended.
    until: AtomicU64,
    begun: CancellationToken,
}

/// Longer than any process runs.
const ENDLESS: u64 = u64::MAX;

impl Term {
    /// A term that has not begun.
    pub fn new() -> Self {
        Self(Arc::new(Inner { made: Instant::now(), until: AtomicU64::new(0), begun: CancellationToken::new() }))
    }

    /// The term of one who has no rivals: it has begun and does not end.
    pub fn endless() -> Self {
        let term = Self::new();
        term.0.until.store(ENDLESS, Ordering::SeqCst);
        term.0.begun.cancel();
        term
    }

    /// It lasts until then.
    pub(super) fn prolong(&self, until: Instant) {
        let after = until.saturating_duration_since(self.0.made).as_nanos();
        self.0.until.store(u64::try_from(after).unwrap_or(ENDLESS), Ordering::SeqCst);
        self.0.begun.cancel();
    }

    /// It is over, at once.
    pub(super) fn end(&self) {
        self.0.until.store(0, Ordering::SeqCst);
    }

    /// Whether it has begun and is not over.
    pub fn holds(&self) -> bool {
        self.holds_at(Instant::now())
    }

    fn holds_at(&self, now: Instant) -> bool {
        match self.0.until.load(Ordering::SeqCst) {
            ENDLESS => true,
            until => now.saturating_duration_since(self.0.made).as_nanos() < u128::from(until),
        }
    }

    /// Waits until it begins.
    pub async fn begins(&self) {
        self.0.begun.cancelled().await;
    }

    /// Does this work within the term: it is looked at before each step, and what is left of the work when it is over is dropped
    /// undone (`None`). What has not begun is not done either.
    pub async fn within<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        // Not `async` all the way down, so that the work is gone as soon as it is refused.
        let mut work = pin!(work);
        std::future::poll_fn(
            |context| {
                if self.holds() { work.as_mut().poll(context).map(Some) } else { Poll::Ready(None) }
            },
        )
        .await
    }
}

impl Default for Term {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn a_term_ends_by_itself_unless_it_is_prolonged() {
        let (term, start) = (Term::new(), Instant::now());
        let after = |seconds| start + Duration::from_secs(seconds);
        assert!(!term.holds_at(start) && !term.holds_at(after(1000)));
        term.prolong(after(10));
        term.begins().await;
        assert!(term.holds_at(after(9)) && !term.holds_at(after(10)));
        term.prolong(after(19));
        assert!(term.holds_at(after(18)) && !term.holds_at(after(19)));
        term.end();
        assert!(!term.holds_at(after(11)));
        assert!(Term::endless().holds_at(after(1_000_000)));
    }

    #[tokio::test]
    async fn work_does_not_take_one_more_step_after_its_term() {
        let term = Term::new();
        assert_eq!(term.within(async { "not even begun" }).await, None);
        let mut steps = 0;
        term.prolong(Instant::now() + Duration::from_secs(1000));
        let walk = async {
            loop {
                steps += 1;
                if steps == 3 {
                    term.end();
                }
                tokio::task::yield_now().await;
            }
        };
        assert_eq!(term.within(walk).await, None::<()>);
        assert_eq!(steps, 3);
        term.prolong(Instant::now() + Duration::from_secs(1000));
        assert_eq!(term.within(async { 7 }).await, Some(7));
    }
}
