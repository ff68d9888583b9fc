//! Leader election on a Lease (docs/resources.md, «The operator's command line»), after kubert's and client-go's.
//!
//! ```text
//! stand by ──taken──► lead: renew ──asked to end──► release
//!    ▲ │ watch, and look again    └──not renewed in time, or taken by another──► Lost: the process ends
//!    └─┘ by a timer
//! ```
//!
//! Three rules make that two never work at the same time:
//! - Every write names the resourceVersion that it was decided on, so that of two who take the Lease one is refused.
//! - A holder stops `hold` after it *sent* its last renewal that went through; the others wait for `duration` after they *saw*
//!   it, which is later. Each goes by its own clock, one that is never set; no time in the record is ever looked at.
//! - Nothing is done but [within](Term::within) the term, and the Lease is released only after all work has ended.

mod name;
mod seen;
mod term;

use std::{fmt, time::Duration};

use futures::StreamExt as _;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use kube::{
    Api, Config, ResourceExt as _,
    api::{PostParams, WatchEvent, WatchParams},
};
use thiserror::Error;
use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

pub use name::lease_name;
pub use term::Term;

use self::seen::{Free, Seen, holder, released, renewed, taken};
use super::{patience::Patience, words};
use crate::api::FIELD_MANAGER;

/// The Lease lasts so long without a renewal (resources.md).
const DURATION: Duration = Duration::from_secs(15);
/// How often it is renewed (resources.md).
const RENEW: Duration = Duration::from_secs(5);
/// How long a holder works on after its last renewal: what it sent by then has 3 s to arrive before another one may begin.
const HOLD: Duration = Duration::from_secs(12);
/// How long one request may take: so that two tries fit into what is left after a renewal is due.
const TRY: Duration = Duration::from_secs(3);
/// The pause after a try that failed.
const PAUSE: Duration = Duration::from_millis(500);
/// How long the Lease may seem unchanged on the watch until it is read again: two renewals are missing, or the watch is dead.
const QUIET: Duration = Duration::from_secs(10);
/// How often the release is tried.
const RELEASES: usize = 3;

/// Why a leader is one no more.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Lost {
    /// No renewal went through in time.
    #[error("the Lease {0} could not be renewed within {hold} s", hold = HOLD.as_secs())]
    NotRenewed(String),
    /// Another one holds it.
    #[error("the Lease {lease} was taken by {holder}")]
    Taken {
        /// Namespace and name of the Lease.
        lease: String,
        /// Who holds it now.
        holder: String,
    },
    /// Somebody deleted it or emptied its holder; others may take it at any moment.
    #[error("the Lease {0} was taken away: it was deleted, or its holder was removed")]
    TakenAway(String),
    /// The task that renews it ended.
    #[error("the Lease is no longer renewed: {0}")]
    Ended(String),
}

/// A candidate for a Lease.
#[derive(Clone)]
pub struct Election {
    api: Api<Lease>,
    namespace: String,
    name: String,
    /// No two processes have the same.
    identity: String,
}

impl fmt::Debug for Election {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Election({self} by {})", self.identity)
    }
}

impl fmt::Display for Election {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// A Lease that this process holds.
struct Held {
    /// As it was answered when it was last written.
    lease: Lease,
    /// When that was sent.
    sent: Instant,
}

impl Election {
    /// A candidate for the Lease of this name. `config` leads to the API server: connections are the election's own, so that
    /// nothing else holds up a renewal. `instance` is this process for people, such as its pod's name.
    pub fn new(config: Config, namespace: &str, name: &str, instance: &str) -> kube::Result<Self> {
        let client = Patience { answer: QUIET, ..Patience::default() }.client(config)?;
        let api = Api::namespaced(client, namespace);
        let identity = format!("{instance}_{}", Uuid::new_v4());
        Ok(Self { api, namespace: namespace.to_owned(), name: name.to_owned(), identity })
    }

    /// Stands by until it can take the Lease, then begins the term and keeps it until `end`; then it ends the term and lets go.
    pub async fn run(self, term: Term, end: CancellationToken) -> Result<(), Lost> {
        let Some(mut held) = self.stand_by(&end).await else { return Ok(()) };
        term.prolong(held.sent + HOLD);
        tracing::info!(lease = %self, identity = self.identity, "leading");
        let lost = end.run_until_cancelled(self.keep(&mut held, &term)).await;
        term.end();
        if let Some(lost) = lost {
            return Err(lost);
        }
        if timeout(TRY, self.release(held.lease)).await.is_err() {
            tracing::warn!(lease = %self, "the Lease was not released in time: it is free in {} s", DURATION.as_secs());
        }
        Ok(())
    }

