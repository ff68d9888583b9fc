//! Whose turn it is, as pure data: the more urgent before the less urgent, namespaces in turn, and within a namespace in
//! order of arrival.

use std::collections::{BTreeMap, VecDeque};

/// How often the more urgent may go first while somebody less urgent waits: then it is the other's turn, once. So urgent
/// work that never ends cannot starve the rest.
pub(super) const PASSED_OVER: u32 = 10;

/// Who shares a turn: all callers of one namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lane {
    /// The Kubernetes namespace of the object that a call is made for.
    pub namespace: String,
}

/// What goes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// The one call that decides whether a tenant's connection works.
    Probe,
    /// Something is to be removed.
    Deletion,
    /// Something is to be made or changed.
    #[default]
    Change,
    /// Nothing changed; the outside is compared with the spec.
    Resync,
}

/// Those who wait.
pub(super) struct Queue<T> {
    classes: BTreeMap<Urgency, Class<T>>,
}

/// Those who wait with one urgency. No lane in it is empty.
struct Class<T> {
    /// The lane at the front is the next.
    lanes: VecDeque<(Lane, VecDeque<T>)>,
    /// How often somebody more urgent has gone first since one of these went.
    passed_over: u32,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self { classes: BTreeMap::new() }
    }
}

impl<T> Queue<T> {
    pub fn is_empty(&self) -> bool {
        self.classes.is_empty()
    }

    /// All who wait.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.classes.values().flat_map(|class| &class.lanes).flat_map(|(_, items)| items)
    }

    /// Lets somebody wait, behind all others of the lane and urgency.
    pub fn push(&mut self, lane: &Lane, urgency: Urgency, item: T) {
        let class = self.classes.entry(urgency).or_insert_with(|| Class { lanes: VecDeque::new(), passed_over: 0 });
        match class.lanes.iter_mut().find(|(known, _)| known == lane) {
            Some((_, items)) => items.push_back(item),
            None => class.lanes.push_back((lane.clone(), VecDeque::from([item]))),
        }
    }

    /// Whose turn it is among those who are able to go; the others keep their place.
    pub fn take(&mut self, able: impl Fn(&T) -> bool) -> Option<T> {
        let overdue = self.classes.iter().filter(|(_, class)| class.passed_over >= PASSED_OVER);
        let order: Vec<Urgency> =
            overdue.map(|(urgency, _)| *urgency).rev().chain(self.classes.keys().copied()).collect();
        order.into_iter().find_map(|urgency| {
            let item = self.classes.get_mut(&urgency)?.take(&able)?;
            self.took(urgency);
            Some(item)
        })
    }

    /// Sends away those who do not belong any more.
    pub fn retain(&mut self, belongs: impl Fn(&T) -> bool) {
        for class in self.classes.values_mut() {
            class.lanes.iter_mut().for_each(|(_, items)| items.retain(&belongs));
            class.lanes.retain(|(_, items)| !items.is_empty());
        }
        self.classes.retain(|_, class| !class.lanes.is_empty());
    }

    fn took(&mut self, taken: Urgency) {
        for (urgency, class) in &mut self.classes {
            if *urgency > taken {
                class.passed_over += 1;
            } else if *urgency == taken {
                class.passed_over = 0;
            }
        }
        self.classes.retain(|_, class| !class.lanes.is_empty());
    }
}

