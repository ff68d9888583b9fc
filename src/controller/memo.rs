//! What is remembered of an object between its passes.
//!
//! Nothing here is needed to be right: a restart forgets it all and costs at most a few reads. It keeps passes quiet
//! (no second read of what was just read) and steady (a store that lags behind our own write is noticed).

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use jiff::Timestamp;
use url::Url;

use super::webhook::Course;
use crate::cognigy::ETag;

/// What is remembered of one object.
#[derive(Clone, Debug, Default)]
pub struct Memo {
    /// The resourceVersion of our own last write: a watched object that is older is read again.
    pub written: Option<String>,
    /// The entity tag that Cognigy last told for the webhook.
    pub tag: Option<ETag>,
    /// The change whose registration and policy Cognigy had when the tag was told: as long as the tag stays, it has them.
    pub matching: Option<String>,
    /// Where Cognigy was when the outside was last compared: a tenant that moves is compared at once.
    pub base_url: Option<Url>,
    /// Makes the idempotency key of a bot webhook's policy that is written again another one, until that write went through.
    pub salt: Option<u64>,
    /// When the outside is to be compared again.
    pub next_sync: Option<Instant>,
    /// When the change that failed is to be tried again.
    pub next_try: Option<NextTry>,
    /// Failing health checks before activation.
    pub checks: Option<FailingChecks>,
    /// The periodic checks of what is live.
    pub periodic: Option<PeriodicChecks>,
    /// Consecutive failures of Kubernetes itself.
    pub kubernetes_failures: u32,
    /// The object is read again: its last pass ended in a failure of Kubernetes, and nobody knows whether its last write was made; or
    /// another process worked on it until now.
    pub in_doubt: bool,
}

impl Memo {
    /// Whether we wrote the object after it was as of this resourceVersion, for certain.
    pub fn wrote_after(&self, seen: Option<&str>) -> bool {
        let number = |version: Option<&str>| version.and_then(|version| version.parse::<u64>().ok());
        number(self.written.as_deref()).zip(number(seen)).is_some_and(|(written, seen)| seen < written)
    }
}

/// When a change that failed is to be tried again: as its status tells it, and by a clock that is never set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NextTry {
    /// `status.failure.nextAttemptAt`, which Kubernetes keeps in whole seconds.
    told: i64,
    /// When it is.
    pub at: Instant,
}

impl NextTry {
    /// A try that the status tells for `told` and that is due `at`.
    pub fn new(told: Timestamp, at: Instant) -> Self {
        Self { told: told.as_second(), at }
    }

    /// Whether it is the try that a status tells for this time.
    pub fn is(&self, told: Timestamp) -> bool {
        self.told == told.as_second()
    }
}

/// Failing health checks of what is about to go live.
#[derive(Clone, Debug, PartialEq)]
pub struct FailingChecks {
    /// What was checked: generation and versions of the Secrets. A change starts afresh.
    pub subject: String,
    /// How many failed in a row.
    pub count: u32,
    /// When the next one is due.
    pub next: Instant,
    /// What the last one said.
    pub message: String,
}

/// Periodic health checks of what is live.
#[derive(Clone, Debug, PartialEq)]
pub struct PeriodicChecks {
    /// What is checked: generation and versions of the Secrets. A change starts afresh.
    pub subject: String,
    /// How they went lately.
    pub course: Course,
    /// When the next one is due.
    pub next: Instant,
}

/// The memos of all objects, by uid.
#[derive(Debug, Default)]
pub struct Memos {
    memos: Mutex<HashMap<String, Memo>>,
}

impl Memos {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Memo>> {
        self.memos.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A copy of the object's memo.
    pub fn get(&self, uid: &str) -> Memo {
        self.lock().get(uid).cloned().unwrap_or_default()
    }

    /// Every object is read again before its next pass.
    pub fn doubt_all(&self) {
        self.lock().values_mut().for_each(|memo| memo.in_doubt = true);
    }

    /// An object is there: from now on something can be remembered of it.
    pub fn watched(&self, uid: &str) {
        let mut memos = self.lock();
        if !memos.contains_key(uid) {
            memos.insert(uid.to_owned(), Memo::default());
        }
    }

    /// Changes the object's memo. That of an object that went while a pass over it was under way is thrown away.
    pub fn update<T>(&self, uid: &str, change: impl FnOnce(&mut Memo) -> T) -> T {
        match self.lock().get_mut(uid) {
            Some(memo) => change(memo),
            None => change(&mut Memo::default()),
        }
    }

    /// Of how many objects something can be remembered.
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// Forgets an object that is gone.
    pub fn forget(&self, uid: &str) {
        self.lock().remove(uid);
    }
}

/// Whether a resourceVersion is older than another. They are ordered integers since Kubernetes 1.35; what does not parse
/// is told apart only by being different.
pub fn is_older(seen: Option<&str>, written: &str) -> bool {
    let Some(seen) = seen else { return true };
    match (seen.parse::<u64>(), written.parse::<u64>()) {
        (Ok(seen), Ok(written)) => seen < written,
        _ => seen != written,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_an_object_that_is_gone_nothing_is_remembered_whoever_still_works_on_it() {
        let memos = Memos::default();
        memos.watched("a");
        memos.update("a", |memo| memo.kubernetes_failures = 1);
        memos.watched("a");
        assert_eq!((memos.get("a").kubernetes_failures, memos.len()), (1, 1));
        memos.forget("a");
        assert_eq!(memos.update("a", |memo| memo.kubernetes_failures), 0);
        assert_eq!(memos.len(), 0);
    }

    #[test]
    fn resource_versions_are_ordered_as_numbers() {
        assert!(is_older(Some("9"), "10"));
        assert!(!is_older(Some("10"), "10"));
        assert!(!is_older(Some("11"), "10"));
        assert!(is_older(None, "10"));
        assert!(is_older(Some("a"), "b"));
        let memo = Memo { written: Some("10".into()), ..Memo::default() };
        assert!(memo.wrote_after(Some("9")) && !memo.wrote_after(Some("10")) && !memo.wrote_after(Some("11")));
        assert!(
            !memo.wrote_after(Some("a")) && !Memo::default().wrote_after(Some("9")),
            "what is not certain is looked at"
        );
    }
}
