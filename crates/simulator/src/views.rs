//! What answers show of an integration: the views of cognigy-api.md §2 and §4, and their versions.

use std::hash::{DefaultHasher, Hash, Hasher};

use serde_json::{Map, Value, json};

use crate::{
    options::{IdField, Locking, Options},
    state::IntegrationRecord,
    validate::Registration,
};

impl IntegrationRecord {
    /// The version as `_version` shows it, such as `v2-8f4d2c1a`.
    pub fn version_tag(&self) -> String {
        let mut hasher = DefaultHasher::new();
        (&self.id, self.revision).hash(&mut hasher);
        format!("v{}-{:08x}", self.revision, hasher.finish() & 0xffff_ffff)
    }

    /// The entity tag, quotes included.
    pub fn etag(&self) -> String {
        format!("\"{}\"", self.version_tag())
    }

    /// Whether it is what a registration says, activation aside.
    pub(crate) fn is_registered_as(&self, wanted: &Registration) -> bool {
        self.name == wanted.name
            && self.url == wanted.url
            && self.method == wanted.method
            && self.headers == wanted.headers
            && self.payload_format == wanted.payload_format
            && self.version == wanted.version
    }

    /// The view of §2.
    pub(crate) fn integration_view(&self, options: &Options, with_version: bool) -> Value {
        let mut view = Map::new();
        view.insert(id_key(options).into(), json!(self.id));
        view.extend(self.integration_fields());
        if with_version {
            if options.locking.has_version() {
                view.insert("_version".into(), json!(self.version_tag()));
            } else if options.locking == Locking::LastChanged {
                view.insert("lastChanged".into(), json!(self.last_changed));
            }
        }
        Value::Object(view)
    }

    /// The fields of §2, id aside.
    pub(crate) fn integration_fields(&self) -> Map<String, Value> {
        let fields = json!({
            "name": self.name, "url": self.url, "method": self.method, "headers": self.headers,
            "payloadFormat": self.payload_format, "version": self.version,
            "status": if self.active { "active" } else { "inactive" }, "idempotencyKey": self.idempotency_key,
        });
        match fields {
            Value::Object(fields) => fields,
            _ => Map::new(),
        }
    }

    /// The view of §4.
    pub(crate) fn webhook_view(&self, options: &Options) -> Value {
        let mut view = self.unknown.clone();
        view.insert(id_key(options).into(), json!(self.id));
        view.insert("name".into(), json!(self.name));
        view.insert("url".into(), json!(self.url));
        view.insert("enabled".into(), json!(self.active));
        if let Some(policy) = &self.retry_policy {
            view.insert("retryPolicy".into(), policy.clone());
        }
        if options.locking.has_version() {
            view.insert("_version".into(), json!(self.version_tag()));
        }
        if options.locking == Locking::LastChanged {
            view.insert("lastChanged".into(), json!(self.last_changed));
        }
        Value::Object(view)
    }
}

/// The name of the id in answers.
pub(crate) fn id_key(options: &Options) -> &'static str {
    match options.id_field {
        IdField::Id => "id",
        IdField::UnderscoreId => "_id",
    }
}
