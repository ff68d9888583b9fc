//! What a watch has told before: so that only what is new asks for work, and a new list is told as the changes that it
//! amounts to.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    hash::Hash,
    mem,
};

use kube::{
    Resource, ResourceExt as _,
    runtime::{reflector::Store, watcher::Event},
};

use crate::api::ObjectKey;

/// What a watch tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change<'a, K> {
    /// The object is there, perhaps as before.
    Applied(&'a K),
    /// The object with this uid is gone.
    Gone(&'a ObjectKey, &'a str),
}

/// The objects that a watch knows, by their uids.
#[derive(Debug, Default)]
pub struct Known {
    uids: BTreeMap<ObjectKey, String>,
    /// A list that is not complete yet: which objects it has. The objects themselves would be a second copy of the fleet.
    listing: BTreeSet<ObjectKey>,
    /// A list was complete once.
    filled: bool,
}

impl Known {
    /// Takes in what the watch says, and tells the changes. `store` is the watch's, which was told already but for the end of the first
    /// list.
    ///
    /// The first list is told as it comes: nobody works before it is complete. Any other is told when it is complete, since only then
    /// the store has it: a pass that is asked for before would not find its object, and be lost.
    pub fn take<K>(&mut self, event: &Event<K>, store: &Store<K>, tell: &mut impl FnMut(Change<'_, K>))
    where
        K: Resource<DynamicType = ()> + Clone + 'static,
        K::DynamicType: Eq + Hash + Clone,
    {
        match event {
            Event::Init => self.listing = BTreeSet::new(),
            Event::InitApply(object) => {
                self.listing.insert(ObjectKey::of(object));
                if !self.filled {
                    self.applied(object, tell);
                }
            }
            Event::InitDone => {
                let there = mem::take(&mut self.listing);
                let (there, vanished) = mem::take(&mut self.uids).into_iter().partition(|(key, _)| there.contains(key));
                self.uids = there;
                let vanished: BTreeMap<ObjectKey, String> = vanished;
                for (key, uid) in &vanished {
                    tell(Change::Gone(key, uid));
                }
                if mem::replace(&mut self.filled, true) {
                    for object in store.state() {
                        self.applied(&*object, tell);
                    }
                }
            }
            Event::Apply(object) => self.applied(object, tell),
            Event::Delete(object) => {
                let key = ObjectKey::of(object);
                self.uids.remove(&key);
                tell(Change::Gone(&key, &object.uid().unwrap_or_default()));
            }
        }
    }

    fn applied<K: Resource>(&mut self, object: &K, tell: &mut impl FnMut(Change<'_, K>)) {
        let (key, uid) = (ObjectKey::of(object), object.uid().unwrap_or_default());
        // One of the same name that went while nobody watched is gone all the same.
        if let Some(before) = self.uids.insert(key.clone(), uid.clone()).filter(|before| *before != uid) {
            tell(Change::Gone(&key, &before));
        }
        tell(Change::Applied(object));
    }
}

/// The last seen aspect of each object.
#[derive(Debug, Default)]
pub struct Seen(HashMap<ObjectKey, String>);

impl Seen {
    /// Whether this aspect is new or differs from the last one.
    pub fn changed(&mut self, key: &ObjectKey, aspect: &str) -> bool {
        self.0.insert(key.clone(), aspect.to_owned()).is_none_or(|before| before != aspect)
    }

    /// Forgets an object that is gone.
    pub fn forget(&mut self, key: &ObjectKey) {
        self.0.remove(key);
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Pod;
    use kube::runtime::reflector::{self, store::Writer};

    use super::*;

    fn pod(name: &str, uid: &str) -> Pod {
        let mut pod = Pod::default();
        pod.metadata.name = Some(name.into());
        pod.metadata.namespace = Some("cx".into());
        pod.metadata.uid = Some(uid.into());
        pod
    }

    /// A watch with its store.
    struct Watch {
        known: Known,
        store: Store<Pod>,
        writer: Writer<Pod>,
    }

    impl Watch {
        fn new() -> Self {
            let (store, writer) = reflector::store();
            Self { known: Known::default(), store, writer }
        }

        /// What is told of these events, one after the other.
        fn told(&mut self, events: impl IntoIterator<Item = Event<Pod>>) -> Vec<String> {
            let mut told = Vec::new();
            for event in events {
                self.writer.apply_watcher_event(&event);
                self.known.take(&event, &self.store, &mut |change| {
                    told.push(match change {
                        Change::Applied(pod) => format!("{} {}", pod.name_any(), pod.uid().unwrap()),
                        Change::Gone(key, uid) => format!("{} {uid} is gone", key.name),
                    });
                });
            }
            told
        }

        /// What is told of a list from its beginning to its end.
        fn told_of_list(&mut self, pods: &[(&str, &str)]) -> Vec<String> {
            let pods = pods.iter().map(|(name, uid)| Event::InitApply(pod(name, uid)));
            self.told([Event::Init].into_iter().chain(pods).chain([Event::InitDone]))
        }
    }

    #[test]
    fn the_first_list_is_told_as_it_comes_and_any_other_when_it_is_complete_and_not_before() {
        let mut watch = Watch::new();
        assert_eq!(watch.told([Event::Init, Event::InitApply(pod("orders", "1"))]), ["orders 1"]);
        assert_eq!(watch.told([Event::InitDone]), [""; 0]);
        // The watch was interrupted; something came meanwhile.
        let again = [Event::Init, Event::InitApply(pod("orders", "1")), Event::InitApply(pod("refunds", "2"))];
        assert_eq!(watch.told(again), [""; 0]);
        let mut told = watch.told([Event::InitDone]);
        // A store has no order.
        told.sort();
        assert_eq!(told, ["orders 1", "refunds 2"]);
        // A list that breaks off is begun anew.
        watch.told([Event::Init, Event::InitApply(pod("half", "3"))]);
        assert_eq!(watch.told_of_list(&[("orders", "1")]), ["refunds 2 is gone", "orders 1"]);
    }

    #[test]
    fn what_was_told_of_a_first_list_that_breaks_off_is_told_to_be_gone_where_the_next_one_lacks_it() {
        let mut watch = Watch::new();
        watch.told([Event::Init, Event::InitApply(pod("half", "3"))]);
        assert_eq!(watch.told_of_list(&[("orders", "1")]), ["orders 1", "half 3 is gone"]);
    }

    #[test]
    fn what_vanished_or_was_replaced_while_nobody_watched_is_told_to_be_gone() {
        let mut watch = Watch::new();
        watch.told_of_list(&[]);
        watch.told([Event::Apply(pod("orders", "1")), Event::Apply(pod("refunds", "2"))]);
        assert_eq!(watch.told_of_list(&[("orders", "3")]), ["refunds 2 is gone", "orders 1 is gone", "orders 3"]);
        assert_eq!(watch.told([Event::Delete(pod("orders", "3"))]), ["orders 3 is gone"]);
        assert_eq!(watch.told([Event::Apply(pod("orders", "4"))]), ["orders 4"]);
    }
}
