//! Runs the plan for a webhook that exists already.

use std::{sync::Arc, time::Duration};

use kube::Resource as _;

use super::{
    super::{
        compare, ground,
        plan::Outcome,
        policy::{self, Written},
        rehearsal::{self, Act, Action},
        report::Left,
        world::Fact as Compared,
    },
    observe::{Managed, Wish},
    plan::{self, Found, Next, Step},
};
use crate::{
    api::{
        CognigyWebhook, CognigyWebhookStatus, EventReason,
        webhook::{Drift, State},
    },
    cluster::audit::Fact,
    cognigy::{ETag, ErrorKind, IntervalPolicy, Read, Session, Webhook, WebhookId},
    controller::{
        context::Context,
        error::{Failure, NotFound},
    },
};

/// No plan is longer: a look and a write for each conflict, and one repeated write.
const STEPS: usize = 16;

/// A pass under way.
pub(in super::super) struct Pass<'a> {
    pub(super) context: &'a Context,
    pub(super) object: &'a Arc<CognigyWebhook>,
    pub(super) session: Session,
    pub(super) wish: &'a Wish,
    pub(super) found: Found,
    /// Why it was not found.
    pub(super) not_found: Option<NotFound>,
    /// The status that is being drafted.
    pub(super) status: CognigyWebhookStatus,
    /// What differed from the wish when it was read.
    pub(super) drift: Vec<Drift>,
    /// Nothing in Kubernetes changed since the last pass that went well: what differs outside is drift.
    pub(super) settled: bool,
    pub(super) conflicts: u32,
    /// What Cognigy had under the known entity tag was as wished.
    matching: bool,
    tag: Option<ETag>,
    read: Option<Webhook>,
    /// Where its policy differed from the wish when it was read.
    differences: Vec<Drift>,
    /// What would be done, where the pass is a rehearsal: it reads, writes nothing and takes every write for done.
    script: Option<Vec<Act>>,
}

impl<'a> Pass<'a> {
    /// A pass that has not begun.
    pub fn new(
        context: &'a Context,
        object: &'a Arc<CognigyWebhook>,
        session: Session,
        wish: &'a Wish,
        (settled, matching): (bool, bool),
        tag: Option<ETag>,
    ) -> Self {
        let status = object.status.clone().unwrap_or_default();
        let tag = tag.or_else(|| status.etag.as_deref().and_then(ETag::from_header));
        Self {
            context,
            object,
            session,
            wish,
            found: Found::Unread,
            not_found: None,
            status,
            drift: Vec::new(),
            settled,
            conflicts: 0,
            matching,
            tag,
            read: None,
            differences: Vec::new(),
            script: None,
        }
    }

    /// The same pass as a rehearsal.
    #[must_use]
    pub fn rehearsed(self) -> Self {
        Self { script: Some(Vec::new()), ..self }
    }

    pub(super) fn is_rehearsal(&self) -> bool {
        self.script.is_some()
    }

    /// What a rehearsal found that would be done, without secrets.
    pub fn script(&mut self) -> Vec<Act> {
        rehearsal::without_secrets(self.script.take().unwrap_or_default(), &self.session.redactor())
    }

    /// Walks the plan.
    pub async fn run(&mut self) -> Result<Outcome, Failure> {
        for _ in 0..STEPS {
            match plan::next(self.wish.observe, self.found) {
                Next::Do(step) => {
                    tracing::debug!(object = %self.object.object_ref(&()).name.unwrap_or_default(), ?step, "step");
                    self.step(step).await?;
                }
                Next::NotFound => {
                    let why = self.not_found.clone().unwrap_or(NotFound::Unknown);
                    return Err(Failure::WebhookNotFound(why));
                }
                Next::Done(outcome) => return Ok(outcome),
            }
        }
        Err(Failure::InvalidSpec(format!("the plan has no end after {STEPS} steps; please report this")))
    }

    /// What it leaves for the report.
    pub fn left(&self) -> Left {
        Left {
            object: self.object.clone(),
            session: self.session.clone(),
            status: self.status.clone(),
            tag: self.tag.clone(),
            drift: self.drift.clone(),
            matches: self.found == Found::There(Compared::Same),
        }
    }

    async fn step(&mut self, step: Step) -> Result<(), Failure> {
        if step == Step::Write && self.script.is_some() {
            return self.rehearse_write();
        }
        match (&self.wish.managed, step) {
            (Managed::Webhook { id, policy }, Step::Look) => self.look(id, policy).await,
            (Managed::Webhook { policy, .. }, Step::Write) => self.write(policy).await,
            (Managed::BotWebhook { bot, webhook, policy }, Step::Look) => self.look_at_bot(bot, webhook, policy).await,
            (Managed::BotWebhook { bot, policy, .. }, Step::Write) => self.write_to_bot(bot, policy).await,
        }
    }

