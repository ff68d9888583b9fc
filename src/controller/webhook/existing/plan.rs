//! The order of things for a webhook that exists already, as one pure step function: look, compare, and write only what
//! was looked at.

use crate::controller::webhook::{plan::Outcome, world::Fact};

/// What a pass knows of the webhook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// Not looked for in this pass, or changed by somebody since.
    Unread,
    /// It is not there.
    Missing,
    /// Several carry its name.
    Several,
    /// It is there, and this is its retry policy against the wished one.
    There(Fact),
}

/// One thing to do. Doing it twice is harmless.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Look for it, and compare its retry policy.
    Look,
    /// Write the retry policy, and nothing else.
    Write,
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Run this step, then ask again.
    Do(Step),
    /// It cannot be told which webhook is meant, or there is none.
    NotFound,
    /// Nothing is left to do.
    Done(Outcome),
}

/// The next thing to do; with `observe` nothing is written.
pub fn next(observe: bool, found: Found) -> Next {
    match found {
        Found::Unread | Found::There(Fact::Unread) => Next::Do(Step::Look),
        Found::Missing | Found::Several => Next::NotFound,
        Found::There(Fact::Same) => Next::Done(if observe { Outcome::Observing } else { Outcome::Active }),
        Found::There(Fact::Differs) if observe => Next::Done(Outcome::Drifted),
        Found::There(Fact::Differs) => Next::Do(Step::Write),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn found() -> impl Strategy<Value = Found> {
        let fact = prop_oneof![Just(Fact::Unread), Just(Fact::Same), Just(Fact::Differs)];
        prop_oneof![Just(Found::Unread), Just(Found::Missing), Just(Found::Several), fact.prop_map(Found::There)]
    }

    proptest! {
        #[test]
        fn nothing_is_written_that_is_only_observed_or_was_not_looked_at(
            observe: bool, begin in found(), looks in prop::collection::vec(found(), 1..6),
        ) {
            let (mut world, mut looked) = (begin, begin != Found::Unread && begin != Found::There(Fact::Unread));
            for look in looks {
                match next(observe, world) {
                    Next::Do(Step::Look) => (world, looked) = (look, true),
                    Next::Do(Step::Write) => {
                        prop_assert!(!observe && looked && world == Found::There(Fact::Differs));
                        // A conflict: what is there now has to be looked at again.
                        (world, looked) = (Found::Unread, false);
                    }
                    Next::NotFound => prop_assert!(matches!(world, Found::Missing | Found::Several)),
                    Next::Done(Outcome::Drifted) => prop_assert!(observe && world == Found::There(Fact::Differs)),
                    Next::Done(_) => prop_assert_eq!(world, Found::There(Fact::Same)),
                }
            }
        }

        #[test]
        fn without_faults_it_ends_after_one_look_and_one_write_at_most(
            observe: bool,
            begin in found(),
            there in found().prop_filter("it was looked at", |there| !matches!(there, Found::Unread | Found::There(Fact::Unread))),
        ) {
            let (mut world, mut steps) = (begin, Vec::new());
            while let Next::Do(step) = next(observe, world) {
                steps.push(step);
                prop_assert!(steps.len() <= 2, "{steps:?}");
                world = if step == Step::Look { there } else { Found::There(Fact::Same) };
            }
            prop_assert!(steps.is_sorted_by_key(|step| *step == Step::Write), "{steps:?}");
        }
    }
}
