//! Takes known secrets out of what others say, however they write them.
//!
//! A server may repeat a request in its error text, and that text is shown in conditions, events and logs. What is looked for is
//! the secret itself and the ways in which HTTP carries it: escaped in JSON, percent-encoded, in base64 at every alignment (so also
//! inside the pair of Basic authentication); of a long secret every part of it, since servers cut what they repeat.

use std::{
    collections::{BTreeSet, HashSet},
    fmt,
    ops::Range,
    sync::{Arc, OnceLock},
};

use base64::{
    Engine as _,
    prelude::{BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE_NO_PAD},
};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use url::form_urlencoded;

/// What stands for a secret.
pub const REDACTED: &str = "***";
/// A shorter text is no secret, and removing it would make messages unreadable.
const MIN_SECRET: usize = 4;
/// A shorter one is only looked for as a whole: its parts would be words.
const LONG: usize = 12;
/// The parts of a long one that are looked for, in bytes.
const PART: usize = 8;

/// The secrets that a text must not show; cheap to clone. Its own `Debug` shows none.
#[derive(Clone, Default)]
pub struct Redactor {
    secrets: Vec<Arc<Hidden>>,
}

/// One secret. What is looked for is worked out when it is first needed.
struct Hidden {
    secret: SecretString,
    parts: OnceLock<Needles>,
    whole: OnceLock<Needles>,
}

impl Redactor {
    /// A redactor for these.
    pub fn new(secrets: impl IntoIterator<Item = SecretString>) -> Self {
        let secrets = secrets.into_iter().filter(|secret| secret.expose_secret().len() >= MIN_SECRET);
        let hidden = |secret| Arc::new(Hidden { secret, parts: OnceLock::new(), whole: OnceLock::new() });
        Self { secrets: secrets.map(hidden).collect() }
    }

    /// One that knows the secrets of both.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        Self { secrets: self.secrets.iter().chain(&other.secrets).cloned().collect() }
    }

    /// The text with `***` in place of each secret, of each of its encodings, and of each part of a long one.
    pub fn redact(&self, text: &str) -> String {
        let (mut shown, mut from) = (String::with_capacity(text.len()), 0);
        for Range { start, end } in self.find(text, Hidden::parts) {
            shown.push_str(&text[from..start]);
            shown.push_str(REDACTED);
            from = end;
        }
        shown.push_str(&text[from..]);
        shown
    }

    /// Whether a text that cannot be altered, as an id, holds a long secret as a whole. A part of one, or a short one, may well be
    /// a coincidence.
    pub fn is_in(&self, text: &str) -> bool {
        !self.find(text, Hidden::whole).is_empty()
    }

    /// Where they are, in whole characters, in order and apart from each other.
    fn find(&self, text: &str, needles: impl Fn(&Hidden) -> &Needles) -> Vec<Range<usize>> {
        if self.secrets.is_empty() {
            return Vec::new();
        }
        let bytes = text.to_ascii_lowercase().into_bytes();
        let needles: Vec<&Needles> = self.secrets.iter().map(|secret| needles(secret)).collect();
        let mut found: Vec<Range<usize>> = Vec::new();
        for start in 0..bytes.len() {
            let Some(length) = needles.iter().filter_map(|needles| needles.at(&bytes[start..])).max() else { continue };
            let (start, end) = (text.floor_char_boundary(start), text.ceil_char_boundary(start + length));
            match found.last_mut() {
                Some(last) if start <= last.end => last.end = last.end.max(end),
                _ => found.push(start..end),
            }
        }
        found
    }
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Redactor({} secrets)", self.secrets.len())
    }
}

impl Hidden {
    fn parts(&self) -> &Needles {
        self.parts.get_or_init(|| Needles::new(forms(self.secret.expose_secret()), true))
    }

    fn whole(&self) -> &Needles {
        let secret = self.secret.expose_secret();
        self.whole
            .get_or_init(|| if secret.len() < LONG { Needles::default() } else { Needles::new(forms(secret), false) })
    }
}

/// Texts that are looked for without regard to case (the digits of percent-encoding come in both).
#[derive(Default)]
struct Needles {
    whole: HashSet<Vec<u8>>,
    /// The lengths of the whole ones.
    lengths: BTreeSet<usize>,
    parts: HashSet<[u8; PART]>,
}

impl Needles {
    /// Of long texts, where `in_parts`, the parts.
    fn new(texts: Vec<Vec<u8>>, in_parts: bool) -> Self {
        let mut needles = Self::default();
        for text in texts.into_iter().map(|text| text.to_ascii_lowercase()) {
            if in_parts && text.len() >= LONG {
                needles.parts.extend(text.windows(PART).filter_map(|part| <[u8; PART]>::try_from(part).ok()));
            } else {
                needles.lengths.insert(text.len());
                needles.whole.insert(text);
            }
        }
        needles
    }

    /// The length of the longest that the bytes begin with.
    fn at(&self, bytes: &[u8]) -> Option<usize> {
        let is_here = |length: &&usize| bytes.get(..**length).is_some_and(|text| self.whole.contains(text));
        let whole = self.lengths.iter().rev().find(is_here).copied();
        let part = bytes.first_chunk::<PART>().filter(|part| self.parts.contains(*part)).map(|_| PART);
        whole.max(part)
    }
}

