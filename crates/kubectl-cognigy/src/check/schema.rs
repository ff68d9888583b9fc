//! The structural part of a definition's schema: types, bounds, enums, required and unknown fields, with the API server's
//! own sentences. The keywords are those that our definitions use; a test compares every verdict with the API server's.
//! A crate for JSON Schema would neither know Kubernetes' lists and nulls nor speak like the API server.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::node::below;

/// What an object breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The field.
    pub field: String,
    /// What is wrong, as the API server says it.
    pub message: String,
    /// Whether the API server leaves CEL rules aside because of it.
    pub blocks: bool,
}

/// What the API server does before it judges: nulls that the schema does not know are as if not written, then defaults are
/// put in.
pub fn prepare(schema: &Value, value: &Value) -> Value {
    kube_cel::apply_defaults(schema, &without_nulls(schema, value))
}

fn without_nulls(schema: &Value, value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let of = |name: &str| declared(schema, name).unwrap_or(&schema["additionalProperties"]);
            let kept = fields.iter().filter(|(name, value)| !(value.is_null() && of(name).is_object()));
            Value::Object(kept.map(|(name, value)| (name.clone(), without_nulls(of(name), value))).collect())
        }
        Value::Array(items) => items.iter().map(|item| without_nulls(&schema["items"], item)).collect(),
        other => other.clone(),
    }
}

fn declared<'a>(schema: &'a Value, name: &str) -> Option<&'a Value> {
    schema["properties"].get(name)
}

/// Fields that the schema does not know, each with a name that may be meant.
pub fn unknown(schema: &Value, value: &Value, path: &str, faults: &mut Vec<Fault>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let field = below(path, name);
                match declared(schema, name).or_else(|| schema.get("additionalProperties")) {
                    Some(schema) => unknown(schema, value, &field, faults),
                    // An object without any fields of its own takes all, such as metadata.
                    None if schema.get("properties").is_none() => {}
                    None => faults.push(Fault { message: unknown_field(schema, name), field, blocks: false }),
                }
            }
        }
        Value::Array(items) => {
            for (nth, item) in items.iter().enumerate() {
                unknown(&schema["items"], item, &format!("{path}[{nth}]"), faults);
            }
        }
        _ => {}
    }
}

fn unknown_field(schema: &Value, name: &str) -> String {
    let known = schema["properties"].as_object().into_iter().flat_map(Map::keys);
    let near = known.map(|known| (distance(&known.to_lowercase(), &name.to_lowercase()), known));
    // Two letters, or one in three of a short name, may be wrong.
    match near.min().filter(|(distance, known)| *distance <= 2.min(known.len() / 3).max(1)) {
        Some((_, known)) => format!("unknown field: did you mean {known}?"),
        None => "unknown field: remove it, or correct its name".into(),
    }
}

/// How many letters have to be changed, added or left out to make one word of the other.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (line, letter) in one.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = line + 1;
        for (column, same) in other.iter().enumerate() {
            let changed = diagonal + usize::from(letter != *same);
            diagonal = row[column + 1];
            row[column + 1] = changed.min(row[column] + 1).min(diagonal + 1);
        }
    }
    row[other.len()]
}

/// Judges a prepared value.
pub fn judge(schema: &Value, value: &Value, path: &str, faults: &mut Vec<Fault>) {
    let mut fault = |message, blocks| faults.push(Fault { field: path.to_owned(), message, blocks });
    if let Some(values) = schema["enum"].as_array()
        && !values.contains(value)
    {
        let values: Vec<String> = values.iter().map(Value::to_string).collect();
        fault(format!("supported values: {}", values.join(", ")), true);
    }
    let wanted = schema["type"].as_str().unwrap_or_default();
    if !has_type(wanted, value) {
        return fault(format!("must be of type {wanted}: {:?}", type_of(value)), true);
    }
    match value {
        Value::String(text) => {
            if let Some(message) = bad_escape(schema, text) {
                fault(message, false);
            }
            let length = text.chars().count();
            if bound(schema, "maxLength").is_some_and(|most| length > most) {
                fault(format!("may not be more than {} bytes", schema["maxLength"]), true);
            }
            if bound(schema, "minLength").is_some_and(|least| length < least) {
                fault(format!("should be at least {} chars long", schema["minLength"]), false);
            }
        }
        Value::Number(number) => {
            let number = number.as_f64().unwrap_or_default();
            let limit = |name: &str| schema[name].as_f64();
            if let Some(least) = limit("minimum").filter(|least| number < *least) {
                fault(format!("should be greater than or equal to {least}"), false);
            }
            if let Some(most) = limit("maximum").filter(|most| number > *most) {
                fault(format!("should be less than or equal to {most}"), false);
            }
        }
        Value::Array(items) => {
            if bound(schema, "maxItems").is_some_and(|most| items.len() > most) {
                fault(format!("must have at most {} items", schema["maxItems"]), true);
            }
            if bound(schema, "minItems").is_some_and(|least| items.len() < least) {
                fault(format!("should have at least {} items", schema["minItems"]), false);
            }
        }
        Value::Object(fields) if bound(schema, "maxProperties").is_some_and(|most| fields.len() > most) => {
            fault(format!("must have at most {} items", schema["maxProperties"]), true);
        }
        _ => {}
    }
    parts(schema, value, path, faults);
}

