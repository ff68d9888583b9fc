//! Limits per host: Cognigy counts per source address, so all sessions of a process share one gate per `host:port`.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use tokio::time::{Instant, sleep_until, timeout_at};
use url::Url;

use super::Throttle;

/// What a caller whose turn did not come in time is told to wait at least.
const QUEUE_FULL: Duration = Duration::from_secs(1);

/// The gates of all hosts that this process talks to; cheap to clone.
#[derive(Clone, Default)]
pub struct Hosts(Arc<Mutex<HashMap<String, Arc<Host>>>>);

/// A rate as a tenant sets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rate {
    pub per_minute: NonZeroU32,
    pub burst: NonZeroU32,
}

/// One host's gate: closed for a while after a 429, and otherwise no faster than the smallest limit of its members.
pub(super) struct Host {
    name: String,
    state: Mutex<State>,
    /// Who waits, waits here in arrival order; only the first in the row looks at the clock.
    turn: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct State {
    members: BTreeMap<u64, Rate>,
    next_member: u64,
    limiter: Option<(Rate, DefaultDirectRateLimiter)>,
    closed_until: Option<Instant>,
}

/// A session's part in a host's limit; leaves it when dropped.
pub(super) struct Membership {
    host: Arc<Host>,
    id: u64,
}

/// A call that may not be sent yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct HeldBack {
    pub until: Instant,
    pub by: Throttle,
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

    /// The limit in force per `host:port`, in requests per minute; only hosts that a session talks to.
    pub fn limits(&self) -> Vec<(String, u32)> {
        let mut limits: Vec<_> = locked(&self.0)
            .values()
            .filter_map(|host| {
                let rate = locked(&host.state).smallest()?;
                Some((host.name.clone(), rate.per_minute.get()))
            })
            .collect();
        limits.sort();
        limits
    }

    /// The gate of a URL's host and port. It outlives its sessions, so that a new session cannot forget a pause.
    pub(super) fn host(&self, url: &Url) -> Arc<Host> {
        let name =
            format!("{}:{}", url.host_str().unwrap_or_default(), url.port_or_known_default().unwrap_or_default());
        Arc::clone(
            locked(&self.0).entry(name.clone()).or_insert_with(|| {
                Arc::new(Host { name, state: Mutex::default(), turn: tokio::sync::Mutex::default() })
            }),
        )
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

    /// Takes part in this host's limit.
    pub fn join(self: Arc<Self>, rate: Rate) -> Membership {
        let id = {
            let mut state = locked(&self.state);
            let id = state.next_member;
            state.next_member += 1;
            state.members.insert(id, rate);
            state.adjust();
            id
        };
        Membership { host: self, id }
    }

    /// Waits for the host's gate and a place within its limit, in arrival order; not beyond the deadline, and not at all
    /// where it is clear that the deadline would pass.
    pub async fn pass(&self, deadline: Instant) -> Result<(), HeldBack> {
        let Ok(_turn) = timeout_at(deadline, self.turn.lock()).await else {
            let held = self
                .paused(Instant::now())
                .unwrap_or(HeldBack { until: Instant::now() + QUEUE_FULL, by: Throttle::OwnLimit });
            return Err(held);
        };
        loop {
            let tried = locked(&self.state).try_pass(Instant::now());
            match tried {
                Ok(()) => return Ok(()),
                Err(held) if held.until > deadline => return Err(held),
                Err(held) => sleep_until(held.until).await,
            }
        }
    }

    /// Whether a 429 holds back the host now.
    pub fn paused(&self, now: Instant) -> Option<HeldBack> {
        locked(&self.state).paused(now)
    }

    /// Closes the gate; a longer pause is never shortened.
    pub fn pause(&self, until: Instant) {
        let mut state = locked(&self.state);
        state.closed_until = Some(state.closed_until.map_or(until, |known| known.max(until)));
    }
}

impl Membership {
    pub fn host(&self) -> &Host {
        &self.host
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        let mut state = locked(&self.host.state);
        state.members.remove(&self.id);
        state.adjust();
    }
}

impl State {
    fn smallest(&self) -> Option<Rate> {
        self.members
            .values()
            .copied()
            .reduce(|a, b| Rate { per_minute: a.per_minute.min(b.per_minute), burst: a.burst.min(b.burst) })
    }

    /// Follows a change of the members. Without members the last limit stays, so that a session that replaces another does
    /// not get a second burst.
    fn adjust(&mut self) {
        let Some(rate) = self.smallest() else { return };
        match &self.limiter {
            Some((known, _)) if *known == rate => {}
            Some(_) => self.limiter = Some((rate, spent(rate))),
            None => self.limiter = Some((rate, fresh(rate))),
        }
    }

    fn paused(&self, now: Instant) -> Option<HeldBack> {
        self.closed_until.filter(|until| *until > now).map(|until| HeldBack { until, by: Throttle::HostPaused })
    }

