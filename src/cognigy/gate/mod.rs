//! One gate per installation: Cognigy counts per source address, so all sessions of a process share one per `host:port`.
//!
//! ```text
//! queue.rs   whose turn it is, pure        rate.rs   how fast, and what 429 answers teach, pure
//! caller.rs  for whom a call is made       mod.rs    the waiting around them
//! ```
//!
//! A gate closes for everybody at a 429 and then opens without a stampede; otherwise calls go no faster than the
//! smallest limit of its members. A wait for the limit has no end of its own: the queue holds at most one call for each
//! object, since an object has one pass at a time, and who is not wanted any more leaves it (see [`Caller::wanted`]).

mod caller;
mod queue;
mod rate;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::{Instant, sleep_until, timeout};
use url::Url;

pub use self::caller::{Caller, Place};
pub use self::queue::{Lane, Ticket, Urgency};

use self::queue::{Member, Queue};
use self::rate::Learned;
pub(super) use self::rate::Rate;

/// How often somebody who waits is asked whether the call is still wanted.
const STILL_WANTED: Duration = Duration::from_secs(1);

/// The gates of all hosts that this process talks to; cheap to clone.
#[derive(Clone, Default)]
pub struct Hosts {
    hosts: Arc<Mutex<HashMap<String, Arc<Host>>>>,
    retuned: Arc<Notify>,
}

/// One host's gate.
pub(super) struct Host {
    name: String,
    state: Mutex<State>,
    /// The turns have to be looked at again: somebody came, a slot became free, the limit changed.
    changed: Notify,
    /// The rate may be another one, so that it is to be shown.
    retuned: Arc<Notify>,
}

#[derive(Default)]
struct State {
    members: BTreeMap<Member, Rate>,
    next_member: Member,
    learned: Learned,
    limiter: Option<(Rate, DefaultDirectRateLimiter)>,
    closed_until: Option<Instant>,
    /// The limit has let a call through that nobody has used yet.
    in_hand: bool,
    queue: Queue<Waiter>,
    /// A task hands out the turns.
    driven: bool,
}

struct Waiter {
    member: Member,
    slots: Arc<Semaphore>,
    turn: oneshot::Sender<Slot>,
}

impl Waiter {
    /// Whether its session may have one more call under way.
    fn is_able(&self) -> bool {
        self.slots.available_permits() > 0
    }
}

/// A session's part in a host's limit, with its own limit of calls under way; leaves it when dropped.
pub(super) struct Membership {
    host: Arc<Host>,
    id: Member,
    slots: Arc<Semaphore>,
}

/// One call under way.
pub(super) struct Slot {
    permit: Option<OwnedSemaphorePermit>,
    host: Arc<Host>,
}

/// Why a call has not come to its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoTurn {
    /// A 429 keeps the gate closed until then, which is too long to say nothing about it.
    Paused(Instant),
    /// The session's circuit opened meanwhile.
    SentAway,
    /// The caller does not want it any more.
    Unwanted,
}

/// What the hands on the gate do next.
enum Next {
    /// Nobody waits.
    Rest,
    /// This one goes.
    Go(Waiter, OwnedSemaphorePermit),
    /// Somebody had left; the next one is looked at.
    Again,
    /// Nothing before then, unless something changes.
    NotBefore(Instant),
    /// Nothing before something changes: all who wait have no slot free.
    Blocked,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // No code that holds this lock can leave the state half changed.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Hosts {
    /// No host yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The rate in force per `host:port`, in requests per minute: the smallest of the tenants', less what 429 answers have
    /// taught. Only hosts that a session talks to.
    pub fn limits(&self) -> Vec<(String, u32)> {
        let mut limits: Vec<_> =
            self.all().into_iter().filter_map(|host| Some((host.name.clone(), host.requests_per_minute()?))).collect();
        limits.sort();
        limits
    }

    /// How many calls the limit or a 429 holds back per `host:port` now: those that wait for an answer to a call of the same
    /// tenant are not counted. Only hosts that a session talks to.
    pub fn waiting(&self) -> Vec<(String, usize)> {
        self.all().into_iter().filter_map(|host| Some((host.name.clone(), host.waiting()?))).collect()
    }

    fn all(&self) -> Vec<Arc<Host>> {
        locked(&self.hosts).values().cloned().collect()
    }

