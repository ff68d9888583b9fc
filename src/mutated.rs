//! Documents from outside as property tests want them: valid ones with something wrong.

use proptest::{prelude::*, sample::Index};
use serde_json::{Map, Value, json};

/// Any JSON value that somebody may put where another belongs.
pub fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        "\\p{C}{0,9}".prop_map(Value::from),
        (0..20_000_usize).prop_map(|length| Value::from("x".repeat(length))),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((any_key(), inner), 0..4)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

/// Fields that nobody knows, under names that no document of ours has.
pub fn unknown_fields() -> impl Strategy<Value = Map<String, Value>> {
    let fields = prop::collection::vec(("x-[a-z\\PC]{1,12}", any_json()), 0..6);
    fields.prop_map(|fields| fields.into_iter().collect())
}

fn any_key() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        prop::sample::select(vec![
            "id",
            "_id",
            "_version",
            "items",
            "next",
            "headers",
            "retryPolicy",
            "message",
            "status"
        ])
        .prop_map(str::to_owned),
    ]
}

/// What is done to a document.
#[derive(Clone, Debug)]
enum Wrong {
    /// A field or item, counted through the whole document, becomes something else.
    Replaced(Index, Value),
    /// One goes.
    Removed(Index),
    /// Another one comes, into the object or list that is counted out.
    Added(Index, String, Value),
    /// It is wrapped into that many lists.
    Deep(usize),
    /// The text ends early.
    Cut(Index),
    /// These bytes come into the text.
    Inserted(Index, Vec<u8>),
    /// A byte of the text is another one.
    Flipped(Index, u8),
}

/// This document as it is, or with some things wrong, as bytes.
pub fn mutated(document: Value) -> impl Strategy<Value = Vec<u8>> {
    let wrong = prop_oneof![
        6 => (any::<Index>(), any_json()).prop_map(|(at, value)| Wrong::Replaced(at, value)),
        2 => any::<Index>().prop_map(Wrong::Removed),
        3 => (any::<Index>(), any_key(), any_json()).prop_map(|(at, key, value)| Wrong::Added(at, key, value)),
        1 => (0..300_usize).prop_map(Wrong::Deep),
        1 => any::<Index>().prop_map(Wrong::Cut),
        2 => (any::<Index>(), prop::collection::vec(any::<u8>(), 1..9)).prop_map(|(at, bytes)| Wrong::Inserted(at, bytes)),
        1 => (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Wrong::Flipped(at, byte)),
    ];
    prop::collection::vec(wrong, 0..4).prop_map(move |wrongs| {
        let mut value = document.clone();
        for wrong in &wrongs {
            in_document(wrong, &mut value);
        }
        let mut bytes = value.to_string().into_bytes();
        for wrong in &wrongs {
            in_text(wrong, &mut bytes);
        }
        bytes
    })
}

/// Bytes with some of them wrong: for what is no JSON.
pub fn mutated_bytes(bytes: Vec<u8>) -> impl Strategy<Value = Vec<u8>> {
    let wrong = prop_oneof![
        1 => any::<Index>().prop_map(Wrong::Cut),
        3 => (any::<Index>(), prop::collection::vec(any::<u8>(), 1..9)).prop_map(|(at, bytes)| Wrong::Inserted(at, bytes)),
        6 => (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Wrong::Flipped(at, byte)),
    ];
    prop::collection::vec(wrong, 0..4).prop_map(move |wrongs| {
        let mut bytes = bytes.clone();
        for wrong in &wrongs {
            in_text(wrong, &mut bytes);
        }
        bytes
    })
}

fn in_document(wrong: &Wrong, document: &mut Value) {
    let count = count(document);
    match wrong {
        Wrong::Replaced(at, value) => *nth(document, &mut at.index(count)) = value.clone(),
        Wrong::Removed(at) => match nth(document, &mut at.index(count)) {
            Value::Object(fields) => _ = fields.keys().next().cloned().and_then(|key| fields.remove(&key)),
            Value::Array(items) => _ = items.pop(),
            other => *other = Value::Null,
        },
        Wrong::Added(at, key, value) => match nth(document, &mut at.index(count)) {
            Value::Object(fields) => _ = fields.insert(key.clone(), value.clone()),
            Value::Array(items) => items.push(value.clone()),
            other => *other = json!({ key: value }),
        },
        Wrong::Deep(levels) => {
            for _ in 0..*levels {
                *document = json!([document.take()]);
            }
        }
        Wrong::Cut(_) | Wrong::Inserted(..) | Wrong::Flipped(..) => {}
    }
}

fn in_text(wrong: &Wrong, bytes: &mut Vec<u8>) {
    match wrong {
        Wrong::Cut(at) => bytes.truncate(at.index(bytes.len() + 1)),
        Wrong::Inserted(at, more) => {
            let at = at.index(bytes.len() + 1);
            bytes.splice(at..at, more.iter().copied());
        }
        Wrong::Flipped(at, byte) if !bytes.is_empty() => {
            let at = at.index(bytes.len());
            bytes[at] = *byte;
        }
        _ => {}
    }
}

fn count(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(count).sum::<usize>(),
        Value::Object(fields) => fields.values().map(count).sum(),
        _ => 0,
    }
}

fn nth<'a>(value: &'a mut Value, left: &mut usize) -> &'a mut Value {
    if *left == 0 {
        return value;
    }
    *left -= 1;
    let (index, key) = match &*value {
        Value::Array(items) => (position(items.iter(), left), None),
        Value::Object(fields) => {
            let index = position(fields.values(), left);
            (index, fields.keys().nth(index).cloned())
        }
        _ => unreachable!("it was counted"),
    };
    match (value, key) {
        (Value::Object(fields), Some(key)) => nth(fields.get_mut(&key).unwrap(), left),
        (Value::Array(items), _) => nth(&mut items[index], left),
        _ => unreachable!("it was counted"),
    }
}

/// Which of them has the value that is so many away; what is left of the way within it.
fn position<'a>(values: impl Iterator<Item = &'a Value>, left: &mut usize) -> usize {
    for (index, value) in values.enumerate() {
        let count = count(value);
        if *left < count {
            return index;
        }
        *left -= count;
    }
    unreachable!("it was counted")
}
