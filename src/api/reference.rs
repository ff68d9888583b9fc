//! References from one object to another.

#![allow(clippy::doc_markdown)] // fields are documented for `kubectl explain`, which shows plain text

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::schema;

/// Namespace and name of an object, written `namespace/name` as in the metric label `tenant`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectKey {
    /// The namespace.
    pub namespace: String,
    /// The name.
    pub name: String,
}

impl ObjectKey {
    /// A key of these two parts.
    pub fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }

    /// The key of an object.
    pub fn of<K: kube::Resource>(object: &K) -> Self {
        let meta = object.meta();
        Self::new(meta.namespace.clone().unwrap_or_default(), meta.name.clone().unwrap_or_default())
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// An object in the same namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LocalRef {
    /// Name of the object, in this object's own namespace.
    #[schemars(schema_with = "schema::object_name")]
    pub name: String,
}

/// One value of a Secret in the same namespace.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretKeyRef {
    /// Name of the Secret, in this object's own namespace.
    #[schemars(schema_with = "schema::object_name")]
    pub name: String,
    /// Key within the Secret's data.
    #[schemars(schema_with = "schema::data_key")]
    pub key: String,
}

/// An HTTP header whose value is read from a Secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HeaderFrom {
    /// Name of the HTTP header, for example X-Api-Key.
    #[schemars(schema_with = "schema::header_name")]
    pub name: String,
    /// The Secret value that the header carries. It never appears in a log, an event or a status.
    pub secret_key_ref: SecretKeyRef,
}
