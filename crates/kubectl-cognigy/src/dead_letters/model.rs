//! The messages that a webhook's status speaks of. Pure.

use cognigy_operator::api::{CognigyWebhook, SinkKind};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt as _;
use serde::Serialize;

/// One message: a dead letter, or an alert that its sink has not accepted yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Letter {
    /// Namespace of the webhook.
    pub namespace: String,
    /// Name of the webhook.
    pub webhook: String,
    /// The sink of its tenant.
    pub sink: SinkKind,
    /// Its `CloudEvents` id.
    pub id: String,
    /// Its `CloudEvents` type; absent once it is delivered, like `body`: the status does not keep them.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub type_: Option<String>,
    /// When it was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<Time>,
    /// Whether the sink has accepted it.
    pub delivered: bool,
    /// Whether a person discarded it: it is not sent.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub discarded: bool,
    /// Why the sink has not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// Tries of the change that was given up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempts: Option<i32>,
    /// What the last of them failed with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub final_error: Option<String>,
    /// What is sent, byte for byte.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
}

impl Letter {
    /// What went wrong with the message itself, else what it tells.
    pub fn error(&self) -> Option<&str> {
        self.last_error.as_deref().or(self.final_error.as_deref())
    }

    /// Whether it is a dead letter, and no alert.
    pub fn is_dead_letter(&self) -> bool {
        self.sink == SinkKind::DeadLetter
    }

    /// Whether the sink is still to accept it.
    pub fn waits(&self) -> bool {
        !self.delivered && !self.discarded
    }
}

/// The messages of a webhook, the oldest first.
pub fn of(webhook: &CognigyWebhook) -> Vec<Letter> {
    let failure = webhook.status.as_ref().and_then(|status| status.failure.clone()).unwrap_or_default();
    let (namespace, name) = (webhook.namespace().unwrap_or_default(), webhook.name_any());
    let current = failure.dead_letter;
    let mut letters: Vec<Letter> = Vec::new();
    for message in failure.undelivered {
        let named = current.as_ref().filter(|letter| letter.id == message.id);
        letters.push(Letter {
            namespace: namespace.clone(),
            webhook: name.clone(),
            sink: message.sink,
            id: message.id,
            type_: Some(message.type_),
            time: Some(message.time),
            delivered: false,
            discarded: false,
            last_error: message.last_error,
            attempts: named.and_then(|letter| letter.attempts),
            final_error: named.and_then(|letter| letter.error.clone()),
            body: Some(message.body),
        });
    }
    // A delivered one is no longer among those that wait.
    if let Some(letter) = current.filter(|letter| letters.iter().all(|one| one.id != letter.id)) {
        letters.push(Letter {
            namespace,
            webhook: name,
            sink: SinkKind::DeadLetter,
            id: letter.id,
            type_: None,
            time: letter.time,
            delivered: letter.delivered,
            discarded: letter.discarded,
            last_error: None,
            attempts: letter.attempts,
            final_error: letter.error,
            body: None,
        });
    }
    letters.sort_by(|a, b| a.time.as_ref().map(|time| time.0).cmp(&b.time.as_ref().map(|time| time.0)));
    letters
}
