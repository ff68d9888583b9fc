//! Where a health check may go. Pure: it judges names and addresses and touches no network.

use std::{
    error::Error,
    fmt, iter,
    net::{IpAddr, SocketAddr},
    str::FromStr,
};

use ipnet::IpNet;
use url::{Host, Url};

use crate::net::address::{Class, embedded};

/// The port of https.
const HTTPS: u16 = 443;

/// Where a tenant's health checks may go.
#[derive(Clone, Debug, Default)]
pub struct Guard {
    /// The tenant's `spec.callbacks.allowedHosts`; empty means any host.
    pub allowed_hosts: Vec<HostPattern>,
    /// The tenant's `spec.callbacks.allowPrivateNetworks`.
    pub allow_private_networks: bool,
    /// The operator's `--allow-private-callbacks`. An IPv6 form of an IPv4 address needs both ranges in it: that of the
    /// form (as `64:ff9b::/96`) and, where the IPv4 address is not public, that of the address.
    pub private_ranges: Vec<IpNet>,
    /// What no switch allows: the cluster's own API server and the operator's own pod.
    pub never: Vec<Own>,
}

/// What belongs to the cluster's API server or to the operator itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Own {
    /// This address, whatever the port.
    Address(IpAddr),
    /// This port of every loopback address: there, where rehearsals have API server and callbacks, the address tells nothing.
    LoopbackPort(u16),
}

impl Own {
    /// What is own where something of the API server's or the operator's listens.
    pub fn at(listener: SocketAddr) -> Self {
        let address = listener.ip().to_canonical();
        if address.is_loopback() { Self::LoopbackPort(listener.port()) } else { Self::Address(address) }
    }

    fn is(self, address: IpAddr, port: u16) -> bool {
        let address = address.to_canonical();
        match self {
            Self::Address(own) => own.to_canonical() == address,
            Self::LoopbackPort(own) => own == port && address.is_loopback(),
        }
    }
}

/// A host that a tenant allows: `api.example.com`, an IP address, or `*.example.com` for every name below `example.com`
/// (but not that name itself).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum HostPattern {
    /// This host.
    Exact(Host),
    /// Every name below this domain.
    Below(String),
}

/// An `allowedHosts` entry that is neither a host nor `*.` and a domain.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no host pattern: give a host (api.example.com) or all below a domain (*.example.com)")]
pub struct InvalidPattern(String);

/// Why a callback may not be called (Ready reason `CallbackForbidden`). Its text names the host or address, the rule and,
/// where there are any, the switches that would allow it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    host: String,
    rule: Rule,
}

/// The rule that a [`Refusal`] applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Only https is called.
    NotHttps,
    /// User name and password have no place in a callback's URL.
    UserInfo,
    /// The host is none of the tenant's `spec.callbacks.allowedHosts`.
    HostNotAllowed(Vec<HostPattern>),
    /// The address is the cluster's API server or the operator's own pod.
    OwnAddress(IpAddr),
    /// The address is not on the public Internet.
    Address {
        /// What the host is or resolved to.
        address: IpAddr,
        /// The address that was judged: the same, or the IPv4 address within it.
        judged: IpAddr,
        /// Its class.
        class: Class,
        /// Whether the operator's `--allow-private-callbacks` contains it.
        operator_allows: bool,
        /// The tenant's `spec.callbacks.allowPrivateNetworks`.
        tenant_allows: bool,
    },
}

impl Guard {
    /// Judges what can be known before anything is resolved: https, no user info, the host patterns, and an IP literal in
    /// every spelling (the URL parser has made one of them all).
    pub fn judge_url(&self, url: &Url) -> Result<(), Refusal> {
        let refuse = |rule| Refusal { host: url.host_str().unwrap_or_default().to_owned(), rule };
        let host = match url.host() {
            Some(host) if url.scheme() == "https" => host,
            _ => return Err(refuse(Rule::NotHttps)),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(refuse(Rule::UserInfo));
        }
        if !self.allowed_hosts.is_empty() && !self.allowed_hosts.iter().any(|pattern| pattern.matches(&host)) {
            return Err(refuse(Rule::HostNotAllowed(self.allowed_hosts.clone())));
        }
        match literal(&host) {
            Some(address) => self.judge_address(address, port_of(url)).map_err(refuse),
            None => Ok(()),
        }
    }

    /// Judges all addresses that the host of `url` resolved to: one that is forbidden forbids all.
    pub fn judge_addresses(&self, url: &Url, addresses: &[IpAddr]) -> Result<(), Refusal> {
        let judge = |address: &IpAddr| self.judge_address(*address, port_of(url));
        let host = || url.host_str().unwrap_or_default().to_owned();
        addresses.iter().try_for_each(judge).map_err(|rule| Refusal { host: host(), rule })
    }

