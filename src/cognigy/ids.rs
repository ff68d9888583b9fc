//! Texts with rules: ids, entity tags, keys and header values. What breaks a rule cannot be made.

use std::fmt;

use http::HeaderValue;
use secrecy::{ExposeSecret as _, SecretString};
use thiserror::Error;

use crate::text::is_unfit;

/// The longest id that is taken for one.
const MAX_ID: usize = 256;
/// The longest entity tag that is kept and sent back.
const MAX_TAG: usize = 1024;

/// A text that breaks the rules of its kind. The text itself is not shown: it may be a secret.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("{what} {why}")]
pub struct InvalidText {
    what: &'static str,
    why: &'static str,
}

fn opaque_id(what: &'static str, text: String) -> Result<String, InvalidText> {
    let why = if text.is_empty() {
        "is empty"
    } else if text.len() > MAX_ID {
        "is longer than 256 bytes"
    } else if text.chars().any(is_unfit) {
        "holds control or invisible characters"
    } else if text == "." || text == ".." {
        "is a relative path"
    } else {
        return Ok(text);
    };
    Err(InvalidText { what, why })
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(String);

        impl $name {
            /// Refuses what is empty, over 256 bytes, holds control or invisible characters, or is `.` or `..`.
            pub fn new(text: impl Into<String>) -> Result<Self, InvalidText> {
                opaque_id($what, text.into()).map(Self)
            }

            /// The id as Cognigy writes it (percent-encoded only in paths).
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <String as serde::Deserialize>::deserialize(deserializer)?;
                Self::new(text).map_err(serde::de::Error::custom)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

id!(
    /// The opaque id of an integration and its webhook (cognigy-api.md §4, §8).
    WebhookId,
    "the webhook id"
);
id!(
    /// The opaque id of a bot (cognigy-api.md §3).
    BotId,
    "the bot id"
);

/// A strong entity tag: what `If-Match` is sent with (cognigy-api.md §4).
///
/// A weak tag is read as its strong form, because `If-Match` never matches a weak one; where the two differ for the
/// server it answers 412 and nothing is overwritten. `*` is no tag: it would switch locking off.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ETag(String);

impl ETag {
    /// Reads an `ETag` header.
    pub fn from_header(text: &str) -> Option<Self> {
        let text = text.trim();
        let strong = text.strip_prefix("W/").or_else(|| text.strip_prefix("w/")).unwrap_or(text);
        let opaque = match strong.strip_prefix('"') {
            Some(rest) => rest.strip_suffix('"')?,
            // Some servers forget the quotes.
            None => strong,
        };
        Self::from_version(opaque)
    }

    /// Quotes a body's `_version` as an entity tag; one that is quoted already is kept.
    pub fn from_version(version: &str) -> Option<Self> {
        let opaque = version.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(version);
        let fits = !opaque.is_empty()
            && opaque != "*"
            && opaque.len() <= MAX_TAG
            && opaque.bytes().all(|b| b == 0x21 || (0x23..=0x7e).contains(&b));
        fits.then(|| Self(format!("\"{opaque}\"")))
    }

    /// The tag with its quotes.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ETag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The `Idempotency-Key` of a bot webhook's write: unique per webhook and configuration (cognigy-api.md §3).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    /// Refuses what is empty, over 256 bytes or not visible ASCII.
    pub fn new(text: impl Into<String>) -> Result<Self, InvalidText> {
        let text = opaque_id("the idempotency key", text.into())?;
        if text.bytes().all(|b| b.is_ascii_graphic()) {
            Ok(Self(text))
        } else {
            Err(InvalidText { what: "the idempotency key", why: "holds characters that are not visible ASCII" })
        }
    }

    /// The key as sent.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The value of a header that Cognigy sends with each delivery. Never shown by `Debug`.
#[derive(Clone)]
pub struct HeaderValueText {
    text: SecretString,
    secret: bool,
}

impl HeaderValueText {
    /// A value that stands in the spec for all to read.
    pub fn plain(text: &str) -> Result<Self, InvalidText> {
        Self::new(text, false)
    }

    /// A value from a Secret: removed from every message that Cognigy answers.
    pub fn secret(text: &str) -> Result<Self, InvalidText> {
        Self::new(text, true)
    }

    fn new(text: &str, secret: bool) -> Result<Self, InvalidText> {
        HeaderValue::from_str(text).map_err(|_| InvalidText {
            what: "the header value",
            why: "holds characters that cannot be sent in an HTTP header (a line break at its end?)",
        })?;
        Ok(Self { text: text.into(), secret })
    }

    /// The value itself.
    pub fn expose(&self) -> &str {
        self.text.expose_secret()
    }

    /// Whether it came from a Secret.
    pub fn is_secret(&self) -> bool {
        self.secret
    }
}

impl PartialEq for HeaderValueText {
    /// Compares the values only: what was read from Cognigy does not say where it came from.
    fn eq(&self, other: &Self) -> bool {
        self.expose() == other.expose()
    }
}

impl Eq for HeaderValueText {}

impl fmt::Debug for HeaderValueText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn entity_tags_are_read_leniently_and_sent_strongly() {
        for (read, sent) in
            [("\"v2-8f4d2c1a\"", "\"v2-8f4d2c1a\""), ("W/\"v2\"", "\"v2\""), ("w/\"v2\"", "\"v2\""), (" v2 ", "\"v2\"")]
        {
            assert_eq!(ETag::from_header(read).unwrap().as_str(), sent, "{read}");
        }
    }

    #[test]
    fn what_would_switch_locking_off_or_break_a_header_is_no_tag() {
        for text in ["", "*", "\"\"", "\"*\"", "\"half", "a\nb", "a b", "a\"b", "ü"] {
            assert_eq!(ETag::from_header(text), None, "{text:?}");
            assert_eq!(ETag::from_version(text), None, "{text:?}");
        }
        assert_eq!(ETag::from_version(&"x".repeat(MAX_TAG + 1)), None);
    }

    #[test]
    fn a_version_that_is_quoted_already_is_not_quoted_twice() {
        assert_eq!(ETag::from_version("\"v1\""), ETag::from_version("v1"));
    }

    #[test]
    fn ids_that_could_leave_their_path_are_refused() {
        for text in ["", ".", "..", "a\nb", "\u{7f}", "a\u{202e}b"] {
            assert!(WebhookId::new(text).is_err(), "{text:?}");
            assert!(BotId::new(text).is_err(), "{text:?}");
        }
        assert!(WebhookId::new("x".repeat(257)).is_err());
        assert!(WebhookId::new("a/b?c#d%2e é").is_ok());
    }

    #[test]
    fn header_values_never_show_themselves() {
        let value = HeaderValueText::secret("hunter2").unwrap();
        assert_eq!(format!("{value:?}"), "***");
        let message = HeaderValueText::secret("hunter2\n").unwrap_err().to_string();
        assert!(!message.contains("hunter2"), "{message}");
    }

    proptest! {
        #[test]
        fn a_tag_survives_being_sent_and_read_again(text in "\\PC{0,40}") {
            if let Some(tag) = ETag::from_version(&text) {
                prop_assert!(HeaderValue::from_str(tag.as_str()).is_ok());
                prop_assert_eq!(ETag::from_header(tag.as_str()), Some(tag));
            }
        }
    }
}
