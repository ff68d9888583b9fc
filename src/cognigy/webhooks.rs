//! Webhooks and their retry policies under optimistic locking (cognigy-api.md §4).

use http::header::{IF_MATCH, IF_NONE_MATCH};
use http::{Method, StatusCode};
use serde_json::Value;

use super::call::Call;
use super::{Answer, Concurrency, ETag, Error, ErrorKind, Route, Session, Webhook, WebhookId};

/// What a conditional read found.
#[derive(Clone, Debug, PartialEq)]
pub enum Read {
    /// As known (304).
    NotModified,
    /// The webhook as it is now.
    Found(Webhook),
}

/// What a write builds on. It can only be made from a webhook that was read, so no write goes out unprotected.
#[derive(Clone, Debug, PartialEq)]
pub struct Precondition(Basis);

#[derive(Clone, Debug, PartialEq)]
enum Basis {
    /// The server compares.
    Tag(ETag),
    /// We compare, just before the write.
    LastChanged(Value),
}

fn of(id: &WebhookId) -> Vec<&str> {
    vec!["api", "v2", "webhooks", id.as_str()]
}

impl Session {
    /// Reads a webhook; with a known tag only if it changed.
    pub async fn get_webhook(&self, id: &WebhookId, known: Option<&ETag>) -> Result<Answer<Read>, Error> {
        let mut call = Call::new(Route::GetWebhook, Method::GET, of(id));
        if let Some(known) = known {
            call = call.header(IF_NONE_MATCH, known.as_str());
        }
        let read = self
            .send(call, |reply| {
                if reply.status == StatusCode::NOT_MODIFIED {
                    return Ok(Read::NotModified);
                }
                Webhook::read(reply.required_body()?, reply.etag.clone()).map(Read::Found)
            })
            .await;
        if matches!(&read, Err(error) if error.kind == ErrorKind::NotFound) {
            self.forget_version(id);
        }
        let mut answer = read?;
        if answer.value == Read::NotModified && answer.etag.is_none() {
            answer.etag = known.cloned();
        }
        self.learn_version(id, answer.etag.as_ref());
        Ok(answer)
    }

    /// What a write of this webhook builds on; [`ErrorKind::LockingUnsupported`] where the answer carried nothing to build
    /// on.
    pub fn precondition(&self, read: &Webhook) -> Result<Precondition, Error> {
        if let Some(tag) = read.tag() {
            return Ok(Precondition(Basis::Tag(tag.clone())));
        }
        match (self.concurrency(), read.last_changed()) {
            (Concurrency::CompareAndWrite, Some(when)) => Ok(Precondition(Basis::LastChanged(when.clone()))),
            _ => Err(Error::new(ErrorKind::LockingUnsupported, Route::PutWebhook)),
        }
    }

    /// Replaces a webhook: as read, with our changes. [`ErrorKind::Conflict`]: read again, decide again.
    /// The answer's `etag` is the new one where Cognigy tells it.
    pub async fn put_webhook(
        &self,
        id: &WebhookId,
        webhook: &Webhook,
        precondition: &Precondition,
    ) -> Result<Answer<()>, Error> {
        let call = Call::new(Route::PutWebhook, Method::PUT, of(id)).secrets(&webhook.secrets()).json(&webhook.body());
        match &precondition.0 {
            Basis::Tag(tag) => {
                let answer = self.send(call.header(IF_MATCH, tag.as_str()), |_| Ok(())).await?;
                self.learn_version(id, answer.etag.as_ref());
                Ok(answer)
            }
            Basis::LastChanged(then) => {
                let now = self.get_webhook(id, None).await?;
                let unchanged = matches!(&now.value, Read::Found(w) if w.last_changed() == Some(then));
                if !unchanged {
                    self.observe_conflict();
                    let mut error = Error::new(ErrorKind::Conflict, Route::PutWebhook)
                        .detail("lastChanged is not what it was when the webhook was read");
                    error.latency = now.latency;
                    error.trace_id = now.trace_id;
                    return Err(error);
                }
                let mut answer = self.send(call, |_| Ok(())).await?;
                answer.latency += now.latency;
                Ok(answer)
            }
        }
    }
}
