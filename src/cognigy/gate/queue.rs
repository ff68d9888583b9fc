//! Whose turn it is, as pure data: the more urgent before the less urgent, namespaces in turn, and within a namespace in
//! the order in which their work began.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::atomic::{AtomicU64, Ordering},
};

/// A session: while one of its callers has no slot, none of its callers has.
pub(super) type Member = u64;

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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
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

/// When somebody's work began: of two who are equal otherwise, the one goes first whose work is older. A pass takes one ticket for all
/// its calls, so that what has begun is brought to its end before more begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket(u64);

impl Ticket {
    /// Later than all that were taken before in this process.
    pub fn take() -> Self {
        static TAKEN: AtomicU64 = AtomicU64::new(0);
        Self(TAKEN.fetch_add(1, Ordering::Relaxed))
    }
}

/// Those who wait.
pub(super) struct Queue<T> {
    classes: BTreeMap<Urgency, Class<T>>,
    /// How many have come so far: those with one ticket go in order of arrival.
    arrived: u64,
}

/// Those who wait with one urgency. No lane in it is empty.
struct Class<T> {
    /// The lane at the front is the next.
    lanes: VecDeque<(Lane, Waiting<T>)>,
    /// How often somebody more urgent has gone first since one of these went.
    passed_over: u32,
}

/// Those who wait in one lane. No member's row is empty.
///
/// Only the first of each row is looked at, so that a turn costs the same however many thousands wait behind it.
struct Waiting<T> {
    rows: BTreeMap<Member, BTreeMap<(Ticket, u64), T>>,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self { classes: BTreeMap::new(), arrived: 0 }
    }
}

impl<T> Queue<T> {
    pub fn is_empty(&self) -> bool {
        self.classes.is_empty()
    }

    /// All who wait.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        let lanes = self.classes.values().flat_map(|class| &class.lanes);
        lanes.flat_map(|(_, waiting)| waiting.rows.values()).flat_map(BTreeMap::values)
    }

    /// Lets somebody wait, behind all others of the lane and urgency with an older ticket.
    pub fn push(&mut self, lane: &Lane, urgency: Urgency, member: Member, ticket: Ticket, item: T) {
        let class = self.classes.entry(urgency).or_insert_with(|| Class { lanes: VecDeque::new(), passed_over: 0 });
        let place = class.lanes.iter().position(|(known, _)| known == lane).unwrap_or_else(|| {
            class.lanes.push_back((lane.clone(), Waiting { rows: BTreeMap::new() }));
            class.lanes.len() - 1
        });
        self.arrived += 1;
        class.lanes[place].1.rows.entry(member).or_default().insert((ticket, self.arrived), item);
    }

    /// Whose turn it is among those who are able to go; the others keep their place. `able` is asked of the first of each member
    /// in each lane: where that one is not able, nobody behind it is.
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
            for (_, waiting) in &mut class.lanes {
                waiting.rows.retain(|_, row| {
                    row.retain(|_, item| belongs(item));
                    !row.is_empty()
                });
            }
            class.lanes.retain(|(_, waiting)| !waiting.rows.is_empty());
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
        let (place, member) =
            self.lanes.iter().enumerate().find_map(|(place, (_, waiting))| Some((place, waiting.next(&able)?)))?;
        let (name, mut waiting) = self.lanes.remove(place)?;
        let item = waiting.take(member);
        if !waiting.rows.is_empty() {
            self.lanes.push_back((name, waiting));
        }
        item
    }
}

impl<T> Waiting<T> {
    /// Whose first has the oldest ticket, among those who are able to go.
    fn next(&self, able: impl Fn(&T) -> bool) -> Option<Member> {
        let firsts = self.rows.iter().filter_map(|(member, row)| Some((member, row.first_key_value()?)));
        let able = firsts.filter(|(_, (_, item))| able(item));
        able.min_by_key(|(_, (place, _))| **place).map(|(member, _)| *member)
    }

