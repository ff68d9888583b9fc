//! Registration (cognigy-api.md §2).

use super::{Answer, Error, Integration, Registration, Session, WebhookId};

/// What a registration led to.
#[derive(Clone, Debug, PartialEq)]
pub struct Registered {
    /// The object as Cognigy shows it.
    pub integration: Integration,
    /// Whether it is new.
    pub outcome: Outcome,
}

/// Whether a registration is new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Made by this call (201; also 202 and 204, which cannot tell).
    Created,
    /// The idempotency key was used before (200).
    Existed,
}

/// What a deletion led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deletion {
    /// Removed by this call.
    Deleted,
    /// It was not there (404).
    AlreadyGone,
    /// The installation does not delete (405, 501): deactivate instead.
    NotSupported,
}

impl Session {
    /// Registers a webhook. Safe to repeat: the idempotency key always names the same object. A key that was used with
    /// another payload is [`super::ErrorKind::Conflict`]. After an answer without a body the object is found through the listing.
    pub async fn register(&self, _registration: &Registration) -> Result<Answer<Registered>, Error> {
        todo!()
    }

    /// Replaces a registration; `None` where the answer has no body.
    pub async fn update_integration(
        &self,
        _id: &WebhookId,
        _registration: &Registration,
    ) -> Result<Answer<Option<Integration>>, Error> {
        todo!()
    }

    /// Reads a registration. [`super::ErrorKind::NotSupported`] (and, where the route itself is missing, `NotFound`): read the
    /// webhook instead.
    pub async fn get_integration(&self, _id: &WebhookId) -> Result<Answer<Integration>, Error> {
        todo!()
    }

    /// All registrations, page by page.
    pub async fn list_integrations(&self) -> Result<Answer<Vec<Integration>>, Error> {
        todo!()
    }

    /// The registration with this name and version, through the listing.
    pub async fn find_integration(
        &self,
        _name: &str,
        _version: i64,
    ) -> Result<Answer<Option<Integration>>, Error> {
        todo!()
    }

    /// Deletes a registration.
    pub async fn delete_integration(&self, _id: &WebhookId) -> Result<Answer<Deletion>, Error> {
        todo!()
    }
}
