//! Refused credentials: nobody sends them again until one call a minute later tries.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::{Error, ErrorKind, Route};

/// How long nobody tries; then one call does (a changed Secret makes another session, which tries at once).
const REST: Duration = Duration::from_mins(1);

/// What the installation last said of the credentials, where it refused them.
#[derive(Default)]
pub(super) struct Refused(Mutex<Option<(Instant, Error)>>);

impl Refused {
    fn locked(&self) -> MutexGuard<'_, Option<(Instant, Error)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The refusal that stands for every call now. None: this call is to try, and the refusal goes on to stand for all
    /// others.
    pub fn standing(&self, now: Instant) -> Option<Error> {
        let mut refused = self.locked();
        let (until, error) = refused.as_mut()?;
        if *until > now {
            return Some(error.clone());
        }
        *until = now + REST;
        None
    }

    /// A call failed; the error may also be a refusal that stands.
    pub fn failed(&self, error: &Error, now: Instant) {
        let mut refused = self.locked();
        match &error.kind {
            ErrorKind::Unauthorized => {}
            ErrorKind::Forbidden { .. } if error.route == Route::Token => {}
            ErrorKind::Forbidden { .. }
            | ErrorKind::NotFound
            | ErrorKind::NotSupported
            | ErrorKind::Conflict
            | ErrorKind::Rejected { .. } => {
                // The credentials were good enough for an answer.
                *refused = None;
                return;
            }
            _ => return,
        }
        // Whoever was let through has renewed the time already.
        refused.get_or_insert_with(|| (now + REST, error.clone()));
    }

    /// A call went well.
    pub fn over(&self) {
        *self.locked() = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(kind: ErrorKind, route: Route) -> Error {
        Error::new(kind, route)
    }

    fn lets_through(refused: &Refused, now: Instant) -> usize {
        (0..10).filter(|_| refused.standing(now).is_none()).count()
    }

    #[test]
    fn after_a_refusal_one_call_a_minute_tries() {
        let (refused, now) = (Refused::default(), Instant::now());
        let refusal = error(ErrorKind::Unauthorized, Route::Token);
        assert_eq!(lets_through(&refused, now), 10);
        refused.failed(&refusal, now);
        for minute in 1..5 {
            let later = now + REST * minute;
            assert_eq!(lets_through(&refused, later - Duration::from_millis(1)), 0);
            assert_eq!(lets_through(&refused, later), 1);
            refused.failed(&refusal, later + Duration::from_secs(1));
        }
        refused.over();
        assert_eq!(lets_through(&refused, now), 10);
    }

    #[test]
    fn refused_scopes_are_refused_credentials_and_a_missing_scope_of_one_route_is_not() {
        let (refused, now) = (Refused::default(), Instant::now());
        let forbidden = || ErrorKind::Forbidden { scope: "webhook:manage", role: "Webhook Administrator" };
        refused.failed(&error(forbidden(), Route::Token), now);
        assert_eq!(lets_through(&refused, now), 0);
        refused.failed(&error(forbidden(), Route::PutWebhook), now);
        assert_eq!(lets_through(&refused, now), 10);
    }
}
