//! From a host name to addresses.

use std::{io, net::IpAddr};

use futures::{FutureExt, future::BoxFuture};

/// What turns a host name into addresses.
pub trait Resolver: Send + Sync {
    /// All addresses of `host`, in the order they should be tried. An error is a failing check, not a refusal.
    fn resolve<'a>(&'a self, host: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>>;
}

/// The name service of the machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemResolver;

impl Resolver for SystemResolver {
    fn resolve<'a>(&'a self, host: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        async move { Ok(tokio::net::lookup_host((host, 0)).await?.map(|address| address.ip()).collect()) }.boxed()
    }
}
