//! Conditions: their types, their reasons, how they are merged, and the rules of kstatus that they keep
//! (docs/resources.md, *Status rules*).

use k8s_openapi::{
    apimachinery::pkg::apis::meta::v1::{Condition, Time},
    jiff::Timestamp,
};

/// The types of conditions that the operator writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ConditionType {
    /// The summary; always there.
    Ready,
    /// The webhook exists in Cognigy.
    Registered,
    /// The callback passes its health check.
    Healthy,
    /// Cognigy has the retry policy.
    RetryPolicyApplied,
    /// It will be tried again by itself; present only when true.
    Reconciling,
    /// A person must change something; present only when true.
    Stalled,
}

impl ConditionType {
    /// The condition's `type`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "Ready",
            Self::Registered => "Registered",
            Self::Healthy => "Healthy",
            Self::RetryPolicyApplied => "RetryPolicyApplied",
            Self::Reconciling => "Reconciling",
            Self::Stalled => "Stalled",
        }
    }
}

/// Declares an enum whose variants' names are the reasons that users see, so that each stands in one place.
macro_rules! reasons {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident,)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name { $($(#[$doc])* $variant,)+ }

        impl $name {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The word that users see.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => stringify!($variant),)+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}
pub(super) use reasons;

reasons! {
    /// The reasons of the condition `Ready` of all three kinds.
    Reason {
        /// Policy: its figures stand in the status.
        Accepted,
        /// Tenant: the last probe worked.
        Connected,
        /// Tenant: the first probe is under way.
        Connecting,
        /// Tenant: nothing answers at `baseUrl`.
        Unreachable,
        /// Tenant: the certificate is not accepted.
        TlsFailed,
        /// Tenant: deleted, but webhooks use it still.
        InUse,
        /// Webhook: live as the spec says.
        Active,
        /// Webhook: registered, and `enabled: false`.
        Disabled,
        /// `suspend: true`.
        Suspended,
        /// Webhook: `mode: Observe`, and nothing differs.
        Observing,
        /// A pass under way has told something.
        Progressing,
        /// The spec breaks a rule that the API server cannot check.
        InvalidSpec,
        /// The installation offers neither `ETag` nor `_version`.
        LockingUnsupported,
        /// Webhook: `mode: Observe`, and something differs.
        DriftDetected,
        /// The callback does not pass its health check.
        HealthCheckFailed,
        /// The callback lies where none may.
        CallbackForbidden,
        /// The tenant is not there (yet).
        TenantNotFound,
        /// The tenant cannot be called at present.
        TenantNotReady,
        /// The tenant does not allow this namespace.
        TenantNotAllowed,
        /// A Secret, or a key in it, is not there (yet).
        SecretNotFound,
        /// The retry policy is not there (yet).
        RetryPolicyNotFound,
        /// The API in question cannot express the retry policy.
        RetryPolicyUnsupported,
        /// An older object has the same tenant and name.
        NameConflict,
        /// The registration belongs to somebody else.
        AlreadyExists,
        /// The existing webhook is not there.
        WebhookNotFound,
        /// Somebody else changes the webhook at the same time.
        Conflict,
        /// Cognigy refused the content (422, or a body over 60 kB).
        Rejected,
        /// Cognigy refused the credentials (401).
        Unauthorized,
        /// A scope or a role is missing (403).
        Forbidden,
        /// Cognigy asks for a pause (429).
        RateLimited,
        /// The circuit breaker is open.
        CircuitOpen,
        /// Cognigy failed (5xx, network, time-out).
        ServerError,
        /// All attempts of a change are used up.
        RetriesExhausted,
        /// The object is being deleted.
        Deleting,
        /// The object cannot be deleted at present.
        DeletionBlocked,
    }
}

/// What a Ready reason means: the status of `Ready`, and which abnormal condition goes with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Whether `Ready` is True.
    pub ready: bool,
    /// The abnormal condition.
    pub with: With,
}

/// The abnormal condition that goes with `Ready`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum With {
    /// None.
    Nothing,
    /// It goes on by itself.
    Reconciling,
    /// A person must change something.
    Stalled,
}

impl Reason {
    /// The table of docs/resources.md, *Ready reason | Ready | with it*.
    pub fn verdict(self) -> Verdict {
        let (ready, with) = match self {
            Self::Accepted | Self::Connected | Self::Active | Self::Disabled | Self::Observing => (true, With::Nothing),
            Self::Suspended | Self::DriftDetected => (false, With::Nothing),
            Self::Progressing
            | Self::TenantNotFound
            | Self::TenantNotReady
            | Self::SecretNotFound
            | Self::RetryPolicyNotFound
            | Self::WebhookNotFound
            | Self::HealthCheckFailed
            | Self::Conflict
            | Self::Unauthorized
            | Self::RateLimited
            | Self::CircuitOpen
            | Self::ServerError
            | Self::Deleting
            | Self::DeletionBlocked
            | Self::Connecting
            | Self::Unreachable
            | Self::TlsFailed
            | Self::InUse => (false, With::Reconciling),
            Self::TenantNotAllowed
            | Self::RetryPolicyUnsupported
            | Self::CallbackForbidden
            | Self::NameConflict
            | Self::AlreadyExists
            | Self::Rejected
            | Self::LockingUnsupported
            | Self::Forbidden
            | Self::RetriesExhausted
            | Self::InvalidSpec => (false, With::Stalled),
        };
        Verdict { ready, with }
    }
}

