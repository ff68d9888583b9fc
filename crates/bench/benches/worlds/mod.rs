//! Worlds from which the plan is walked: for the benchmark, and for the guard on allocations (`tests/allocations/`).

use cognigy_operator::controller::webhook::{
    plan::{Next, Outcome, Step, assume, next},
    world::{Adoption, Desired, Fact, Health, Known, Older, Target, World},
};

/// A webhook with a policy and a health check, of which nothing is known yet.
pub fn nothing() -> (Desired, World) {
    let desired = Desired {
        version: 8,
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

/// The same beside two older versions, of which one serves.
pub fn roll_out() -> (Desired, World) {
    let (desired, world) = nothing();
    let older = vec![Older { version: 7, active: Some(true) }, Older { version: 6, active: Some(false) }];
    (desired, World { older, ..world })
}

/// What is live, with an older version that is kept, as a pass finds it in the status: nothing is read yet.
pub fn live() -> (Desired, World) {
    let (desired, world) = nothing();
    let known = Known { seen: false, active: true, registration: Fact::Unread, policy: Fact::Unread, tagged: false };
    let older = vec![Older { version: 7, active: Some(false) }];
    (desired, World { claimed: true, ours: true, target: Target::Known(known), older, ..world })
}

/// What is live after Cognigy answered 304: all is as it was.
pub fn compared(world: &mut World) {
    if let Some(known) = world.known_mut() {
        *known = Known { seen: true, registration: Fact::Same, policy: Fact::Same, ..*known };
    }
}

/// Walks the plan until `Active`, every step going well; `each` sees the worlds in which a step was asked for.
pub fn walk(desired: &Desired, mut world: World, mut each: impl FnMut(&World)) -> Vec<Step> {
    let mut steps = Vec::new();
    loop {
        each(&world);
        match next(desired, &world) {
            Next::Do(step) => {
                steps.push(step);
                world = assume(desired, &world, step);
            }
            end => {
                assert_eq!(end, Next::Done(Outcome::Active), "after {steps:?}");
                return steps;
            }
        }
    }
}
