//! What is remembered of an object between its passes.
//!
//! Nothing here is needed to be right: a restart forgets it all and costs at most a few reads. It keeps passes quiet
//! (no second read of what was just read) and steady (a store that lags behind our own write is noticed).

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Instant,
};

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
    /// Failing health checks before activation.
    pub checks: Option<FailingChecks>,
    /// The periodic checks of what is live.
    pub periodic: Option<PeriodicChecks>,
    /// Consecutive failures of Kubernetes itself.
    pub kubernetes_failures: u32,
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

    /// Changes the object's memo.
    pub fn update<T>(&self, uid: &str, change: impl FnOnce(&mut Memo) -> T) -> T {
        change(self.lock().entry(uid.to_owned()).or_default())
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
    fn resource_versions_are_ordered_as_numbers() {
        assert!(is_older(Some("9"), "10"));
        assert!(!is_older(Some("10"), "10"));
        assert!(!is_older(Some("11"), "10"));
        assert!(is_older(None, "10"));
        assert!(is_older(Some("a"), "b"));
    }
}
