//! What passes have to say: for the benchmark, and for the guard on allocations (`tests/allocations/`).

use cognigy_operator::api::{
    Conditions,
    condition::{FactReason, Reason},
};

/// A webhook that is live with its policy.
pub fn live() -> Conditions {
    Conditions::new(Reason::Active, "version 1 serves traffic as wh_abc123def", 1)
        .registered(true, FactReason::Registered, "wh_abc123def")
        .healthy(true, FactReason::CheckPassed, "200 after 12 ms")
        .retry_policy_applied(true, FactReason::Applied, "patient, generation 1")
}

/// The same while Cognigy is in trouble.
pub fn in_trouble() -> Conditions {
    Conditions::new(Reason::ServerError, "Cognigy answers 503: the next try is at 10:00:04", 2)
        .registered(true, FactReason::Registered, "wh_abc123def")
        .healthy(true, FactReason::CheckPassed, "200 after 12 ms")
        .retry_policy_applied(false, FactReason::NotApplied, "patient, generation 2")
}
