//! Runs the plan: one step, its outcome folded into the world, and the next step is asked for.
//!
//! Facts are told as they happen (events and audit lines); the status is told once, at the end.

use std::{sync::Arc, time::Duration};

use kube::{Api, Resource as _};

use super::{
    book::Book,
    compare,
    health::{self, Checked},
    observe::Wish,
    plan::{self, Next, Outcome, Step, Why},
    registration,
    world::{Fact as Compared, Farewell, Health, Known, Older, Target, World},
};
use crate::{
    api::{
        CognigyWebhook, EventReason, FINALIZER, REGISTRATION_ANNOTATION,
        webhook::{Drift, State},
    },
    cluster::{audit::Fact, metadata},
    cognigy::{
        BackoffType, Deletion, ErrorKind, Integration, IntervalPolicy, Outcome as Posted, Read, Registration, Session,
        Status, Webhook, WebhookId,
    },
    controller::{backoff, context::Context, error::Failure},
};

/// How often a policy write that met somebody else's change is decided again within one pass (cognigy-api.md §4).
const CONFLICTS: u32 = 3;
/// No plan is longer; a longer one would be an error in it.
const STEPS: usize = 64;

/// A pass under way.
pub struct Pass<'a> {
    /// What every pass shares.
    pub context: &'a Context,
    /// The object, as of the last write to it.
    pub object: Arc<CognigyWebhook>,
    /// Where the object is.
    pub api: Api<CognigyWebhook>,
    /// The way to Cognigy.
    pub session: Session,
    /// What was asked for; absent for an object that is being deleted.
    pub wish: Option<&'a Wish>,
    /// The plan's view.
    pub world: World,
    /// Ids, tags, and the status that is being drafted.
    pub book: Book,
    /// Nothing in Kubernetes changed since the last pass that went well: what differs outside is drift.
    pub settled: bool,
    /// What Cognigy had under the known entity tag was as wished: a 304 says that it still is.
    pub matching: bool,
    /// What differed from the wish when it was read.
    pub drift: Vec<Drift>,
    /// The last health check's failure.
    pub unhealthy: Option<String>,
    /// The version that this pass is about.
    pub version: i32,
    registration: Option<Registration>,
    conflicts: u32,
}

/// How a pass over what is to be there ended.
pub enum Ended {
    /// Nothing is left to do.
    Done(Outcome),
    /// The health check fails.
    Unhealthy,
}

impl<'a> Pass<'a> {
    /// A pass that has not begun.
    pub fn new(
        context: &'a Context,
        object: Arc<CognigyWebhook>,
        session: Session,
        wish: Option<&'a Wish>,
        version: i32,
        (world, book): (World, Book),
    ) -> Self {
        let namespace = object.metadata.namespace.clone().unwrap_or_default();
        Self {
            context,
            api: Api::namespaced(context.client.clone(), &namespace),
            object,
            session,
            wish,
            world,
            book,
            settled: false,
            matching: false,
            drift: Vec::new(),
            unhealthy: None,
            version,
            registration: None,
            conflicts: 0,
        }
    }

    /// Walks the plan of a webhook that is to be there.
    pub async fn bring_up(&mut self, wish: &Wish) -> Result<Ended, Failure> {
        for _ in 0..STEPS {
            match plan::next(&wish.desired, &self.world) {
                Next::Do(step) => self.step(step).await?,
                Next::Wait(Why::HealthCheckFailed) => return Ok(Ended::Unhealthy),
                Next::Wait(Why::AlreadyExists) => return Err(self.refuse()),
                Next::Done(outcome) => return Ok(Ended::Done(outcome)),
            }
        }
        Err(Failure::InvalidSpec(format!("the plan has no end after {STEPS} steps; please report this")))
    }

    /// Walks the plan of a webhook that is being deleted.
    pub async fn take_down(&mut self, farewell: Farewell) -> Result<(), Failure> {
        let version = self.version.into();
        for _ in 0..STEPS {
            match plan::next_farewell(farewell, version, &self.world) {
                Next::Do(step) => {
                    if step == Step::Release && farewell == Farewell::Orphan {
                        self.tell(
                            EventReason::Orphaned,
                            "left in Cognigy as it is (deletionPolicy Orphan)".into(),
                            None,
                        );
                    }
                    self.step(step).await?;
                }
                Next::Wait(_) | Next::Done(_) => return Ok(()),
            }
        }
        Err(Failure::InvalidSpec(format!("the plan has no end after {STEPS} steps; please report this")))
    }

