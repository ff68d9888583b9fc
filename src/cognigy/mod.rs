//! The outside API: everything that is said to Cognigy, and nothing about Kubernetes.
//!
//! ```text
//!               catalogue/                           one listing serves many objects
//!                   |
//!  integrations.rs  webhooks.rs  bot_webhooks.rs     what is asked (one method per route)
//!              \         |         /
//!               session.rs                           the one place that sends
//!   gate/ (host) → breaker.rs, refused.rs → token.rs → wire.rs → answer.rs → error.rs
//! ```
//!
//! A [`Session`] is one connection to one installation. Every failure is an [`Error`] whose [`ErrorKind`] is one row of
//! `docs/cognigy-api.md` §7; nothing is retried here except one repeat after a 401.

mod answer;
mod bot_webhooks;
mod breaker;
mod call;
mod catalogue;
mod config;
mod credentials;
mod crypto;
mod error;
mod fields;
mod gate;
mod ids;
mod integrations;
mod json;
mod model;
mod observer;
mod pages;
mod policy;
mod problem;
#[cfg(test)]
mod properties;
mod refused;
mod session;
mod tls;
mod token;
mod trace;
mod webhooks;
mod wire;

pub use crate::traces::TraceContext;
pub use answer::Answer;
pub use breaker::CircuitState;
pub use catalogue::{BotWebhookRef, Freshness, Held, Listed, ListedBotWebhook};
pub use config::{Auth, BreakerConfig, ClientAuthentication, Concurrency, ConfigError, SessionConfig, Surface};
pub use crypto::install_crypto_provider;
pub use error::{Error, ErrorKind, Throttle};
pub use gate::{Caller, Hosts, Lane, Place, Ticket, Urgency};
pub use ids::{BotId, ETag, HeaderValueText, IdempotencyKey, InvalidText, WebhookId};
pub use integrations::{Deletion, Outcome, Registered};
pub use model::{BotWebhook, Integration, Method, Registration, Status, Webhook};
pub use observer::{CallObserver, Code, Route, Silent, TokenOutcome};
pub use policy::{BackoffStrategy, BackoffType, IntervalPolicy, StoredPolicy, WindowPolicy};
pub use session::Session;
pub use tls::tls_cause;
pub use webhooks::{Precondition, Read};
pub(crate) use wire::Failure as HttpFailure;
pub use wire::client as http_client;
