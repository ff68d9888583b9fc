//! What a watch has told before, so that only what is new asks for work.

use std::collections::HashMap;

use crate::api::ObjectKey;

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