    /// Waits until a 429 or another set of tenants may have changed a rate. What quiet minutes give back is not told.
    pub async fn retuned(&self) {
        self.retuned.notified().await;
    }

    /// The gate of a URL's host and port. It outlives its sessions, so that a new session cannot forget a pause.
    pub(super) fn host(&self, url: &Url) -> Arc<Host> {
        let name =
            format!("{}:{}", url.host_str().unwrap_or_default(), url.port_or_known_default().unwrap_or_default());
        let new = || Host {
            name: name.clone(),
            state: Mutex::default(),
            changed: Notify::new(),
            retuned: Arc::clone(&self.retuned),
        };
        Arc::clone(locked(&self.hosts).entry(name.clone()).or_insert_with(|| Arc::new(new())))
    }
}

impl fmt::Debug for Hosts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.limits()).finish()
    }
}

impl Host {
    /// `host:port`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The rate in force; `None` where no session talks to this host.
    pub fn requests_per_minute(&self) -> Option<u32> {
        let mut state = locked(&self.state);
        state.learned.advance(Instant::now());
        Some(state.rate()?.per_minute.get())
    }

    /// How many could go if the limit let them; `None` where no session talks to this host.
    fn waiting(&self) -> Option<usize> {
        let state = locked(&self.state);
        state.rate()?;
        Some(state.queue.iter().filter(|waiter| waiter.is_able()).count())
    }

    /// Takes part in this host's limit, with at most `slots` calls under way.
    pub fn join(self: Arc<Self>, rate: Rate, slots: usize) -> Membership {
        let id = {
            let mut state = locked(&self.state);
            let id = state.next_member;
            state.next_member += 1;
            state.members.insert(id, rate);
            state.adjust();
            id
        };
        self.changed.notify_one();
        self.retuned.notify_one();
        Membership { host: self, id, slots: Arc::new(Semaphore::new(slots.min(Semaphore::MAX_PERMITS))) }
    }

    /// Until when a 429 holds back the host now.
    pub fn paused(&self, now: Instant) -> Option<Instant> {
        locked(&self.state).paused(now)
    }

    /// A 429: the gate closes, and the rate falls. A longer pause is never shortened.
    pub fn throttled(&self, now: Instant, until: Instant) {
        let mut state = locked(&self.state);
        if let Some(known) = state.paused(now) {
            state.closed_until = Some(known.max(until));
            state.learned.prolonged(until);
        } else {
            state.closed_until = Some(until);
            state.learned.advance(now);
            state.learned.throttled(until);
            self.retuned.notify_one();
        }
    }

    /// Hands out turns until nobody waits.
    async fn drive(self: Arc<Self>) {
        loop {
            let next = locked(&self.state).next(Instant::now());
            match next {
                Next::Rest => return,
                Next::Again => {}
                Next::Go(waiter, permit) => {
                    // Who has left at this very moment gives the slot back.
                    let _ = waiter.turn.send(Slot { permit: Some(permit), host: Arc::clone(&self) });
                }
                Next::NotBefore(until) => {
                    tokio::select! {
                        () = sleep_until(until) => {}
                        () = self.changed.notified() => {}
                    }
                }
                Next::Blocked => self.changed.notified().await,
            }
        }
    }
}

impl Membership {
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// Waits for this caller's turn. `patience` is how long a pause may last that nothing is said about.
    pub async fn turn(&self, caller: &Caller, patience: Duration) -> Result<Slot, NoTurn> {
        let mut turn = {
            let mut state = locked(&self.host.state);
            let now = Instant::now();
            if let Some(until) = state.paused(now).filter(|until| *until > now + patience) {
                return Err(NoTurn::Paused(until));
            }
            if state.queue.is_empty()
                && let Some(permit) = state.go(&self.slots, now)
            {
                return Ok(Slot { permit: Some(permit), host: Arc::clone(&self.host) });
            }
            let (sender, turn) = oneshot::channel();
            let waiter = Waiter { member: self.id, slots: Arc::clone(&self.slots), turn: sender };
            state.queue.push(&caller.lane, caller.urgency, self.id, caller.ticket, waiter);
            if !std::mem::replace(&mut state.driven, true) {
                tokio::spawn(Arc::clone(&self.host).drive());
            }
            turn
        };
        self.host.changed.notify_one();
        loop {
            let waited = timeout(STILL_WANTED, &mut turn).await;
            if !(caller.wanted)() {
                drop(turn);
                locked(&self.host.state).queue.retain(|waiter| !waiter.turn.is_closed());
                return Err(NoTurn::Unwanted);
            }
            if let Ok(slot) = waited {
                return slot.map_err(|_| NoTurn::SentAway);
            }
        }
    }

