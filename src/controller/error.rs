//! The one table for errors (docs/design.md): what a failure means for the condition (and so the metric
//! `resource_condition`), the event and the next try. All of them are derived from here and nowhere else.

use std::time::Duration;

use thiserror::Error;

use crate::{
    api::{EventReason, Reason, SinkKind, Undelivered},
    cluster::{secret::SecretError, words},
    cognigy::{self, BotId, ErrorKind, Route, WebhookId},
    probe::Refusal,
    retry::Unsupported,
};

/// Why a pass could not finish, told for the person who reads it: what happened, to which object, what to do.
#[derive(Debug, Error)]
pub enum Failure {
    /// `spec.tenantRef` names no object.
    #[error("tenant {0} does not exist; create it or correct spec.tenantRef")]
    TenantNotFound(String),
    /// The tenant cannot be used now.
    #[error("tenant {tenant} is not ready ({}): {message}", .reason.as_str())]
    TenantNotReady {
        /// `namespace/name`.
        tenant: String,
        /// The tenant's own Ready reason.
        reason: Reason,
        /// The tenant's own message.
        message: String,
    },
    /// The tenant does not let this namespace use it.
    #[error(
        "tenant {tenant} does not allow webhooks of namespace {namespace}; its owner can add the namespace to spec.allowedNamespaces"
    )]
    TenantNotAllowed {
        /// `namespace/name`.
        tenant: String,
        /// The webhook's namespace.
        namespace: String,
    },
    /// A Secret or `ConfigMap`, or a key of it, is missing or unusable.
    #[error(transparent)]
    Source(SecretError),
    /// `spec.retryPolicyRef` names no object.
    #[error("retry policy {0} does not exist in the webhook's namespace; create it or correct spec.retryPolicyRef")]
    RetryPolicyNotFound(String),
    /// The policy cannot be expressed for this API.
    #[error("retry policy {policy} cannot be used here: {why}")]
    RetryPolicyUnsupported {
        /// Its name.
        policy: String,
        /// What to change.
        why: Unsupported,
    },
    /// The callback may not be called.
    #[error(transparent)]
    CallbackForbidden(#[from] Refusal),
    /// The callback did not pass its health check.
    #[error("{0}; it is checked again until it passes")]
    HealthCheckFailed(String),
    /// An older resource registers the same name with the same tenant.
    #[error(
        "{winner} is older and registers the same name {name:?} with tenant {tenant}; rename or delete one of them"
    )]
    NameConflict {
        /// `namespace/name` of the older one.
        winner: String,
        /// The registered name.
        name: String,
        /// `namespace/name` of the tenant.
        tenant: String,
    },
    /// Cognigy holds a registration of this name and version that is not this resource's.
    #[error(
        "Cognigy already has a registration {key} that this resource did not make; set spec.adoptionPolicy to Always to take it over, or choose another name or version"
    )]
    AlreadyExists {
        /// Its idempotency key, `name:version`.
        key: String,
    },
    /// The namespace is on its way out: nothing is created in it any more.
    #[error("namespace {0} is being deleted: nothing is registered any more")]
    NamespaceTerminating(String),
    /// `spec.existing` names no webhook, or not one only.
    #[error("{0}; it is looked for again at least every minute")]
    WebhookNotFound(NotFound),
    /// The spec asks for something that cannot be done.
    #[error("{0}")]
    InvalidSpec(String),
    /// A call to Cognigy failed.
    #[error(transparent)]
    Api(#[from] cognigy::Error),
    /// The object is being deleted and cannot go yet.
    #[error(
        "cannot be removed from Cognigy yet: {0}; it goes on by itself when that is over, or set the annotation cognigy.io/force-orphan to \"true\" to let go without touching Cognigy"
    )]
    DeletionBlocked(Box<Failure>),
    /// The object is being deleted, and what it has to tell is not delivered yet.
    #[error("{}", waits_for(*.count, *.sink, .error.as_deref()))]
    Undelivered {
        /// How many messages.
        count: usize,
        /// The sink of one of them.
        sink: SinkKind,
        /// Why that sink has not accepted it; `None` while no try has failed.
        error: Option<String>,
    },
    /// A call to Kubernetes failed.
    #[error("Kubernetes: {}", words(.0))]
    Kubernetes(#[from] kube::Error),
}

impl From<SecretError> for Failure {
    fn from(error: SecretError) -> Self {
        match error {
            // Not the reference's fault: the API server could not be asked.
            SecretError::Kube { cause, .. } => Self::Kubernetes(*cause),
            other => Self::Source(other),
        }
    }
}

