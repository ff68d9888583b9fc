//! Webhooks and their retry policies under optimistic locking (cognigy-api.md §4).

use super::{Answer, ETag, Error, Session, Webhook, WebhookId};

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
pub struct Precondition(());

impl Session {
    /// Reads a webhook; with a known tag only if it changed.
    pub async fn get_webhook(
        &self,
        _id: &WebhookId,
        _known: Option<&ETag>,
    ) -> Result<Answer<Read>, Error> {
        todo!()
    }

    /// What a write of this webhook builds on; [`super::ErrorKind::LockingUnsupported`] where the answer carried nothing to
    /// build on.
    pub fn precondition(&self, _read: &Webhook) -> Result<Precondition, Error> {
        todo!()
    }

    /// Replaces a webhook: as read, with our changes. [`super::ErrorKind::Conflict`]: read again, decide again.
    /// The answer's `etag` is the new one where Cognigy tells it.
    pub async fn put_webhook(
        &self,
        _id: &WebhookId,
        _webhook: &Webhook,
        _precondition: &Precondition,
    ) -> Result<Answer<()>, Error> {
        todo!()
    }
}
