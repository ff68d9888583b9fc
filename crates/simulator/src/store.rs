//! The objects, their versions and their history.

use std::{
    collections::{BTreeSet, HashMap},
    time::SystemTime,
};

use serde_json::{Map, Value, json};
use url::Url;

use crate::{
    collection::{Collection, Key, Keyed},
    history::History,
    options::{IdStyle, Options},
    state::{BotWebhook, Change, ChangeKind, IntegrationRecord},
    validate::{Registration, WebhookView},
};

/// Everything that the API holds.
#[derive(Debug, Default)]
pub(crate) struct Store {
    pub(crate) integrations: Collection<IntegrationRecord>,
    pub(crate) bot_webhooks: Collection<BotWebhook>,
    pub(crate) history: History,
    /// Bots that ever had a webhook.
    pub(crate) bots: BTreeSet<String>,
    /// Payloads by webhook and `Idempotency-Key`.
    pub(crate) patches: HashMap<(String, String), Value>,
    /// The place in the listings that was given last; those of deleted objects are not given again, so that cursors stay good.
    last_place: u64,
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
        self.integrations.first(&Key::Id(id.to_owned()))
    }

    /// The integration that was registered under an idempotency key.
    pub(crate) fn find_by_idempotency_key(&self, key: &str) -> Option<&IntegrationRecord> {
        self.integrations.first(&Key::Idempotency(key.to_owned()))
    }

    /// The integrations whose URL has this path.
    pub(crate) fn with_path<'a>(&'a self, path: &str) -> impl Iterator<Item = &'a IntegrationRecord> + use<'a> {
        self.integrations.with(&Key::Path(path.to_owned()))
    }

    /// The integrations of this name.
    pub(crate) fn named<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a IntegrationRecord> + use<'a> {
        self.integrations.with(&Key::Name(name.to_owned()))
    }

    /// The webhooks of a bot behind a place, with their places.
    pub(crate) fn of_bot<'a>(&'a self, bot: &str, place: u64) -> impl Iterator<Item = (u64, &'a BotWebhook)> + use<'a> {
        self.bot_webhooks.with_behind(&Key::Bot(bot.to_owned()), place)
    }

    /// The webhook of a bot.
    pub(crate) fn find_of_bot(&self, bot: &str, id: &str) -> Option<&BotWebhook> {
        self.place_in_bot(bot, id).and_then(|place| self.bot_webhooks.at(place))
    }

    fn place_in_bot(&self, bot: &str, id: &str) -> Option<u64> {
        let mut same_id = self.bot_webhooks.with_behind(&Key::Id(id.to_owned()), 0);
        same_id.find(|(_, one)| one.bot_id == bot).map(|(place, _)| place)
    }

    pub(crate) fn create(&mut self, new: Registration, options: &Options, cause: Cause) -> String {
        let (id, place) = self.new_id(options.id_style);
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
        self.insert(place, record, cause);
        id
    }

    /// Adds an integration of any shape, behind everybody's back.
    pub(crate) fn add(&mut self, fields: &Value, options: &Options, cause: Cause) -> String {
        let (id, place) = match fields.get("id").and_then(Value::as_str) {
            Some(id) => (id.to_owned(), self.new_place()),
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
        self.insert(place, record, cause);
        id
    }

    fn insert(&mut self, place: u64, record: IntegrationRecord, cause: Cause) {
        self.integrations.insert(place, record);
        self.touch(place, ChangeKind::Created, cause, |_| {});
    }

    pub(crate) fn replace_integration(&mut self, id: &str, new: Registration, cause: Cause) {
        let Some(place) = self.place_of(id) else { return };
        self.touch(place, ChangeKind::Updated, cause, |record| {
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
        let Some(place) = self.place_of(id) else { return };
        self.touch(place, ChangeKind::Updated, cause, |record| {
            record.name = new.name;
            record.url = new.url;
            record.active = new.enabled;
            record.retry_policy = new.retry_policy;
            record.unknown = new.unknown;
        });
    }

    /// Merges fields of either view into an integration or a bot's webhook; false where there is none.
    pub(crate) fn merge(&mut self, id: &str, patch: &Value, cause: Cause) -> bool {
        if let Some(place) = self.place_of(id) {
            self.touch(place, ChangeKind::Updated, cause, |record| merge(record, patch));
            return true;
        }
        let Some(place) = self.bot_webhooks.place(&Key::Id(id.to_owned())) else { return false };
        self.bot_webhooks.change(place, |webhook| {
            let mut merged = json!({"name": webhook.name, "url": webhook.url, "retryPolicy": webhook.retry_policy});
            merge_patch(&mut merged, patch);
            webhook.name = merged["name"].as_str().unwrap_or_default().into();
            webhook.url = merged["url"].as_str().unwrap_or_default().into();
            webhook.retry_policy = merged.get("retryPolicy").filter(|policy| !policy.is_null()).cloned();
        });
        true
    }

    pub(crate) fn remove(&mut self, id: &str, cause: Cause) -> bool {
        if let Some(gone) = self.place_of(id).and_then(|place| self.integrations.remove(place)) {
            self.history.push(Change::of(&gone, ChangeKind::Deleted, cause));
            return true;
        }
        let key = Key::Id(id.to_owned());
        let mut was_there = false;
        while let Some(place) = self.bot_webhooks.place(&key) {
            self.bot_webhooks.remove(place);
            was_there = true;
        }
        was_there
    }

    pub(crate) fn add_bot_webhook(&mut self, mut webhook: BotWebhook, style: IdStyle) -> String {
        let place = if webhook.id.is_empty() {
            let (id, place) = self.new_id(style);
            webhook.id = id;
            place
        } else {
            self.new_place()
        };
        self.bots.insert(webhook.bot_id.clone());
        let id = webhook.id.clone();
        self.bot_webhooks.insert(place, webhook);
        id
    }

    /// Gives the webhook of a bot the policy of a `PATCH`, and remembers what its `Idempotency-Key` stands for.
    pub(crate) fn patch_bot_webhook(&mut self, bot: &str, id: &str, key: &str, body: Value, policy: Value) {
        self.patches.insert((id.to_owned(), key.to_owned()), body);
        if let Some(place) = self.place_in_bot(bot, id) {
            self.bot_webhooks.change(place, |webhook| webhook.retry_policy = Some(policy));
        }
    }

    fn place_of(&self, id: &str) -> Option<u64> {
        self.integrations.place(&Key::Id(id.to_owned()))
    }

    fn new_place(&mut self) -> u64 {
        self.last_place += 1;
        self.last_place
    }

    /// A new id and the place that it is for.
    fn new_id(&mut self, style: IdStyle) -> (String, u64) {
        let number = self.new_place();
        let id = match style {
            IdStyle::Prefixed => format!("wh_{number:09x}"),
            IdStyle::Hex => format!("66a1{number:020x}"),
        };
        (id, number)
    }

    /// Changes one integration, giving it a new version and a place in the history. Every accepted write counts as a change.
    fn touch(&mut self, place: u64, kind: ChangeKind, cause: Cause, change: impl FnOnce(&mut IntegrationRecord)) {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        self.last_changed = u64::try_from(now.as_millis()).unwrap_or_default().max(self.last_changed + 1);
        self.integrations.change(place, |record| {
            change(record);
            record.revision += 1;
            record.last_changed = self.last_changed;
        });
        if let Some(record) = self.integrations.at(place) {
            self.history.push(Change::of(record, kind, cause));
        }
    }
}

impl Change {
    fn of(after: &IntegrationRecord, kind: ChangeKind, cause: Cause) -> Self {
        let exists = kind != ChangeKind::Deleted;
        Self {
            seq: cause.seq,
            kind,
            id: after.id.clone(),
            name: after.name.clone(),
            version: after.version,
            active: exists && after.active,
            has_policy: exists && after.retry_policy.is_some(),
            by_api: cause.by_api,
        }
    }
}

impl Keyed for IntegrationRecord {
    fn keys(&self) -> Vec<Key> {
        let path = Url::parse(&self.url).ok().map(|url| Key::Path(url.path().to_owned()));
        let idempotency = self.idempotency_key.clone().map(Key::Idempotency);
        [Key::Id(self.id.clone()), Key::Name(self.name.clone())].into_iter().chain(idempotency).chain(path).collect()
    }
}

impl Keyed for BotWebhook {
    fn keys(&self) -> Vec<Key> {
        vec![Key::Id(self.id.clone()), Key::Bot(self.bot_id.clone())]
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

#[cfg(test)]
mod tests;
