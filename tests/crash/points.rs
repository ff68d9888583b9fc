//! Points by name, and the trap that springs at one of them.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard},
};

use rustix::process::{Pid, Signal, kill_process};
use tokio::sync::watch;

/// One moment of one call of the program.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Point {
    /// Whom it calls, and for what.
    pub call: String,
    /// The how manieth such call.
    pub nth: usize,
    /// Just after its work is done; else just before it is looked at.
    pub after: bool,
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{} {}", self.call, self.nth, if self.after { "after" } else { "before" })
    }
}

/// What happens at a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blow {
    /// SIGKILL; the request goes no further and has no answer.
    Kill,
    /// The connection ends without an answer; the program lives.
    Lose,
}

/// Watches the calls pass, and strikes at one point.
#[derive(Clone)]
pub struct Trap(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    sprung: watch::Sender<bool>,
}

#[derive(Default)]
struct State {
    armed: bool,
    victim: Option<Pid>,
    set: Option<(Point, Blow)>,
    seen: HashMap<(String, bool), usize>,
    passed: Vec<Point>,
}

impl Default for Trap {
    fn default() -> Self {
        Self(Arc::new(Shared { state: Mutex::default(), sprung: watch::Sender::new(false) }))
    }
}

impl Trap {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap()
    }

    /// Whom it kills.
    pub fn aim(&self, victim: Pid) {
        self.state().victim = Some(victim);
    }

    /// From now on calls are counted; at this point, where there is one, it strikes.
    pub fn arm(&self, set: Option<(Point, Blow)>) {
        let mut state = self.state();
        state.armed = true;
        state.set = set;
    }

    /// No more calls are counted, and it does not strike any more. All points that passed.
    pub fn disarm(&self) -> Vec<Point> {
        let mut state = self.state();
        state.armed = false;
        std::mem::take(&mut state.passed)
    }

    /// A call passes; false where it goes no further.
    pub fn passes(&self, call: String, after: bool) -> bool {
        let mut state = self.state();
        if !state.armed {
            return true;
        }
        let count = state.seen.entry((call.clone(), after)).or_default();
        *count += 1;
        let point = Point { call, nth: *count, after };
        let struck = state.set.as_ref().filter(|(at, _)| *at == point).map(|(_, blow)| *blow);
        state.passed.push(point);
        let Some(blow) = struck else { return true };
        state.armed = false;
        // First, so that nobody sees the victim end without knowing why.
        self.0.sprung.send_replace(true);
        if let (Blow::Kill, Some(victim)) = (blow, state.victim) {
            kill_process(victim, Signal::KILL).unwrap();
        }
        false
    }

    /// Whether it has struck.
    pub fn is_sprung(&self) -> bool {
        *self.0.sprung.borrow()
    }

    /// Waits until it strikes.
    pub async fn sprung(&self) {
        self.0.sprung.subscribe().wait_for(|sprung| *sprung).await.unwrap();
    }
}
