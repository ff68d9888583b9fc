//! The three kinds on a real API server: what is refused and how the user is told, what is accepted next to each limit,
//! and what `kubectl` shows.

#![allow(clippy::unwrap_used, clippy::expect_used)] // tests may panic

mod kubectl;
mod lay_over;
mod retry_policy;
mod server;
mod status;
mod tenant;
mod updates;
mod webhook;
