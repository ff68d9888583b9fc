//! Values of `Secret`s and `ConfigMap`s, read from the API server at the moment of use and not kept here.

use std::fmt;

use k8s_openapi::{
    ByteString,
    api::core::v1::{ConfigMap, Secret},
};
use kube::{Api, Client};
use secrecy::SecretString;
use thiserror::Error;

use super::words;

/// Where a value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SourceKind {
    /// A `Secret`.
    Secret,
    /// A `ConfigMap`.
    ConfigMap,
}

/// The object that a value comes from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SourceRef {
    /// Which kind of object.
    pub kind: SourceKind,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// Why a value could not be had. The text is for the person who wrote the reference; it never holds a value.
#[derive(Debug, Error)]
pub enum SecretError {
    /// There is no such object (yet).
    #[error("{0} does not exist: create it, or correct the reference")]
    NotFound(SourceRef),
    /// The object is there and lacks the key.
    #[error("{source_ref} has no key `{key}` (it has: {}): add the key, or correct the reference", list(.present))]
    KeyMissing {
        /// The object.
        source_ref: SourceRef,
        /// The key that was asked for.
        key: String,
        /// The keys that are there.
        present: Vec<String>,
    },
    /// The value is empty.
    #[error("the key `{key}` of {source_ref} is empty: give it a value")]
    Empty {
        /// The object.
        source_ref: SourceRef,
        /// The key.
        key: String,
    },
    /// The value is not UTF-8.
    #[error(
        "the key `{key}` of {source_ref} is not text (UTF-8): was it encoded in base64 twice, or in another charset?"
    )]
    NotText {
        /// The object.
        source_ref: SourceRef,
        /// The key.
        key: String,
    },
    /// The operator's own rights do not reach there.
    #[error("the operator may not read {0}: grant it `get` there, or move the object to a namespace that it watches")]
    Forbidden(SourceRef),
    /// The API server could not be asked; it will be tried again.
    #[error("cannot read {source_ref} now: {}", words(.cause))]
    Kube {
        /// The object.
        source_ref: SourceRef,
        /// What the API server, or the way to it, said.
        #[source]
        cause: Box<kube::Error>,
    },
}

/// A `Secret` or `ConfigMap` as it was at one moment. Its `Debug` shows no value.
pub struct Source {
    origin: SourceRef,
    resource_version: String,
    values: Vec<(String, ByteString)>,
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source")
            .field("origin", &self.origin)
            .field("resource_version", &self.resource_version)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for SourceRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            SourceKind::Secret => "Secret",
            SourceKind::ConfigMap => "ConfigMap",
        };
        write!(f, "{kind} {}/{}", self.namespace, self.name)
    }
}

impl Source {
    /// Reads a `Secret`.
    pub async fn secret(client: &Client, namespace: &str, name: &str) -> Result<Self, SecretError> {
        let origin = SourceRef::new(SourceKind::Secret, namespace, name);
        let secret = origin.found(Api::<Secret>::namespaced(client.clone(), namespace).get_opt(name).await)?;
        let values = secret.data.unwrap_or_default().into_iter().collect();
        Ok(Self { origin, resource_version: secret.metadata.resource_version.unwrap_or_default(), values })
    }

    /// Reads a `ConfigMap`.
    pub async fn config_map(client: &Client, namespace: &str, name: &str) -> Result<Self, SecretError> {
        let origin = SourceRef::new(SourceKind::ConfigMap, namespace, name);
        let map = origin.found(Api::<ConfigMap>::namespaced(client.clone(), namespace).get_opt(name).await)?;
        let text = map.data.unwrap_or_default().into_iter().map(|(key, text)| (key, ByteString(text.into_bytes())));
        let values = text.chain(map.binary_data.unwrap_or_default()).collect();
        Ok(Self { origin, resource_version: map.metadata.resource_version.unwrap_or_default(), values })
    }

    /// The value under `key`, without the line breaks at its end that `echo … | base64` leaves there (no credential and
    /// no PEM file needs them, and a header could not carry them).
    pub fn text(&self, key: &str) -> Result<SecretString, SecretError> {
        let (source_ref, key) = (self.origin.clone(), key.to_owned());
        let Some((_, bytes)) = self.values.iter().find(|(name, _)| *name == key) else {
            let present = self.values.iter().map(|(name, _)| name.clone()).collect();
            return Err(SecretError::KeyMissing { source_ref, key, present });
        };
        match std::str::from_utf8(&bytes.0).map(|text| text.trim_end_matches(['\r', '\n'])) {
            Ok("") => Err(SecretError::Empty { source_ref, key }),
            Ok(text) => Ok(text.into()),
            Err(_) => Err(SecretError::NotText { source_ref, key }),
        }
    }

