//! The plan walked from every state: order, idempotence and safety.

use proptest::prelude::*;

use super::*;

const STEPS: usize = 64;

fn known() -> impl Strategy<Value = Known> {
    let fact = || prop_oneof![Just(Fact::Unread), Just(Fact::Same), Just(Fact::Differs)];
    (any::<bool>(), any::<bool>(), fact(), fact(), any::<bool>())
        .prop_map(|(seen, active, registration, policy, tagged)| Known { seen, active, registration, policy, tagged })
}

fn target() -> impl Strategy<Value = Target> {
    prop_oneof![
        any::<bool>().prop_map(|searched| Target::Missing { searched }),
        (any::<bool>(), any::<Option<bool>>())
            .prop_map(|(identical, active)| Target::Preexisting { identical, active }),
        known().prop_map(Target::Known),
    ]
}

fn world() -> impl Strategy<Value = World> {
    let health = prop_oneof![Just(Health::Unknown), Just(Health::Passing), Just(Health::Failing)];
    let older = prop::collection::btree_map(10i64..20, any::<Option<bool>>(), 0..4);
    let lost = prop::option::of(30i64..40);
    let flags = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
    (flags, lost, target(), health, older).prop_map(
        |((claimed, ours, outage, undeletable), lost, target, health, older)| World {
            claimed,
            ours,
            lost,
            target,
            health,
            outage,
            older: older.into_iter().rev().map(|(version, active)| Older { version, active }).collect(),
            undeletable,
        },
    )
}

fn desired() -> impl Strategy<Value = Desired> {
    let adoption = prop_oneof![Just(Adoption::IfIdentical), Just(Adoption::Always), Just(Adoption::Never)];
    let flags = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
    (flags, adoption, 0usize..3).prop_map(|((enabled, policy, check, deactivate, observe), adoption, keep)| Desired {
        version: 1,
        enabled,
        policy,
        check,
        deactivate,
        adoption,
        keep,
        observe,
    })
}

/// The worlds before each step, the last world, and how it ended.
type Walk = (Vec<(World, Step)>, World, Next);

/// Walks the plan with every step going well.
fn walk(desired: &Desired, mut world: World, next: impl Fn(&World) -> Next) -> Result<Walk, TestCaseError> {
    let mut steps = Vec::new();
    for _ in 0..STEPS {
        match next(&world) {
            Next::Do(step) => {
                let after = assume(desired, &world, step);
                steps.push((std::mem::replace(&mut world, after), step));
            }
            end => return Ok((steps, world, end)),
        }
    }
    Err(TestCaseError::fail(format!("no end after {STEPS} steps: {:?}", steps.last())))
}