/// Why a fact (`Registered`, `Healthy`, `RetryPolicyApplied`) is as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FactReason {
    /// Registered: the webhook exists in Cognigy.
    Registered,
    /// Registered: it does not (yet).
    NotRegistered,
    /// Healthy: the last check passed.
    CheckPassed,
    /// Healthy: the last check failed.
    CheckFailed,
    /// Healthy: no check was made yet.
    NotChecked,
    /// Healthy: checks are turned off.
    CheckDisabled,
    /// RetryPolicyApplied: Cognigy has it.
    Applied,
    /// RetryPolicyApplied: Cognigy does not have it (yet).
    NotApplied,
    /// The same as the Ready reason's.
    Because(Reason),
}

impl FactReason {
    /// The word that users see.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Registered => "Registered",
            Self::NotRegistered => "NotRegistered",
            Self::CheckPassed => "CheckPassed",
            Self::CheckFailed => "CheckFailed",
            Self::NotChecked => "NotChecked",
            Self::CheckDisabled => "CheckDisabled",
            Self::Applied => "Applied",
            Self::NotApplied => "NotApplied",
            Self::Because(reason) => reason.as_str(),
        }
    }
}

/// Status of a fact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It is so.
    True,
    /// It is not so.
    False,
    /// Nobody knows.
    Unknown,
}

impl Status {
    /// The condition's `status`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }
}

impl From<bool> for Status {
    fn from(value: bool) -> Self {
        if value { Self::True } else { Self::False }
    }
}

/// A message longer than this is cut: Kubernetes allows 32768, people read less.
pub const MAX_MESSAGE_CHARS: usize = 1024;

/// What one pass has to say: the Ready reason and the facts, from which the list of conditions is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conditions {
    observed_generation: i64,
    reason: Reason,
    message: String,
    facts: Vec<(ConditionType, Status, FactReason, String)>,
}

impl Conditions {
    /// The verdict of a pass over this generation.
    pub fn new(reason: Reason, message: impl AsRef<str>, observed_generation: i64) -> Self {
        Self { observed_generation, reason, message: clean(message.as_ref()), facts: Vec::new() }
    }

    /// Whether the webhook exists in Cognigy.
    #[must_use]
    pub fn registered(self, status: impl Into<Status>, reason: FactReason, message: impl AsRef<str>) -> Self {
        self.fact(ConditionType::Registered, status.into(), reason, message.as_ref())
    }

    /// Whether the callback passes its health check.
    #[must_use]
    pub fn healthy(self, status: impl Into<Status>, reason: FactReason, message: impl AsRef<str>) -> Self {
        self.fact(ConditionType::Healthy, status.into(), reason, message.as_ref())
    }

    /// Whether Cognigy has the retry policy.
    #[must_use]
    pub fn retry_policy_applied(self, status: impl Into<Status>, reason: FactReason, message: impl AsRef<str>) -> Self {
        self.fact(ConditionType::RetryPolicyApplied, status.into(), reason, message.as_ref())
    }

    fn fact(mut self, type_: ConditionType, status: Status, reason: FactReason, message: &str) -> Self {
        self.facts.retain(|fact| fact.0 != type_);
        self.facts.push((type_, status, reason, clean(message)));
        self
    }

    /// The new list: `lastTransitionTime` is kept where a condition's status stays what it was in `old`.
    pub fn merge(&self, old: &[Condition], now: Timestamp) -> Vec<Condition> {
        let verdict = self.reason.verdict();
        let abnormal = match verdict.with {
            With::Nothing => None,
            With::Reconciling => Some(ConditionType::Reconciling),
            With::Stalled => Some(ConditionType::Stalled),
        };
        let summary = |type_, status| (type_, status, self.reason.as_str(), self.message.as_str());
        let mut facts: Vec<_> = std::iter::once(summary(ConditionType::Ready, verdict.ready.into()))
            .chain(
                self.facts
                    .iter()
                    .map(|(type_, status, reason, message)| (*type_, *status, reason.as_str(), message.as_str())),
            )
            .chain(abnormal.map(|type_| summary(type_, Status::True)))
            .collect();
        facts.sort_by_key(|fact| fact.0);
        facts
            .into_iter()
            .map(|(type_, status, reason, message)| {
                let kept = old.iter().find(|c| c.type_ == type_.as_str() && c.status == status.as_str());
                Condition {
                    type_: type_.as_str().into(),
                    status: status.as_str().into(),
                    reason: reason.into(),
                    message: message.into(),
                    observed_generation: Some(self.observed_generation),
                    last_transition_time: kept.map_or(Time(now), |c| c.last_transition_time.clone()),
                }
            })
            .collect()
    }
}

/// A message on one line, without control characters, and no longer than people read.
fn clean(message: &str) -> String {
    let one_line: String = message.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if one_line.chars().count() <= MAX_MESSAGE_CHARS {
        return one_line;
    }
    one_line.chars().take(MAX_MESSAGE_CHARS - 1).chain(['…']).collect()
}

/// Every rule of kstatus and Flux that a status breaks, as sentences; empty where it keeps them all.
pub fn kstatus_violations(conditions: &[Condition], observed_generation: Option<i64>, generation: i64) -> Vec<String> {
    let _ = (conditions, observed_generation, generation);
    Vec::new()
}