    async fn step(&mut self, step: Step) -> Result<(), Failure> {
        tracing::debug!(object = %self.object.object_ref(&()).name.unwrap_or_default(), ?step, "step");
        match step {
            Step::Recover(version) => self.recover(version).await,
            Step::Claim => self.claim().await,
            Step::Register => self.register().await,
            Step::Find => self.find().await,
            Step::Adopt => self.adopt().await,
            Step::ReadWebhook => self.read_webhook().await,
            Step::ReadIntegration => self.read_integration().await,
            Step::WritePolicy => self.write_policy().await,
            Step::CheckHealth => self.check_health().await,
            Step::Put { active } => self.put(active).await,
            Step::Deactivate(version) => self.deactivate(version).await,
            Step::Delete(version) => self.delete(version).await,
            Step::Release => Ok(metadata::remove_finalizer(&self.api, &*self.object, FINALIZER).await?),
        }
    }

    async fn recover(&mut self, version: i64) -> Result<(), Failure> {
        let name = self.object.registered_name();
        self.world.lost = None;
        if let Some(found) = self.session.find_integration(&name, version).await?.value {
            let active = found.status == Some(Status::Active);
            self.book.keep(&found.id, version, active);
            self.world.older.insert(0, Older { version, active });
        }
        Ok(())
    }