    fn judge_address(&self, address: IpAddr, port: u16) -> Result<(), Rule> {
        let forms = || iter::once(address).chain(embedded(address).into_iter().map(IpAddr::from));
        let is_own = |form: IpAddr| self.never.iter().any(|own| own.is(form, port));
        if forms().any(is_own) {
            return Err(Rule::OwnAddress(address));
        }
        let refusals = forms().filter_map(|judged| self.judge_form(address, judged));
        // what nothing can allow is the better answer than a switch that would not help
        let worst = refusals.max_by_key(|(class, _)| class.is_never_allowed());
        worst.map_or(Ok(()), |(_, rule)| Err(rule))
    }

    fn judge_form(&self, address: IpAddr, judged: IpAddr) -> Option<(Class, Rule)> {
        let class = Class::of(judged)?;
        let operator_allows = self.private_ranges.iter().any(|range| range.contains(&judged));
        let tenant_allows = self.allow_private_networks;
        let allowed = operator_allows && tenant_allows && !class.is_never_allowed();
        (!allowed).then_some((class, Rule::Address { address, judged, class, operator_allows, tenant_allows }))
    }
}

impl Refusal {
    /// The rule that was applied.
    pub fn rule(&self) -> &Rule {
        &self.rule
    }
}

impl HostPattern {
    fn matches(&self, host: &Host<&str>) -> bool {
        match (self, host) {
            (Self::Exact(pattern), Host::Domain(name)) => *pattern == Host::Domain(without_root(name).to_owned()),
            (Self::Exact(pattern), address) => pattern == &address.to_owned(),
            (Self::Below(domain), Host::Domain(name)) => {
                let label = without_root(name).strip_suffix(domain.as_str()).and_then(|rest| rest.strip_suffix('.'));
                label.is_some_and(|label| !label.is_empty())
            }
            (Self::Below(_), _) => false,
        }
    }
}

impl FromStr for HostPattern {
    type Err = InvalidPattern;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidPattern(text.to_owned());
        let (below, rest) = text.strip_prefix("*.").map_or((false, text), |rest| (true, rest));
        match Host::parse(without_root(rest)).map_err(|_| invalid())? {
            Host::Domain(name) if name.contains('*') => Err(invalid()),
            Host::Domain(domain) if below => Ok(Self::Below(domain)),
            _ if below => Err(invalid()),
            host => Ok(Self::Exact(host)),
        }
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(host) => host.fmt(f),
            Self::Below(domain) => write!(f, "*.{domain}"),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = &self.host;
        match &self.rule {
            Rule::NotHttps => write!(f, "callback {host} is not called: only https URLs are; change the URL"),
            Rule::UserInfo => write!(
                f,
                "callback {host} is not called: its URL holds a user name or password; give credentials in headersFrom"
            ),
            Rule::HostNotAllowed(allowed) => {
                write!(f, "callback host {host} is not among the tenant's spec.callbacks.allowedHosts (")?;
                for (index, pattern) in allowed.iter().enumerate() {
                    write!(f, "{}{pattern}", if index == 0 { "" } else { ", " })?;
                }
                f.write_str("); add it there or change the URL")
            }
            Rule::OwnAddress(address) => write!(
                f,
                "callback host {}belongs to the cluster's API server or to the operator itself: that is never called",
                Subject(host, *address)
            ),
            Rule::Address { address, judged, class, operator_allows, tenant_allows } => {
                write!(f, "callback host {}is ", Subject(host, *address))?;
                if judged != address {
                    write!(f, "a form of {judged}, ")?;
                }
                if class.is_never_allowed() {
                    return write!(f, "{class}: that is never called");
                }
                let set = |is_set: &bool| if *is_set { "is so" } else { "is not" };
                write!(
                    f,
                    "{class}: it is called only where the operator runs with --allow-private-callbacks for a range that \
                     contains {judged} ({}) and the tenant has spec.callbacks.allowPrivateNetworks: true ({})",
                    set(operator_allows),
                    set(tenant_allows)
                )
            }
        }
    }
}

impl Error for Refusal {}

/// A host and its address, which is told only where it is not the host itself.
struct Subject<'a>(&'a str, IpAddr);

impl fmt::Display for Subject<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(host, address) = self;
        if host.trim_matches(['[', ']']).parse() == Ok(*address) {
            write!(f, "{host} ")
        } else {
            write!(f, "{host} leads to {address}, which ")
        }
    }
}

/// The port that a URL leads to.
pub(super) fn port_of(url: &Url) -> u16 {
    url.port().unwrap_or(HTTPS)
}

/// The address of a host that is written as one.
pub(super) fn literal(host: &Host<&str>) -> Option<IpAddr> {
    match host {
        Host::Domain(_) => None,
        Host::Ipv4(address) => Some((*address).into()),
        Host::Ipv6(address) => Some((*address).into()),
    }
}

/// A name without the dot of the DNS root, which changes nothing about what it means.
pub(super) fn without_root(name: &str) -> &str {
    name.strip_suffix('.').unwrap_or(name)
}

#[cfg(test)]
#[path = "guard_tests.rs"]
mod tests;
