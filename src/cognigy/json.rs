//! JSON from outside, read within bounds of memory.

use serde_json::Value;

/// How many values a document may have. A value of two bytes can take hundreds in memory, so that the limit on a body's length
/// alone would bound nothing; a full page of a listing has a few thousand.
const MAX_VALUES: usize = 50_000;

/// Reads a document; its depth is bounded by the library. The error never quotes it: it may hold a secret.
pub(super) fn read(body: &[u8]) -> Result<Value, String> {
    if values(body) > MAX_VALUES {
        return Err(format!("the body has more than {MAX_VALUES} values"));
    }
    serde_json::from_slice(body)
        .map_err(|error| format!("the body is not JSON (line {} column {})", error.line(), error.column()))
}

/// At least as many as the document has: each value but the first comes after a bracket or a comma.
fn values(body: &[u8]) -> usize {
    let (mut count, mut quoted, mut escaped) = (1, false, false);
    for byte in body {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'[' | b'{' | b',' if !quoted => count += 1,
            _ => {}
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn counted(value: &Value) -> usize {
        1 + match value {
            Value::Array(items) => items.iter().map(counted).sum(),
            Value::Object(fields) => fields.values().map(counted).sum(),
            _ => 0_usize,
        }
    }

    #[test]
    fn a_document_of_very_many_values_is_not_read() {
        let body = |count| json!(vec![0; count]).to_string();
        assert!(read(body(MAX_VALUES - 1).as_bytes()).is_ok());
        assert_eq!(read(body(MAX_VALUES).as_bytes()).unwrap_err(), "the body has more than 50000 values");
    }

    #[test]
    fn what_stands_in_texts_is_no_value() {
        let text = r#"[{,"\,[ "#.repeat(MAX_VALUES);
        assert_eq!(read(json!(text).to_string().as_bytes()), Ok(json!(text)));
    }

    #[test]
    fn deep_nesting_is_no_json() {
        let deep = "[".repeat(MAX_VALUES - 1);
        assert!(read(deep.as_bytes()).unwrap_err().starts_with("the body is not JSON (line 1 column "), "{deep}");
    }

    proptest! {
        #[test]
        fn no_document_has_more_values_than_are_counted(
            texts in proptest::collection::vec("[\\[{\",\\\\a]{0,6}", 0..9), nested: bool
        ) {
            let list = json!(texts);
            let document = if nested { json!({"items": list, "a\"b": [{}, []]}) } else { list };
            prop_assert!(values(document.to_string().as_bytes()) >= counted(&document));
        }
    }
}
