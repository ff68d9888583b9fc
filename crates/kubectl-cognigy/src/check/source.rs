//! Reads manifests: files, folders and standard input; several documents each, lists of objects taken apart.

use std::{collections::BTreeMap, path::PathBuf, rc::Rc};

use serde_json::Value;

use super::{finding::Finding, node};
use crate::{
    exit::Result,
    files::{self, Depth},
};

/// One object, and where it stands.
#[derive(Debug)]
pub struct Document {
    /// The file; `-` is standard input.
    pub file: String,
    /// The object.
    pub value: Value,
    /// The line of each field in the file.
    lines: Rc<BTreeMap<String, u64>>,
    /// Where the object begins among the fields, such as `items[2]` in a list.
    root: String,
}

impl Document {
    /// The line of a field in the file, or of the nearest that holds it.
    pub fn line(&self, field: &str) -> u64 {
        let mut path = if field.is_empty() { self.root.clone() } else { node::below(&self.root, field) };
        loop {
            if let Some(line) = self.lines.get(&path) {
                return *line;
            }
            match path.rfind(['.', '[']) {
                Some(end) => path.truncate(end),
                None => return self.lines.get("").copied().unwrap_or(1),
            }
        }
    }

    /// A field's text, by its JSON pointer; empty where it is none.
    pub fn text(&self, pointer: &str) -> &str {
        self.value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
    }
}

/// All that was read.
#[derive(Debug, Default)]
pub struct Sources {
    /// How many files.
    pub files: usize,
    /// The objects in their order.
    pub documents: Vec<Document>,
    /// What is no YAML.
    pub unreadable: Vec<Finding>,
}

/// Reads what these paths name; `-` is standard input.
pub fn read(paths: &[PathBuf], depth: Depth) -> Result<Sources> {
    let mut sources = Sources::default();
    for file in depth.manifests(paths)? {
        sources.add(&file.display().to_string(), &files::text(&file)?);
    }
    Ok(sources)
}

impl Sources {
    fn add(&mut self, file: &str, text: &str) {
        self.files += 1;
        for (before, text) in documents(text) {
            match node::read(text) {
                Ok((value, mut lines)) => {
                    for line in lines.values_mut() {
                        *line += before;
                    }
                    self.take(file, value, &Rc::new(lines), String::new());
                }
                Err(error) => {
                    let line = error.location().map_or(1, |location| location.line()) + before;
                    let message = files::words(&error);
                    let (file, reason) = (file.to_owned(), "Unreadable".to_owned());
                    let (object, field) = (String::new(), String::new());
                    self.unreadable.push(Finding { file, line, object, field, reason, message });
                }
            }
        }
    }

    fn take(&mut self, file: &str, value: Value, lines: &Rc<BTreeMap<String, u64>>, root: String) {
        match value {
            Value::Null => {}
            Value::Object(mut fields) if is_list(&fields) => {
                let items = fields.remove("items").unwrap_or_default();
                for (nth, item) in items.as_array().into_iter().flatten().enumerate() {
                    self.take(file, item.clone(), lines, format!("{}[{nth}]", node::below(&root, "items")));
                }
            }
            value => self.documents.push(Document { file: file.to_owned(), value, lines: Rc::clone(lines), root }),
        }
    }
}

fn is_list(fields: &serde_json::Map<String, Value>) -> bool {
    let kind = fields.get("kind").and_then(Value::as_str).unwrap_or_default();
    kind.ends_with("List") && fields.get("items").is_some_and(Value::is_array)
}

/// The documents of a stream that hold anything, each with the count of lines before it. A line that begins with `---` ends
/// one wherever it stands; what parsers say of a whole stream would end at its first fault.
fn documents(text: &str) -> Vec<(u64, &str)> {
    let mut found = Vec::new();
    let (mut start, mut before, mut offset) = (0, 0, 0);
    for (number, line) in (0_u64..).zip(text.split_inclusive('\n')) {
        if line.trim_end() == "---" || line.starts_with("--- ") {
            found.push((before, &text[start..offset]));
            (start, before) = (offset + 3, number);
        }
        offset += line.len();
    }
    found.push((before, &text[start..]));
    found.retain(|(_, text)| text.lines().any(|line| !line.trim().is_empty() && !line.trim().starts_with('#')));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Sources {
        let mut sources = Sources::default();
        sources.add("f", text);
        sources
    }

    #[test]
    fn every_document_knows_the_lines_of_its_fields() {
        let sources = read("# first\na: 1\n---\n# nothing\n---\nspec:\n  delays:\n    - 1\n    - 2\n--- {b: 1}\n");
        let [first, second, third] = &sources.documents[..] else { panic!("{sources:?}") };
        assert_eq!((first.line("a"), second.line("spec.delays[1]"), third.line("b")), (2, 9, 10));
        assert_eq!((second.line("spec.delays[1].of"), second.line("spec.other"), second.line("x")), (9, 7, 6));
    }

    #[test]
    fn a_list_is_taken_apart() {
        let sources =
            read("kind: List\nitems:\n- kind: A\n  x: 1\n- kind: BList\n  items:\n  - {kind: C,\n     y: 2}\n");
        let [first, second] = &sources.documents[..] else { panic!("{sources:?}") };
        assert_eq!((first.text("/kind"), first.line("x")), ("A", 4));
        assert_eq!((second.text("/kind"), second.line("y")), ("C", 8));
    }

    #[test]
    fn a_fault_costs_one_document_and_quotes_nothing_of_it() {
        let sources = read("a: 1\n---\npassword: [hunter2\n---\nb: 2\n");
        assert_eq!(sources.documents.len(), 2);
        let [unreadable] = &sources.unreadable[..] else { panic!("{sources:?}") };
        assert!(unreadable.line >= 3 && !unreadable.message.contains("hunter2"), "{unreadable:?}");
    }

    #[test]
    fn a_key_that_stands_twice_makes_a_document_unreadable() {
        let sources = read("spec:\n  url: a\n  url: b\n");
        assert_eq!((sources.documents.len(), sources.unreadable[0].line), (0, 3));
        assert!(sources.unreadable[0].message.contains("url"), "{sources:?}");
    }
}
