//! Every change of an integration, in order, and by name.

use std::collections::HashMap;

use crate::state::Change;

/// All changes.
#[derive(Debug, Default)]
pub(crate) struct History {
    changes: Vec<Change>,
    /// Where the changes of each name are.
    by_name: HashMap<String, Vec<usize>>,
}

impl History {
    pub(crate) fn push(&mut self, change: Change) {
        self.by_name.entry(change.name.clone()).or_default().push(self.changes.len());
        self.changes.push(change);
    }

    pub(crate) fn all(&self) -> &[Change] {
        &self.changes
    }

    /// The changes that left an object with this name.
    pub(crate) fn of<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a Change> + use<'a> {
        self.by_name.get(name).into_iter().flatten().filter_map(|index| self.changes.get(*index))
    }
}
