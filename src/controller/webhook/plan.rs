//! The order of things, as one pure step function (docs/design.md).
//!
//! [`next`] says what a webhook needs next, [`next_farewell`] what a webhook that is being deleted needs next. The
//! caller runs the step, folds its outcome into the [`World`] and asks again; a crash at any point is just another
//! world. Every rule of order stands here and nowhere else:
//!
//! - the claim (finalizer and idempotency key) precedes the first POST (resources.md, *Crash safety*);
//! - register inactive → retry policy → health check → activate (cognigy-api.md §2);
//! - one more version goes live beside one other at most;
//! - what is live is switched off because of its health only after an outage was told, and only where that is wished;
//! - an older version is deactivated only after the new one is active, and deleted only after it was deactivated.

use super::world::{Adoption, Desired, Fact, Farewell, Health, Known, Older, Target, World};

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Run this step, then ask again.
    Do(Step),
    /// Something has to happen first; nothing can be done now.
    Wait(Why),
    /// Nothing is left to do.
    Done(Outcome),
}

/// One thing to do. Doing it twice is harmless.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Look in the listing for a version whose registration a crash may have hidden.
    Recover(i64),
    /// Record the finalizer and the idempotency key on the object, in one patch.
    Claim,
    /// `POST /api/v1/integrations`, inactive.
    Register,
    /// Look for the registration by its idempotency key in the listing.
    Find,
    /// Take the registration that was found for this resource's own.
    Adopt,
    /// `GET /api/v2/webhooks/{id}`: the entity tag, the policy, the state.
    ReadWebhook,
    /// `GET /api/v1/integrations/{id}`: the fields of the registration.
    ReadIntegration,
    /// `PUT /api/v2/webhooks/{id}` with `If-Match`.
    WritePolicy,
    /// The callback health check (cognigy-api.md §5).
    CheckHealth,
    /// `PUT /api/v1/integrations/{id}` with the whole registration.
    Put {
        /// The `status` to write.
        active: bool,
    },
    /// `GET /api/v2/webhooks/{id}` of another version: whether it serves traffic.
    ReadOlder(i64),
    /// Deactivate this version.
    Deactivate(i64),
    /// `DELETE` this version.
    Delete(i64),
    /// Remove the finalizer.
    Release,
}

impl Step {
    /// Whether the step changes something in Cognigy.
    pub fn writes_outside(self) -> bool {
        matches!(self, Self::Register | Self::WritePolicy | Self::Put { .. } | Self::Deactivate(_) | Self::Delete(_))
    }
}

/// Why nothing can be done now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The health check fails; it is repeated on its schedule.
    HealthCheckFailed,
    /// A registration of this name and version exists and is not this resource's.
    AlreadyExists,
}

/// How a pass without anything left to do ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The desired version serves traffic.
    Active,
    /// It is registered and, as wished, inactive.
    Disabled,
    /// Cognigy is as wished while the callback is out: what is left is to wait for a passing check.
    Failing,
    /// `mode: Observe` and no difference.
    Observing,
    /// `mode: Observe` and a difference, or nothing registered.
    Drifted,
    /// The finalizer is gone.
    Released,
}

/// The next thing to do for a webhook that is to be there.
pub fn next(desired: &Desired, world: &World) -> Next {
    if desired.observe {
        return observe(desired, world);
    }
    if let Some(version) = world.lost {
        // The claim of another version would overwrite the only trace of it.
        return Next::Do(Step::Recover(version));
    }
    if !world.claimed {
        return Next::Do(Step::Claim);
    }
    match world.target {
        Target::Missing { .. } => Next::Do(Step::Register),
        Target::Preexisting { identical, active } => preexisting(desired, world.ours, identical, active),
        Target::Known(known) => bring_up(desired, world, known),
    }
}

fn observe(desired: &Desired, world: &World) -> Next {
    match world.target {
        Target::Missing { searched: false } | Target::Preexisting { active: None, .. } => Next::Do(Step::Find),
        Target::Missing { searched: true } => Next::Done(Outcome::Drifted),
        Target::Preexisting { .. } => Next::Do(Step::Adopt),
        Target::Known(known) => {
            if let Some(read) = unread(desired, known) {
                return Next::Do(read);
            }
            let same = known.registration == Fact::Same
                && known.active == desired.enabled
                && (!desired.policy || known.policy == Fact::Same);
            Next::Done(if same { Outcome::Observing } else { Outcome::Drifted })
        }
    }
}

fn preexisting(desired: &Desired, ours: bool, identical: bool, active: Option<bool>) -> Next {
    if !ours && desired.adoption == Adoption::Never {
        return Next::Wait(Why::AlreadyExists);
    }
    let Some(active) = active else { return Next::Do(Step::Find) };
    // An inactive leftover (DELETE refused) counts as identical (resources.md).
    if ours || identical || !active || desired.adoption == Adoption::Always {
        Next::Do(Step::Adopt)
    } else {
        Next::Wait(Why::AlreadyExists)
    }
}

/// What has to be read before anything can be decided.
fn unread(desired: &Desired, known: Known) -> Option<Step> {
    if !known.seen || (desired.policy && known.policy == Fact::Unread) {
        Some(Step::ReadWebhook)
    } else if known.registration == Fact::Unread {
        Some(Step::ReadIntegration)
    } else {
        None
    }
}

