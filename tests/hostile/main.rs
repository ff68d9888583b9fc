//! Callbacks and servers that want to do harm (docs/security.md, *Hostile callbacks and servers*). Each test runs in a network
//! namespace of its own, where every address is this machine: nothing real can be reached, and every try is seen.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod callbacks;
mod http_2;
mod installations;
mod listings;
mod logs;
mod memory;
mod names;
mod namespace;
mod netlink;
mod own_systems;
mod safety;
mod server;
mod sinks;
mod switches;
mod tls;
mod urls;

/// What ends by itself takes no longer, however busy the machine is.
const PATIENCE: std::time::Duration = std::time::Duration::from_mins(1);

/// The limit of what has to be ended.
const HASTE: std::time::Duration = std::time::Duration::from_millis(400);
