//! The objects of the API, read tolerantly and written exactly.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use url::Url;

use super::{ETag, HeaderValueText, WebhookId};

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
        format!("{}:{}", self.name, self.version)
    }

    /// The same registration with another status.
    #[must_use]
    pub fn with_status(&self, status: Status) -> Self {
        Self {
            status,
            ..self.clone()
        }
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

/// A retry policy as Cognigy holds it.
#[derive(Clone, Debug, PartialEq)]
pub enum StoredPolicy {
    /// The documented form.
    Interval(IntervalPolicy),
    /// Another form: shown and compared as it is.
    Unknown(Value),
}

/// The interval form of a retry policy (cognigy-api.md §4).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct IntervalPolicy {
    /// The webhook it belongs to.
    pub webhook_id: WebhookId,
    /// 1–10.
    pub max_retries: u32,
    /// Always exponential.
    pub backoff_type: BackoffType,
    /// Exactly `max_retries` delays, each ≥ 1.5 × the one before.
    pub intervals_ms: Vec<i64>,
    /// 0–100.
    pub failure_threshold_percent: f64,
}

/// The only backoff of the interval form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BackoffType {
    /// `exponential`.
    Exponential,
}

/// The window form of a retry policy (cognigy-api.md §3).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WindowPolicy {
    /// Whether deliveries are repeated at all.
    pub enabled: bool,
    /// 1–10.
    pub max_attempts: u32,
    /// How the delay grows.
    pub backoff_strategy: BackoffStrategy,
    /// The first delay.
    pub base_delay_ms: i64,
    /// The longest delay.
    pub max_delay_ms: i64,
    /// Nothing is repeated later than this after the first try; ≤ 86400.
    pub max_retry_window_seconds: i64,
}

/// How the delay of the window form grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BackoffStrategy {
    /// Doubled each time.
    Exponential,
    /// By the base delay each time.
    Linear,
}

/// A bot's webhook as Cognigy lists it (cognigy-api.md §3).
#[derive(Clone, PartialEq)]
pub struct BotWebhook {
    /// Its id.
    pub id: WebhookId,
    /// Its name; several webhooks of a bot may carry the same.
    pub name: Option<String>,
    /// Where it delivers to.
    pub url: Option<String>,
    /// The policy where the listing shows it in the documented form.
    pub retry_policy: Option<WindowPolicy>,
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
        todo!()
    }

    /// The same webhook with this retry policy; every other field is kept.
    #[must_use]
    pub fn with_policy(&self, _policy: &IntervalPolicy) -> Self {
        todo!()
    }

    /// The webhook of an integration whose answer carried an entity tag or `_version`: it saves the GET before the policy
    /// write. `None` without a tag.
    ///
    /// Only for a registration that was just created: an older webhook may have fields that its integration does not show.
    pub fn from_integration_answer(_integration: &Integration) -> Option<Self> {
        todo!()
    }
}

impl fmt::Debug for Integration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Integration").field("id", &self.id).finish_non_exhaustive()
    }
}
impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhook").field("id", &self.id).finish_non_exhaustive()
    }
}
impl fmt::Debug for BotWebhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BotWebhook").field("id", &self.id).finish_non_exhaustive()
    }
}