    /// Changes whenever the object does.
    pub fn resource_version(&self) -> &str {
        &self.resource_version
    }
}

/// The value of one key of a `Secret`, and the Secret's resourceVersion.
pub async fn secret_key(
    client: &Client,
    namespace: &str,
    name: &str,
    key: &str,
) -> Result<(SecretString, String), SecretError> {
    let source = Source::secret(client, namespace, name).await?;
    Ok((source.text(key)?, source.resource_version))
}

/// The value of one key of a `ConfigMap`, and the map's resourceVersion.
pub async fn config_map_key(
    client: &Client,
    namespace: &str,
    name: &str,
    key: &str,
) -> Result<(SecretString, String), SecretError> {
    let source = Source::config_map(client, namespace, name).await?;
    Ok((source.text(key)?, source.resource_version))
}

impl SourceRef {
    fn new(kind: SourceKind, namespace: &str, name: &str) -> Self {
        Self { kind, namespace: namespace.to_owned(), name: name.to_owned() }
    }

    fn found<K>(&self, answer: kube::Result<Option<K>>) -> Result<K, SecretError> {
        match answer {
            Ok(Some(object)) => Ok(object),
            Ok(None) => Err(SecretError::NotFound(self.clone())),
            Err(kube::Error::Api(status)) if status.is_forbidden() => Err(SecretError::Forbidden(self.clone())),
            Err(cause) => Err(SecretError::Kube { source_ref: self.clone(), cause: Box::new(cause) }),
        }
    }
}

fn list(keys: &[String]) -> String {
    if keys.is_empty() { "none".to_owned() } else { keys.join(", ") }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use secrecy::ExposeSecret as _;

    use super::*;

    fn source(values: &[(&str, &[u8])]) -> Source {
        Source {
            origin: SourceRef::new(SourceKind::Secret, "cx", "cognigy-oauth"),
            resource_version: "7".into(),
            values: values.iter().map(|(key, bytes)| ((*key).to_owned(), ByteString(bytes.to_vec()))).collect(),
        }
    }

    #[test]
    fn a_value_loses_only_the_line_breaks_at_its_end() {
        let source = source(&[("key", b" s3cret value \r\n\n"), ("pem", b"a\nb\n")]);
        assert_eq!(source.text("key").unwrap().expose_secret(), " s3cret value ");
        assert_eq!(source.text("pem").unwrap().expose_secret(), "a\nb");
    }

    #[test]
    fn a_missing_key_is_told_with_the_keys_that_are_there() {
        let error = source(&[("id", b"x"), ("secret", b"y")]).text("client-id").unwrap_err().to_string();
        assert_eq!(
            error,
            "Secret cx/cognigy-oauth has no key `client-id` (it has: id, secret): add the key, or correct the reference"
        );
        assert!(source(&[]).text("k").unwrap_err().to_string().contains("(it has: none)"));
    }

    #[test]
    fn empty_and_binary_values_are_errors_that_say_what_to_do() {
        let source = source(&[("empty", b"\n"), ("binary", &[0xff, 0xfe])]);
        assert!(matches!(source.text("empty"), Err(SecretError::Empty { .. })));
        let error = source.text("binary").unwrap_err().to_string();
        assert!(error.contains("is not text (UTF-8)"), "{error}");
    }

    #[test]
    fn neither_debug_nor_an_error_shows_a_value() {
        let source = source(&[("key", b"s3cret"), ("binary", b"s3cret\xff")]);
        let shown = format!("{source:?} {:?} {:?}", source.text("nope"), source.text("binary"));
        assert!(shown.contains("cognigy-oauth") && !shown.contains("s3cret"), "{shown}");
    }

    proptest! {
        #[test]
        fn whatever_a_secret_holds_is_a_text_or_an_error_that_does_not_quote_it(
            bytes in prop_oneof![prop::collection::vec(any::<u8>(), 8..60), "\\PC{8,40}[\r\n]{0,3}".prop_map(String::into_bytes)],
            asked in "[a-z]{1,3}"
        ) {
            match source(&[("a", &bytes)]).text(&asked) {
                Ok(text) => {
                    let text = text.expose_secret();
                    prop_assert!(asked == "a" && !text.is_empty() && !text.ends_with(['\r', '\n']));
                    prop_assert!(bytes.starts_with(text.as_bytes()));
                }
                Err(error) => {
                    let told = format!("{error} {error:?}");
                    let lossy = String::from_utf8_lossy(&bytes).into_owned();
                    prop_assert!(!told.contains(lossy.trim()) || lossy.trim().is_empty(), "{}", told);
                }
            }
        }
    }
}