    async fn look(&mut self, id: &WebhookId, wanted: &IntervalPolicy) -> Result<(), Failure> {
        self.is_at(id);
        let known = self.tag.clone().filter(|_| self.matching && self.conflicts == 0);
        let listing_age = ground::listing_age(self.object, &self.wish.tenant, self.settled);
        let read =
            ground::read(self.context, &self.session, &self.wish.tenant_key, id, (known.as_ref(), listing_age)).await;
        match read {
            Ok(answer) => match answer.value {
                Read::NotModified => self.compared(Vec::new()),
                Read::Found(webhook) => {
                    self.status.state =
                        webhook.enabled().map(|enabled| if enabled { State::Active } else { State::Inactive });
                    self.tag = webhook.tag().cloned().or(answer.etag);
                    self.compared(compare::policy(wanted, &webhook));
                    self.read = Some(webhook);
                }
            },
            Err(error) if error.kind == ErrorKind::NotFound => self.missing(NotFound::Webhook(id.clone())),
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    async fn write(&mut self, wanted: &IntervalPolicy) -> Result<(), Failure> {
        // The plan writes only what was read.
        let Some(read) = self.read.take() else {
            self.found = Found::Unread;
            return Ok(());
        };
        let written = policy::write(
            (self.context, self.object),
            &self.session,
            &read,
            &self.wish.policy,
            wanted,
            &mut self.conflicts,
        )
        .await;
        match written {
            Ok(Written::Done(note, latency, tag)) => {
                self.tag = tag;
                self.applied(note, latency);
            }
            Ok(Written::Conflict(note, latency)) => {
                self.tell(EventReason::Conflict, note, Some(latency));
                self.found = Found::Unread;
            }
            Err(Failure::Api(error)) if error.kind == ErrorKind::NotFound => {
                self.missing(NotFound::Webhook(read.id().clone()));
            }
            Err(failure) => return Err(failure),
        }
        Ok(())
    }

    /// Notes the write instead of sending it.
    fn rehearse_write(&mut self) -> Result<(), Failure> {
        if let Some(read) = &self.read {
            self.session.precondition(read)?;
        }
        let act = Act {
            action: Action::WriteRetryPolicy,
            version: None,
            webhook_id: self.status.webhook_id.clone(),
            url: None,
            fields: std::mem::take(&mut self.differences),
        };
        self.script.get_or_insert_default().push(act);
        self.found = Found::There(Compared::Same);
        Ok(())
    }

    /// It was found under this id; what is known of another one does not hold for it.
    pub(super) fn is_at(&mut self, id: &WebhookId) {
        if self.status.webhook_id.as_deref() != Some(id.as_str()) {
            self.nowhere();
            self.status.webhook_id = Some(id.to_string());
        }
    }

    fn nowhere(&mut self) {
        self.status.webhook_id = None;
        self.status.etag = None;
        self.status.state = None;
        self.status.retry_policy = None;
        self.tag = None;
        self.read = None;
    }

    pub(super) fn missing(&mut self, why: NotFound) {
        self.nowhere();
        self.found = match why {
            NotFound::Several { .. } => Found::Several,
            _ => Found::Missing,
        };
        self.not_found = Some(why);
    }

    /// Its policy was compared with the wish.
    pub(super) fn compared(&mut self, differences: Vec<Drift>) {
        self.found = Found::There(Compared::same(differences.is_empty()));
        self.differences.clone_from(&differences);
        if differences.is_empty() {
            // Also where it was not written just now: a lost answer, or another way to the same delays.
            self.status.retry_policy = Some(self.wish.policy.clone());
        } else if (self.settled || self.wish.observe) && self.drift.is_empty() {
            self.drift = differences;
        }
    }

    /// Its policy was written.
    pub(super) fn applied(&mut self, note: String, latency: Duration) {
        self.found = Found::There(Compared::Same);
        self.status.retry_policy = Some(self.wish.policy.clone());
        self.tell(EventReason::RetryPolicyApplied, note, Some(latency));
    }

    pub(super) fn tell(&self, reason: EventReason, note: String, latency: Option<Duration>) {
        let note = match latency {
            Some(latency) => format!("{note} ({} ms)", latency.as_millis()),
            None => note,
        };
        self.context.trail.record(Fact {
            webhook_id: self.status.webhook_id.clone(),
            webhook_name: Some(self.object.registered_name()),
            status: self.status.state.map(|state| format!("{state:?}")),
            latency,
            success_rate: self.context.figures.success_rate(&self.object.tenant_key()),
            ..Fact::new(reason, self.object.object_ref(&()), note)
        });
    }
}
