//! For whom a call is made, and what that one gives back while it waits.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{Lane, Ticket, Urgency};

/// For whom calls are made: where they queue, and whether they are still wanted when their turn comes.
#[derive(Clone)]
pub struct Caller {
    /// With whom it shares a turn.
    pub lane: Lane,
    /// What goes first.
    pub urgency: Urgency,
    /// When the work began that the calls are part of.
    pub ticket: Ticket,
    /// What it gives back while a call waits or is under way.
    pub place: Place,
    /// Whether the call is still to be made: asked every second while it waits and once more before it is sent. Must not
    /// block.
    pub wanted: Arc<dyn Fn() -> bool + Send + Sync>,
}

impl Default for Caller {
    /// Nobody in particular: a change, always wanted, that holds no place.
    fn default() -> Self {
        Self {
            lane: Lane::default(),
            urgency: Urgency::default(),
            ticket: Ticket::take(),
            place: Place::default(),
            wanted: Arc::new(|| true),
        }
    }
}

impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Caller").field("lane", &self.lane).field("urgency", &self.urgency).finish_non_exhaustive()
    }
}

/// One of a bounded number of places at work. It is given back while its holder waits for Cognigy, so that the places
/// bound what is computed and written at the same time, and no slow installation takes them from the others: its calls
/// under way are bounded by its own `maxConcurrentRequests`.
///
/// The default is a place that nobody counts.
#[derive(Clone, Debug, Default)]
pub struct Place(Option<Arc<Counted>>);

#[derive(Debug)]
struct Counted {
    places: Arc<Semaphore>,
    held: Mutex<Option<OwnedSemaphorePermit>>,
}

impl Place {
    /// Waits for a free place, in order of arrival.
    pub async fn take(places: &Arc<Semaphore>) -> Self {
        // A closed semaphore means that nobody counts any more.
        let held = Arc::clone(places).acquire_owned().await.ok();
        Self(Some(Arc::new(Counted { places: Arc::clone(places), held: Mutex::new(held) })))
    }

    /// Gives the place back, waits, and takes one again. No such wait may be part of another one.
    pub async fn free_while<T>(&self, wait: impl Future<Output = T>) -> T {
        let Some(counted) = &self.0 else { return wait.await };
        drop(counted.held().take());
        let result = wait.await;
        let again = Arc::clone(&counted.places).acquire_owned().await.ok();
        *counted.held() = again;
        result
    }
}

impl Counted {
    fn held(&self) -> MutexGuard<'_, Option<OwnedSemaphorePermit>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_waits_holds_no_place_and_goes_on_only_with_one() {
        let places = Arc::new(Semaphore::new(1));
        let waiting = Place::take(&places).await;
        let (answer, answered) = tokio::sync::oneshot::channel::<()>();
        let mut call = std::pin::pin!(waiting.free_while(answered));
        assert!(futures::poll!(call.as_mut()).is_pending());
        let other = Place::take(&places).await;
        answer.send(()).unwrap();
        assert!(futures::poll!(call.as_mut()).is_pending(), "the only place is taken");
        drop(other);
        call.await.unwrap();
        assert_eq!(places.available_permits(), 0);
    }

    #[tokio::test]
    async fn who_is_cancelled_while_waiting_takes_no_place_with_it() {
        let places = Arc::new(Semaphore::new(1));
        let waiting = Place::take(&places).await;
        {
            let mut call = std::pin::pin!(waiting.free_while(std::future::pending::<()>()));
            assert!(futures::poll!(call.as_mut()).is_pending());
        }
        drop(waiting);
        assert_eq!(places.available_permits(), 1);
    }
}
