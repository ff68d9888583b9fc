//! Callbacks and servers that want to do harm (docs/security.md, *Hostile callbacks and servers*). Each test runs in a network
//! namespace of its own.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod namespace;
mod netlink;
mod safety;
