//! The objects, their versions and their history.

use std::{
    collections::{BTreeSet, HashMap},
    hash::{DefaultHasher, Hash, Hasher},
    time::SystemTime,
};

use serde_json::{Map, Value, json};

use crate::{
    options::{IdField, IdStyle, Locking, Options},
    state::{BotWebhook, Change, ChangeKind, IntegrationRecord},
    validate::{Registration, WebhookView},
};

/// Everything that the API holds.
#[derive(Debug, Default)]
pub(crate) struct Store {
    pub(crate) integrations: Vec<IntegrationRecord>,
    pub(crate) bot_webhooks: Vec<BotWebhook>,
    pub(crate) history: Vec<Change>,
    /// Bots that ever had a webhook.
    pub(crate) bots: BTreeSet<String>,
    /// Payloads by webhook and `Idempotency-Key`.
    pub(crate) patches: HashMap<(String, String), Value>,
    /// Places in the listings; deleted objects keep theirs, so that cursors stay good.
    ordinals: HashMap<String, u64>,
    last_ordinal: u64,
    last_changed: u64,
}

/// Who changes something, and when in the one order of everything.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cause {
    pub(crate) seq: u64,
    pub(crate) by_api: bool,
}

impl Store {
    pub(crate) fn find(&self, id: &str) -> Option<&IntegrationRecord> {
        self.integrations.iter().find(|one| one.id == id)
    }

    /// The place of an object in its listing.
    pub(crate) fn ordinal(&self, id: &str) -> u64 {
        self.ordinals.get(id).copied().unwrap_or_default()
    }

    pub(crate) fn create(&mut self, new: Registration, options: &Options, cause: Cause) -> String {
        let id = self.new_id(options.id_style);
        let record = IntegrationRecord {
            id: id.clone(),
            name: new.name,
            url: new.url,
            method: new.method,
            headers: new.headers,
            payload_format: new.payload_format,
            version: new.version,
            active: new.active,
            idempotency_key: Some(new.idempotency_key),
            retry_policy: None,
            unknown: options.unknown_webhook_fields.clone(),
            revision: 0,
            last_changed: 0,
        };
        self.insert(record, cause);
        id
    }

    /// Adds an integration of any shape, behind everybody's back.
    pub(crate) fn add(&mut self, fields: &Value, options: &Options, cause: Cause) -> String {
        let id = match fields.get("id").and_then(Value::as_str) {
            Some(id) => {
                self.place(id);
                id.to_owned()
            }
            None => self.new_id(options.id_style),
        };
        let mut record = IntegrationRecord {
            id: id.clone(),
            name: "unnamed".into(),
            url: "https://unnamed.example/".into(),
            method: "POST".into(),
            headers: Map::new(),
            payload_format: "application/json".into(),
            version: 1,
            active: false,
            idempotency_key: None,
            retry_policy: None,
            unknown: options.unknown_webhook_fields.clone(),
            revision: 0,
            last_changed: 0,
        };
        merge(&mut record, fields);
        self.insert(record, cause);
        id
    }

    fn insert(&mut self, record: IntegrationRecord, cause: Cause) {
        let id = record.id.clone();
        self.integrations.push(record);
        self.touch(&id, ChangeKind::Created, cause, |_| {});
    }

    pub(crate) fn replace_integration(&mut self, id: &str, new: Registration, cause: Cause) {
        self.touch(id, ChangeKind::Updated, cause, |record| {
            record.name = new.name;
            record.url = new.url;
            record.method = new.method;
            record.headers = new.headers;
            record.payload_format = new.payload_format;
            record.version = new.version;
            record.active = new.active;
            record.idempotency_key = Some(new.idempotency_key);
        });
    }

    pub(crate) fn replace_webhook(&mut self, id: &str, new: WebhookView, cause: Cause) {
        self.touch(id, ChangeKind::Updated, cause, |record| {
            record.name = new.name;
            record.url = new.url;
            record.active = new.enabled;
            record.retry_policy = new.retry_policy;
            record.unknown = new.unknown;
        });
    }

    /// Merges fields of either view into an integration or a bot's webhook; false where there is none.
    pub(crate) fn merge(&mut self, id: &str, patch: &Value, cause: Cause) -> bool {
        if self.find(id).is_some() {
            self.touch(id, ChangeKind::Updated, cause, |record| merge(record, patch));
            return true;
        }
        let Some(webhook) = self.bot_webhooks.iter_mut().find(|one| one.id == id) else { return false };
        let mut merged = json!({"name": webhook.name, "url": webhook.url, "retryPolicy": webhook.retry_policy});
        merge_patch(&mut merged, patch);
        webhook.name = merged["name"].as_str().unwrap_or_default().into();
        webhook.url = merged["url"].as_str().unwrap_or_default().into();
        webhook.retry_policy = merged.get("retryPolicy").filter(|policy| !policy.is_null()).cloned();
        true
    }