/// A broken `%xx` before the query of what must be a URL: `isURL` of the CEL crate takes it, since it asks the parser of
/// browsers; the API server's does not. The message is that of the rule.
fn bad_escape(schema: &Value, text: &str) -> Option<String> {
    let rules = schema["x-kubernetes-validations"].as_array()?;
    let rule = rules.iter().find(|rule| rule["rule"].as_str().is_some_and(|rule| rule.contains("isURL(self)")))?;
    let absolute = text.starts_with("http://") || text.starts_with("https://");
    let before_query = text.split('?').next().unwrap_or_default();
    let hex = |part: &str| part.bytes().take(2).filter(u8::is_ascii_hexdigit).count() == 2;
    let broken = absolute && before_query.split('%').skip(1).any(|part| !hex(part));
    broken.then(|| rule["message"].as_str().unwrap_or_default().to_owned())
}

/// The fields of an object, the items of a list.
fn parts(schema: &Value, value: &Value, path: &str, faults: &mut Vec<Fault>) {
    match value {
        Value::Object(fields) => {
            for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
                if !fields.contains_key(name) {
                    faults.push(Fault { field: below(path, name), message: "Required value".into(), blocks: true });
                }
            }
            for (name, value) in fields {
                if let Some(schema) = declared(schema, name) {
                    judge(schema, value, &below(path, name), faults);
                } else if schema["additionalProperties"].is_object() {
                    judge(&schema["additionalProperties"], value, &below(path, name), faults);
                }
            }
        }
        Value::Array(items) => {
            for (nth, item) in items.iter().enumerate() {
                judge(&schema["items"], item, &format!("{path}[{nth}]"), faults);
            }
            duplicates(schema, items, path, faults);
        }
        _ => {}
    }
}

/// Items of a list that is a map or a set must differ, in their keys or as they are.
fn duplicates(schema: &Value, items: &[Value], path: &str, faults: &mut Vec<Fault>) {
    let keys: Option<Vec<&str>> = match schema["x-kubernetes-list-type"].as_str() {
        Some("map") => {
            schema["x-kubernetes-list-map-keys"].as_array().map(|keys| keys.iter().filter_map(Value::as_str).collect())
        }
        Some("set") => None,
        _ => return,
    };
    let mut seen = BTreeSet::new();
    for (nth, item) in items.iter().enumerate() {
        let field = format!("{path}[{nth}]");
        if keys.is_some() && item.is_null() {
            continue;
        }
        if keys.is_some() && !item.is_object() {
            let message = "must be an object for an array of list-type map".to_owned();
            faults.push(Fault { field, message, blocks: false });
            return;
        }
        let key = match &keys {
            Some(keys) => Value::Object(
                keys.iter().filter_map(|key| Some(((*key).to_owned(), item.get(*key)?.clone()))).collect(),
            ),
            None => item.clone(),
        };
        if !seen.insert(key.to_string()) {
            faults.push(Fault { field, message: format!("Duplicate value: {key}"), blocks: false });
        }
    }
}

fn bound(schema: &Value, name: &str) -> Option<usize> {
    schema[name].as_u64().and_then(|bound| usize::try_from(bound).ok())
}

fn has_type(wanted: &str, value: &Value) -> bool {
    match wanted {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|number| number.fract() == 0.0),
        "number" => value.is_number(),
        _ => true,
    }
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_name_that_was_meant_is_suggested_and_no_other() {
        let schema = json!({"properties": {"intervalsMs": {}, "url": {}, "version": {}}});
        for (written, meant) in [("intervalMs", "intervalsMs"), ("URL", "url"), ("verson", "version"), ("uri", "url")] {
            assert_eq!(unknown_field(&schema, written), format!("unknown field: did you mean {meant}?"));
        }
        assert!(unknown_field(&schema, "retries").contains("remove it"));
    }

    #[test]
    fn what_one_word_takes_to_become_another_is_counted() {
        for (one, other, wanted) in [("", "", 0), ("a", "", 1), ("kitten", "sitting", 3), ("flaw", "lawn", 2)] {
            assert_eq!((distance(one, other), distance(other, one)), (wanted, wanted), "{one} {other}");
        }
    }
}
