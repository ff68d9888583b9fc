//! Steps that read what Cognigy holds.

use super::{
    super::{compare, ground},
    Pass,
};
use crate::{
    api::webhook::Drift,
    cognigy::{ErrorKind, Read, Status, WebhookId},
    controller::{
        error::Failure,
        webhook::world::{Fact as Compared, Target},
    },
};

impl Pass<'_> {
    pub(super) async fn read_webhook(&mut self) -> Result<(), Failure> {
        let id = self.id()?;
        let known = self.world.known().copied();
        let first = known.is_some_and(|known| !known.seen);
        let tag = self.book.tag.clone().filter(|_| self.matching && first);
        let standing = self.standing.take().filter(|_| first);
        let listing_age = self.wish.and_then(|wish| ground::listing_age(&self.object, &wish.tenant, self.settled));
        let tenant = self.object.tenant_key();
        let answer = match ground::read(self.context, &self.session, &tenant, &id, (tag.as_ref(), listing_age)).await {
            Ok(answer) => answer,
            Err(error) if error.kind == ErrorKind::NotFound => {
                self.gone(&id);
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        let wanted = self.wanted(&id);
        let observing = self.observing();
        // Who switched it off may have died before telling.
        let to_be_off = self.world.outage && self.wish.is_some_and(|wish| wish.desired.deactivate);
        let Some(known) = self.world.known_mut() else { return Ok(()) };
        known.seen = true;
        match answer.value {
            Read::NotModified => {
                known.registration = Compared::Same;
                known.policy = Compared::Same;
            }
            Read::Found(webhook) => {
                if let Some(wanted) = &wanted {
                    let differences = compare::policy(wanted, &webhook);
                    known.policy = Compared::same(differences.is_empty());
                    self.found.policy.clone_from(&differences);
                    if self.settled || observing {
                        self.drift.extend(differences);
                    }
                }
                if let Some(enabled) = webhook.enabled() {
                    if enabled != known.active && self.settled && (enabled || !to_be_off) {
                        let text = |active: bool| Some(active.to_string());
                        self.drift.push(Drift {
                            path: "enabled".into(),
                            desired: text(known.active),
                            actual: text(enabled),
                        });
                    }
                    known.active = enabled;
                }
                known.tagged = true;
                let active = known.active;
                self.book.tag = webhook.tag().cloned().or(answer.etag);
                if standing.is_some() && standing == self.book.tag {
                    known.registration = Compared::Same;
                    self.standing = standing;
                }
                self.book.webhook = Some(webhook);
                self.book.set_active(self.version.into(), active);
            }
        }
        if wanted.is_none() || self.world.known().is_some_and(|known| known.policy == Compared::Same) {
            // Also where it was not written just now: a lost answer, another way to the same delays, no policy any more.
            self.note_policy();
        }
        Ok(())
    }

    pub(super) async fn read_older(&mut self, version: i64) -> Result<(), Failure> {
        let Some(id) = self.book.id_of(version) else {
            self.forget(version);
            return Ok(());
        };
        let answer = self.session.get_webhook(&id, None).await;
        let Some(answer) = self.unless_gone(version, answer)? else { return Ok(()) };
        // What does not say that it is inactive may serve.
        let inactive = matches!(&answer.value, Read::Found(webhook) if webhook.enabled() == Some(false));
        self.book.set_active(version, !inactive);
        self.world.set_older(version, !inactive);
        Ok(())
    }

    /// The object was deleted behind our back.
    pub(super) fn gone(&mut self, id: &WebhookId) {
        self.drift.push(Drift { path: "webhook".into(), desired: Some(id.to_string()), actual: None });
        self.book.forget(self.version.into());
        self.world.target = Target::Missing { searched: true };
    }

    pub(super) async fn read_integration(&mut self) -> Result<(), Failure> {
        let id = self.id()?;
        let wished = self.wished(Status::Inactive).await?;
        let differences = match self.session.get_integration(&id).await {
            Ok(answer) => compare::registration(&wished, &answer.value),
            // No such route here: §4 is all that can be read (cognigy-api.md §2).
            Err(error) if matches!(error.kind, ErrorKind::NotFound | ErrorKind::NotSupported) => {
                let webhook = self.book.webhook.as_ref();
                let mut differences = webhook.map(|webhook| compare::view(&wished, webhook)).unwrap_or_default();
                if !self.settled && differences.is_empty() {
                    differences.push(Drift { path: "spec".into(), desired: None, actual: None });
                }
                differences
            }
            Err(error) => return Err(error.into()),
        };
        let observing = self.observing();
        self.found.registration.clone_from(&differences);
        if let Some(known) = self.world.known_mut() {
            known.registration = Compared::same(differences.is_empty());
        }
        if differences.is_empty() {
            self.note_secret_versions();
        } else if self.settled || observing {
            self.drift.extend(differences);
        }
        Ok(())
    }
}
