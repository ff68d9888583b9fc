//! What a watch has told before: so that only what is new asks for work, and a new list is told as the changes that it
//! amounts to.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    mem,
};

use kube::{Resource, ResourceExt as _, runtime::watcher::Event};

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
#[derive(Debug)]
pub struct Known<K> {
    uids: BTreeMap<ObjectKey, String>,
    /// A list that is not complete yet.
    listing: Vec<K>,
}

impl<K> Default for Known<K> {
    fn default() -> Self {
        Self { uids: BTreeMap::new(), listing: Vec::new() }
    }
}

impl<K: Resource> Known<K> {
    /// Takes in what the watch says, and tells the changes.
    ///
    /// A list is told when it is complete, since only then the store has it: a pass that is asked for before would not find its
    /// object, and be lost.
    pub fn take(&mut self, event: Event<K>, tell: &mut impl FnMut(Change<'_, K>)) {
        match event {
            Event::Init => self.listing = Vec::new(),
            Event::InitApply(object) => self.listing.push(object),
            Event::InitDone => {
                let listing = mem::take(&mut self.listing);
                let there: BTreeSet<_> = listing.iter().map(ObjectKey::of).collect();
                let (there, vanished) = mem::take(&mut self.uids).into_iter().partition(|(key, _)| there.contains(key));
                self.uids = there;
                let vanished: BTreeMap<ObjectKey, String> = vanished;
                for (key, uid) in &vanished {
                    tell(Change::Gone(key, uid));
                }
                for object in &listing {
                    self.applied(object, tell);
                }
            }
            Event::Apply(object) => self.applied(&object, tell),
            Event::Delete(object) => {
                let key = ObjectKey::of(&object);
                self.uids.remove(&key);
                tell(Change::Gone(&key, &object.uid().unwrap_or_default()));
            }
        }
    }

    fn applied(&mut self, object: &K, tell: &mut impl FnMut(Change<'_, K>)) {
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

    use super::*;

    fn pod(name: &str, uid: &str) -> Pod {
        let mut pod = Pod::default();
        pod.metadata.name = Some(name.into());
        pod.metadata.namespace = Some("cx".into());
        pod.metadata.uid = Some(uid.into());
        pod
    }

    /// What is told of these events, one after the other.
    fn told(known: &mut Known<Pod>, events: impl IntoIterator<Item = Event<Pod>>) -> Vec<String> {
        let mut told = Vec::new();
        for event in events {
            known.take(event, &mut |change| {
                told.push(match change {
                    Change::Applied(pod) => format!("{} {}", pod.name_any(), pod.uid().unwrap()),
                    Change::Gone(key, uid) => format!("{} {uid} is gone", key.name),
                });
            });
        }
        told
    }

    #[test]
    fn a_list_is_told_when_it_is_complete_and_not_before() {
        let mut known = Known::default();
        assert_eq!(told(&mut known, [Event::Init, Event::InitApply(pod("orders", "1"))]), [""; 0]);
        assert_eq!(told(&mut known, [Event::InitDone]), ["orders 1"]);
        // The watch was interrupted; something came meanwhile.
        let again = [Event::Init, Event::InitApply(pod("orders", "1")), Event::InitApply(pod("refunds", "2"))];
        assert_eq!(told(&mut known, again), [""; 0]);
        assert_eq!(told(&mut known, [Event::InitDone]), ["orders 1", "refunds 2"]);
        // A list that breaks off is begun anew.
        told(&mut known, [Event::Init, Event::InitApply(pod("half", "3")), Event::Init]);
        assert_eq!(
            told(&mut known, [Event::InitApply(pod("orders", "1")), Event::InitDone]),
            ["refunds 2 is gone", "orders 1"]
        );
    }

    #[test]
    fn what_vanished_or_was_replaced_while_nobody_watched_is_told_to_be_gone() {
        let mut known = Known::default();
        told(&mut known, [Event::Apply(pod("orders", "1")), Event::Apply(pod("refunds", "2"))]);
        let list = [Event::Init, Event::InitApply(pod("orders", "3")), Event::InitDone];
        assert_eq!(told(&mut known, list), ["refunds 2 is gone", "orders 1 is gone", "orders 3"]);
        assert_eq!(told(&mut known, [Event::Delete(pod("orders", "3"))]), ["orders 3 is gone"]);
        assert_eq!(told(&mut known, [Event::Apply(pod("orders", "4"))]), ["orders 4"]);
    }
}
