//! Fields as installations write them, read tolerantly (cognigy-api.md §8).

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::{ETag, HeaderValueText, WebhookId};

/// An object and its id, which comes as `id` or `_id` (cognigy-api.md §8).
pub(super) fn identified(document: &Value) -> Result<(WebhookId, Map<String, Value>), String> {
    let fields = document.as_object().ok_or("the answer is no object")?;
    let id = ["id", "_id"]
        .into_iter()
        .filter_map(|name| fields.get(name))
        .find_map(|id| match id {
            Value::String(id) => Some(id.clone()),
            Value::Number(id) => Some(id.to_string()),
            _ => None,
        })
        .ok_or("the object has no id")?;
    let id = WebhookId::new(id).map_err(|error| error.to_string())?;
    Ok((id, fields.clone()))
}

/// The texts by which an object is known: its ids and its version.
pub(super) fn names_of(document: &Value) -> impl Iterator<Item = &str> {
    ["id", "_id", "_version"].into_iter().filter_map(|name| document.get(name)?.as_str())
}

/// The body's `_version` as an entity tag (cognigy-api.md §4).
pub(super) fn version_tag(document: &Value) -> Option<ETag> {
    match document.get("_version")? {
        Value::String(version) => ETag::from_version(version),
        Value::Number(version) => ETag::from_version(&version.to_string()),
        _ => None,
    }
}

/// A field in its documented form; another form is not fatal.
pub(super) fn known<'a, T: Deserialize<'a>>(value: Option<&'a Value>) -> Option<T> {
    T::deserialize(value?).ok()
}

/// A whole number, also as text.
pub(super) fn whole(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

/// A map of texts; `None` where it holds anything else.
pub(super) fn headers(value: &Value) -> Option<BTreeMap<String, HeaderValueText>> {
    value
        .as_object()?
        .iter()
        .map(|(name, value)| Some((name.clone(), HeaderValueText::secret(value.as_str()?).ok()?)))
        .collect()
}
