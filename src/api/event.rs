//! Events: the audit trail's reasons (docs/resources.md, *Events*).

use super::reason::{Reason, reasons};

reasons! {
    /// The reasons of all events that the operator writes.
    EventReason {
        /// A webhook was registered.
        Registered,
        /// A registration that existed was taken over.
        Adopted,
        /// A registration was changed.
        Updated,
        /// A retry policy was written.
        RetryPolicyApplied,
        /// The callback passes its health check.
        HealthCheckPassed,
        /// A webhook was activated.
        Activated,
        /// A webhook was deactivated.
        Deactivated,
        /// An older version was announced as deprecated.
        VersionDeprecated,
        /// A kept version was reactivated.
        VersionRolledBack,
        /// A difference in Cognigy was corrected.
        DriftCorrected,
        /// A registration was removed.
        Deleted,
        /// A registration was left behind.
        Orphaned,
        /// A change that had used up its attempts worked.
        Recovered,
        /// A requested pass is done.
        ReconcileRequestHandled,
        /// A person had a dead letter sent again.
        DeadLetterReplayed,
        /// A person had a dead letter thrown away.
        DeadLetterDiscarded,
        /// A person had an alert thrown away that its sink did not accept.
        AlertDiscarded,
        /// The callback does not pass its health check.
        HealthCheckFailed,
        /// Cognigy differs from the spec.
        DriftDetected,
        /// Somebody else changed the webhook at the same time.
        Conflict,
        /// Cognigy refused the content.
        Rejected,
        /// Cognigy asked for a pause.
        RateLimited,
        /// The circuit breaker opened.
        CircuitOpened,
        /// All attempts of a change are used up.
        RetriesExhausted,
        /// A dead letter was accepted by its sink.
        DeadLetterDelivered,
        /// A dead letter was not accepted by its sink.
        DeadLetterFailed,
        /// What was asked about a message could not be done.
        DeadLetterRequestRefused,
        /// The callback's certificate expires soon.
        CertificateExpiring,
        /// An older object has the same tenant and name.
        NameConflict,
        /// The registration belongs to somebody else.
        AlreadyExists,
        /// The object cannot be deleted at present.
        DeletionBlocked,
        /// The spec breaks a rule that the API server cannot check.
        InvalidSpec,
        /// The installation offers neither `ETag` nor `_version`.
        LockingUnsupported,
        /// The callback lies where none may.
        CallbackForbidden,
        /// The tenant is not there.
        TenantNotFound,
        /// The tenant does not allow this namespace.
        TenantNotAllowed,
        /// A Secret, or a key in it, is not there.
        SecretNotFound,
        /// The retry policy is not there.
        RetryPolicyNotFound,
        /// The API in question cannot express the retry policy.
        RetryPolicyUnsupported,
        /// The existing webhook is not there.
        WebhookNotFound,
        /// Cognigy refused the credentials.
        Unauthorized,
        /// A scope or a role is missing.
        Forbidden,
        /// The certificate of the installation is not accepted.
        TlsFailed,
    }
}

/// Kubernetes' two kinds of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// Something was done.
    Normal,
    /// Something is wrong.
    Warning,
}

impl EventReason {
    /// Whether it is good news.
    pub fn kind(self) -> EventKind {
        match self {
            Self::Registered
            | Self::Adopted
            | Self::Updated
            | Self::RetryPolicyApplied
            | Self::HealthCheckPassed
            | Self::Activated
            | Self::Deactivated
            | Self::VersionDeprecated
            | Self::VersionRolledBack
            | Self::DriftCorrected
            | Self::Deleted
            | Self::Orphaned
            | Self::Recovered
            | Self::ReconcileRequestHandled
            | Self::DeadLetterReplayed
            | Self::DeadLetterDiscarded
            | Self::AlertDiscarded => EventKind::Normal,
            _ => EventKind::Warning,
        }
    }

