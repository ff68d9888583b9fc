//! Who called and who wrote, from the simulator's log and from the API server's.

use std::collections::BTreeSet;

use cognigy_simulator::{Request, Route};
use serde_json::json;

use crate::harness::World;

/// The tokens by which a process calls are its own: it fetches them, and knows no other's.
fn token(request: &Request) -> Option<&str> {
    request.header("authorization").filter(|_| request.route != Some(Route::Token))
}

/// What follows each other, where the same again and again is told once.
fn turns<'a>(whose: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut turns: Vec<&str> = whose.collect();
    turns.dedup();
    turns
}

/// Who comes back after another one had its turn.
fn returned<'a>(turns: &[&'a str]) -> Vec<&'a str> {
    let mut seen = BTreeSet::new();
    turns.iter().filter(|who| !seen.insert(**who)).copied().collect()
}

/// How many processes made these calls. Once another one has begun, none of those before calls again.
pub fn callers(requests: &[Request]) -> usize {
    let turns = turns(requests.iter().filter_map(token));
    let returned = returned(&turns);
    let late: Vec<_> =
        requests.iter().filter(|request| token(request).is_some_and(|token| returned.contains(&token))).collect();
    assert!(returned.is_empty(), "two called at the same time:\n{late:#?}");
    turns.len()
}

impl World {
    /// How many processes have called Cognigy so far.
    pub fn callers(&self) -> usize {
        callers(&self.requests())
    }

    /// Those who wrote to Kubernetes in this world, in their order. Once another one has begun, none of those before writes again.
    /// The Lease itself does not count: for that they compete.
    pub fn writers(&self) -> Vec<String> {
        let suffix = format!("-of-{}", self.namespace);
        let mut writes = self.plane.audit_events().unwrap();
        writes.retain(|event| event.is_write() && event.resource != "leases" && event.user.ends_with(&suffix));
        writes.sort_by(|one, other| one.received_at.cmp(&other.received_at));
        let turns = turns(writes.iter().filter_map(|event| event.user.strip_suffix(&suffix)));
        assert_eq!(returned(&turns), [""; 0], "two wrote at the same time: {turns:?}");
        turns.into_iter().map(str::to_owned).collect()
    }

    /// Edits webhooks, one after the other, for ever: each edit is a call to Cognigy, a status and an event.
    pub async fn edits(&self, webhooks: usize) {
        for edit in 0_u64.. {
            let nth = usize::try_from(edit).unwrap() % webhooks;
            self.webhook(&Self::nth(nth), json!({"headers": {"X-Edit": edit.to_string()}})).await;
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }

    /// Does something while somebody edits that many webhooks all the time; in the end all of them are as they should be.
    pub async fn while_edited<T>(&self, webhooks: usize, test: impl Future<Output = T>) -> T {
        let outcome = tokio::select! {
            outcome = test => outcome,
            () = self.edits(webhooks) => unreachable!("nobody edits for ever"),
        };
        for nth in 0..webhooks {
            self.until_reason(&Self::nth(nth), "Active").await;
        }
        assert_eq!(self.integrations().len(), webhooks, "each is registered once");
        outcome
    }
}
