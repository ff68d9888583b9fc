//! The objects of the API, read tolerantly and written exactly.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use url::Url;

use super::fields::{headers, identified, known, version_tag, whole};
use super::{ETag, HeaderValueText, IntervalPolicy, StoredPolicy, WebhookId, WindowPolicy};
use crate::redact::Redactor;

/// What the operator registers (cognigy-api.md §2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// The webhook's name in Cognigy.
    pub name: String,
    /// Where Cognigy delivers to.
    pub url: Url,
    /// How it delivers.
    pub method: Method,
    /// Sent with each delivery.
    pub headers: BTreeMap<String, HeaderValueText>,
    /// A media type.
    pub payload_format: String,
    /// ≥ 1.
    pub version: i64,
    /// Whether deliveries go out.
    pub status: Status,
}

impl Registration {
    /// `<name>:<version>`: the same key always names the same object.
    pub fn idempotency_key(&self) -> String {
        idempotency_key(&self.name, self.version)
    }

    /// The same registration with another status.
    #[must_use]
    pub fn with_status(&self, status: Status) -> Self {
        Self { status, ..self.clone() }
    }
}

/// How deliveries are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    /// `POST`.
    Post,
    /// `PUT`.
    Put,
    /// `PATCH`.
    Patch,
}

impl Method {
    /// As HTTP spells it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
        }
    }
}

/// Whether deliveries go out; one fact with the webhook's `enabled` (cognigy-api.md §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Deliveries go out.
    Active,
    /// They do not.
    Inactive,
}

/// A registration as Cognigy shows it. A field is `None` where it is absent or of another type than documented.
#[derive(Clone, PartialEq)]
pub struct Integration {
    /// Its id, which is its webhook's too.
    pub id: WebhookId,
    /// The webhook's name.
    pub name: Option<String>,
    /// Where Cognigy delivers to, as it writes it.
    pub url: Option<String>,
    /// How it delivers.
    pub method: Option<Method>,
    /// Sent with each delivery; all taken for secrets.
    pub headers: Option<BTreeMap<String, HeaderValueText>>,
    /// A media type.
    pub payload_format: Option<String>,
    /// The version within its name.
    pub version: Option<i64>,
    /// Whether deliveries go out.
    pub status: Option<Status>,
    /// The key it was registered under.
    pub idempotency_key: Option<String>,
    /// From the `ETag` header or `_version`; the webhook's tag too.
    pub tag: Option<ETag>,
    pub(super) raw: Map<String, Value>,
}

/// A webhook as Cognigy shows it: the whole object, so that a write sends back what is not ours (cognigy-api.md §4).
#[derive(Clone, PartialEq)]
pub struct Webhook {
    pub(super) id: WebhookId,
    pub(super) tag: Option<ETag>,
    pub(super) body: Map<String, Value>,
}

/// A bot's webhook as Cognigy lists it (cognigy-api.md §3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BotWebhook {
    /// Its id.
    pub id: WebhookId,
    /// Its name; several webhooks of a bot may carry the same.
    pub name: Option<String>,
    /// Where it delivers to.
    pub url: Option<String>,
    /// The policy where the listing shows it in the documented form.
    pub retry_policy: Option<WindowPolicy>,
    /// Whether the listing shows a policy, in whatever form.
    pub shows_policy: bool,
}

impl Webhook {
    /// Its id.
    pub fn id(&self) -> &WebhookId {
        &self.id
    }

    /// Its entity tag, from the `ETag` header or `_version`.
    pub fn tag(&self) -> Option<&ETag> {
        self.tag.as_ref()
    }

    /// Its name.
    pub fn name(&self) -> Option<&str> {
        self.body.get("name").and_then(Value::as_str)
    }

    /// Where it delivers to.
    pub fn url(&self) -> Option<&str> {
        self.body.get("url").and_then(Value::as_str)
    }

    /// Whether deliveries go out; one fact with the integration's status.
    pub fn enabled(&self) -> Option<bool> {
        self.body.get("enabled").and_then(Value::as_bool)
    }

