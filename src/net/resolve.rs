//! From a host name to addresses.

use std::{io, net::IpAddr, sync::Arc};

use futures::{FutureExt, future::BoxFuture};
use tokio::sync::Semaphore;

/// Look-ups of one resolver at the same time. The machine's name service answers on threads that all of the process shares and
/// that cannot be called back: names whose servers are silent must not take all of them.
const AT_ONCE: usize = 32;

/// What turns a host name into addresses.
pub trait Resolver: Send + Sync {
    /// All addresses of `host`, in the order they should be tried. An error is a failing check, not a refusal.
    fn resolve<'a>(&'a self, host: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>>;
}

/// The name service of the machine.
#[derive(Clone, Debug)]
pub struct SystemResolver {
    places: Arc<Semaphore>,
}

impl Default for SystemResolver {
    fn default() -> Self {
        Self { places: Arc::new(Semaphore::new(AT_ONCE)) }
    }
}

impl SystemResolver {
    /// Makes a look-up when there is a place for it. It keeps its place to its end, also where nobody waits for it any more.
    async fn within_bounds<T: Send + 'static>(
        &self,
        look_up: impl Future<Output = io::Result<T>> + Send + 'static,
    ) -> io::Result<T> {
        let place = Arc::clone(&self.places).acquire_owned().await.map_err(io::Error::other)?;
        let to_its_end = async move {
            let found = look_up.await;
            drop(place);
            found
        };
        tokio::spawn(to_its_end).await.map_err(io::Error::other)?
    }
}

impl Resolver for SystemResolver {
    fn resolve<'a>(&'a self, host: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        let host = host.to_owned();
        let look_up =
            async move { Ok(tokio::net::lookup_host((host, 0)).await?.map(|address| address.ip()).collect()) };
        self.within_bounds(look_up).boxed()
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;

    #[tokio::test]
    async fn look_ups_that_nobody_waits_for_any_more_are_still_counted() {
        let resolver = SystemResolver::default();
        for _ in 0..AT_ONCE {
            let mut silent = Box::pin(resolver.within_bounds(pending::<io::Result<()>>()));
            assert!(futures::poll!(silent.as_mut()).is_pending());
        }
        let mut next = Box::pin(resolver.within_bounds(ready(Ok(()))));
        assert!(futures::poll!(next.as_mut()).is_pending());
        assert_eq!(resolver.places.available_permits(), 0);
    }

    #[tokio::test]
    async fn a_look_up_that_ends_gives_its_place_back() {
        let resolver = SystemResolver::default();
        for _ in 0..2 * AT_ONCE {
            resolver.within_bounds(ready(Ok(()))).await.unwrap();
        }
        assert_eq!(resolver.resolve("127.0.0.1").await.unwrap(), ["127.0.0.1".parse::<IpAddr>().unwrap()]);
    }
}