    /// Waits until the Lease is this candidate's; `None` at the end. A request under way is not given up then, since it might have
    /// taken the Lease for nobody.
    async fn stand_by(&self, end: &CancellationToken) -> Option<Held> {
        let (mut seen, mut leader, mut trouble) = (Seen::default(), None, None);
        while !end.is_cancelled() {
            match self.look(&mut seen, &mut leader, end).await {
                Ok(Some(held)) => return Some(held),
                Ok(None) => trouble = None,
                Err(error) => {
                    let error = error.to_string();
                    if trouble.as_ref() != Some(&error) {
                        tracing::warn!(lease = %self, error, "the Lease cannot be read or taken; it is tried again and again");
                        trouble = Some(error);
                    }
                    end.run_until_cancelled(sleep(jittered(PAUSE * 2))).await;
                }
            }
        }
        None
    }

    /// Looks at the Lease once: takes it if it is free, else waits until it may be.
    async fn look(
        &self,
        seen: &mut Seen,
        leader: &mut Option<String>,
        end: &CancellationToken,
    ) -> Result<Option<Held>, Trouble> {
        let lease = within(TRY, self.api.get_opt(&self.name)).await?;
        let now = Instant::now();
        let free = match &lease {
            Some(lease) => seen.see(lease.spec.as_ref(), now, DURATION),
            // Deleted under its holder, who does not know it yet.
            None => seen.free(DURATION),
        };
        match (free, lease) {
            (Free::Now, lease) => self.take(lease).await,
            (Free::At(at), lease) if at <= now => self.take(lease).await,
            (Free::At(at), None) => {
                end.run_until_cancelled(sleep_until(at.min(now + QUIET))).await;
                Ok(None)
            }
            (Free::At(at), Some(lease)) => {
                let by = lease.spec.as_ref().and_then(holder).map(str::to_owned);
                if *leader != by {
                    tracing::info!(lease = %self, leader = by, identity = self.identity, "standing by");
                    *leader = by;
                }
                end.run_until_cancelled(self.follow(&lease, seen, at)).await.unwrap_or(Ok(()))?;
                Ok(None)
            }
        }
    }

    /// Takes the Lease as it was seen; `None` if somebody was faster.
    async fn take(&self, lease: Option<Lease>) -> Result<Option<Held>, Trouble> {
        let sent = Instant::now();
        let take = |before: &LeaseSpec| taken(before, &self.identity, DURATION);
        let written = if let Some(lease) = lease {
            within(TRY, self.replace(&lease, take)).await
        } else {
            let mut lease = Lease { spec: Some(take(&LeaseSpec::default())), ..Lease::default() };
            lease.metadata.name = Some(self.name.clone());
            within(TRY, self.api.create(&written_by(), &lease)).await
        };
        match written {
            Ok(lease) => Ok(Some(Held { lease, sent })),
            Err(trouble) if trouble.is_conflict() => Ok(None),
            Err(trouble) => Err(trouble),
        }
    }

    /// Watches the Lease until it may be free, or nothing is heard of it.
    async fn follow(&self, lease: &Lease, seen: &mut Seen, mut free_at: Instant) -> Result<(), Trouble> {
        let only = WatchParams::default().fields(&format!("metadata.name={}", self.name));
        let version = lease.resource_version().unwrap_or_default();
        let mut events = within(TRY, self.api.watch(&only, &version)).await?.boxed();
        loop {
            let until = free_at.min(Instant::now() + QUIET);
            match timeout_at(until, events.next()).await {
                Ok(Some(Ok(WatchEvent::Added(lease) | WatchEvent::Modified(lease)))) => {
                    match seen.see(lease.spec.as_ref(), Instant::now(), DURATION) {
                        Free::Now => return Ok(()),
                        Free::At(at) => free_at = at,
                    }
                }
                Ok(Some(Ok(WatchEvent::Bookmark(_)))) => {}
                Ok(Some(Err(error))) => return Err(error.into()),
                // Deleted, too old to go on, ended by the API server, or silent: it is read again.
                Ok(Some(Ok(WatchEvent::Deleted(_) | WatchEvent::Error(_))) | None) | Err(_) => return Ok(()),
            }
        }
    }

