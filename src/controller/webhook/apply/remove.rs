//! Steps that take a version down.

use super::{super::registration, Pass};
use crate::{
    api::EventReason,
    cognigy::{Deletion, ErrorKind},
    controller::{error::Failure, webhook::world::Target},
};

impl Pass<'_> {
    pub(super) async fn deactivate(&mut self, version: i64) -> Result<(), Failure> {
        let Some(id) = self.book.id_of(version) else { return Ok(()) };
        let latency = match registration::deactivate(&self.session, &id).await {
            Ok(latency) => latency,
            Err(error) if error.kind == ErrorKind::NotFound => {
                self.forget(version);
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        self.book.set_active(version, false);
        if let Some(known) = self.world.known_mut().filter(|_| version == i64::from(self.version)) {
            known.active = false;
        }
        self.world.older.iter_mut().filter(|older| older.version == version).for_each(|older| older.active = false);
        let name = self.object.registered_name();
        self.tell(EventReason::Deactivated, format!("{id} ({name} version {version}) is inactive"), Some(latency));
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
                self.tell(EventReason::Orphaned, note, Some(answer.latency));
                return Ok(());
            }
        };
        self.forget(version);
        self.tell(EventReason::Deleted, note, Some(answer.latency));
        Ok(())
    }

    pub(super) fn forget(&mut self, version: i64) {
        self.book.forget(version);
        if version == i64::from(self.version) {
            self.world.target = Target::Missing { searched: true };
        }
        self.world.older.retain(|older| older.version != version);
    }
}
