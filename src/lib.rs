//! A Kubernetes operator that keeps the webhooks of Cognigy installations as custom resources say.
//!
//! Users write three kinds ([`api`]). A *tenant* is a connection to one installation, a *retry policy* an intent, a
//! *webhook* a registration that refers to both:
//!
//! ```text
//!  CognigyTenant ◄── tenantRef ── CognigyWebhook ── retryPolicyRef ──► RetryPolicy
//!     │ Secret                       │ Secrets (headersFrom)
//! ```
//!
//! Watches fill stores and an index; a change asks for a pass over the objects that it concerns, and only those. A pass
//! *observes* (Kubernetes; nothing outside is asked), asks a pure step function what comes *next*, *applies* that one step,
//! folds its outcome into what it knows and asks again, and at the end *reports* once: one status, its events, and when to
//! look again ([`controller`], and in it [`controller::webhook::plan`], where all rules of order stand):
//!
//! ```text
//!  watches ─► index ─► queue ─► observe ─► plan ─► apply ─► report ─► status, events, audit lines, metrics
//!                                            ▲        │ one step
//!                                            └────────┘
//!                                        cognigy (the API)   probe (callback health checks)
//! ```
//!
//! Arrows go one way: [`api`], [`retry`] and [`redact`] know nobody; [`cognigy`] and [`probe`] know no Kubernetes; [`controller`] knows
//! all, and nobody knows it. What can go wrong stands in one table, from which conditions, events and the next try follow.
//! The contracts are `docs/resources.md` (with users) and `docs/cognigy-api.md` (with Cognigy); `docs/design.md` says why.

pub mod api;
pub mod args;
pub mod cluster;
pub mod cognigy;
pub mod controller;
pub mod metrics;
#[cfg(test)]
mod mutated;
pub mod net;
pub mod outbox;
pub mod probe;
pub mod redact;
pub mod retry;
pub mod server;
pub mod telemetry;
pub mod text;
pub mod traces;
