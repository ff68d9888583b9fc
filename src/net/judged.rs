//! Calls to what a tenant names as its own (`baseUrl`, `tokenUrl`, sinks; resources.md, `CognigyTenant`): they may stay within
//! private networks, but never go to link-local or metadata addresses, nor to what is no single host's.
//!
//! [`judge_literal`] judges a host that is written as an address, [`JudgedNames`] every other one as it is resolved, each time.
//! A client needs both, since it asks no resolver about addresses.

use std::{
    iter,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

use super::{
    address::{Class, embedded},
    resolve::{Resolver, SystemResolver},
};

/// An address that is never called, and the host that leads there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{host} leads to {address}, {}{class}: link-local, metadata and multicast addresses are never called", form_of(*.address, *.judged))]
pub struct NeverCalled {
    host: String,
    address: IpAddr,
    /// The address itself, or the IPv4 address within it.
    judged: IpAddr,
    class: Class,
}

fn form_of(address: IpAddr, judged: IpAddr) -> String {
    if address == judged { String::new() } else { format!("a form of {judged}, ") }
}

/// Judges the host of a URL where it is written as an address, in whatever spelling; any other host passes.
pub fn judge_literal(url: &Url) -> Result<(), NeverCalled> {
    match url.host() {
        Some(Host::Ipv4(address)) => judge(url.host_str().unwrap_or_default(), address.into()),
        Some(Host::Ipv6(address)) => judge(url.host_str().unwrap_or_default(), address.into()),
        Some(Host::Domain(_)) | None => Ok(()),
    }
}

fn judge(host: &str, address: IpAddr) -> Result<(), NeverCalled> {
    let forms = iter::once(address).chain(embedded(address).into_iter().map(IpAddr::from));
    let mut classes = forms.filter_map(|judged| Some((judged, Class::of(judged)?)));
    match classes.find(|(_, class)| class.is_never_allowed()) {
        Some((judged, class)) => Err(NeverCalled { host: host.to_owned(), address, judged, class }),
        None => Ok(()),
    }
}

/// A client's resolver that judges all addresses of a name: one that is never called forbids all. The client connects to
/// those that were judged and to no others.
#[derive(Clone)]
pub struct JudgedNames(Arc<dyn Resolver>);

impl JudgedNames {
    /// Names as this resolver knows them.
    pub fn of(resolver: Arc<dyn Resolver>) -> Self {
        Self(resolver)
    }
}

impl Default for JudgedNames {
    /// Names as the machine knows them.
    fn default() -> Self {
        Self::of(Arc::new(SystemResolver::default()))
    }
}

impl Resolve for JudgedNames {
    fn resolve(&self, name: Name) -> Resolving {
        let resolver = Arc::clone(&self.0);
        Box::pin(async move {
            let host = name.as_str();
            let addresses = resolver.resolve(host).await?;
            addresses.iter().try_for_each(|address| judge(host, *address))?;
            // The client puts the URL's port in place of 0.
            Ok(Box::new(addresses.into_iter().map(|address| SocketAddr::new(address, 0))) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn link_local_and_metadata_addresses_are_refused_in_every_spelling() {
        for url in [
            "https://169.254.169.254/",
            "https://0xA9FEA9FE/",
            "https://2852039166/",
            "https://[fe80::1]/",
            "https://[::ffff:169.254.0.1]/",
            "https://[64:ff9b::a9fe:a9fe]/",
            "https://[fd00:ec2::254]/",
            "https://100.100.100.200/",
            "https://168.63.129.16/",
            "https://0/",
            "https://[::]/",
            "https://224.0.0.1/",
            "https://255.255.255.255/",
        ] {
            let refusal = judge_literal(&Url::parse(url).unwrap()).expect_err(url).to_string();
            assert!(refusal.ends_with("are never called"), "{url}: {refusal}");
        }
    }

    #[test]
    fn what_is_private_may_be_the_tenants_own() {
        for url in [
            "https://10.0.0.8/",
            "https://127.0.0.1/",
            "https://[fd12::1]/",
            "https://100.64.0.1/",
            "https://a.example/",
        ] {
            assert_eq!(judge_literal(&Url::parse(url).unwrap()), Ok(()), "{url}");
        }
    }

    #[test]
    fn a_refusal_names_host_address_and_what_hides_in_it() {
        let refusal = judge("api.example.com", "64:ff9b::a9fe:a9fe".parse().unwrap()).unwrap_err().to_string();
        let expected = "api.example.com leads to 64:ff9b::a9fe:a9fe, a form of 169.254.169.254, a link-local address: ";
        assert!(refusal.starts_with(expected), "{refusal}");
    }
}