    /// Its retry policy; `None` where it has none.
    pub fn retry_policy(&self) -> Option<StoredPolicy> {
        let stored = self.body.get(RETRY_POLICY).filter(|value| !value.is_null())?;
        Some(match IntervalPolicy::deserialize(stored) {
            Ok(policy) => StoredPolicy::Interval(policy),
            Err(_) => StoredPolicy::Unknown(stored.clone()),
        })
    }

    /// The same webhook with this retry policy; every other field is kept.
    #[must_use]
    pub fn with_policy(&self, policy: &IntervalPolicy) -> Self {
        let mut changed = self.clone();
        changed.body.insert(RETRY_POLICY.into(), json!(policy));
        changed
    }

    /// The same webhook switched on or off; every other field is kept.
    #[must_use]
    pub fn with_enabled(&self, enabled: bool) -> Self {
        let mut changed = self.clone();
        changed.body.insert("enabled".into(), json!(enabled));
        changed
    }

    /// The webhook of an integration whose answer carried an entity tag or `_version`: it saves the GET before the policy
    /// write. `None` without a tag.
    ///
    /// Only for a registration that was just created: an older webhook may have fields that its integration does not show.
    pub fn from_integration_answer(integration: &Integration) -> Option<Self> {
        let tag = integration.tag.clone()?;
        let mut body = integration.raw.clone();
        for field in ["method", "headers", "payloadFormat", "version", "idempotencyKey"] {
            body.remove(field);
        }
        body.remove("status");
        if let Some(status) = integration.status {
            body.insert("enabled".into(), (status == Status::Active).into());
        }
        Some(Self { id: integration.id.clone(), tag: Some(tag), body })
    }

    /// Reads a webhook. What identifies and versions it is kept apart: the server sets it, and a write carries it in the
    /// path and in `If-Match`.
    pub(super) fn read(document: &Value, tag: Option<ETag>) -> Result<Self, String> {
        let (id, mut body) = identified(document)?;
        for field in OWN_BY_SERVER {
            body.remove(field);
        }
        Ok(Self { id, tag, body })
    }

    /// What a write sends: the whole object.
    pub(super) fn body(&self) -> Value {
        Value::Object(self.body.clone())
    }

    /// When it was last changed, in whatever form the installation tells it (cognigy-api.md §8).
    pub(super) fn last_changed(&self) -> Option<&Value> {
        self.body.get("lastChanged").filter(|value| !value.is_null())
    }

    /// Texts within it that no message may show: values of headers, should the webhook carry them.
    pub(super) fn secrets(&self) -> Redactor {
        let headers = self.body.get("headers").and_then(Value::as_object).into_iter();
        Redactor::new(headers.flat_map(Map::values).filter_map(|value| Some(value.as_str()?.into())))
    }
}

impl Integration {
    /// Reads a registration as Cognigy shows it, with the entity tag of the answer; only its id is indispensable. The error
    /// says what is wrong with that.
    pub fn read(document: &Value, tag: Option<ETag>) -> Result<Self, String> {
        let (id, mut raw) = identified(document)?;
        for field in OWN_BY_SERVER {
            raw.remove(field);
        }
        let text = |name: &str| raw.get(name).and_then(Value::as_str).map(str::to_owned);
        Ok(Self {
            id,
            name: text("name"),
            url: text("url"),
            method: known(raw.get("method")),
            headers: raw.get("headers").and_then(headers),
            payload_format: text("payloadFormat"),
            version: raw.get("version").and_then(whole),
            status: known(raw.get("status")),
            idempotency_key: text("idempotencyKey"),
            tag: tag.or_else(|| version_tag(document)),
            raw,
        })
    }

    /// Whether it shows headers, in whatever form; those of another form than documented are not in `headers`.
    pub fn shows_headers(&self) -> bool {
        self.raw.get("headers").is_some_and(|headers| !headers.is_null())
    }

    /// Whether this is the object that a registration names.
    pub fn is(&self, name: &str, version: i64) -> bool {
        match &self.idempotency_key {
            Some(key) => *key == idempotency_key(name, version),
            None => self.name.as_deref() == Some(name) && self.version == Some(version),
        }
    }

