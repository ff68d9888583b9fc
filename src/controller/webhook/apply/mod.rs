//! Runs the plan: one step, its outcome folded into the world, and the next step is asked for.
//!
//! Facts are told as they happen (events and audit lines); the status is told once, at the end. The steps stand beside:
//! `register` (whose is it), `read`, `write`, `remove`.

mod read;
mod register;
mod rehearse;
mod remove;
mod write;

use std::{sync::Arc, time::Duration};

use kube::{Api, Resource as _};

use super::{
    book::Book,
    farewell,
    observe::Wish,
    plan::{self, Next, Outcome, Step, Why},
    registration,
    rehearsal::{self, Act},
    report::Left,
    world::{Fact as Compared, Farewell, World},
};
use crate::{
    api::{CognigyWebhook, EventReason, FINALIZER, webhook::Drift},
    cluster::{audit::Fact, metadata},
    cognigy::{Error, Integration, IntervalPolicy, Registration, Session, Status, WebhookId},
    controller::{context::Context, error::Failure, rehearsal::Registered},
};

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
    /// What was there before, until it is decided whether it is taken for this resource's own.
    candidate: Option<WebhookId>,
    conflicts: u32,
    /// The namespace was seen not to be on its way out.
    namespace_stays: bool,
    /// Where Cognigy differed from the wish when it was read.
    found: Found,
    /// What would be done, where the pass is a rehearsal: it reads, writes nothing and takes every write for done.
    script: Option<Script>,
}

/// What a rehearsed pass has besides.
struct Script {
    acts: Vec<Act>,
    /// What the tenant's installation lists, read once for all of the rehearsal's webhooks.
    registered: Arc<Registered>,
}

impl Script {
    /// The first registration in the listing that is meant.
    async fn find(
        &self,
        session: &Session,
        is_meant: impl Fn(&Integration) -> bool,
    ) -> Result<Option<Integration>, Error> {
        Ok(self.registered.all(session).await?.iter().find(|one| is_meant(one)).cloned())
    }
}

/// Where Cognigy differed from the wish when it was read.
#[derive(Default)]
struct Found {
    registration: Vec<Drift>,
    policy: Vec<Drift>,
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
            candidate: None,
            conflicts: 0,
            namespace_stays: false,
            found: Found::default(),
            script: None,
        }
    }

    /// The same pass as a rehearsal.
    #[must_use]
    pub fn rehearsed(self, registered: Arc<Registered>) -> Self {
        Self { script: Some(Script { acts: Vec::new(), registered }), ..self }
    }

    /// What a rehearsal found that would be done, without secrets.
    pub fn script(&mut self) -> Vec<Act> {
        let acts = self.script.take().map(|script| script.acts);
        rehearsal::without_secrets(acts.unwrap_or_default(), &self.session.redactor())
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
        if self.script.is_some() {
            return self.rehearse(step).await;
        }
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
            Step::ReadOlder(version) => self.read_older(version).await,
            Step::Deactivate(version) => self.deactivate(version).await,
            Step::Delete(version) => self.delete(version).await,
            Step::Release => {
                if let Some(failure) = farewell::last_words(&self.object, self.context, &mut self.book.status) {
                    return Err(failure);
                }
                metadata::remove_finalizer(&self.api, &*self.object, FINALIZER).await?;
                self.world.claimed = false;
                Ok(())
            }
        }
    }

    /// Whether Cognigy has the wished registration and policy, active or not.
    fn matches(&self) -> bool {
        let policy = self.wish.is_some_and(|wish| wish.desired.policy);
        self.world
            .known()
            .is_some_and(|known| known.registration == Compared::Same && (!policy || known.policy == Compared::Same))
    }

    /// What it leaves for the report.
    pub fn left(&self) -> Left {
        Left {
            object: self.object.clone(),
            session: self.session.clone(),
            status: self.book.status.clone(),
            tag: self.book.tag.clone(),
            drift: self.drift.clone(),
            matches: self.matches(),
        }
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
        Some(IntervalPolicy::new(id.clone(), &self.wish?.policy.as_ref()?.intervals))
    }

    /// The registration that the spec asks for; the Secrets behind its headers are read once in a pass.
    async fn wished(&mut self, status: Status) -> Result<Registration, Failure> {
        if self.registration.is_none() {
            let registration = registration::read(&self.object, self.context).await?;
            self.session = self.session.hiding(&registration.secrets());
            self.registration = Some(registration);
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
        self.book.status.retry_policy = policy.map(|policy| policy.of.clone());
    }

    /// Tells what happened, with all that is known of the webhook.
    pub fn tell(&self, reason: EventReason, note: String, latency: Option<Duration>) {
        self.record(self.fact(reason, note), latency);
    }

    fn record(&self, fact: Fact, latency: Option<Duration>) {
        let note = match latency {
            Some(latency) => format!("{} ({} ms)", fact.note, latency.as_millis()),
            None => fact.note,
        };
        self.context.trail.record(Fact { note, latency, ..fact });
    }

    /// A fact with all that is known of the webhook.
    pub fn fact(&self, reason: EventReason, note: String) -> Fact {
        Fact {
            webhook_id: self.book.status.webhook_id.clone(),
            webhook_name: Some(self.object.registered_name()),
            version: Some(self.version.into()),
            status: self.book.status.state.map(|state| format!("{state:?}")),
            success_rate: self.context.figures.success_rate(&self.object.tenant_key()),
            ..Fact::new(reason, self.object.object_ref(&()), note)
        }
    }
}
