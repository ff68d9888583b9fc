//! Every field of every kind, each made wrong in every way.

use serde_json::{Value, json};

use crate::server::compared;

const EVERY_FIELD: &str = include_str!("../../../../tests/resources/every-field.yaml");

fn documents() -> Vec<Value> {
    let documents = EVERY_FIELD.split("\n---\n").map(|text| serde_saphyr::from_str::<Value>(text).unwrap());
    documents
        .map(|mut document| {
            document["metadata"]["name"] = json!("tried");
            document
        })
        .collect()
}

/// The path of every value below `spec`, as JSON pointers.
fn pointers(value: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    match value {
        Value::Object(fields) => {
            fields.iter().for_each(|(name, value)| pointers(value, &format!("{at}/{name}"), found));
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(nth, item)| pointers(item, &format!("{at}/{nth}"), found));
        }
        _ => {}
    }
}

/// What is put in place of each value.
fn instead() -> Vec<Value> {
    let values = [
        json!(null),
        json!(true),
        json!(-1),
        json!(0),
        json!(1),
        json!(4_000_000_000_i64),
        json!(7.5),
        json!(""),
        json!("x"),
        json!("Ünïcode x"),
        json!("https://me@example.com/a b#c"),
        json!("https://example.com/%zz"),
        json!("https://example.com/a?b=%20c"),
        json!("x".repeat(3000)),
        json!([]),
        json!([1, "1"]),
        json!(["a", "a"]),
        json!({}),
        json!({"name": "x"}),
    ];
    values.into()
}

#[tokio::test]
async fn a_document_with_every_field_is_taken_by_both() {
    let told = compared(&documents()).await;
    assert!(told.iter().all(Vec::is_empty), "{told:?}");
}

#[tokio::test]
async fn whatever_stands_in_place_of_a_field_both_say_the_same() {
    let mut tried = Vec::new();
    for document in documents() {
        let mut fields = Vec::new();
        pointers(&document["spec"], "/spec", &mut fields);
        for field in &fields {
            for value in instead() {
                let mut document = document.clone();
                *document.pointer_mut(field).unwrap() = value;
                tried.push(document);
            }
        }
    }
    let told = compared(&tried).await;
    let refused = told.iter().filter(|told| !told.is_empty()).count();
    assert!(tried.len() > 1500 && refused > 1000, "{refused} of {}", tried.len());
}

#[tokio::test]
async fn whatever_is_left_out_or_added_both_say_the_same() {
    let mut tried = Vec::new();
    for document in documents() {
        let mut fields = Vec::new();
        pointers(&document["spec"], "/spec", &mut fields);
        for field in &fields {
            let mut added = document.clone();
            match added.pointer_mut(field).unwrap() {
                Value::Object(fields) => _ = fields.insert("unheardOf".into(), json!("x")),
                Value::Array(items) => items.extend(items.first().cloned()),
                _ => continue,
            }
            tried.push(added);
            let (parent, name) = field.rsplit_once('/').unwrap();
            let mut removed = document.clone();
            if let Some(fields) = removed.pointer_mut(parent).and_then(Value::as_object_mut) {
                fields.remove(name);
                tried.push(removed);
            }
        }
        for name in ["", "Upper", "a_b", "-a", "a.", "a.b-c"] {
            let mut renamed = document.clone();
            renamed["metadata"]["name"] = json!(name);
            tried.push(renamed);
        }
    }
    compared(&tried).await;
}