/// A secret in every form in which HTTP carries it.
fn forms(secret: &str) -> Vec<Vec<u8>> {
    let json = Value::from(secret).to_string();
    let json = json.get(1..json.len() - 1).unwrap_or(secret);
    let percent = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let texts = [secret.to_owned(), json.to_owned(), percent(secret), percent(json)];
    let mut forms: Vec<Vec<u8>> = texts.iter().flat_map(|text| base64(text.as_bytes())).collect();
    forms.extend(texts[2..].iter().map(|text| text.replace('+', "%20").into_bytes()));
    forms.extend(texts.map(String::into_bytes));
    forms.retain(|form| form.len() >= MIN_SECRET);
    forms
}

/// What base64 makes of a text at each place where it may begin within a longer one; the characters that its neighbours share
/// are left out.
fn base64(text: &[u8]) -> impl Iterator<Item = Vec<u8>> + use<> {
    let text = text.to_owned();
    (0..3).flat_map(move |shift| {
        let mut longer = vec![0; shift];
        longer.extend_from_slice(&text);
        let (first, end) = ((shift * 8).div_ceil(6), longer.len() * 8 / 6);
        [BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE_NO_PAD]
            .map(|engine| engine.encode(&longer).into_bytes().get(first..end).unwrap_or_default().to_vec())
    })
}

#[cfg(test)]
mod tests {
    use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE};
    use proptest::prelude::*;

    use super::*;

    const SECRET: &str = "s3cr&t \"Value\"/5f1c+ü~9";

    fn redactor(secrets: &[&str]) -> Redactor {
        Redactor::new(secrets.iter().map(|secret| SecretString::from(*secret)))
    }

    #[test]
    fn a_secret_is_hidden_in_every_form_in_which_a_server_may_repeat_it() {
        let redactor = redactor(&[SECRET]);
        let form: String = form_urlencoded::byte_serialize(SECRET.as_bytes()).collect();
        for repeated in [
            SECRET.to_owned(),
            serde_json::json!({ "header": SECRET }).to_string(),
            form.clone(),
            form.to_lowercase(),
            form.replace('+', "%20"),
            BASE64_STANDARD.encode(SECRET),
            BASE64_URL_SAFE.encode(SECRET),
            BASE64_STANDARD.encode(format!("id:{SECRET}")),
            BASE64_STANDARD.encode(format!("client:{SECRET}")),
            BASE64_STANDARD.encode(format!("client1:{form}")),
            SECRET.to_uppercase().replace('Ü', "ü"),
            SECRET[..10].to_owned(),
            SECRET[SECRET.len() - 10..].to_owned(),
        ] {
            let shown = redactor.redact(&format!("bad header: {repeated}; try again"));
            assert!(shown.starts_with("bad header: ") && shown.ends_with("; try again"), "{shown}");
            let rest = shown.replace(REDACTED, "");
            assert!(rest.len() < "bad header: ; try again".len() + 24, "{repeated} → {shown}");
            for part in SECRET.as_bytes().windows(PART) {
                assert!(!shown.as_bytes().windows(PART).any(|window| window == part), "{repeated} → {shown}");
            }
        }
    }

    #[test]
    fn what_is_no_secret_stays_as_it_was() {
        let text = "intervalsMs[1] must be at least 1.5 times intervalsMs[0]";
        assert_eq!(redactor(&[SECRET, "ab"]).redact(text), text);
        assert_eq!(Redactor::default().redact(SECRET), SECRET);
    }

    #[test]
    fn a_short_secret_is_hidden_only_as_a_whole_and_a_tiny_one_not_at_all() {
        assert_eq!(redactor(&["password1"]).redact("password or password1?"), "password or ***?");
        assert_eq!(redactor(&["abc"]).redact("abc"), "abc");
    }

    #[test]
    fn a_repeated_secret_is_one_gap_each_time() {
        assert_eq!(redactor(&[SECRET]).redact(&format!("a {SECRET} b {SECRET}{SECRET} c")), "a *** b *** c");
    }

    #[test]
    fn only_a_whole_long_secret_makes_an_id_unusable() {
        let redactor = redactor(&["order-fulfillment-key", "production"]);
        assert!(redactor.is_in("wh_order-fulfillment-key"));
        assert!(redactor.is_in(&BASE64_STANDARD.encode("order-fulfillment-key")));
        for id in ["wh_order-fulfillment", "wh_production", "507f1f77bcf86cd799439011", ""] {
            assert!(!redactor.is_in(id), "{id}");
        }
    }

    #[test]
    fn the_redactor_itself_shows_nothing() {
        assert_eq!(format!("{:?}", redactor(&[SECRET]).and(&redactor(&["another-one"]))), "Redactor(2 secrets)");
    }

    proptest! {
        #[test]
        fn no_text_breaks_it_and_no_part_of_a_long_secret_remains(
            secret in "\\PC{12,40}", before in "\\PC{0,40}", after in "\\PC{0,40}"
        ) {
            let shown = redactor(&[&secret]).redact(&format!("{before}{secret}{after}"));
            prop_assert!(!shown.contains(&secret));
            prop_assert!(shown.contains(REDACTED));
        }

        #[test]
        fn whatever_stands_around_it_base64_does_not_hide_a_secret(
            secret in "[ -~]{16,40}", before in "[ -~]{0,9}", after in "[ -~]{0,9}"
        ) {
            let encoded = BASE64_STANDARD.encode(format!("{before}{secret}{after}"));
            let shown = redactor(&[&secret]).redact(&encoded);
            let shared = (before.len() + after.len()) * 4 / 3 + 12;
            prop_assert!(shown.replace(REDACTED, "").len() <= shared, "{} → {}", encoded, shown);
        }
    }
}
