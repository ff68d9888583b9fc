//! A document laid over another one, as the tables of the tests have it.

use serde_json::Value;

/// Puts what is `above` in place of what is `below`; null removes a field.
pub fn lay_over(below: &mut Value, above: Value) {
    match (below, above) {
        (Value::Object(below), Value::Object(above)) => {
            for (key, value) in above {
                if value.is_null() {
                    below.remove(&key);
                } else {
                    lay_over(below.entry(key).or_insert(Value::Null), value);
                }
            }
        }
        (below, above) => *below = above,
    }
}