/// Which webhook was not found, or why it cannot be told which is meant.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NotFound {
    /// By its id.
    #[error("Cognigy has no webhook {0}; create it there or correct spec.existing.webhookId")]
    Webhook(WebhookId),
    /// By its id within its bot.
    #[error("bot {bot} has no webhook {id}; create it in Cognigy or correct spec.existing")]
    BotWebhook {
        /// The bot.
        bot: BotId,
        /// The webhook.
        id: WebhookId,
    },
    /// By its name.
    #[error("bot {bot} has no webhook with the name {name:?}; create it in Cognigy or correct spec.existing")]
    Named {
        /// The bot.
        bot: BotId,
        /// The name.
        name: String,
    },
    /// Several carry the name (cognigy-api.md §3).
    #[error("bot {bot} has {} webhooks with the name {name:?}: {}; name one of them in spec.existing.webhookId", .ids.len(), list(.ids))]
    Several {
        /// The bot.
        bot: BotId,
        /// The name.
        name: String,
        /// Their ids.
        ids: Vec<WebhookId>,
    },
    /// Nothing more is known.
    #[error("the webhook of spec.existing was not found")]
    Unknown,
}

/// How soon a webhook that was not found is looked for again; with its jitter and the age of the listing that it is looked
/// for in less than a minute.
pub const LOOK_AGAIN: Duration = Duration::from_secs(32);

/// How many ids a message names.
const NAMED: usize = 10;

fn list(ids: &[WebhookId]) -> String {
    let named: Vec<&str> = ids.iter().take(NAMED).map(WebhookId::as_str).collect();
    let more = if ids.len() > NAMED { " …" } else { "" };
    format!("{}{more}", named.join(", "))
}

fn waits_for(count: usize, sink: SinkKind, error: Option<&str>) -> String {
    let messages = if count == 1 { "1 message is".to_owned() } else { format!("{count} messages are") };
    match error {
        None => format!("{messages} on the way to the tenant's sinks; it goes when they are delivered"),
        Some(error) => format!(
            "{messages} not delivered yet (sink {sink}: {error}); it goes when they are, or set the annotation cognigy.io/force-orphan to \"true\" to let go of them"
        ),
    }
}

/// The failure that undelivered messages are to an object that is being deleted; `None` where there are none.
pub fn undelivered(messages: &[Undelivered]) -> Option<Failure> {
    let told = messages.iter().find(|message| message.last_error.is_some()).or(messages.first())?;
    Some(Failure::Undelivered { count: messages.len(), sink: told.sink, error: told.last_error.clone() })
}

/// Whose failure it is, and so what happens next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// A person must change something; looked at again when it changes and at each resync.
    User,
    /// Cognigy's own validation refused the body: it is not sent again until something changes (cognigy-api.md §4, §7).
    Refused,
    /// The tenant's: it shows the cause and is tried by one probe; the webhook waits for it.
    Tenant,
    /// A reference is not there yet, or a check fails: it goes on by itself and costs no attempt.
    Waiting,
    /// A passing fault: retried on the schedule of the webhook's own policy, each try an attempt.
    Passing,
    /// Kubernetes' own: retried soon; no status can be promised.
    Kubernetes,
    /// None's: what the pass was made for changed while it waited. Nothing is told; the next pass follows at once.
    Abandoned,
}

/// What a failure means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Disposition {
    /// The Ready reason.
    pub reason: Reason,
    /// The event, where the failure is one that is told apart from the condition.
    pub event: Option<EventReason>,
    /// Whose failure it is.
    pub class: Class,
    /// When to look again, where the failure itself says so.
    pub retry_after: Option<Duration>,
}