    /// Renews the Lease until that fails for good.
    async fn keep(&self, held: &mut Held, term: &Term) -> Lost {
        let mut next = held.sent + RENEW;
        loop {
            let end = held.sent + HOLD;
            sleep_until(next.min(end)).await;
            let sent = Instant::now();
            if sent >= end {
                return Lost::NotRenewed(self.to_string());
            }
            next = match within(TRY.min(end - sent), self.replace(&held.lease, renewed)).await {
                Ok(lease) => {
                    *held = Held { lease, sent };
                    term.prolong(sent + HOLD);
                    sent + RENEW
                }
                Err(trouble) if trouble.is_conflict() => match self.still_ours().await {
                    Ok(Ok(lease)) => {
                        // Somebody else's label, or an answer to our own renewal that was lost.
                        held.lease = lease;
                        Instant::now()
                    }
                    Ok(Err(lost)) => return lost,
                    Err(error) => self.again("read", &error),
                },
                Err(error) => self.again("renewed", &error),
            }
        }
    }

    /// When what could not be done is tried again.
    fn again(&self, what: &str, error: &Trouble) -> Instant {
        tracing::warn!(lease = %self, %error, "the Lease was not {what}; it is tried again");
        Instant::now() + jittered(PAUSE)
    }

    /// The Lease as it is now, if this process holds it.
    async fn still_ours(&self) -> Result<Result<Lease, Lost>, Trouble> {
        let lease = within(TRY, self.api.get_opt(&self.name)).await?;
        let by = lease.as_ref().and_then(|lease| holder(lease.spec.as_ref()?)).map(str::to_owned);
        Ok(match (lease, by) {
            (Some(lease), Some(by)) if by == self.identity => Ok(lease),
            (_, Some(holder)) => Err(Lost::Taken { lease: self.to_string(), holder }),
            (_, None) => Err(Lost::TakenAway(self.to_string())),
        })
    }

    /// Lets go, so that nobody needs to wait. Where that fails, the Lease expires.
    async fn release(&self, mut lease: Lease) {
        for _ in 0..RELEASES {
            match within(TRY, self.replace(&lease, released)).await {
                Ok(_) => return tracing::info!(lease = %self, "the Lease is released"),
                // A renewal under way was faster, or the release's answer was lost.
                Err(trouble) if trouble.is_conflict() => match self.still_ours().await {
                    Ok(Ok(now)) => lease = now,
                    Ok(Err(_)) => return,
                    Err(error) => tracing::warn!(lease = %self, %error, "the Lease cannot be read"),
                },
                Err(error) => tracing::warn!(lease = %self, %error, "the Lease was not released"),
            }
        }
        tracing::warn!(lease = %self, "the Lease is not released: it is free in {} s", DURATION.as_secs());
    }

    /// Writes what `change` makes of the Lease, if it is still as it was.
    async fn replace(&self, lease: &Lease, change: impl Fn(&LeaseSpec) -> LeaseSpec) -> kube::Result<Lease> {
        let spec = change(lease.spec.as_ref().unwrap_or(&LeaseSpec::default()));
        // The resourceVersion is in the metadata.
        self.api.replace(&self.name, &written_by(), &Lease { spec: Some(spec), ..lease.clone() }).await
    }
}

fn written_by() -> PostParams {
    PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() }
}

/// Up to half as much again, so that candidates do not all come at once.
fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(1.0 + 0.5 * rand::random::<f64>())
}

/// What a request ends in that does not go through.
#[derive(Debug, Error)]
enum Trouble {
    #[error("{}", words(.0))]
    Api(#[from] kube::Error),
    #[error("no answer within {} ms", .0.as_millis())]
    Silent(Duration),
}

impl Trouble {
    /// The Lease is not as it was seen: changed, created meanwhile, or gone.
    fn is_conflict(&self) -> bool {
        let Self::Api(kube::Error::Api(status)) = self else { return false };
        status.is_conflict() || status.is_already_exists() || status.is_not_found()
    }
}

async fn within<T>(limit: Duration, request: impl Future<Output = kube::Result<T>>) -> Result<T, Trouble> {
    Ok(timeout(limit, request).await.map_err(|_| Trouble::Silent(limit))??)
}