proptest! {
    #[test]
    fn every_plan_ends_and_planning_again_gives_nothing(desired in desired(), world in world()) {
        let (_, end_world, end) = walk(&desired, world, |world| next(&desired, world))?;
        prop_assert_eq!(next(&desired, &end_world), end);
    }

    #[test]
    fn nothing_goes_live_without_a_passing_check_when_one_is_required(desired in desired(), world in world()) {
        let (steps, ..) = walk(&desired, world, |world| next(&desired, world))?;
        for (before, step) in steps {
            if step == (Step::Put { active: true }) && desired.check {
                prop_assert_eq!(before.health, Health::Passing);
            }
        }
    }

    #[test]
    fn nothing_goes_live_without_its_retry_policy(desired in desired(), world in world()) {
        let (steps, ..) = walk(&desired, world, |world| next(&desired, world))?;
        for (before, step) in steps {
            if step == (Step::Put { active: true }) && desired.policy {
                prop_assert_eq!(before.known().map(|known| known.policy), Some(Fact::Same));
            }
        }
    }

    #[test]
    fn a_policy_is_only_written_with_an_entity_tag_at_hand(desired in desired(), world in world()) {
        let (steps, ..) = walk(&desired, world, |world| next(&desired, world))?;
        for (before, step) in steps {
            if step == Step::WritePolicy {
                prop_assert!(before.known().is_some_and(|known| known.tagged));
            }
        }
    }

    #[test]
    fn the_claim_precedes_every_write(desired in desired(), world in world()) {
        let (steps, ..) = walk(&desired, world, |world| next(&desired, world))?;
        for (before, step) in steps {
            prop_assert!(before.claimed || !step.writes_outside(), "{:?} before the claim", step);
        }
    }

    #[test]
    fn once_one_was_active_there_is_never_an_instant_with_none(desired in desired(), world in world()) {
        // `deactivate` asks for just that; see below.
        let desired = Desired { enabled: true, deactivate: false, ..desired };
        let mut world = world;
        if !world.any_active() {
            world.older.insert(0, Older { version: 50, active: Some(true) });
        }
        let (steps, end, _) = walk(&desired, world, |world| next(&desired, world))?;
        for (before, step) in steps {
            prop_assert!(before.any_active(), "none active before {:?}", step);
        }
        prop_assert!(end.any_active());
    }

    #[test]
    fn a_webhook_that_is_as_wished_is_switched_off_only_in_an_outage_and_only_where_that_is_wished(
        desired in desired(),
        world in world(),
        outage in any::<bool>(),
    ) {
        let desired = Desired { enabled: true, ..desired };
        let target = Target::Known(Known {
            seen: true, active: true, registration: Fact::Same, policy: Fact::Same, tagged: true,
        });
        let world = World { claimed: true, lost: None, target, outage, ..world };
        let (steps, end, outcome) = walk(&desired, world.clone(), |world| next(&desired, world))?;
        let off = steps.iter().any(|(_, step)| *step == Step::Put { active: false });
        let wished = desired.check && desired.deactivate && outage && world.health == Health::Failing && !desired.observe;
        prop_assert_eq!(off, wished);
        prop_assert_eq!(end.known().map(|known| known.active), Some(!wished));
        if wished {
            prop_assert_eq!(outcome, Next::Done(Outcome::Failing));
        }
    }

    #[test]
    fn a_check_never_touches_a_version_that_is_kept(desired in desired(), world in world()) {
        let desired = Desired { enabled: true, deactivate: true, check: true, observe: false, ..desired };
        let target = Target::Known(Known {
            seen: true, active: true, registration: Fact::Same, policy: Fact::Same, tagged: true,
        });
        let world = World { claimed: true, lost: None, target, outage: true, health: Health::Failing, ..world };
        let (_, end, _) = walk(&desired, world.clone(), |world| next(&desired, world))?;
        prop_assert_eq!(end.older, world.older);
    }

    #[test]
    fn one_more_goes_live_beside_one_other_at_most(desired in desired(), world in world()) {
        let (steps, ..) = walk(&desired, world, |world| next(&desired, world))?;
        for (before, step) in steps {
            if step == (Step::Put { active: true }) && before.known().is_some_and(|known| !known.active) {
                prop_assert!(before.older.iter().filter(|older| older.may_serve()).count() <= 1);
            }
        }
    }

    #[test]
    fn observing_writes_nothing(desired in desired(), world in world()) {
        let desired = Desired { observe: true, ..desired };
        let (steps, ..) = walk(&desired, world, |world| next(&desired, world))?;
        for (_, step) in steps {
            prop_assert!(!step.writes_outside() && step != Step::Claim, "{:?}", step);
        }
    }

    #[test]
    fn never_touches_what_is_somebody_elses(
        desired in desired(),
        world in world(),
        identical in any::<bool>(),
        active in any::<Option<bool>>(),
    ) {
        let desired = Desired { adoption: Adoption::Never, observe: false, ..desired };
        let world = World { ours: false, target: Target::Preexisting { identical, active }, ..world };
        let (steps, _, end) = walk(&desired, world, |world| next(&desired, world))?;
        prop_assert!(steps.iter().all(|(_, step)| !step.writes_outside()));
        prop_assert_eq!(end, Next::Wait(Why::AlreadyExists));
    }

    #[test]
    fn an_active_end_has_no_other_version_active_and_keeps_no_more_than_asked(desired in desired(), world in world()) {
        let (_, end, outcome) = walk(&desired, world, |world| next(&desired, world))?;
        if outcome == Next::Done(Outcome::Active) {
            prop_assert!(!end.older.iter().any(Older::may_serve));
            prop_assert!(end.undeletable || end.older.len() <= desired.keep);
        }
    }

    #[test]
    fn a_farewell_registers_nothing_and_leaves_what_its_policy_says(
        desired in desired(),
        world in world(),
        farewell in prop_oneof![Just(Farewell::Delete), Just(Farewell::Deactivate), Just(Farewell::Orphan)],
    ) {
        let (steps, end, outcome) =
            walk(&desired, world.clone(), |world| next_farewell(farewell, desired.version, world))?;
        prop_assert_eq!(outcome, Next::Done(Outcome::Released));
        let brings_up = |step: &Step| matches!(step, Step::Register | Step::Put { .. } | Step::WritePolicy);
        prop_assert!(!steps.iter().any(|(_, step)| brings_up(step)));
        if world.claimed {
            match farewell {
                Farewell::Delete if !world.undeletable => prop_assert!(end.known().is_none() && end.older.is_empty()),
                Farewell::Orphan => prop_assert_eq!(steps.len(), 1),
                Farewell::Delete | Farewell::Deactivate => {
                    prop_assert!(!end.any_active() && !end.older.iter().any(Older::may_serve));
                }
            }
        } else {
            prop_assert!(steps.is_empty());
        }
    }
}

