//! Where a health check may go. Pure: it judges names and addresses and touches no network.

use std::{error::Error, fmt, net::IpAddr, str::FromStr};

use ipnet::IpNet;
use url::Url;

use super::address::Class;

/// Where a tenant's health checks may go.
#[derive(Clone, Debug, Default)]
pub struct Guard {
    /// The tenant's `spec.callbacks.allowedHosts`; empty means any host.
    pub allowed_hosts: Vec<HostPattern>,
    /// The tenant's `spec.callbacks.allowPrivateNetworks`.
    pub allow_private_networks: bool,
    /// The operator's `--allow-private-callbacks`.
    pub private_ranges: Vec<IpNet>,
    /// Addresses that no switch allows: the cluster's own API server and the operator's own pod.
    pub never: Vec<IpAddr>,
}

/// A host that a tenant allows: `api.example.com`, an IP address, or `*.example.com` for every name below `example.com`
/// (but not that name itself).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HostPattern(String);

/// An `allowedHosts` entry that is neither a host nor `*.` and a domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidPattern(String);

/// Why a callback may not be called (Ready reason `CallbackForbidden`). Its text names the host or address, the rule and,
/// where there are any, the switches that would allow it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    rule: Rule,
}

/// The rule that a [`Refusal`] applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rule {
    /// The address is of a class that needs both switches.
    Class(Class),
}

impl Guard {
    /// Judges what can be known before anything is resolved: https, no user info, the host patterns, and an IP literal in
    /// every spelling.
    pub fn judge_url(&self, _url: &Url) -> Result<(), Refusal> {
        todo!()
    }

    /// Judges all addresses that `host` resolved to: one that is forbidden forbids all.
    pub fn judge_addresses(&self, _host: &str, _addresses: &[IpAddr]) -> Result<(), Refusal> {
        todo!()
    }
}

impl Refusal {
    /// The rule that was applied.
    pub fn rule(&self) -> &Rule {
        &self.rule
    }
}

impl FromStr for HostPattern {
    type Err = InvalidPattern;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for InvalidPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for InvalidPattern {}

impl fmt::Display for Refusal {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        todo!()
    }
}

impl Error for Refusal {}
