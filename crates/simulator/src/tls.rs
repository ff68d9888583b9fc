//! The simulator's own certificate authority, and listeners that get TLS wrong on purpose.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// Protocol versions that a listener offers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum TlsVersions {
    /// 1.2 and 1.3.
    #[default]
    Both,
    /// Only 1.2.
    Only12,
    /// Only 1.3.
    Only13,
    /// Neither: every handshake is refused with the alert `protocol_version`, as an old server refuses a modern client.
    Old,
}

/// What a listener's certificate is like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Certificate {
    /// Signed by the simulator's authority for its names, valid for years.
    #[default]
    Valid,
    /// The same, valid for a week more.
    ExpiresSoon,
    /// Ended in 2001.
    Expired,
    /// For `elsewhere.example` only.
    WrongName,
    /// Signed by an authority that nobody has heard of.
    UnknownIssuer,
}
