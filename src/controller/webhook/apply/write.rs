//! Steps that change what Cognigy holds, and the check before something goes live.

use std::time::Duration;

use super::{
    super::health::{self, Checked},
    CONFLICTS, Pass,
};
use crate::{
    api::EventReason,
    cognigy::{ErrorKind, Status},
    controller::{
        backoff,
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
        let Some(policy) = &wish.policy else { return Ok(()) };
        let precondition = self.session.precondition(&read)?;
        let answer = match self.session.put_webhook(&id, &read.with_policy(&wanted), &precondition).await {
            Ok(answer) => answer,
            Err(error) if error.kind == ErrorKind::Conflict && self.conflicts < CONFLICTS => {
                self.conflicts += 1;
                let tag = read.tag().map_or_else(|| "none".to_owned(), ToString::to_string);
                let note = format!(
                    "{id} was changed by somebody else since it was read (entity tag {tag}); it is read and decided again ({} of {CONFLICTS})",
                    self.conflicts
                );
                self.tell(EventReason::Conflict, note, Some(error.latency));
                if let Some(known) = self.world.known_mut() {
                    known.policy = Compared::Unread;
                    known.tagged = false;
                }
                let pause = Duration::from_millis(50);
                let pause = tokio::time::sleep(backoff::after_failures(self.conflicts, pause, pause * 8));
                self.session.caller().place.free_while(pause).await;
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        let tag = |tag: Option<&crate::cognigy::ETag>| tag.map_or_else(|| "unknown".to_owned(), ToString::to_string);
        let note = format!(
            "retry policy {} (generation {}: {} retries after {:?} ms) written to {id}; entity tag {} → {}",
            policy.name,
            policy.generation,
            wanted.max_retries,
            wanted.intervals_ms,
            tag(read.tag()),
            tag(answer.etag.as_ref()),
        );
        self.book.tag = answer.etag;
        self.book.webhook = None;
        self.note_policy();
        if let Some(known) = self.world.known_mut() {
            known.policy = Compared::Same;
            known.tagged = false;
        }
        self.tell(EventReason::RetryPolicyApplied, note, Some(answer.latency));
        Ok(())
    }

    pub(super) async fn check_health(&mut self) -> Result<(), Failure> {
        let Some(wish) = self.wish else { return Ok(()) };
        let wished = self.wished(Status::Inactive).await?;
        let check = Box::pin(health::check(self.context, &self.object, wish, &wished, &mut self.book.status.health));
        match self.session.meanwhile(check).await? {
            Checked { passing: true, note, latency, .. } => {
                self.world.health = Health::Passing;
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
        if before.active != active && !self.settled {
            let (reason, word) =
                if active { (EventReason::Activated, "active") } else { (EventReason::Deactivated, "inactive") };
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