impl Failure {
    /// The table.
    pub fn disposition(&self) -> Disposition {
        let of = |reason, event, class| Disposition { reason, event, class, retry_after: None };
        match self {
            Self::TenantNotFound(_) => of(Reason::TenantNotFound, Some(EventReason::TenantNotFound), Class::Waiting),
            Self::TenantNotReady { .. } => of(Reason::TenantNotReady, None, Class::Tenant),
            Self::TenantNotAllowed { .. } => {
                of(Reason::TenantNotAllowed, Some(EventReason::TenantNotAllowed), Class::User)
            }
            Self::Source(_) => of(Reason::SecretNotFound, Some(EventReason::SecretNotFound), Class::Waiting),
            Self::RetryPolicyNotFound(_) => {
                of(Reason::RetryPolicyNotFound, Some(EventReason::RetryPolicyNotFound), Class::Waiting)
            }
            Self::RetryPolicyUnsupported { .. } => {
                of(Reason::RetryPolicyUnsupported, Some(EventReason::RetryPolicyUnsupported), Class::User)
            }
            Self::CallbackForbidden(_) => {
                of(Reason::CallbackForbidden, Some(EventReason::CallbackForbidden), Class::User)
            }
            // The failing check itself is told when it happens.
            Self::HealthCheckFailed(_) => of(Reason::HealthCheckFailed, None, Class::Waiting),
            Self::NameConflict { .. } => of(Reason::NameConflict, Some(EventReason::NameConflict), Class::User),
            Self::AlreadyExists { .. } => of(Reason::AlreadyExists, Some(EventReason::AlreadyExists), Class::User),
            Self::NamespaceTerminating(_) | Self::Undelivered { error: None, .. } => {
                of(Reason::Deleting, None, Class::Waiting)
            }
            Self::WebhookNotFound(_) => Disposition {
                retry_after: Some(LOOK_AGAIN),
                ..of(Reason::WebhookNotFound, Some(EventReason::WebhookNotFound), Class::Waiting)
            },
            Self::InvalidSpec(_) => of(Reason::InvalidSpec, Some(EventReason::InvalidSpec), Class::User),
            // Refused scopes are the tenant's credentials, not one webhook's call.
            Self::Api(error) if error.route == Route::Token && matches!(error.kind, ErrorKind::Forbidden { .. }) => {
                of(Reason::Forbidden, Some(EventReason::Forbidden), Class::Tenant)
            }
            Self::Api(error) => {
                let (reason, event, class) = api(error);
                Disposition { reason, event, class, retry_after: error.retry_after() }
            }
            Self::DeletionBlocked(cause) => Disposition {
                reason: Reason::DeletionBlocked,
                event: Some(EventReason::DeletionBlocked),
                ..cause.disposition()
            },
            Self::Undelivered { .. } => of(Reason::DeletionBlocked, Some(EventReason::DeletionBlocked), Class::Waiting),
            Self::Kubernetes(_) => of(Reason::Progressing, None, Class::Kubernetes),
        }
    }

    /// The sentence for a condition: the same for the same cause, so that waiting writes nothing.
    pub fn message(&self) -> String {
        match self {
            Self::Api(error) => error.to_string(),
            Self::DeletionBlocked(cause) => {
                Self::DeletionBlocked(Box::new(Self::InvalidSpec(cause.message()))).to_string()
            }
            other => other.to_string(),
        }
    }
}

/// cognigy-api.md §7, row by row.
fn api(error: &cognigy::Error) -> (Reason, Option<EventReason>, Class) {
    match &error.kind {
        ErrorKind::Unauthorized => (Reason::Unauthorized, Some(EventReason::Unauthorized), Class::Tenant),
        ErrorKind::Forbidden { .. } => (Reason::Forbidden, Some(EventReason::Forbidden), Class::User),
        // Told as events where they happen, try by try.
        ErrorKind::Conflict => (Reason::Conflict, None, Class::Passing),
        // Nothing of ours was refused: the cause lies outside.
        ErrorKind::Rejected { .. } if !error.route.sends_object() => {
            (Reason::Rejected, Some(EventReason::Rejected), Class::User)
        }
        ErrorKind::Rejected { .. } | ErrorKind::TooLarge { .. } => {
            (Reason::Rejected, Some(EventReason::Rejected), Class::Refused)
        }
        ErrorKind::RateLimited { .. } => (Reason::RateLimited, Some(EventReason::RateLimited), Class::Tenant),
        ErrorKind::CircuitOpen { .. } => (Reason::CircuitOpen, None, Class::Tenant),
        ErrorKind::Abandoned => (Reason::Progressing, None, Class::Abandoned),
        ErrorKind::LockingUnsupported => {
            (Reason::LockingUnsupported, Some(EventReason::LockingUnsupported), Class::User)
        }
        ErrorKind::Tls => (Reason::TenantNotReady, None, Class::Tenant),
        ErrorKind::Server { .. }
        | ErrorKind::Timeout
        | ErrorKind::Unreachable
        | ErrorKind::Malformed
        | ErrorKind::NotFound
        | ErrorKind::NotSupported => (Reason::ServerError, None, Class::Passing),
    }
}