fn fresh() -> (Desired, World) {
    let desired = Desired {
        version: 1,
        enabled: true,
        policy: true,
        check: true,
        deactivate: false,
        adoption: Adoption::IfIdentical,
        keep: 1,
        observe: false,
    };
    let world = World {
        claimed: false,
        ours: false,
        lost: None,
        target: Target::Missing { searched: false },
        health: Health::Unknown,
        outage: false,
        older: Vec::new(),
        undeletable: false,
    };
    (desired, world)
}

fn steps(desired: &Desired, world: World) -> Vec<Step> {
    let (steps, ..) = walk(desired, world, |world| next(desired, world)).expect("the plan ends");
    steps.into_iter().map(|(_, step)| step).collect()
}

#[test]
fn a_new_webhook_is_registered_given_its_policy_checked_and_activated() {
    let (desired, world) = fresh();
    assert_eq!(
        steps(&desired, world),
        [
            Step::Claim,
            Step::Register,
            Step::ReadWebhook,
            Step::WritePolicy,
            Step::CheckHealth,
            Step::Put { active: true }
        ]
    );
}

#[test]
fn a_new_version_is_brought_up_before_the_old_one_goes_down() {
    let (desired, mut world) = fresh();
    world.claimed = true;
    world.older = vec![Older { version: 7, active: Some(true) }, Older { version: 6, active: Some(false) }];
    let steps = steps(&desired, world);
    let tail = &steps[steps.len() - 3..];
    assert_eq!(tail, [Step::Put { active: true }, Step::Deactivate(7), Step::Delete(6)]);
}

#[test]
fn a_failing_check_keeps_the_old_version_serving() {
    let (desired, mut world) = fresh();
    world.claimed = true;
    world.health = Health::Failing;
    world.target =
        Target::Known(Known { seen: true, active: false, registration: Fact::Same, policy: Fact::Same, tagged: true });
    world.older = vec![Older { version: 7, active: Some(true) }];
    assert_eq!(next(&desired, &world), Next::Wait(Why::HealthCheckFailed));
}

#[test]
fn an_active_webhook_with_a_changed_url_is_checked_before_the_change_is_written() {
    let (desired, mut world) = fresh();
    world.claimed = true;
    world.target = Target::Known(Known {
        seen: true,
        active: true,
        registration: Fact::Differs,
        policy: Fact::Same,
        tagged: true,
    });
    assert_eq!(steps(&desired, world), [Step::CheckHealth, Step::Put { active: true }]);
}

/// An active webhook as wished whose callback is out.
fn outage(deactivate: bool, health: Health) -> (Desired, World) {
    let (desired, world) = fresh();
    let target =
        Target::Known(Known { seen: true, active: true, registration: Fact::Same, policy: Fact::Same, tagged: true });
    (Desired { deactivate, ..desired }, World { claimed: true, target, health, outage: true, ..world })
}

#[test]
fn an_outage_that_is_only_reported_leaves_the_webhook_active() {
    for health in [Health::Unknown, Health::Failing] {
        let (desired, world) = outage(false, health);
        assert_eq!(next(&desired, &world), Next::Done(Outcome::Failing));
    }
}

#[test]
fn an_outage_switches_the_webhook_off_and_the_first_passing_check_switches_it_on_again() {
    let (desired, world) = outage(true, Health::Failing);
    let (steps, off, end) = walk(&desired, world, |world| next(&desired, world)).expect("the plan ends");
    assert_eq!(steps.iter().map(|(_, step)| *step).collect::<Vec<_>>(), [Step::Put { active: false }]);
    assert_eq!(end, Next::Done(Outcome::Failing));
    let passes = World { health: Health::Passing, outage: false, ..off };
    assert_eq!(next(&desired, &passes), Next::Do(Step::Put { active: true }));
}

#[test]
fn a_changed_wish_is_checked_before_an_outage_switches_the_webhook_off() {
    let (desired, world) = outage(true, Health::Unknown);
    assert_eq!(steps(&desired, world), [Step::CheckHealth]);
}

#[test]
fn a_version_that_a_crash_may_have_hidden_is_looked_for_before_its_trace_is_overwritten() {
    let (desired, mut world) = fresh();
    world.lost = Some(7);
    assert_eq!(steps(&desired, world)[..2], [Step::Recover(7), Step::Claim]);
}

#[test]
fn a_half_done_registration_is_looked_for_before_the_object_is_let_go() {
    let (_, mut world) = fresh();
    world.claimed = true;
    world.ours = true;
    assert_eq!(next_farewell(Farewell::Delete, 1, &world), Next::Do(Step::Find));
}