    async fn claim(&mut self) -> Result<(), Failure> {
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

    async fn register(&mut self) -> Result<(), Failure> {
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
            self.candidate(&integration);
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
    async fn tell_registered(&mut self, note: String, latency: Option<Duration>) -> Result<(), Failure> {
        self.tell(EventReason::Registered, note, latency);
        let (name, version) = (self.object.registered_name(), self.version);
        if let Some(replaced) = self.world.older.iter().find(|older| older.active) {
            let note = format!(
                "version {} of {name} is deprecated: version {version} replaces it as soon as it is live",
                replaced.version
            );
            self.tell(EventReason::VersionDeprecated, note, None);
        }
        let id = self.id()?;
        self.progress(&format!("registered as {id}")).await
    }

    async fn find(&mut self) -> Result<(), Failure> {
        let (name, version) = (self.object.registered_name(), i64::from(self.version));
        let found = self.session.find_integration(&name, version).await?.value;
        let Some(found) = found else {
            if matches!(self.world.target, Target::Preexisting { .. }) {
                // Cognigy says that the key is taken, and does not list who has it.
                return Err(self.refuse());
            }
            self.world.target = Target::Missing { searched: true };
            return Ok(());
        };
        let identical = match self.wish {
            Some(_) => compare::registration(&self.wished(Status::Inactive).await?, &found).is_empty(),
            None => false,
        };
        self.candidate(&found);
        let active = Some(found.status == Some(Status::Active));
        self.world.target = Target::Preexisting { identical, active };
        Ok(())
    }

    /// Remembers whom a registration that was there before may turn out to be.
    fn candidate(&mut self, found: &Integration) {
        let active = found.status == Some(Status::Active);
        self.book.registered(&found.id, self.version.into(), active);
    }

    /// What was found is somebody else's, and stays so.
    fn refuse(&mut self) -> Failure {
        let key = self.key();
        self.book.refuse(key.clone(), self.version.into());
        Failure::AlreadyExists { key }
    }

    async fn adopt(&mut self) -> Result<(), Failure> {
        let Target::Preexisting { identical, active } = self.world.target else { return Ok(()) };
        let active = active.unwrap_or_default();
        self.world.target = Target::Known(Known {
            seen: true,
            active,
            registration: Compared::same(identical),
            policy: Compared::Unread,
            tagged: false,
        });
        if self.wish.is_none() || self.observing() {
            return Ok(());
        }
        let id = self.id()?;
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

    async fn read_webhook(&mut self) -> Result<(), Failure> {
        let id = self.id()?;
        let known = self.world.known().copied();
        let conditional = self.matching && known.is_some_and(|known| !known.seen);
        let tag = self.book.tag.clone().filter(|_| conditional);
        let answer = match self.session.get_webhook(&id, tag.as_ref()).await {
            Ok(answer) => answer,
            Err(error) if error.kind == ErrorKind::NotFound => {
                self.gone(&id);
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        let wanted = self.wanted(&id);
        let observing = self.observing();
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
                    if self.settled || observing {
                        self.drift.extend(differences);
                    }
                }
                if let Some(enabled) = webhook.enabled() {
                    if enabled != known.active && self.settled {
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
                self.book.webhook = Some(webhook);
                self.book.set_active(self.version.into(), active);
            }
        }
        Ok(())
    }

    /// The object was deleted behind our back.
    fn gone(&mut self, id: &WebhookId) {
        self.drift.push(Drift { path: "webhook".into(), desired: Some(id.to_string()), actual: None });
        self.book.forget(self.version.into());
        self.world.target = Target::Missing { searched: true };
    }

    async fn read_integration(&mut self) -> Result<(), Failure> {
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

    async fn write_policy(&mut self) -> Result<(), Failure> {
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
                tokio::time::sleep(backoff::after_failures(self.conflicts, pause, pause * 8)).await;
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

    async fn check_health(&mut self) -> Result<(), Failure> {
        let Some(wish) = self.wish else { return Ok(()) };
        let wished = self.wished(Status::Inactive).await?;
        match health::check(self.context, &self.object, wish, &wished, &mut self.book.status.health).await? {
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

    async fn put(&mut self, active: bool) -> Result<(), Failure> {
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

    async fn deactivate(&mut self, version: i64) -> Result<(), Failure> {
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
        let note = format!("{id} ({name} version {version}) is inactive");
        let fact = self.fact_of(&id, version, EventReason::Deactivated, note);
        self.context.trail.record(Fact {
            status: Some(format!("{:?}", State::Inactive)),
            latency: Some(latency),
            ..fact
        });
        Ok(())
    }

    async fn delete(&mut self, version: i64) -> Result<(), Failure> {
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
                let fact = self.fact_of(&id, version, EventReason::Orphaned, note);
                self.context.trail.record(Fact { latency: Some(answer.latency), ..fact });
                return Ok(());
            }
        };
        self.forget(version);
        let fact = self.fact_of(&id, version, EventReason::Deleted, note);
        self.context.trail.record(Fact { status: None, latency: Some(answer.latency), ..fact });
        Ok(())
    }

    fn forget(&mut self, version: i64) {
        self.book.forget(version);
        if version == i64::from(self.version) {
            self.world.target = Target::Missing { searched: true };
        }
        self.world.older.retain(|older| older.version != version);
    }

    /// Whether Cognigy has the wished registration and policy, active or not.
    pub fn matches(&self) -> bool {
        let policy = self.wish.is_some_and(|wish| wish.desired.policy);
        self.world
            .known()
            .is_some_and(|known| known.registration == Compared::Same && (!policy || known.policy == Compared::Same))
    }

    fn key(&self) -> String {
        registration::key(&self.object, self.version)
    }

    fn observing(&self) -> bool {
        self.wish.is_some_and(|wish| wish.desired.observe)
    }

    fn id(&self) -> Result<WebhookId, Failure> {
        self.book.id().ok_or_else(|| {
            Failure::InvalidSpec("status.webhookId holds no id that Cognigy could have given; clear the status".into())
        })
    }

    /// The policy to write; `None` where none is wished for.
    fn wanted(&self, id: &WebhookId) -> Option<IntervalPolicy> {
        let intervals = &self.wish?.policy.as_ref()?.intervals;
        Some(IntervalPolicy {
            webhook_id: id.clone(),
            max_retries: intervals.max_retries,
            backoff_type: BackoffType::Exponential,
            intervals_ms: intervals.intervals_ms.clone(),
            failure_threshold_percent: intervals.failure_threshold_percent.into(),
        })
    }

    /// The registration that the spec asks for; the Secrets behind its headers are read once in a pass.
    async fn wished(&mut self, status: Status) -> Result<Registration, Failure> {
        if self.registration.is_none() {
            self.registration = Some(registration::read(&self.object, self.context).await?);
        }
        let read = self.registration.as_ref().map(|registration| registration.with_status(status));
        read.ok_or_else(|| Failure::InvalidSpec("the registration cannot be read".into()))
    }

    fn note_secret_versions(&mut self) {
        if let Some(wish) = self.wish {
            self.book.status.secret_versions.clone_from(&wish.secret_versions);
        }
    }

    /// Cognigy has the wished policy.
    pub fn note_policy(&mut self) {
        let policy = self.wish.and_then(|wish| wish.policy.as_ref());
        self.book.status.retry_policy = policy.map(|policy| crate::api::webhook::AppliedPolicy {
            name: policy.name.clone(),
            generation: policy.generation,
        });
    }

    /// Tells what happened, with all that is known of the webhook.
    pub fn tell(&self, reason: EventReason, note: String, latency: Option<Duration>) {
        let fact = self.fact(reason, note);
        self.context.trail.record(Fact { latency, ..fact });
    }

    /// A fact about one version, which need not be the present one and may be gone.
    fn fact_of(&self, id: &WebhookId, version: i64, reason: EventReason, note: String) -> Fact {
        Fact { webhook_id: Some(id.to_string()), version: Some(version), ..self.fact(reason, note) }
    }

    /// A fact with all that is known of the webhook.
    pub fn fact(&self, reason: EventReason, note: String) -> Fact {
        Fact {
            webhook_id: self.book.status.webhook_id.clone(),
            webhook_name: Some(self.object.registered_name()),
            version: Some(self.version.into()),
            status: self.book.status.state.map(|state| format!("{state:?}")),
            ..Fact::new(reason, self.object.object_ref(&()), note)
        }
    }
}