    /// Whether a registration of this name and version would meet this object: it has the key, or is not shown whether it
    /// has. What is shown to have none was made otherwise, and a registration would make another object beside it.
    pub fn has_key_of(&self, name: &str, version: i64) -> bool {
        let without = self.raw.get("idempotencyKey").is_some_and(Value::is_null);
        !without && self.is(name, version)
    }
}

impl BotWebhook {
    pub(super) fn read(document: &Value) -> Result<Self, String> {
        let (id, fields) = identified(document)?;
        let text = |name: &str| fields.get(name).and_then(Value::as_str).map(str::to_owned);
        let policy = fields.get(RETRY_POLICY).filter(|value| !value.is_null());
        Ok(Self {
            id,
            name: text("name"),
            url: text("url"),
            retry_policy: known(policy),
            shows_policy: policy.is_some(),
        })
    }
}

impl Registration {
    /// What is sent (cognigy-api.md §2).
    pub(super) fn body(&self) -> Value {
        let headers: BTreeMap<_, _> = self.headers.iter().map(|(name, value)| (name, value.expose())).collect();
        json!({
            "name": self.name,
            "url": self.url.as_str(),
            "method": self.method,
            "headers": headers,
            "payloadFormat": self.payload_format,
            "version": self.version,
            "status": self.status,
            "idempotencyKey": self.idempotency_key(),
        })
    }

    /// Texts within it that no message may show.
    pub fn secrets(&self) -> Redactor {
        let secret = self.headers.values().filter(|value| value.is_secret());
        Redactor::new(secret.map(|value| value.expose().into()))
    }
}

const RETRY_POLICY: &str = "retryPolicy";
/// Fields that the server sets.
const OWN_BY_SERVER: [&str; 3] = ["id", "_id", "_version"];

fn idempotency_key(name: &str, version: i64) -> String {
    format!("{name}:{version}")
}

