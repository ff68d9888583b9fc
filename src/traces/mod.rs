//! What traces show (docs/tracing.md): a span for each pass, below it one for each call to Cognigy, each token request and each health
//! check; a span for each try to deliver a message. Knows nobody; who sends them is `telemetry`'s business.
//!
//! ```text
//! reconcile CognigyWebhook
//! ├── POST /api/v1/integrations
//! │   └── POST /oauth/token
//! ├── PUT /api/v2/webhooks/{id}
//! ├── health check
//! └── PUT /api/v1/integrations/{id}
//! ```
//!
//! Attributes follow OpenTelemetry's conventions for HTTP clients; the operator's own begin with `cognigy.`. No span holds a query,
//! a header or a body; texts are those of statuses and events, which are free of secrets.

mod context;
mod spans;

pub use context::TraceContext;
pub use spans::{TARGET, answered, call, delivery, fail, health_check, of_tenant, pass, told};
