//! Steps that take a version down.

use super::{super::registration, Pass};
use crate::{
    api::{EventReason, webhook::State},
    cluster::audit::Fact,
    cognigy::{Deletion, Error, ErrorKind, WebhookId},
    controller::{error::Failure, webhook::world::Target},
};

impl Pass<'_> {
    pub(super) async fn deactivate(&mut self, version: i64) -> Result<(), Failure> {
        let Some(id) = self.book.id_of(version) else { return Ok(()) };
        let answer = registration::deactivate(&self.session, &id).await;
        let Some(written) = self.unless_gone(version, answer)? else { return Ok(()) };
        self.is_off(version);
        // What was inactive already is no news.
        let Some(latency) = written else { return Ok(()) };
        let name = self.object.registered_name();
        let note = format!("{id} ({name} version {version}) is inactive");
        let fact = self.fact_of(&id, version, EventReason::Deactivated, note);
        self.record(Fact { status: Some(format!("{:?}", State::Inactive)), ..fact }, Some(latency));
        Ok(())
    }

    pub(super) async fn delete(&mut self, version: i64) -> Result<(), Failure> {
        let Some(id) = self.book.id_of(version) else {
            self.forget(version);
            return Ok(());
        };
        let answer = self.session.delete_integration(&id).await?;
        let name = self.object.registered_name();
        let note = match answer.value {
            Deletion::Deleted => format!("{id} ({name} version {version}) is deleted"),
            Deletion::AlreadyGone => format!("{id} ({name} version {version}) was gone already"),
            Deletion::NotSupported => {
                self.world.undeletable = true;
                let note = format!(
                    "this installation does not delete: {id} ({name} version {version}) is left there, inactive"
                );
                self.record(self.fact_of(&id, version, EventReason::Orphaned, note), Some(answer.latency));
                return Ok(());
            }
        };
        self.forget(version);
        let fact = self.fact_of(&id, version, EventReason::Deleted, note);
        self.record(Fact { status: None, ..fact }, Some(answer.latency));
        Ok(())
    }

    /// What Cognigy answered about a version; one that is not there any more is forgotten.
    pub(super) fn unless_gone<T>(&mut self, version: i64, answer: Result<T, Error>) -> Result<Option<T>, Failure> {
        match answer {
            Ok(answer) => Ok(Some(answer)),
            Err(error) if error.kind == ErrorKind::NotFound => {
                self.forget(version);
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// A version serves no traffic any more.
    pub(super) fn is_off(&mut self, version: i64) {
        self.book.set_active(version, false);
        if let Some(known) = self.world.known_mut().filter(|_| version == i64::from(self.version)) {
            known.active = false;
        }
        self.world.set_older(version, false);
    }

    /// A fact about one version, which need not be the present one and may be gone.
    fn fact_of(&self, id: &WebhookId, version: i64, reason: EventReason, note: String) -> Fact {
        Fact { webhook_id: Some(id.to_string()), version: Some(version), ..self.fact(reason, note) }
    }

    pub(super) fn forget(&mut self, version: i64) {
        self.book.forget(version);
        if version == i64::from(self.version) {
            self.world.target = Target::Missing { searched: true };
        }
        self.world.older.retain(|older| older.version != version);
    }
}
