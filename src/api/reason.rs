//! Reasons: each word that a condition gives as its reason, in one place, and what it means
//! (docs/resources.md, *Ready reason | Ready | with it*).

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
    /// `Registered`: the webhook exists in Cognigy.
    Registered,
    /// `Registered`: it does not (yet).
    NotRegistered,
    /// `Healthy`: the last check passed.
    CheckPassed,
    /// `Healthy`: the last check failed.
    CheckFailed,
    /// `Healthy`: no check was made yet.
    NotChecked,
    /// `Healthy`: checks are turned off.
    CheckDisabled,
    /// `RetryPolicyApplied`: Cognigy has it.
    Applied,
    /// `RetryPolicyApplied`: Cognigy does not have it (yet).
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The reasons of the rows of the table in docs/resources.md whose last cell begins with `word`.
    fn documented(word: &str) -> Vec<String> {
        let text = include_str!("../../docs/resources.md");
        let table = text.split("| Ready reason | Ready | with it |").nth(1).unwrap().split("\n\n").next().unwrap();
        table
            .lines()
            .map(|line| line.split('|').map(str::trim).collect::<Vec<_>>())
            .filter(|cells| cells.len() > 3 && cells[3].starts_with(word))
            .flat_map(|cells| cells[1].split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>())
            .filter(|name| name.starts_with(char::is_uppercase))
            .collect()
    }

    #[test]
    fn verdicts_are_those_of_the_documented_table() {
        for (word, with) in [("nothing", With::Nothing), ("Reconciling", With::Reconciling), ("Stalled", With::Stalled)]
        {
            let names = documented(word);
            assert!(names.len() > 3, "the table was not found: {names:?}");
            for name in names {
                let reason = Reason::ALL.iter().find(|reason| reason.as_str() == name);
                assert_eq!(reason.map(|reason| reason.verdict().with), Some(with), "{name}");
            }
        }
    }

    #[test]
    fn every_documented_ready_reason_exists_and_no_other() {
        let text = include_str!("../../docs/resources.md");
        let listed: Vec<_> = text
            .split("Ready reasons: ")
            .skip(1)
            .flat_map(|rest| rest.split(".\n").next().unwrap().split('`').skip(1).step_by(2))
            .collect();
        for reason in Reason::ALL {
            assert!(listed.contains(&reason.as_str()), "{reason} is not documented");
        }
        for name in listed {
            assert!(Reason::ALL.iter().any(|reason| reason.as_str() == name), "{name} does not exist");
        }
    }

    #[test]
    fn only_a_verdict_without_anything_abnormal_is_ready() {
        for reason in Reason::ALL {
            let verdict = reason.verdict();
            assert!(!verdict.ready || verdict.with == With::Nothing, "{reason}");
        }
    }
}