    /// Sends away all who wait for this session.
    pub fn send_away(&self) {
        locked(&self.host.state).queue.retain(|waiter| waiter.member != self.id);
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        let mut state = locked(&self.host.state);
        state.members.remove(&self.id);
        state.adjust();
        drop(state);
        self.host.changed.notify_one();
        self.host.retuned.notify_one();
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        drop(self.permit.take());
        self.host.changed.notify_one();
    }
}

impl State {
    /// The rate in force.
    fn rate(&self) -> Option<Rate> {
        let smallest = self
            .members
            .values()
            .copied()
            .reduce(|a, b| Rate { per_minute: a.per_minute.min(b.per_minute), burst: a.burst.min(b.burst) })?;
        Some(self.learned.share_of(smallest))
    }

    /// Follows a change of the rate. Without members the last limit stays, so that a session that replaces another does
    /// not get a second burst.
    fn adjust(&mut self) {
        let Some(rate) = self.rate() else { return };
        match &self.limiter {
            Some((known, _)) if *known == rate => {}
            Some(_) => self.limiter = Some((rate, spent(rate))),
            None => self.limiter = Some((rate, fresh(rate))),
        }
    }

    fn paused(&self, now: Instant) -> Option<Instant> {
        self.closed_until.filter(|until| *until > now)
    }

    /// Whether the gate and the limit let a call through now; otherwise until when certainly not.
    fn open(&mut self, now: Instant) -> Result<(), Instant> {
        if let Some(until) = self.paused(now) {
            self.in_hand = false;
            return Err(until);
        }
        self.learned.advance(now);
        self.adjust();
        if self.closed_until.take().is_some()
            && let Some((rate, limiter)) = &mut self.limiter
        {
            // Those who waited must not all go at once: one goes, the others follow at the sustained rate.
            *limiter = spent(*rate);
        }
        if !self.in_hand
            && let Some((_, limiter)) = &self.limiter
        {
            limiter.check().map_err(|not_yet| now + not_yet.wait_time_from(DefaultClock::default().now()))?;
        }
        self.in_hand = true;
        Ok(())
    }

    /// Goes now, where that is possible.
    fn go(&mut self, slots: &Arc<Semaphore>, now: Instant) -> Option<OwnedSemaphorePermit> {
        let permit = Arc::clone(slots).try_acquire_owned().ok()?;
        self.open(now).ok()?;
        self.in_hand = false;
        Some(permit)
    }

    fn next(&mut self, now: Instant) -> Next {
        if self.queue.is_empty() {
            self.driven = false;
            return Next::Rest;
        }
        if let Err(until) = self.open(now) {
            return Next::NotBefore(until);
        }
        let able = |waiter: &Waiter| waiter.turn.is_closed() || waiter.is_able();
        let Some(waiter) = self.queue.take(able) else { return Next::Blocked };
        if waiter.turn.is_closed() {
            return Next::Again;
        }
        match Arc::clone(&waiter.slots).try_acquire_owned() {
            Ok(permit) => {
                self.in_hand = false;
                Next::Go(waiter, permit)
            }
            Err(_) => Next::Again,
        }
    }
}

fn fresh(rate: Rate) -> DefaultDirectRateLimiter {
    RateLimiter::direct(Quota::per_minute(rate.per_minute).allow_burst(rate.burst))
}

/// A limiter with one call left of its burst.
fn spent(rate: Rate) -> DefaultDirectRateLimiter {
    let limiter = fresh(rate);
    if let Some(all_but_one) = NonZeroU32::new(rate.burst.get() - 1) {
        // A fresh limiter holds its whole burst, so this cannot be refused.
        let _ = limiter.check_n(all_but_one);
    }
    limiter
}

#[cfg(test)]
mod tests;
