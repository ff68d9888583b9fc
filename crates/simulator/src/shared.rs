//! The one lock, and the signal that something changed.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::{options::Options, state::State};

/// A state that can be waited on.
#[derive(Debug)]
pub(crate) struct Shared {
    state: Mutex<State>,
    changed: watch::Sender<u64>,
}

impl Shared {
    pub(crate) fn new(options: Options) -> Self {
        Self { state: Mutex::new(State::new(options)), changed: watch::Sender::new(0) }
    }

    // A predicate of a test may panic under the lock; the state is good all the same.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn look<T>(&self, read: impl FnOnce(&State) -> T) -> T {
        read(&self.lock())
    }

    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let result = change(&mut self.lock());
        self.changed.send_modify(|count| *count += 1);
        result
    }

    pub(crate) async fn wait_until(&self, predicate: impl Fn(&State) -> bool) {
        let mut changes = self.changed.subscribe();
        while !self.look(&predicate) {
            // The sender lives as long as `self`.
            if changes.changed().await.is_err() {
                return;
            }
        }
    }
}
