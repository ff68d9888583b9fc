//! The circuit breaker: a failing installation is left alone for a while, then tried with one call.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::BreakerConfig;

/// What a caller is told to wait while another call tries whether the installation is back.
const TRIAL: Duration = Duration::from_secs(1);

/// The breaker's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CircuitState {
    /// Calls pass.
    Closed,
    /// One call tries whether the installation is back.
    HalfOpen,
    /// No call passes.
    Open,
}

type Listener = Box<dyn Fn(CircuitState) + Send + Sync>;

pub(super) struct Breaker {
    config: BreakerConfig,
    state: Mutex<State>,
    listener: Listener,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Closed { failures: u32 },
    Open { until: Instant },
    HalfOpen,
}

impl State {
    fn shown(self) -> CircuitState {
        match self {
            Self::Closed { .. } => CircuitState::Closed,
            Self::Open { .. } => CircuitState::Open,
            Self::HalfOpen => CircuitState::HalfOpen,
        }
    }
}

/// One admitted call; its end must be told. Dropped untold (a cancelled call), it changes nothing, except that a trial may
/// be made by the next call.
#[must_use]
pub(super) struct Admission<'a> {
    breaker: &'a Breaker,
    trial: bool,
}

impl Breaker {
    pub fn new(config: BreakerConfig, listener: Listener) -> Self {
        Self { config, state: Mutex::new(State::Closed { failures: 0 }), listener }
    }

    pub fn shown(&self) -> CircuitState {
        self.locked().shown()
    }

    /// How long no call passes yet; changes nothing.
    pub fn closed_to_calls(&self, now: Instant) -> Option<Duration> {
        match *self.locked() {
            State::Open { until } if until > now => Some(until - now),
            State::HalfOpen => Some(TRIAL),
            State::Open { .. } | State::Closed { .. } => None,
        }
    }

    /// Admits a call, or says how long to wait.
    pub fn admit(&self, now: Instant) -> Result<Admission<'_>, Duration> {
        let admitted = self.change(|state| match state {
            State::Closed { .. } => (state, Ok(false)),
            State::Open { until } if until <= now => (State::HalfOpen, Ok(true)),
            State::Open { until } => (state, Err(until - now)),
            State::HalfOpen => (state, Err(TRIAL)),
        });
        admitted.map(|trial| Admission { breaker: self, trial })
    }

    fn locked(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state and tells the listener, outside the lock, when what it shows has changed.
    fn change<T>(&self, next: impl FnOnce(State) -> (State, T)) -> T {
        let (before, after, result) = {
            let mut state = self.locked();
            let before = *state;
            let (after, result) = next(before);
            *state = after;
            (before.shown(), after.shown(), result)
        };
        if before != after {
            (self.listener)(after);
        }
        result
    }
}

impl Admission<'_> {
    /// The installation answered.
    pub fn answered(mut self) {
        let trial = std::mem::take(&mut self.trial);
        self.breaker.change(|state| {
            let next = match state {
                State::HalfOpen if trial => State::Closed { failures: 0 },
                State::Closed { .. } => State::Closed { failures: 0 },
                late => late,
            };
            (next, ())
        });
    }

    /// The installation is in trouble.
    pub fn failed(mut self, now: Instant) {
        let trial = std::mem::take(&mut self.trial);
        let BreakerConfig { failure_threshold, open } = self.breaker.config;
        let opened = State::Open { until: now + open };
        self.breaker.change(|state| {
            let next = match state {
                State::HalfOpen if trial => opened,
                State::Closed { failures } if failures + 1 >= failure_threshold => opened,
                State::Closed { failures } => State::Closed { failures: failures + 1 },
                late => late,
            };
            (next, ())
        });
    }
}

impl Drop for Admission<'_> {
    fn drop(&mut self) {
        if self.trial {
            // While a trial is under way nothing else leaves the half-open state.
            let until = Instant::now();
            self.breaker.change(|_| (State::Open { until }, ()));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    const OPEN: Duration = Duration::from_secs(30);

    fn breaker(threshold: u32) -> (Breaker, Arc<Mutex<Vec<CircuitState>>>) {
        let told = Arc::new(Mutex::new(Vec::new()));
        let listener = Arc::clone(&told);
        let config = BreakerConfig { failure_threshold: threshold, open: OPEN };
        let breaker = Breaker::new(config, Box::new(move |state| listener.lock().unwrap().push(state)));
        (breaker, told)
    }

    fn fail(breaker: &Breaker, now: Instant) {
        breaker.admit(now).unwrap().failed(now);
    }

    #[test]
    fn consecutive_failures_open_the_circuit_and_a_success_in_between_starts_the_count_again() {
        let (breaker, told) = breaker(3);
        let now = Instant::now();
        fail(&breaker, now);
        fail(&breaker, now);
        breaker.admit(now).unwrap().answered();
        fail(&breaker, now);
        fail(&breaker, now);
        assert_eq!(breaker.shown(), CircuitState::Closed);
        fail(&breaker, now);
        assert_eq!(breaker.shown(), CircuitState::Open);
        assert_eq!(breaker.admit(now).err(), Some(OPEN));
        assert_eq!(*told.lock().unwrap(), [CircuitState::Open]);
    }

    #[test]
    fn after_the_open_time_one_call_alone_tries_and_its_success_closes_the_circuit() {
        let (breaker, told) = breaker(1);
        let now = Instant::now();
        fail(&breaker, now);
        let later = now + OPEN;
        let trial = breaker.admit(later).unwrap();
        assert_eq!(breaker.admit(later).err(), Some(TRIAL));
        trial.answered();
        assert!(breaker.admit(later).is_ok());
        assert_eq!(*told.lock().unwrap(), [CircuitState::Open, CircuitState::HalfOpen, CircuitState::Closed]);
    }

    #[test]
    fn a_failed_trial_opens_the_circuit_for_the_whole_time_again() {
        let (breaker, _) = breaker(5);
        let now = Instant::now();
        (0..5).for_each(|_| fail(&breaker, now));
        let later = now + OPEN;
        fail(&breaker, later);
        assert_eq!(breaker.admit(later).err(), Some(OPEN));
    }

    #[test]
    fn a_cancelled_trial_leaves_the_trial_to_the_next_call() {
        let (breaker, _) = breaker(1);
        let now = Instant::now();
        fail(&breaker, now);
        drop(breaker.admit(now + OPEN).unwrap());
        assert!(breaker.admit(Instant::now() + OPEN).is_ok());
    }

    #[test]
    fn a_call_that_began_before_the_circuit_opened_cannot_close_it() {
        let (breaker, _) = breaker(1);
        let now = Instant::now();
        let old = breaker.admit(now).unwrap();
        let older = breaker.admit(now).unwrap();
        fail(&breaker, now);
        old.answered();
        assert_eq!(breaker.shown(), CircuitState::Open);
        let trial = breaker.admit(now + OPEN).unwrap();
        older.failed(now + OPEN);
        assert_eq!(breaker.shown(), CircuitState::HalfOpen);
        trial.answered();
        assert_eq!(breaker.shown(), CircuitState::Closed);
    }
}