    fn take(&mut self, member: Member) -> Option<T> {
        let row = self.rows.get_mut(&member)?;
        let (_, item) = row.pop_first()?;
        if row.is_empty() {
            self.rows.remove(&member);
        }
        Some(item)
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, collections::BTreeSet};

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
        (0..2000).for_each(|_| queue.push(&lane("many"), Urgency::Change, 0, Ticket::take(), "many"));
        (0..2).for_each(|_| queue.push(&lane("few"), Urgency::Change, 0, Ticket::take(), "few"));
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
            queue.push(&lane("a"), urgency, 0, Ticket::take(), name);
        }
        assert_eq!(all(&mut queue), ["probe", "deletion", "change", "resync"]);
    }

    #[test]
    fn those_who_cannot_go_keep_their_turn_and_hold_nobody_up() {
        let mut queue = Queue::default();
        queue.push(&lane("a"), Urgency::Change, 0, Ticket::take(), "full");
        queue.push(&lane("a"), Urgency::Change, 1, Ticket::take(), "free");
        queue.push(&lane("b"), Urgency::Change, 1, Ticket::take(), "other");
        assert_eq!(queue.take(|name| *name != "full"), Some("free"));
        assert_eq!(queue.take(|name| *name == "nobody"), None);
        assert_eq!(all(&mut queue), ["other", "full"]);
    }

    #[test]
    fn a_turn_looks_at_one_of_each_member_however_many_wait() {
        let mut queue = Queue::default();
        (0..2000).for_each(|nth| queue.push(&lane("a"), Urgency::Change, nth % 2, Ticket::take(), "full"));
        let looks = Cell::new(0);
        let full = |_: &&str| {
            looks.set(looks.get() + 1);
            false
        };
        assert_eq!(queue.take(full), None);
        assert_eq!(looks.get(), 2);
    }

    #[test]
    fn whose_work_began_first_goes_first_though_the_call_comes_later() {
        let mut queue = Queue::default();
        let [begun, new, newer] = [(); 3].map(|()| Ticket::take());
        queue.push(&lane("a"), Urgency::Change, 0, new, "new");
        queue.push(&lane("a"), Urgency::Change, 1, newer, "newer");
        queue.push(&lane("a"), Urgency::Change, 1, begun, "begun");
        assert_eq!(all(&mut queue), ["begun", "new", "newer"]);
    }

    #[test]
    fn endless_changes_cannot_starve_a_resync() {
        let mut queue = Queue::default();
        queue.push(&lane("quiet"), Urgency::Resync, 0, Ticket::take(), "resync");
        let turns = (1..=1000).find(|_| {
            queue.push(&lane("busy"), Urgency::Change, 0, Ticket::take(), "change");
            queue.push(&lane("busy"), Urgency::Deletion, 0, Ticket::take(), "deletion");
            queue.take(|_| true) == Some("resync")
        });
        assert!(turns.unwrap() <= 2 * (PASSED_OVER as usize + 1), "{turns:?}");
    }

    #[test]
    fn those_who_left_are_forgotten() {
        let mut queue = Queue::default();
        queue.push(&lane("a"), Urgency::Change, 0, Ticket::take(), "left");
        queue.push(&lane("b"), Urgency::Resync, 0, Ticket::take(), "stayed");
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
                        queue.push(&lane(&of.to_string()), URGENCIES[urgency], nth as u64 % 3, Ticket::take(), (of, urgency, nth));
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
                (0..*size).for_each(|nth| queue.push(&lane(&of.to_string()), Urgency::Resync, 0, Ticket::take(), (of, nth)));
            }
            let mut gone: Vec<_> = (0..late).filter_map(|_| queue.take(|_| true)).collect();
            queue.push(&lane("new"), Urgency::Resync, 0, Ticket::take(), (sizes.len(), 0));
            let before = gone.len();
            gone.extend(std::iter::from_fn(|| queue.take(|_| true)));
            for (turn, (of, nth)) in gone.into_iter().enumerate() {
                let waited = if of == sizes.len() { turn - before } else { turn };
                prop_assert!(waited < (nth + 1) * (sizes.len() + 1), "{of} {nth} went at {turn}");
            }
        }
    }
}
