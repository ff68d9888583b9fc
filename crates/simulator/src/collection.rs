//! Objects in the order of their creation, each found by its keys without a look at the others.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    ops::Bound::{Excluded, Unbounded},
};

/// What an object is found by. Several objects may share a key: only the API itself keeps ids and idempotency keys apart.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Key {
    /// Its id.
    Id(String),
    /// Its name.
    Name(String),
    /// The idempotency key of its registration.
    Idempotency(String),
    /// The path of its URL.
    Path(String),
    /// Its bot.
    Bot(String),
}

/// An object of a [`Collection`].
pub(crate) trait Keyed {
    /// What it is found by now.
    fn keys(&self) -> Vec<Key>;
}

/// All objects of one kind, in the order of their creation. Every change goes through it, so that objects and keys stay in step.
#[derive(Debug)]
pub struct Collection<T> {
    /// By their places, which ascend and are never given twice.
    objects: BTreeMap<u64, T>,
    places: HashMap<Key, BTreeSet<u64>>,
}

impl<T> Default for Collection<T> {
    fn default() -> Self {
        Self { objects: BTreeMap::new(), places: HashMap::new() }
    }
}

impl<T> Collection<T> {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.objects.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }

    /// All of them.
    pub fn iter(&self) -> <&Self as IntoIterator>::IntoIter {
        self.objects.values()
    }

    /// The object at a place.
    pub(crate) fn at(&self, place: u64) -> Option<&T> {
        self.objects.get(&place)
    }

    /// Those behind a place, with their own.
    pub(crate) fn behind(&self, place: u64) -> impl Iterator<Item = (u64, &T)> {
        self.objects.range((Excluded(place), Unbounded)).map(|(place, object)| (*place, object))
    }

    /// The first that has this key.
    pub(crate) fn first(&self, key: &Key) -> Option<&T> {
        self.place(key).and_then(|place| self.at(place))
    }

    /// The place of the first that has this key.
    pub(crate) fn place(&self, key: &Key) -> Option<u64> {
        self.places.get(key)?.first().copied()
    }

    /// All that have this key.
    pub(crate) fn with<'a>(&'a self, key: &Key) -> impl Iterator<Item = &'a T> + use<'a, T> {
        self.with_behind(key, 0).map(|(_, object)| object)
    }

    /// Those behind a place that have this key, with their own; places begin at 1.
    pub(crate) fn with_behind<'a>(&'a self, key: &Key, place: u64) -> impl Iterator<Item = (u64, &'a T)> + use<'a, T> {
        let places = self.places.get(key).into_iter();
        let places = places.flat_map(move |places| places.range((Excluded(place), Unbounded)));
        places.filter_map(|place| Some((*place, self.objects.get(place)?)))
    }
}

#[allow(private_bounds, reason = "only the simulator changes its objects")]
impl<T: Keyed> Collection<T> {
    /// Puts an object at a new place.
    pub(crate) fn insert(&mut self, place: u64, object: T) {
        self.index(place, object.keys());
        self.objects.insert(place, object);
    }

    /// Changes the object at a place; it may have other keys then.
    pub(crate) fn change(&mut self, place: u64, change: impl FnOnce(&mut T)) {
        let Some(object) = self.objects.get_mut(&place) else { return };
        let before = object.keys();
        change(object);
        let after = object.keys();
        if before != after {
            self.unindex(place, &before);
            self.index(place, after);
        }
    }

    /// Takes the object from a place.
    pub(crate) fn remove(&mut self, place: u64) -> Option<T> {
        let object = self.objects.remove(&place)?;
        self.unindex(place, &object.keys());
        Some(object)
    }

    /// Whether the keys are what they would be if they were put together anew.
    #[cfg(test)]
    pub(crate) fn is_in_step(&self) -> bool {
        let mut anew: HashMap<Key, BTreeSet<u64>> = HashMap::new();
        for (place, object) in &self.objects {
            for key in object.keys() {
                anew.entry(key).or_default().insert(*place);
            }
        }
        anew == self.places
    }

    fn index(&mut self, place: u64, keys: Vec<Key>) {
        for key in keys {
            self.places.entry(key).or_default().insert(place);
        }
    }

    fn unindex(&mut self, place: u64, keys: &[Key]) {
        for key in keys {
            let Some(places) = self.places.get_mut(key) else { continue };
            places.remove(&place);
            if places.is_empty() {
                self.places.remove(key);
            }
        }
    }
}

impl<'a, T> IntoIterator for &'a Collection<T> {
    type Item = &'a T;
    type IntoIter = std::collections::btree_map::Values<'a, u64, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.objects.values()
    }
}