fn bring_up(desired: &Desired, world: &World, known: Known) -> Next {
    if let Some(read) = unread(desired, known) {
        return Next::Do(read);
    }
    if desired.policy && known.policy == Fact::Differs {
        return Next::Do(if known.tagged { Step::WritePolicy } else { Step::ReadWebhook });
    }
    let stale = known.registration == Fact::Differs;
    if !desired.enabled {
        if known.active || stale {
            return Next::Do(Step::Put { active: false });
        }
        return tidy(desired, world).unwrap_or(Next::Done(Outcome::Disabled));
    }
    if stale && !known.active {
        return Next::Do(Step::Put { active: false });
    }
    if stale || !known.active {
        return match world.health {
            Health::Passing => Next::Do(go_live(world, known)),
            _ if !desired.check => Next::Do(go_live(world, known)),
            Health::Unknown => Next::Do(Step::CheckHealth),
            Health::Failing if world.outage && !stale => Next::Done(Outcome::Failing),
            Health::Failing => Next::Wait(Why::HealthCheckFailed),
        };
    }
    let out = desired.check && world.outage && world.health != Health::Passing;
    if out && desired.deactivate {
        return Next::Do(match world.health {
            Health::Failing => Step::Put { active: false },
            _ => Step::CheckHealth,
        });
    }
    tidy(desired, world).unwrap_or(Next::Done(if out { Outcome::Failing } else { Outcome::Active }))
}

/// Activation. Roll-outs that were left half done may have more than one other version active: all but the one that served
/// last make room first.
fn go_live(world: &World, known: Known) -> Step {
    if !known.active {
        if let Some(unknown) = world.older.iter().find(|older| older.active.is_none()) {
            return Step::ReadOlder(unknown.version);
        }
        if let Some(surplus) = world.older.iter().filter(|older| older.serves()).nth(1) {
            return Step::Deactivate(surplus.version);
        }
    }
    Step::Put { active: true }
}

/// Older versions, once the desired one is as it should be: first all are deactivated, then what is too many goes.
fn tidy(desired: &Desired, world: &World) -> Option<Next> {
    if let Some(active) = world.older.iter().find(|older| older.may_serve()) {
        return Some(Next::Do(Step::Deactivate(active.version)));
    }
    let surplus = world.older.get(desired.keep).filter(|_| !world.undeletable)?;
    Some(Next::Do(Step::Delete(surplus.version)))
}

/// The next thing to do for a webhook that is being deleted. Nothing is ever registered on the way.
pub fn next_farewell(farewell: Farewell, version: i64, world: &World) -> Next {
    if !world.claimed {
        return Next::Done(Outcome::Released);
    }
    if farewell == Farewell::Orphan {
        return Next::Do(Step::Release);
    }
    let target = match world.target {
        // The key is recorded before the first POST: a registration of ours may be there although no id is known.
        Target::Missing { searched: false } | Target::Preexisting { active: None, .. } if world.ours => {
            return Next::Do(Step::Find);
        }
        Target::Preexisting { .. } if world.ours => return Next::Do(Step::Adopt),
        Target::Missing { .. } | Target::Preexisting { .. } => None,
        Target::Known(known) => Some(Older { version, active: Some(known.active) }),
    };
    for other in target.into_iter().chain(world.older.iter().copied()) {
        if farewell == Farewell::Delete && !world.undeletable {
            return Next::Do(Step::Delete(other.version));
        }
        if other.may_serve() {
            return Next::Do(Step::Deactivate(other.version));
        }
    }
    Next::Do(Step::Release)
}

/// The world after a step that went well: how a plan is walked without doing it (property tests, `diff`).
pub fn assume(desired: &Desired, world: &World, step: Step) -> World {
    let mut after = world.clone();
    let fresh = Known { seen: true, active: false, registration: Fact::Same, policy: Fact::Differs, tagged: false };
    match step {
        Step::Recover(_) => after.lost = None,
        Step::Claim => after.claimed = true,
        Step::Release => after.claimed = false,
        Step::Register => after.target = Target::Known(fresh),
        Step::Find => {
            after.target = match world.target {
                Target::Preexisting { identical, .. } => Target::Preexisting { identical, active: Some(false) },
                _ => Target::Missing { searched: true },
            }
        }
        Step::Adopt => {
            if let Target::Preexisting { identical, active } = world.target {
                after.target = Target::Known(Known {
                    active: active.unwrap_or_default(),
                    registration: Fact::same(identical),
                    policy: Fact::Unread,
                    ..fresh
                });
            }
        }
        Step::CheckHealth => {
            after.health = Health::Passing;
            after.outage = false;
        }
        // The worse case.
        Step::ReadOlder(version) => after.set_older(version, true),
        Step::Deactivate(version) => {
            if version == desired.version
                && let Some(known) = after.known_mut()
            {
                known.active = false;
            }
            after.set_older(version, false);
        }
        Step::Delete(version) => {
            if version == desired.version {
                after.target = Target::Missing { searched: true };
            }
            after.older.retain(|older| older.version != version);
        }
        Step::ReadWebhook | Step::ReadIntegration | Step::WritePolicy | Step::Put { .. } => {
            if let Some(known) = after.known_mut() {
                assume_known(known, step);
            }
        }
    }
    after
}

fn assume_known(known: &mut Known, step: Step) {
    match step {
        Step::ReadWebhook => {
            known.seen = true;
            known.tagged = true;
            if known.policy == Fact::Unread {
                known.policy = Fact::Differs;
            }
        }
        Step::ReadIntegration => known.registration = Fact::Differs,
        Step::WritePolicy => {
            known.policy = Fact::Same;
            known.tagged = false;
        }
        Step::Put { active } => {
            known.registration = Fact::Same;
            known.active = active;
            known.tagged = false;
        }
        _ => {}
    }
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