impl<T> Class<T> {
    fn take(&mut self, able: impl Fn(&T) -> bool) -> Option<T> {
        let (lane, place) =
            self.lanes.iter().enumerate().find_map(|(lane, (_, items))| Some((lane, items.iter().position(&able)?)))?;
        let (name, mut items) = self.lanes.remove(lane)?;
        let item = items.remove(place);
        if !items.is_empty() {
            self.lanes.push_back((name, items));
        }
        item
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn lane(name: &str) -> Lane {
        Lane { namespace: name.into() }
    }

    fn all(queue: &mut Queue<&'static str>) -> Vec<&'static str> {
        std::iter::from_fn(|| queue.take(|_| true)).collect()
    }

    #[test]
    fn a_namespace_with_two_thousand_waits_in_turn_with_one_that_has_two() {
        let mut queue = Queue::default();
        (0..2000).for_each(|_| queue.push(&lane("many"), Urgency::Change, "many"));
        (0..2).for_each(|_| queue.push(&lane("few"), Urgency::Change, "few"));
        assert_eq!(all(&mut queue)[..5], ["many", "few", "many", "few", "many"]);
    }

    #[test]
    fn probes_and_deletions_go_before_changes_and_changes_before_resyncs() {
        let mut queue = Queue::default();
        for (urgency, name) in [
            (Urgency::Resync, "resync"),
            (Urgency::Change, "change"),
            (Urgency::Deletion, "deletion"),
            (Urgency::Probe, "probe"),
        ] {
            queue.push(&lane("a"), urgency, name);
        }
        assert_eq!(all(&mut queue), ["probe", "deletion", "change", "resync"]);
    }

    #[test]
    fn those_who_cannot_go_keep_their_turn_and_hold_nobody_up() {
        let mut queue = Queue::default();
        queue.push(&lane("a"), Urgency::Change, "full");
        queue.push(&lane("a"), Urgency::Change, "free");
        queue.push(&lane("b"), Urgency::Change, "other");
        assert_eq!(queue.take(|name| *name != "full"), Some("free"));
        assert_eq!(queue.take(|name| *name == "nobody"), None);
        assert_eq!(all(&mut queue), ["other", "full"]);
    }

    #[test]
    fn endless_changes_cannot_starve_a_resync() {
        let mut queue = Queue::default();
        queue.push(&lane("quiet"), Urgency::Resync, "resync");
        let turns = (1..=1000).find(|_| {
            queue.push(&lane("busy"), Urgency::Change, "change");
            queue.push(&lane("busy"), Urgency::Deletion, "deletion");
            queue.take(|_| true) == Some("resync")
        });
        assert!(turns.unwrap() <= 2 * (PASSED_OVER as usize + 1), "{turns:?}");
    }

    #[test]
    fn those_who_left_are_forgotten() {
        let mut queue = Queue::default();
        queue.push(&lane("a"), Urgency::Change, "left");
        queue.push(&lane("b"), Urgency::Resync, "stayed");
        queue.retain(|name| *name == "stayed");
        assert_eq!(all(&mut queue), ["stayed"]);
        assert!(queue.is_empty());
    }

    const URGENCIES: [Urgency; 4] = [Urgency::Probe, Urgency::Deletion, Urgency::Change, Urgency::Resync];

    proptest! {
        /// `Some` lets one of this lane and urgency wait, `None` is a turn.
        #[test]
        fn everybody_goes_exactly_once_and_in_order_of_arrival_within_lane_and_urgency(
            script in prop::collection::vec(prop::option::of((0usize..4, 0usize..4)), 1..300)
        ) {
            let mut queue = Queue::default();
            let mut gone = Vec::new();
            let mut pushed = 0;
            for (nth, entry) in script.into_iter().enumerate() {
                match entry {
                    Some((of, urgency)) => {
                        queue.push(&lane(&of.to_string()), URGENCIES[urgency], (of, urgency, nth));
                        pushed += 1;
                    }
                    None => gone.extend(queue.take(|_| true)),
                }
            }
            gone.extend(std::iter::from_fn(|| queue.take(|_| true)));
            prop_assert!(queue.is_empty());
            prop_assert_eq!(gone.len(), pushed);
            prop_assert_eq!(gone.iter().collect::<BTreeSet<_>>().len(), pushed);
            for of in 0..4 {
                for urgency in 0..4 {
                    let own: Vec<_> = gone.iter().filter(|item| (item.0, item.1) == (of, urgency)).collect();
                    prop_assert!(own.is_sorted_by_key(|item| item.2));
                }
            }
        }

        #[test]
        fn among_equals_nobody_waits_longer_than_one_round_for_each_before_it_in_its_lane(
            sizes in prop::collection::vec(1usize..40, 1..8), late in 0usize..40
        ) {
            let mut queue = Queue::default();
            for (of, size) in sizes.iter().enumerate() {
                (0..*size).for_each(|nth| queue.push(&lane(&of.to_string()), Urgency::Resync, (of, nth)));
            }
            let mut gone: Vec<_> = (0..late).filter_map(|_| queue.take(|_| true)).collect();
            queue.push(&lane("new"), Urgency::Resync, (sizes.len(), 0));
            let before = gone.len();
            gone.extend(std::iter::from_fn(|| queue.take(|_| true)));
            for (turn, (of, nth)) in gone.into_iter().enumerate() {
                let waited = if of == sizes.len() { turn - before } else { turn };
                prop_assert!(waited < (nth + 1) * (sizes.len() + 1), "{of} {nth} went at {turn}");
            }
        }
    }
}
