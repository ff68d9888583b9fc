//! What happens to a fleet, a chapter each.

pub(crate) mod catalogue;
pub(crate) mod deletion;
pub(crate) mod hanging;
pub(crate) mod outage;
pub(crate) mod policy;
pub(crate) mod quiet;
pub(crate) mod restart;
pub(crate) mod rollout;
