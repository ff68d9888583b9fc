//! How much memory the hot pure parts ask for: counted, so that one clone too many is seen at once and on every machine.

#![allow(clippy::unwrap_used)]

#[path = "../../crates/bench/benches/verdicts/mod.rs"]
mod verdicts;
#[path = "../../crates/bench/benches/worlds/mod.rs"]
mod worlds;

use allocation_counter::measure;
use cognigy_operator::controller::webhook::{
    plan::{Next, Outcome, Step, next, next_farewell},
    world::{Desired, Farewell, World},
};
use jiff::Timestamp;

/// How many times memory was asked for.
fn allocations(work: impl FnOnce()) -> u64 {
    measure(work).count_total
}

/// The worlds in which the plan was asked for a step.
fn asked(desired: &Desired, world: World) -> Vec<World> {
    let mut asked = Vec::new();
    let steps = worlds::walk(desired, world, |world| asked.push(world.clone()));
    assert_eq!(asked.len(), steps.len() + 1);
    asked
}

#[test]
fn what_is_allocated_is_counted() {
    assert_eq!(allocations(|| drop(std::hint::black_box(vec![1_u8]))), 1);
}

#[test]
fn a_plan_is_walked_from_nothing_to_live_without_an_allocation() {
    for (steps, (desired, world)) in [(6, worlds::nothing()), (8, worlds::roll_out())] {
        let asked = asked(&desired, world);
        assert_eq!(asked.len(), steps + 1);
        let mut end = None;
        let allocations = allocations(|| {
            for world in &asked {
                end = Some(next(&desired, world));
            }
        });
        assert_eq!((end, allocations), (Some(Next::Done(Outcome::Active)), 0));
    }
}

#[test]
fn a_quiet_pass_decides_without_an_allocation() {
    let (desired, mut world) = worlds::live();
    let (mut first, mut last) = (None, None);
    let allocations = allocations(|| {
        first = Some(next(&desired, &world));
        worlds::compared(&mut world);
        last = Some(next(&desired, &world));
    });
    assert_eq!((first, last), (Some(Next::Do(Step::ReadWebhook)), Some(Next::Done(Outcome::Active))));
    assert_eq!(allocations, 0);
}

#[test]
fn a_farewell_decides_without_an_allocation() {
    let (desired, world) = worlds::live();
    let mut step = None;
    let allocations = allocations(|| step = Some(next_farewell(Farewell::Delete, desired.version, &world)));
    assert_eq!((step, allocations), (Some(Next::Do(Step::Delete(desired.version))), 0));
}

#[test]
fn a_merge_allocates_two_lists_and_the_four_words_of_each_condition() {
    let (live, in_trouble) = (verdicts::live(), verdicts::in_trouble());
    let told = live.merge(&[], Timestamp::UNIX_EPOCH);
    for (verdict, old, conditions) in [(&live, &[][..], 4), (&live, &told, 4), (&in_trouble, &told, 5)] {
        let mut merged = Vec::new();
        let allocations = allocations(|| merged = verdict.merge(old, Timestamp::UNIX_EPOCH));
        assert_eq!((merged.len(), allocations), (conditions, 2 + 4 * conditions as u64));
    }
}
