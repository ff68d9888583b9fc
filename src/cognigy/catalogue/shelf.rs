//! One listing, fetched once for all who ask for it.

use std::sync::Arc;

use tokio::{sync::Mutex, time::Instant};

use super::super::{Error, ErrorKind, Place};

/// A listing, and when it was begun: what happened later may not be in it.
pub(super) struct Listing<T> {
    pub began: Instant,
    pub content: T,
}

/// Keeps the last listing. Whoever finds it too old fetches another; those who ask meanwhile wait for it and share what
/// comes of it, a failure too.
pub(super) struct Shelf<T> {
    last: Mutex<Last<T>>,
}

struct Last<T> {
    listing: Option<Arc<Listing<T>>>,
    failed: Option<(Instant, Error)>,
}

impl<T> Default for Shelf<T> {
    fn default() -> Self {
        Self { last: Mutex::new(Last { listing: None, failed: None }) }
    }
}

impl<T> Shelf<T> {
    /// The last listing that `fits` (it is told when it was asked for), or another one (`fetch` is told when it begins). Who waits for somebody else's
    /// listing gives its place back.
    pub async fn get(
        &self,
        place: &Place,
        fits: impl Fn(&Listing<T>, Instant) -> bool,
        fetch: impl AsyncFnOnce(Instant) -> Result<T, Error>,
    ) -> Result<Arc<Listing<T>>, Error> {
        let asked = Instant::now();
        let mut last = place.free_while(self.last.lock()).await;
        if let Some(listing) = last.listing.as_ref().filter(|listing| fits(listing, asked)) {
            return Ok(Arc::clone(listing));
        }
        if let Some((_, error)) = last.failed.as_ref().filter(|(ended, _)| *ended >= asked) {
            return Err(error.clone());
        }
        let began = Instant::now();
        match fetch(began).await {
            Ok(content) => {
                let listing = Arc::new(Listing { began, content });
                *last = Last { listing: Some(Arc::clone(&listing)), failed: None };
                Ok(listing)
            }
            Err(error) => {
                // That one caller gave up is nobody else's failure.
                last.failed = (error.kind != ErrorKind::Abandoned).then(|| (Instant::now(), error.clone()));
                Err(error)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

    use futures::future::join_all;

    use super::super::super::Route;
    use super::*;

    #[tokio::test]
    async fn those_who_ask_together_share_one_listing_and_one_failure() {
        let shelf = Shelf::<u32>::default();
        let (fetched, place) = (AtomicU32::new(0), Place::default());
        for fails in [true, false] {
            let asked = join_all((0..20).map(|_| {
                shelf.get(
                    &place,
                    |_, _| true,
                    async |_| {
                        tokio::task::yield_now().await;
                        let count = fetched.fetch_add(1, SeqCst);
                        if fails { Err(Error::new(ErrorKind::Timeout, Route::ListBotWebhooks)) } else { Ok(count) }
                    },
                )
            }))
            .await;
            assert!(asked.iter().all(|answer| answer.is_err() == fails));
        }
        assert_eq!(fetched.load(SeqCst), 2);
    }

    #[tokio::test]
    async fn who_gives_up_leaves_the_listing_to_the_next() {
        let (shelf, place) = (Shelf::<u32>::default(), Place::default());
        let gives_up = async |_| {
            tokio::task::yield_now().await;
            Err(Error::new(ErrorKind::Abandoned, Route::ListBotWebhooks))
        };
        let next = shelf.get(&place, |_, _| true, async |_| Ok(2));
        let (gave_up, listed) = futures::join!(shelf.get(&place, |_, _| true, gives_up), next);
        assert_eq!(gave_up.err().map(|error| error.kind), Some(ErrorKind::Abandoned));
        assert_eq!(listed.unwrap().content, 2);
    }

    #[tokio::test]
    async fn a_listing_that_does_not_fit_is_fetched_again() {
        let (shelf, place) = (Shelf::<u32>::default(), Place::default());
        for expected in [1, 1, 2] {
            let got =
                shelf.get(&place, |listing, _| listing.content >= expected, async |_| Ok(expected)).await.unwrap();
            assert_eq!(got.content, expected);
        }
    }
}