    /// The event that tells of a Ready reason: those that need a person's attention have one.
    pub fn telling(reason: Reason) -> Option<Self> {
        Some(match reason {
            Reason::HealthCheckFailed => Self::HealthCheckFailed,
            Reason::DriftDetected => Self::DriftDetected,
            Reason::Conflict => Self::Conflict,
            Reason::Rejected => Self::Rejected,
            Reason::RateLimited => Self::RateLimited,
            Reason::RetriesExhausted => Self::RetriesExhausted,
            Reason::NameConflict => Self::NameConflict,
            Reason::AlreadyExists => Self::AlreadyExists,
            Reason::DeletionBlocked | Reason::InUse => Self::DeletionBlocked,
            Reason::InvalidSpec => Self::InvalidSpec,
            Reason::LockingUnsupported => Self::LockingUnsupported,
            Reason::CallbackForbidden => Self::CallbackForbidden,
            Reason::TenantNotFound => Self::TenantNotFound,
            Reason::TenantNotAllowed => Self::TenantNotAllowed,
            Reason::SecretNotFound => Self::SecretNotFound,
            Reason::RetryPolicyNotFound => Self::RetryPolicyNotFound,
            Reason::RetryPolicyUnsupported => Self::RetryPolicyUnsupported,
            Reason::WebhookNotFound => Self::WebhookNotFound,
            Reason::Unauthorized => Self::Unauthorized,
            Reason::Forbidden => Self::Forbidden,
            Reason::TlsFailed => Self::TlsFailed,
            Reason::Accepted
            | Reason::Connected
            | Reason::Connecting
            | Reason::Unreachable
            | Reason::Active
            | Reason::Disabled
            | Reason::Suspended
            | Reason::Observing
            | Reason::Progressing
            | Reason::TenantNotReady
            | Reason::CircuitOpen
            | Reason::ServerError
            | Reason::Deleting => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The words in backticks between two marks of docs/resources.md.
    fn documented(from: &str, to: &str) -> Vec<&'static str> {
        let text = include_str!("../../docs/resources.md").split("## Events").nth(1).unwrap();
        text.split(from).nth(1).unwrap().split(to).next().unwrap().split('`').skip(1).step_by(2).collect()
    }

    fn of(kind: EventKind) -> Vec<&'static str> {
        EventReason::ALL.iter().filter(|reason| reason.kind() == kind).map(|reason| reason.as_str()).collect()
    }

    #[test]
    fn normal_events_are_the_documented_ones() {
        assert_eq!(of(EventKind::Normal), documented("Normal: ", "Warning: "));
    }

    #[test]
    fn warnings_are_the_documented_ones_and_those_of_ready_reasons() {
        let documented = documented("Warning: ", "and each Ready reason");
        let warnings = of(EventKind::Warning);
        for name in &documented {
            assert!(warnings.contains(name), "{name} does not exist");
        }
        for name in warnings.iter().filter(|name| !documented.contains(name)) {
            assert!(Reason::ALL.iter().any(|reason| reason.as_str() == *name), "{name} mirrors no Ready reason");
        }
    }

    #[test]
    fn an_event_carries_the_word_of_the_ready_reason_that_it_tells_and_warns() {
        for (reason, event) in Reason::ALL.iter().filter_map(|reason| Some((reason, EventReason::telling(*reason)?))) {
            // A tenant that is in use is a deletion that waits; it has no event of its own.
            let word = if *reason == Reason::InUse { Reason::DeletionBlocked } else { *reason };
            assert_eq!((event.as_str(), event.kind()), (word.as_str(), EventKind::Warning));
        }
    }

    #[test]
    fn every_verdict_that_a_person_must_act_upon_has_an_event() {
        for reason in Reason::ALL.iter().filter(|reason| reason.verdict().with == super::super::With::Stalled) {
            assert!(EventReason::telling(*reason).is_some(), "{reason}");
        }
    }
}
