//! Secret values that can be recognised anywhere, and the search for them.

use std::collections::BTreeMap;

use base64::{
    Engine as _,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE},
};
use serde_json::{Value, json};
use url::form_urlencoded;

/// A secret and every form of it that is looked for.
pub struct Mark {
    what: &'static str,
    secret: String,
    forms: Vec<String>,
}

impl Mark {
    /// A secret: itself, escaped in JSON, percent-encoded, in base64, its first and its last eight characters.
    pub fn new(what: &'static str, secret: &str) -> Self {
        let json = json!(secret).to_string();
        let form: String = form_urlencoded::byte_serialize(secret.as_bytes()).collect();
        let forms = vec![
            secret.to_owned(),
            json[1..json.len() - 1].to_owned(),
            form.replace('+', "%20"),
            form,
            BASE64_STANDARD.encode(secret).trim_end_matches('=').to_owned(),
            BASE64_URL_SAFE.encode(secret).trim_end_matches('=').to_owned(),
            secret[..8].to_owned(),
            secret[secret.len() - 8..].to_owned(),
        ];
        Self { what, secret: secret.to_owned(), forms }
    }

    /// The pair of Basic authentication as it is sent, plain and form-encoded.
    pub fn basic(what: &'static str, id: &str, secret: &str) -> Self {
        let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        let pairs = [format!("{id}:{secret}"), format!("{}:{}", encoded(id), encoded(secret))];
        let forms = pairs.iter().map(|pair| BASE64_STANDARD.encode(pair).trim_end_matches('=').to_owned()).collect();
        Self { what, secret: secret.to_owned(), forms }
    }

    /// Where the text shows it, in whatever form.
    pub fn found_in<'a>(&self, text: &'a str) -> Option<&'a str> {
        let at = self.forms.iter().find_map(|form| text.find(form.as_str()))?;
        let (from, to) = (text.floor_char_boundary(at.saturating_sub(200)), text.ceil_char_boundary(at + 200));
        Some(&text[from..to])
    }

    /// What it is and how it reads, for the person whose test fails.
    pub fn name(&self) -> String {
        format!("{} ({})", self.what, self.secret)
    }
}

/// Everything that somebody may read, by where it is read.
#[derive(Default)]
pub struct Places(BTreeMap<&'static str, Vec<String>>);

impl Places {
    pub fn add(&mut self, place: &'static str, texts: impl IntoIterator<Item = String>) {
        self.0.entry(place).or_default().extend(texts);
    }

    /// No secret is in any of them, and none of them is empty.
    pub fn show_none_of(&self, marks: &[Mark]) {
        for (place, texts) in &self.0 {
            assert!(!texts.is_empty(), "nothing was found to search in: {place}");
            for (mark, text) in marks.iter().flat_map(|mark| texts.iter().map(move |text| (mark, text))) {
                if let Some(found) = mark.found_in(text) {
                    panic!("{} is shown in a place that people read, {place}: …{found}…", mark.name());
                }
            }
        }
    }

    /// How many texts of a place hold this one.
    pub fn count(&self, place: &str, part: &str) -> usize {
        self.0.get(place).map_or(0, |texts| texts.iter().filter(|text| text.contains(part)).count())
    }
}

/// A value as a line of text.
pub fn line(value: impl serde::Serialize) -> String {
    serde_json::to_value(value).as_ref().map_or_else(|_| String::new(), Value::to_string)
}
