//! Steps that change what Cognigy holds, and the check before something goes live.

use super::{
    super::{
        health::{self, Checked},
        policy::{self, Written},
    },
    Pass,
};
use crate::{
    api::EventReason,
    cognigy::{ErrorKind, Status},
    controller::{
        error::Failure,
        webhook::world::{Fact as Compared, Health, Known},
    },
};

impl Pass<'_> {
    pub(super) async fn write_policy(&mut self) -> Result<(), Failure> {
        let id = self.id()?;
        let (Some(read), Some(wanted), Some(wish)) = (self.book.webhook.clone(), self.wanted(&id), self.wish) else {
            return Ok(());
        };
        let Some(wished) = &wish.policy else { return Ok(()) };
        // The answer may repeat the registration's headers: from now on their values are known, and hidden.
        self.wished(Status::Inactive).await?;
        let (note, latency, tag) = match policy::write(
            (self.context, &self.object),
            &self.session,
            &read,
            &wished.of,
            &wanted,
            &mut self.conflicts,
        )
        .await?
        {
            Written::Done(note, latency, tag) => (note, latency, tag),
            Written::Conflict(note, latency) => {
                self.tell(EventReason::Conflict, note, Some(latency));
                if let Some(known) = self.world.known_mut() {
                    known.policy = Compared::Unread;
                    known.tagged = false;
                    if self.standing.take().is_some() {
                        // Only the tag said so, and that is no longer the one.
                        known.registration = Compared::Unread;
                    }
                }
                return Ok(());
            }
        };
        self.book.tag = tag;
        self.book.webhook = None;
        self.note_policy();
        if let Some(known) = self.world.known_mut() {
            known.policy = Compared::Same;
            known.tagged = false;
        }
        self.tell(EventReason::RetryPolicyApplied, note, Some(latency));
        Ok(())
    }

    pub(super) async fn check_health(&mut self) -> Result<(), Failure> {
        let Some(wish) = self.wish else { return Ok(()) };
        let wished = self.wished(Status::Inactive).await?;
        // A changed registration is another place: what is said of it says nothing of an outage.
        let same = self.world.known().is_some_and(|known| known.registration == Compared::Same);
        let out = self.book.status.health.as_ref().and_then(|health| health.failing_since.clone());
        let draft = (&mut self.book.status, out.filter(|_| same));
        let check = Box::pin(health::check(self.context, &self.object, wish, &wished, draft));
        match self.session.meanwhile(check).await? {
            Checked { passing: true, note, latency, .. } => {
                self.world.health = Health::Passing;
                self.world.outage = false;
                self.tell(EventReason::HealthCheckPassed, note, Some(latency));
            }
            Checked { passing: false, note, latency, news } => {
                self.world.health = Health::Failing;
                if news {
                    self.tell(EventReason::HealthCheckFailed, note.clone(), Some(latency));
                }
                self.unhealthy = Some(note);
            }
        }
        Ok(())
    }

    pub(super) async fn put(&mut self, active: bool) -> Result<(), Failure> {
        let id = self.id()?;
        let status = if active { Status::Active } else { Status::Inactive };
        let wished = self.wished(status).await?;
        let Some(before) = self.world.known().copied() else { return Ok(()) };
        let answer = match self.session.update_integration(&id, &wished).await {
            Ok(answer) => answer,
            Err(error) if error.kind == ErrorKind::NotFound => {
                self.gone(&id);
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        if let Some(known) = self.world.known_mut() {
            *known = Known { registration: Compared::Same, active, tagged: false, ..before };
        }
        self.book.webhook = None;
        self.book.tag = answer.etag;
        self.book.set_active(wished.version, active);
        self.note_secret_versions();
        if before.registration == Compared::Differs && !self.settled {
            self.tell(EventReason::Updated, format!("{id} now has the registration of the spec"), Some(answer.latency));
        }
        let out = self.world.outage && !active;
        if before.active != active && (!self.settled || out) {
            let (reason, word) = match (active, out) {
                (true, _) => (EventReason::Activated, "active"),
                (false, false) => (EventReason::Deactivated, "inactive"),
                (false, true) => (EventReason::Deactivated, "inactive until its callback passes a health check again"),
            };
            let note = format!("{id} ({} version {}) is {word}", wished.name, wished.version);
            self.tell(reason, note, Some(answer.latency));
        }
        let newer = self.world.older.iter().find(|other| other.version > wished.version);
        if let Some(newer) = newer.filter(|_| active && !before.active && !self.settled) {
            let note = format!(
                "{} is rolled back from version {} to version {}, which is {id}",
                wished.name, newer.version, wished.version
            );
            self.tell(EventReason::VersionRolledBack, note, None);
        }
        Ok(())
    }
}