    pub(crate) fn remove(&mut self, id: &str, cause: Cause) -> bool {
        if let Some(index) = self.integrations.iter().position(|one| one.id == id) {
            let gone = self.integrations.remove(index);
            self.record(&gone, ChangeKind::Deleted, cause);
            return true;
        }
        let before = self.bot_webhooks.len();
        self.bot_webhooks.retain(|one| one.id != id);
        self.bot_webhooks.len() != before
    }

    pub(crate) fn add_bot_webhook(&mut self, mut webhook: BotWebhook, style: IdStyle) -> String {
        if webhook.id.is_empty() {
            webhook.id = self.new_id(style);
        } else {
            self.place(&webhook.id);
        }
        self.bots.insert(webhook.bot_id.clone());
        let id = webhook.id.clone();
        self.bot_webhooks.push(webhook);
        id
    }

    fn place(&mut self, id: &str) {
        self.last_ordinal += 1;
        self.ordinals.insert(id.to_owned(), self.last_ordinal);
    }

    fn new_id(&mut self, style: IdStyle) -> String {
        let number = self.last_ordinal + 1;
        let id = match style {
            IdStyle::Prefixed => format!("wh_{number:09x}"),
            IdStyle::Hex => format!("66a1{number:020x}"),
        };
        self.place(&id);
        id
    }

    /// Changes one integration, giving it a new version and a place in the history. Every accepted write counts as a change.
    fn touch(&mut self, id: &str, kind: ChangeKind, cause: Cause, change: impl FnOnce(&mut IntegrationRecord)) {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        self.last_changed = u64::try_from(now.as_millis()).unwrap_or_default().max(self.last_changed + 1);
        let Some(record) = self.integrations.iter_mut().find(|one| one.id == id) else { return };
        change(record);
        record.revision += 1;
        record.last_changed = self.last_changed;
        let record = record.clone();
        self.record(&record, kind, cause);
    }

    fn record(&mut self, after: &IntegrationRecord, kind: ChangeKind, cause: Cause) {
        let exists = kind != ChangeKind::Deleted;
        self.history.push(Change {
            seq: cause.seq,
            kind,
            id: after.id.clone(),
            name: after.name.clone(),
            version: after.version,
            active: exists && after.active,
            has_policy: exists && after.retry_policy.is_some(),
            by_api: cause.by_api,
        });
    }
}

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

    fn integration_fields(&self) -> Map<String, Value> {
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

/// Merges fields of either view; those of neither become unknown fields of the webhook.
fn merge(record: &mut IntegrationRecord, patch: &Value) {
    let mut all = record.integration_fields();
    all.remove("status");
    all.insert("enabled".into(), json!(record.active));
    all.insert("retryPolicy".into(), json!(record.retry_policy));
    all.extend(record.unknown.clone());
    let mut merged = Value::Object(all);
    merge_patch(&mut merged, patch);
    let Value::Object(mut merged) = merged else { return };
    merged.remove("id");

    let text = |value: Option<Value>| value.and_then(|value| value.as_str().map(str::to_owned));
    let enabled = merged.remove("enabled").and_then(|value| value.as_bool()).unwrap_or_default();
    record.active = text(merged.remove("status")).map_or(enabled, |status| status == "active");
    record.name = text(merged.remove("name")).unwrap_or_default();
    record.url = text(merged.remove("url")).unwrap_or_default();
    record.method = text(merged.remove("method")).unwrap_or_default();
    record.payload_format = text(merged.remove("payloadFormat")).unwrap_or_default();
    record.version = merged.remove("version").and_then(|value| value.as_i64()).unwrap_or(1);
    record.idempotency_key = text(merged.remove("idempotencyKey"));
    record.headers = match merged.remove("headers") {
        Some(Value::Object(headers)) => headers,
        _ => Map::new(),
    };
    record.retry_policy = merged.remove("retryPolicy").filter(|policy| !policy.is_null());
    record.unknown = merged;
}

/// RFC 7386.
fn merge_patch(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    if let Value::Object(target) = target {
        for (key, value) in patch {
            if value.is_null() {
                target.remove(key);
            } else {
                merge_patch(target.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
    }
}
