//! What a pass knows: the resource's wish ([`Desired`]) and the state it found ([`World`]).
//!
//! Both are plain data without ids, secrets or clocks, so that [`plan`](super::plan) can be walked from every state.

/// What the resource asks for, with its references resolved and the operator's defaults filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "each is one independent wish of the spec")]
pub struct Desired {
    /// `spec.version`.
    pub version: i64,
    /// Whether the webhook is to serve traffic (`spec.enabled`).
    pub enabled: bool,
    /// Whether a retry policy is to be attached (`spec.retryPolicyRef`).
    pub policy: bool,
    /// Whether a passing health check is required before anything goes live.
    pub check: bool,
    /// Whether what is live and fails is switched off until it passes (`spec.healthCheck.onFailure`).
    pub deactivate: bool,
    /// What to do with a registration that exists already.
    pub adoption: Adoption,
    /// How many deactivated older versions are kept.
    pub keep: usize,
    /// `mode: Observe`: nothing is written outside.
    pub observe: bool,
}

/// `spec.adoptionPolicy`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Adoption {
    /// Adopt what equals the spec.
    IfIdentical,
    /// Take over whatever is there.
    Always,
    /// Refuse.
    Never,
}

/// What a resource that is being deleted asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Farewell {
    /// Every version is deleted outside.
    Delete,
    /// Every version is deactivated and left there.
    Deactivate,
    /// Nothing outside is touched.
    Orphan,
}

/// The state that a pass found, and that its steps change.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "each is one independent fact")]
pub struct World {
    /// The object carries the finalizer and this version's idempotency key.
    pub claimed: bool,
    /// A registration found under this key is this resource's own: the key was recorded before the pass began and
    /// was never refused.
    pub ours: bool,
    /// Another version whose key was recorded and of which no id is known: a crash may have hidden its registration.
    pub lost: Option<i64>,
    /// The object of the desired version.
    pub target: Target,
    /// What the last health check of what is about to go live said.
    pub health: Health,
    /// The desired version failed `failureThreshold` checks in a row while it was live, and none has passed since.
    pub outage: bool,
    /// Other versions that this resource registered, newest first.
    pub older: Vec<Older>,
    /// The installation refuses DELETE (405 or 501): what should go is deactivated and left there.
    pub undeletable: bool,
}

/// The object of the desired version in Cognigy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// No registration is known. `searched`: the listing was read and does not have it.
    Missing {
        /// The listing was read and does not have it.
        searched: bool,
    },
    /// A registration under this key existed before this resource's own.
    Preexisting {
        /// It equals the spec.
        identical: bool,
        /// Whether it serves traffic; `None` while it was not looked at.
        active: Option<bool>,
    },
    /// The registration is this resource's.
    Known(Known),
}

/// What is known of the registration that is this resource's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// It was seen in this pass; otherwise only the status says that it is there.
    pub seen: bool,
    /// It serves traffic.
    pub active: bool,
    /// Its fields against the spec.
    pub registration: Fact,
    /// Its retry policy against the referenced one.
    pub policy: Fact,
    /// An entity tag for `If-Match` is at hand (cognigy-api.md §4).
    pub tagged: bool,
}

/// One comparison of the outside with the wish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fact {
    /// Not compared in this pass.
    Unread,
    /// As wished.
    Same,
    /// Not as wished.
    Differs,
}

impl Fact {
    /// The fact that a comparison gives.
    pub fn same(same: bool) -> Self {
        if same { Self::Same } else { Self::Differs }
    }
}

/// The health of what is about to go live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// Not checked, or the check is due again.
    Unknown,
    /// The last check passed.
    Passing,
    /// The last check failed and the next one is not due.
    Failing,
}

/// A version other than the desired one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Older {
    /// Its `version`.
    pub version: i64,
    /// It serves traffic; `None` while that is not known: an activation whose answer was lost may have got through.
    pub active: Option<bool>,
}

impl Older {
    /// Whether it is known to serve traffic.
    pub fn serves(&self) -> bool {
        self.active == Some(true)
    }

    /// Whether it may serve traffic.
    pub fn may_serve(&self) -> bool {
        self.active != Some(false)
    }
}

impl World {
    /// The registration of the desired version, where it is this resource's.
    pub fn known(&self) -> Option<&Known> {
        match &self.target {
            Target::Known(known) => Some(known),
            _ => None,
        }
    }

    /// The same, to be changed.
    pub fn known_mut(&mut self) -> Option<&mut Known> {
        match &mut self.target {
            Target::Known(known) => Some(known),
            _ => None,
        }
    }

    /// Another version is known to serve traffic, or not to.
    pub fn set_older(&mut self, version: i64, active: bool) {
        self.older.iter_mut().filter(|older| older.version == version).for_each(|older| older.active = Some(active));
    }

    /// Whether any version is known to serve traffic.
    pub fn any_active(&self) -> bool {
        self.known().is_some_and(|known| known.active) || self.older.iter().any(Older::serves)
    }
}
