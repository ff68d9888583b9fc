//! What users write and read: the three custom resources of the group `cognigy.io`, their rules and their status.
//!
//! ```text
//! CognigyTenant ◄── tenantRef ── CognigyWebhook ── retryPolicyRef ──► RetryPolicy
//!  a connection                   a registration                       an intent
//! ```
//!
//! Types, the API server's rules (schema bounds and CEL) and accessors with the operator's defaults; no IO, no decisions.
//! The contract is `docs/resources.md`.

pub mod condition;
mod crd;
pub mod event;
mod kstatus;
mod letter_request;
pub mod message;
mod reason;
mod reference;
pub mod retry_policy;
mod schema;
pub mod tenant;
pub mod webhook;

pub use condition::{ConditionType, Conditions, Status};
pub use crd::{crd_yaml, crds, crds_yaml};
pub use event::{EventKind, EventReason};
pub use kstatus::kstatus_violations;
pub use letter_request::{LetterRequest, LetterVerb, NoRequest};
pub use message::{AlertState, FiringAlert, MAX_UNDELIVERED, SinkKind, Undelivered};
pub use reason::{FactReason, Reason, Verdict, With};
pub use reference::{HeaderFrom, LocalRef, ObjectKey, SecretKeyRef};
pub use retry_policy::{RetryPolicy, RetryPolicySpec, RetryPolicyStatus};
pub use tenant::{CognigyTenant, CognigyTenantSpec, CognigyTenantStatus};
pub use webhook::{CognigyWebhook, CognigyWebhookSpec, CognigyWebhookStatus};

/// The API group of all three kinds.
pub const GROUP: &str = "cognigy.io";
/// The served and stored version of all three kinds.
pub const VERSION: &str = "v1alpha1";
/// The finalizer that holds a webhook until Cognigy is tidied up, and a tenant until its webhooks are gone.
pub const FINALIZER: &str = "cognigy.io/operator";
/// The field manager of everything that the operator writes.
pub const FIELD_MANAGER: &str = "cognigy-operator";
/// Records the idempotency key of a registration before the first POST, so that a 409 on our own half-done work is
/// told from somebody else's object (resources.md, *Crash safety*).
pub const REGISTRATION_ANNOTATION: &str = "cognigy.io/registration";
/// Any new value asks for a full pass now; echoed in `status.lastHandledReconcileAt`.
pub const RECONCILE_REQUESTED_ANNOTATION: &str = "cognigy.io/reconcile-requested-at";
/// Asks for something to be done about single messages; a [`LetterRequest`]. Any new value is a request, honoured once and echoed in
/// `status.lastHandledDeadLetterRequest`.
pub const DEAD_LETTER_REQUEST_ANNOTATION: &str = "cognigy.io/dead-letter-request";
/// `"true"` lets a deleted object go without touching Cognigy.
pub const FORCE_ORPHAN_ANNOTATION: &str = "cognigy.io/force-orphan";