impl fmt::Debug for Integration {
    /// Without fields that are not known, which may hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Integration")
            .field("id", &self.id)
            .field("name", &self.name)
            .field("version", &self.version)
            .field("status", &self.status)
            .field("headers", &self.headers)
            .field("tag", &self.tag)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Webhook {
    /// Without fields that are not known, which may hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhook")
            .field("id", &self.id)
            .field("name", &self.name())
            .field("enabled", &self.enabled())
            .field("tag", &self.tag)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{BackoffStrategy, BackoffType};
    use super::*;

    fn policy() -> IntervalPolicy {
        IntervalPolicy {
            webhook_id: WebhookId::new("wh_abc123def").unwrap(),
            max_retries: 4,
            backoff_type: BackoffType::Exponential,
            intervals_ms: vec![1000, 2500, 6250, 15625],
            failure_threshold_percent: 15.0,
        }
    }

    fn registration() -> Registration {
        Registration {
            name: "order-fulfillment".into(),
            url: Url::parse("https://api.example.com/hooks/orders").unwrap(),
            method: Method::Post,
            headers: [("X-Environment".into(), HeaderValueText::plain("production").unwrap())].into(),
            payload_format: "application/json".into(),
            version: 2,
            status: Status::Inactive,
        }
    }

    #[test]
    fn a_registration_is_sent_exactly_as_documented() {
        assert_eq!(
            registration().body(),
            json!({"name":"order-fulfillment","url":"https://api.example.com/hooks/orders","method":"POST",
                "headers":{"X-Environment":"production"},"payloadFormat":"application/json",
                "version":2,"status":"inactive","idempotencyKey":"order-fulfillment:2"})
        );
    }

    #[test]
    fn both_retry_policies_are_sent_exactly_as_documented() {
        assert_eq!(
            serde_json::to_value(policy()).unwrap(),
            json!({"webhookId":"wh_abc123def","maxRetries":4,"backoffType":"exponential",
                "intervalsMs":[1000,2500,6250,15625],"failureThresholdPercent":15.0})
        );
        let window = WindowPolicy {
            enabled: true,
            max_attempts: 3,
            backoff_strategy: BackoffStrategy::Exponential,
            base_delay_ms: 1000,
            max_delay_ms: 30000,
            max_retry_window_seconds: 3600,
        };
        assert_eq!(
            serde_json::to_value(window).unwrap(),
            json!({"enabled":true,"maxAttempts":3,"backoffStrategy":"exponential","baseDelayMs":1000,
                "maxDelayMs":30000,"maxRetryWindowSeconds":3600})
        );
    }

    #[test]
    fn a_policy_replaces_only_the_policy_and_unknown_fields_are_kept() {
        let read = json!({"id":"wh_1","_version":"v1","name":"n","url":"u","enabled":true,
            "retryPolicy":{"maxRetries":1},"lastChanged":7,"owner":{"team":"cx"}});
        let webhook = Webhook::read(&read, version_tag(&read)).unwrap();
        assert!(matches!(webhook.retry_policy(), Some(StoredPolicy::Unknown(_))));
        let changed = webhook.with_policy(&policy());
        assert_eq!(changed.retry_policy(), Some(StoredPolicy::Interval(policy())));
        assert_eq!(
            changed.body(),
            json!({"name":"n","url":"u","enabled":true,"retryPolicy":policy(),"lastChanged":7,"owner":{"team":"cx"}})
        );
    }

    #[test]
    fn a_created_integration_with_a_tag_is_its_webhook_already() {
        let answer = json!({"id":"wh_1","name":"n","url":"u","method":"POST","headers":{"a":"b"},
            "payloadFormat":"application/json","version":2,"status":"inactive","idempotencyKey":"n:2",
            "_version":"v1","owner":"cx"});
        let integration = Integration::read(&answer, None).unwrap();
        let webhook = Webhook::from_integration_answer(&integration).unwrap();
        assert_eq!(webhook.tag(), ETag::from_version("v1").as_ref());
        assert_eq!(webhook.body(), json!({"name":"n","url":"u","enabled":false,"owner":"cx"}));
        let untagged = Integration { tag: None, ..integration };
        assert_eq!(Webhook::from_integration_answer(&untagged), None);
    }

    #[test]
    fn ids_come_in_every_form_and_an_object_without_one_is_refused() {
        for (document, id) in [
            (json!({"id":"wh_1"}), Some("wh_1")),
            (json!({"_id":"507f1f77bcf86cd799439011"}), Some("507f1f77bcf86cd799439011")),
            (json!({"id":null,"_id":"x"}), Some("x")),
            (json!({"id":42}), Some("42")),
            (json!({"id":""}), None),
            (json!({"id":".."}), None),
            (json!({}), None),
            (json!([]), None),
        ] {
            let read = Webhook::read(&document, None).ok();
            assert_eq!(read.as_ref().map(|w| w.id().as_str()), id, "{document}");
        }
    }

    #[test]
    fn fields_of_another_type_are_not_fatal() {
        let odd = json!({"id":"1","name":5,"url":[],"method":"DELETE","headers":{"a":1},"version":"2",
            "status":"paused","idempotencyKey":{},"payloadFormat":null,"_version":{}});
        let integration = Integration::read(&odd, None).unwrap();
        assert_eq!(integration.version, Some(2));
        assert_eq!(
            (integration.name, integration.url, integration.method, integration.status, integration.tag),
            (None, None, None, None, None)
        );
        let odd = json!({"id":"1","name":5,"enabled":"yes","retryPolicy":null});
        let webhook = Webhook::read(&odd, None).unwrap();
        assert_eq!((webhook.name(), webhook.enabled(), webhook.retry_policy()), (None, None, None));
    }

    #[test]
    fn an_integration_is_recognised_by_its_key_or_else_by_name_and_version() {
        let is = |document: Value| Integration::read(&document, None).unwrap().is("n", 2);
        assert!(is(json!({"id":"1","idempotencyKey":"n:2"})));
        assert!(is(json!({"id":"1","name":"n","version":2})));
        assert!(!is(json!({"id":"1","idempotencyKey":"n:1","name":"n","version":2})));
        assert!(!is(json!({"id":"1","name":"n","version":1})));
    }

    #[test]
    fn nothing_that_may_be_secret_is_shown_by_debug() {
        let document = json!({"id":"1","headers":{"X-Key":"hunter2"},"other":"hunter2"});
        let shown =
            format!("{:?} {:?}", Integration::read(&document, None).unwrap(), Webhook::read(&document, None).unwrap());
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}
