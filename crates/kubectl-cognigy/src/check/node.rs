//! YAML with the line of every value.

use std::{collections::BTreeMap, fmt};

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use serde_saphyr::Spanned;

/// A value and where it stands.
type Node = Spanned<Kind>;

/// What a value is.
enum Kind {
    /// Anything without parts.
    Scalar(Value),
    /// A list.
    List(Vec<Node>),
    /// A mapping, in its order.
    Map(Vec<(String, Node)>),
}

/// Reads one document: the value, and the line of each field by its path (`spec.intervalsMs[1]`), from 1.
pub fn read(text: &str) -> Result<(Value, BTreeMap<String, u64>), serde_saphyr::Error> {
    let node: Node = serde_saphyr::from_str(text)?;
    let mut lines = BTreeMap::new();
    Ok((value(node, String::new(), &mut lines), lines))
}

fn value(node: Node, path: String, lines: &mut BTreeMap<String, u64>) -> Value {
    let line = node.referenced.line();
    let value = match node.value {
        Kind::Scalar(value) => value,
        Kind::List(items) => {
            let item = |(nth, item)| value(item, format!("{path}[{nth}]"), lines);
            items.into_iter().enumerate().map(item).collect()
        }
        Kind::Map(fields) => {
            let field = |(name, field): (String, Node)| {
                let path = below(&path, &name);
                (name, value(field, path, lines))
            };
            Value::Object(fields.into_iter().map(field).collect::<Map<_, _>>())
        }
    };
    lines.insert(path, line);
    value
}

/// The path of a field of what is at `path`.
pub fn below(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(KindVisitor)
    }
}

struct KindVisitor;

impl<'de> Visitor<'de> for KindVisitor {
    type Value = Kind;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value that JSON knows too")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Kind, E> {
        Ok(Kind::Scalar(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Kind, E> {
        Ok(Kind::Scalar(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Kind, E> {
        Ok(Kind::Scalar(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Kind, E> {
        Ok(Kind::Scalar(Number::from_f64(value).map_or_else(|| Value::from(value.to_string()), Value::Number)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Kind, E> {
        Ok(Kind::Scalar(value.into()))
    }

    fn visit_unit<E>(self) -> Result<Kind, E> {
        Ok(Kind::Scalar(Value::Null))
    }

    fn visit_none<E>(self) -> Result<Kind, E> {
        Ok(Kind::Scalar(Value::Null))
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Kind, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Kind, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Kind::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Kind, A::Error> {
        let mut map = Vec::new();
        while let Some(field) = fields.next_entry()? {
            map.push(field);
        }
        Ok(Kind::Map(map))
    }
}
