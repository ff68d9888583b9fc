//! Steps that make a registration this resource's own.

use std::{sync::Arc, time::Duration};

use super::{
    super::{compare, observe},
    Pass,
};
use crate::{
    api::{EventReason, FINALIZER, REGISTRATION_ANNOTATION},
    cluster::metadata,
    cognigy::{Error, ErrorKind, Integration, Outcome as Posted, Status, Webhook, WebhookId},
    controller::{
        error::Failure,
        office,
        webhook::world::{Fact as Compared, Known, Older, Target},
    },
    outbox::message::Monitoring,
};

impl Pass<'_> {
    pub(super) async fn recover(&mut self, version: i64) -> Result<(), Failure> {
        if let Some(found) = self.look_for_lost(version).await? {
            // The claim that follows overwrites the only other trace of it.
            self.progress(&format!("version {version} was registered as {found}, which no answer had told")).await?;
        }
        Ok(())
    }

    /// Looks for a version that a crash may have hidden, and takes it in.
    pub(super) async fn look_for_lost(&mut self, version: i64) -> Result<Option<WebhookId>, Failure> {
        let found = match self.find_version(version).await {
            Ok(found) => found,
            // Without a listing it cannot be known.
            Err(error) if matches!(error.kind, ErrorKind::NotFound | ErrorKind::NotSupported) => None,
            Err(error) => return Err(error.into()),
        };
        self.world.lost = None;
        let Some(found) = found else { return Ok(None) };
        let active = found.status == Some(Status::Active);
        self.book.keep(&found.id, version, active);
        self.world.older.push(Older { version, active: Some(active) });
        Ok(Some(found.id))
    }

    /// This version of the webhook in the listing.
    async fn find_version(&self, version: i64) -> Result<Option<Integration>, Error> {
        let name = self.object.registered_name();
        match &self.script {
            Some(script) => script.find(&self.session, |one| one.is(&name, version)).await,
            None => Ok(self.session.find_integration(&name, version).await?.value),
        }
    }

    /// Before the claim and the POST, once in a pass: what was never claimed goes without a farewell.
    pub(super) async fn namespace_stays(&mut self) -> Result<(), Failure> {
        if !self.namespace_stays {
            let namespace = self.object.metadata.namespace.as_deref().unwrap_or_default();
            observe::namespace_stays(namespace, self.context).await?;
            self.namespace_stays = true;
        }
        Ok(())
    }

    pub(super) async fn claim(&mut self) -> Result<(), Failure> {
        self.namespace_stays().await?;
        let key = self.key();
        let annotation = (REGISTRATION_ANNOTATION, key.as_str());
        let written = metadata::add_finalizer_and_annotation(&self.api, &*self.object, FINALIZER, annotation).await?;
        if let Some(written) = written {
            self.context.wrote(&written);
            self.object = Arc::new(written);
        }
        self.world.claimed = true;
        Ok(())
    }

    pub(super) async fn register(&mut self) -> Result<(), Failure> {
        self.namespace_stays().await?;
        let wished = self.wished(Status::Inactive).await?;
        let answer = match self.session.register(&wished).await {
            Ok(answer) => answer,
            Err(error) if error.kind == ErrorKind::Conflict => {
                self.world.target = Target::Preexisting { identical: false, active: None };
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        let integration = answer.value.integration;
        let active = integration.status == Some(Status::Active);
        if answer.value.outcome == Posted::Existed {
            self.candidate = Some(integration.id);
            self.world.target = Target::Preexisting { identical: true, active: Some(active) };
            return Ok(());
        }
        self.book.registered(&integration.id, wished.version, active);
        self.note_secret_versions();
        self.book.webhook = Webhook::from_integration_answer(&integration);
        self.book.tag.clone_from(&answer.etag);
        let tagged = self.book.webhook.is_some();
        self.world.target = Target::Known(Known {
            seen: true,
            active,
            registration: Compared::Same,
            policy: Compared::Differs,
            tagged,
        });
        let state = if active { "active" } else { "inactive" };
        let note = format!("registered {} version {} as {} ({state})", wished.name, wished.version, integration.id);
        self.tell_registered(note, Some(answer.latency)).await
    }

    /// Tells of a registration of our own, and which version it is to replace.
    pub(super) async fn tell_registered(&mut self, note: String, latency: Option<Duration>) -> Result<(), Failure> {
        self.tell(EventReason::Registered, note, latency);
        let (name, version) = (self.object.registered_name(), self.version);
        if let Some(replaced) = self.world.older.iter().find(|older| older.serves()) {
            let note = format!(
                "version {} of {name} is deprecated: version {version} replaces it as soon as it is live",
                replaced.version
            );
            self.tell(EventReason::VersionDeprecated, note, None);
            let message = Monitoring::Deprecated { name: name.clone(), old_version: replaced.version };
            office::monitor(self.context, &self.object, &message);
        }
        let id = self.id()?;
        self.progress(&format!("registered as {id}")).await
    }

    pub(super) async fn find(&mut self) -> Result<(), Failure> {
        let Some(found) = self.find_version(self.version.into()).await? else {
            if matches!(self.world.target, Target::Preexisting { .. }) {
                // Cognigy says that the key is taken, and does not list who has it.
                return Err(self.refuse());
            }
            self.world.target = Target::Missing { searched: true };
            return Ok(());
        };
        self.is_candidate(found).await
    }

    /// What was there before, compared with the wish.
    pub(super) async fn is_candidate(&mut self, found: Integration) -> Result<(), Failure> {
        let identical = match self.wish {
            Some(_) => {
                self.found.registration = compare::registration(&self.wished(Status::Inactive).await?, &found);
                self.found.registration.is_empty()
            }
            None => false,
        };
        let active = Some(found.status == Some(Status::Active));
        self.candidate = Some(found.id);
        self.world.target = Target::Preexisting { identical, active };
        Ok(())
    }

    /// What was found is somebody else's, and stays so.
    pub(super) fn refuse(&mut self) -> Failure {
        let key = self.key();
        self.book.refuse(key.clone());
        Failure::AlreadyExists { key }
    }

    /// Takes what was there before for this resource's own. Gives its id, whether it equals the spec and whether it is active.
    pub(super) fn take(&mut self) -> Option<(WebhookId, bool, bool)> {
        let Target::Preexisting { identical, active } = self.world.target else { return None };
        let id = self.candidate.take()?;
        let active = active.unwrap_or_default();
        self.book.registered(&id, self.version.into(), active);
        self.world.target = Target::Known(Known {
            seen: true,
            active,
            registration: Compared::same(identical),
            policy: Compared::Unread,
            tagged: false,
        });
        Some((id, identical, active))
    }

    pub(super) async fn adopt(&mut self) -> Result<(), Failure> {
        let Some((id, identical, active)) = self.take() else { return Ok(()) };
        if self.wish.is_none() || self.observing() {
            return Ok(());
        }
        if self.world.ours {
            let (name, version) = (self.object.registered_name(), self.version);
            let note = format!(
                "registered {name} version {version} as {id}: an earlier try whose answer was lost had got through"
            );
            return self.tell_registered(note, None).await;
        }
        let state = if active { "active, and stays so" } else { "inactive" };
        let same = if identical { "equals the spec" } else { "differs from the spec and is corrected" };
        self.tell(EventReason::Adopted, format!("adopted {id}, which was there before ({state}; it {same})"), None);
        self.progress(&format!("adopted {id}")).await
    }
}