    fn try_pass(&mut self, now: Instant) -> Result<(), HeldBack> {
        if let Some(held) = self.paused(now) {
            return Err(held);
        }
        if self.closed_until.take().is_some()
            && let Some((rate, limiter)) = &mut self.limiter
        {
            // Those who waited must not all go at once: one goes, the others follow at the sustained rate.
            *limiter = spent(*rate);
        }
        let Some((_, limiter)) = &self.limiter else {
            return Ok(());
        };
        limiter.check().map_err(|not_yet| HeldBack {
            until: now + not_yet.wait_time_from(DefaultClock::default().now()),
            by: Throttle::OwnLimit,
        })
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
mod tests {
    use super::*;

    fn rate(per_minute: u32, burst: u32) -> Rate {
        Rate { per_minute: NonZeroU32::new(per_minute).unwrap(), burst: NonZeroU32::new(burst).unwrap() }
    }

    fn host(hosts: &Hosts, url: &str) -> Arc<Host> {
        hosts.host(&Url::parse(url).unwrap())
    }

    /// How many calls pass at this moment.
    fn passing(host: &Host, now: Instant) -> usize {
        let mut state = locked(&host.state);
        (0..1000).take_while(|_| state.try_pass(now).is_ok()).count()
    }

    #[test]
    fn sessions_of_one_host_and_port_share_the_smallest_limit() {
        let hosts = Hosts::new();
        let _wide = host(&hosts, "https://a.example.com/x").join(rate(600, 50));
        let narrow = host(&hosts, "https://a.example.com:443/y").join(rate(60, 80));
        let _other = host(&hosts, "https://a.example.com:8443").join(rate(5, 5));
        assert_eq!(hosts.limits(), [("a.example.com:443".into(), 60), ("a.example.com:8443".into(), 5)]);
        drop(narrow);
        assert_eq!(hosts.limits()[0].1, 600);
    }

    #[test]
    fn a_host_that_no_session_talks_to_is_not_shown() {
        let hosts = Hosts::new();
        drop(host(&hosts, "https://a.example.com").join(rate(600, 50)));
        assert!(hosts.limits().is_empty());
    }

    #[test]
    fn a_burst_passes_at_once_and_the_next_call_is_held_back_by_the_tenants_own_limit() {
        let hosts = Hosts::new();
        let member = host(&hosts, "https://a.example.com").join(rate(1, 5));
        let now = Instant::now();
        assert_eq!(passing(member.host(), now), 5);
        let held = locked(&member.host().state).try_pass(now).unwrap_err();
        assert_eq!(held.by, Throttle::OwnLimit);
        assert!(held.until > now + Duration::from_secs(50));
    }

    #[test]
    fn a_session_that_replaces_another_gets_no_second_burst() {
        let hosts = Hosts::new();
        let old = host(&hosts, "https://a.example.com").join(rate(1, 5));
        assert_eq!(passing(old.host(), Instant::now()), 5);
        drop(old);
        let same = host(&hosts, "https://a.example.com").join(rate(1, 5));
        assert_eq!(passing(same.host(), Instant::now()), 0);
        let changed = host(&hosts, "https://a.example.com").join(rate(1, 4));
        assert_eq!(passing(changed.host(), Instant::now()), 1);
    }

    #[test]
    fn a_pause_holds_back_every_session_and_ends_without_a_stampede() {
        let hosts = Hosts::new();
        let one = host(&hosts, "https://a.example.com").join(rate(1, 50));
        let other = host(&hosts, "https://a.example.com").join(rate(1, 50));
        let now = Instant::now();
        let until = now + Duration::from_secs(30);
        one.host().pause(until);
        one.host().pause(now + Duration::from_secs(5));
        let held = locked(&other.host().state).try_pass(now).unwrap_err();
        assert_eq!(held, HeldBack { until, by: Throttle::HostPaused });
        assert_eq!(passing(other.host(), until), 1);
    }

    #[test]
    fn a_pause_outlives_the_session_that_met_it() {
        let hosts = Hosts::new();
        let old = host(&hosts, "https://a.example.com").join(rate(60, 5));
        let now = Instant::now();
        old.host().pause(now + Duration::from_secs(30));
        drop(old);
        let new = host(&hosts, "https://a.example.com").join(rate(60, 5));
        assert!(new.host().paused(now).is_some());
    }

    #[tokio::test]
    async fn nobody_waits_for_a_gate_that_stays_closed_beyond_the_deadline() {
        let hosts = Hosts::new();
        let member = host(&hosts, "https://a.example.com").join(rate(60, 5));
        let now = Instant::now();
        member.host().pause(now + Duration::from_hours(1));
        let held = member.host().pass(now + Duration::from_mins(30)).await.unwrap_err();
        assert_eq!(held.by, Throttle::HostPaused);
    }
}
