//! The end of a pass, told once: one status, the events that it means, and when to look again.

mod attempts;

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use jiff::Timestamp;
use kube::{Api, Resource as _, ResourceExt as _, runtime::controller::Action};
use tracing::Span;

use super::{
    apply::Pass,
    change, compare,
    ground::Ground,
    letters, observe,
    plan::Outcome,
    status::{self, Verdict},
};
use crate::{
    api::{
        CognigyTenant, CognigyWebhook, CognigyWebhookStatus, EventReason, FINALIZER, RECONCILE_REQUESTED_ANNOTATION,
        Reason,
        webhook::{Drift, Mode},
    },
    cluster::{self, audit::Fact, metadata},
    cognigy::{ETag, Session},
    controller::{
        backoff,
        context::Context,
        error::{Class, Disposition, Failure},
        pass::PassError,
        status::is_ready,
        tell, tenant,
    },
    traces,
};

/// How long after a change in Kubernetes' own trouble, or where nothing else says when.
const SOON: Duration = Duration::from_millis(200);
/// When to look again where the tenant does not ask for the pass before, as it does once it has another session.
pub(super) const SCOPES: Duration = Duration::from_secs(5);

/// What a pass that reached Cognigy leaves for the report.
pub struct Left {
    /// The object as of the pass's last write to it.
    pub object: Arc<CognigyWebhook>,
    /// What its calls were made with.
    pub session: Session,
    /// The status as far as it was drafted.
    pub status: CognigyWebhookStatus,
    /// The entity tag that is known to be current.
    pub tag: Option<ETag>,
    /// What differed from the wish when it was read.
    pub drift: Vec<Drift>,
    /// Cognigy has what was wished.
    pub matches: bool,
}

/// Tells how a pass ended.
pub struct Report<'a> {
    context: &'a Context,
    api: &'a Api<CognigyWebhook>,
    /// The object as it was when the pass began: what was told then decides what is news.
    webhook: &'a CognigyWebhook,
    /// The object as of our last write in the pass, which the next one builds on.
    latest: Arc<CognigyWebhook>,
    /// The name of the change that was tried, once the references are resolved.
    change: Option<String>,
    /// What a full pass was made with; a request for one is then handled.
    session: Option<Session>,
    /// What was measured is worth a write.
    measured: bool,
}

/// A fact about a webhook of which the status tells this.
pub fn fact(
    context: &Context,
    webhook: &CognigyWebhook,
    status: Option<&CognigyWebhookStatus>,
    reason: EventReason,
    note: String,
) -> Fact {
    Fact {
        webhook_id: status.and_then(|status| status.webhook_id.clone()),
        webhook_name: Some(webhook.registered_name()),
        version: (!webhook.spec.is_existing()).then(|| webhook.spec.version().into()),
        status: status.and_then(|status| status.state).map(|state| format!("{state:?}")),
        success_rate: context.figures.success_rate(&webhook.tenant_key()),
        ..Fact::new(reason, webhook.object_ref(&()), note)
    }
}

/// How long until the next comparison with the outside.
pub fn until_resync(webhook: &CognigyWebhook, tenant: Option<&CognigyTenant>) -> Duration {
    let period = observe::resync_period(tenant);
    backoff::until_resync(&webhook.uid().unwrap_or_default(), period, SystemTime::now(), rand::random())
}

impl<'a> Report<'a> {
    /// A report on a webhook.
    pub fn new(context: &'a Context, api: &'a Api<CognigyWebhook>, webhook: &'a Arc<CognigyWebhook>) -> Self {
        Self { context, api, webhook, latest: webhook.clone(), change: None, session: None, measured: false }
    }

    /// The same report after a pass that reached Cognigy.
    #[must_use]
    pub fn after(mut self, left: &Left, ground: Ground<'_>) -> Self {
        self.change = Some(change::name(self.webhook, ground));
        self.session = Some(left.session.clone());
        self.latest = left.object.clone();
        let uid = self.webhook.uid().unwrap_or_default();
        let matching = left.matches.then(|| self.change.clone()).flatten();
        self.context.memos.update(&uid, |memo| {
            // The tag of what differs is not remembered: a pass that was cut short would take it for that of what was wished.
            memo.tag = left.tag.clone().filter(|_| left.matches);
            memo.matching = matching;
        });
        self
    }

    /// The same report after a pass that took the webhook down as far as it could: leaving is a change of its own.
    #[must_use]
    pub fn leaving(mut self, pass: &Pass<'_>) -> Self {
        self.change = Some("deletion".to_owned());
        self.session = Some(pass.session.clone());
        self
    }

    /// A fact about the webhook.
    pub fn fact(&self, reason: EventReason, note: String) -> Fact {
        self.fact_of(self.webhook.status.as_ref(), reason, note)
    }

    fn fact_of(&self, status: Option<&CognigyWebhookStatus>, reason: EventReason, note: String) -> Fact {
        fact(self.context, self.webhook, status, reason, note)
    }

    /// A periodic check that has something to tell. What it leads to is the next pass's, which follows at once.
    pub async fn checked(mut self, draft: CognigyWebhookStatus) -> Result<Action, PassError> {
        self.measured = true;
        let outcome = if status::is_failing(&draft) { Outcome::Failing } else { Outcome::Active };
        let verdict = verdict(self.webhook, outcome, &draft);
        self.write(draft, verdict, false).await?;
        Ok(Action::requeue(Duration::ZERO))
    }

    /// A verdict that needs no pass.
    pub async fn verdict(self, reason: Reason, message: &str) -> Result<Action, PassError> {
        let draft = self.webhook.status.clone().unwrap_or_default();
        self.write(draft, Verdict { reason, message: message.to_owned() }, false).await?;
        Ok(Action::await_change())
    }

    /// A pass after which nothing is left to do.
    pub async fn done(self, outcome: Outcome, left: Left) -> Result<Action, PassError> {
        let Left { status: mut draft, mut drift, tag, .. } = left;
        compare::hide(&mut drift, &left.session.redactor());
        self.over(&mut draft);
        let observing = self.webhook.spec.mode == Mode::Observe;
        draft.etag = tag.as_ref().map(ToString::to_string);
        if !observing && !drift.is_empty() {
            self.context.metrics.drift(&self.webhook.tenant_key().to_string());
            let note = format!("Cognigy differed from the spec and was corrected: {}", compare::sentence(&drift));
            self.context.trail.record(self.fact_of(Some(&draft), EventReason::DriftCorrected, note));
        }
        draft.drift = if observing { compare::for_status(drift) } else { Vec::new() };
        let verdict = verdict(self.webhook, outcome, &draft);
        let (context, webhook) = (self.context, self.webhook);
        let became_ready = verdict.reason.verdict().ready && first_ready(webhook);
        self.write(draft, verdict, true).await?;
        if became_ready && let Some(created) = &webhook.metadata.creation_timestamp {
            let age = Timestamp::now().duration_since(created.0);
            context
                .metrics
                .time_to_ready(CognigyWebhook::kind(&()).as_ref(), Duration::try_from(age).unwrap_or_default());
        }
        let tenant = context.tenants.get(&webhook.tenant_key());
        let wait = until_resync(webhook, tenant.as_deref());
        context.memos.update(&webhook.uid().unwrap_or_default(), |memo| {
            memo.next_sync = Some(Instant::now() + wait);
            memo.base_url = Some(left.session.base_url().clone());
            memo.kubernetes_failures = 0;
        });
        Ok(Action::requeue(wait))
    }

    /// A pass that waits for a passing health check: it costs no attempt and never stalls.
    pub async fn unhealthy(self, pass: &Pass<'_>) -> Result<Action, PassError> {
        let mut draft = pass.book.status.clone();
        self.over(&mut draft);
        draft.etag = pass.book.tag.as_ref().map(ToString::to_string);
        let failure = Failure::HealthCheckFailed(pass.unhealthy.clone().unwrap_or_default());
        let verdict = Verdict { reason: failure.disposition().reason, message: failure.message() };
        let (context, uid) = (self.context, self.webhook.uid().unwrap_or_default());
        self.write(draft, verdict, false).await?;
        let next = context.memos.get(&uid).checks.map(|checks| checks.next);
        let wait = next.map_or(SOON, |next| next.saturating_duration_since(Instant::now()));
        Ok(Action::requeue(wait + Duration::from_millis(20)))
    }

    /// A pass that failed, with the status as far as it was drafted.
    pub async fn failure(self, failure: Failure, draft: Option<CognigyWebhookStatus>) -> Result<Action, PassError> {
        if let Failure::Kubernetes(error) = failure {
            return Err(error.into());
        }
        let disposition = failure.disposition();
        if disposition.class == Class::Abandoned {
            // As after a crash at this point: the next pass goes on from what is there.
            return Ok(Action::requeue(SOON));
        }
        if disposition.reason == Reason::Forbidden && self.asks_for_more() {
            // No verdict: the tenant is about to fetch a token with the scopes that its webhooks need by now.
            self.context.triggers.tenant(self.webhook.tenant_key());
            return Ok(Action::requeue(SCOPES));
        }
        let mut draft = draft.or_else(|| self.webhook.status.clone()).unwrap_or_default();
        let message = failure.message();
        traces::fail(&Span::current(), disposition.reason.as_str(), &message);
        let (verdict, wait) = self.next_try(&disposition, message, &mut draft);
        if disposition.class == Class::Tenant {
            self.blame(&disposition, &failure);
        }
        self.write(draft, verdict, false).await?;
        Ok(wait)
    }

    /// A comparison with Cognigy that the tenant's trouble cut short: nothing is pending, so nothing is told here. It is made
    /// up for when the tenant is ready again.
    pub fn undisturbed(self, failure: &Failure) -> Action {
        let disposition = failure.disposition();
        self.blame(&disposition, failure);
        let tenant = self.context.tenants.get(&self.webhook.tenant_key());
        Action::requeue(until_resync(self.webhook, tenant.as_deref()))
    }

    /// Whether the session that the pass was made with is not the one that the tenant and its webhooks ask for by now: a
    /// webhook that needs other scopes may have come after it was made.
    fn asks_for_more(&self) -> bool {
        let key = self.webhook.tenant_key();
        let (Some(used), Some(tenant)) = (&self.session, self.context.tenants.get(&key)) else { return false };
        self.context.sessions.get(&key).is_some_and(|connection| {
            let replaced = connection.session.as_ref().is_some_and(|session| !session.is(used));
            replaced || connection.fingerprint != tenant::observe::fingerprint(&tenant, self.context)
        })
    }

    /// The tenant is to show it, and one probe to decide.
    fn blame(&self, disposition: &Disposition, failure: &Failure) {
        let (tenant, Some(session)) = (self.webhook.tenant_key(), &self.session) else { return };
        if self.context.sessions.report(&tenant, session, disposition.reason, failure.message()) {
            self.context.triggers.tenant(tenant);
        }
    }

    /// Tells the verdict: the event that it means, the metrics, and the status where it says something new.
    async fn write(self, mut draft: CognigyWebhookStatus, verdict: Verdict, synced: bool) -> Result<(), PassError> {
        traces::told(verdict.reason.as_str());
        let old = self.webhook.status.as_ref();
        let now = Timestamp::now();
        if self.session.is_some()
            && let Some(asked) = self.webhook.annotations().get(RECONCILE_REQUESTED_ANNOTATION)
            && draft.last_handled_reconcile_at.as_ref() != Some(asked)
        {
            draft.last_handled_reconcile_at = Some(asked.clone());
            let note = format!("the full pass that was requested ({asked}) is done: {}", verdict.reason);
            self.context.trail.record(self.fact_of(Some(&draft), EventReason::ReconcileRequestHandled, note));
        }
        let fact = |reason, _, note| self.fact_of(Some(&draft), reason, note);
        // A failing check is told when it happens, with its latency.
        if verdict.reason != Reason::HealthCheckFailed {
            let told = status::conditions(old);
            tell::verdict(
                self.context,
                fact,
                self.webhook,
                told,
                (verdict.reason, EventReason::telling(verdict.reason)),
                &verdict.message,
            );
        }
        let status = status::complete(self.webhook, draft, &verdict, now);
        let written = self.latest.status.as_ref().filter(|_| !self.measured);
        if let Some(status) = status::worth_writing(status, written, synced, now)
            && let Some(written) =
                cluster::status::write(self.api, &*self.held_with(&status).await?, &status, None).await?.applied()
        {
            self.context.wrote(&written);
        }
        Ok(())
    }
}

impl Report<'_> {
    async fn held_with(&self, status: &CognigyWebhookStatus) -> Result<Arc<CognigyWebhook>, PassError> {
        held(self.context, self.api, &self.latest, status).await
    }
}

/// The object, held by the finalizer where this status of it has something to tell: that is the only place where it is kept.
pub(super) async fn held(
    context: &Context,
    api: &Api<CognigyWebhook>,
    webhook: &Arc<CognigyWebhook>,
    status: &CognigyWebhookStatus,
) -> Result<Arc<CognigyWebhook>, PassError> {
    if !letters::holds(status) || webhook.metadata.deletion_timestamp.is_some() {
        return Ok(webhook.clone());
    }
    Ok(match metadata::add_finalizer(api, &**webhook, FINALIZER).await? {
        Some(written) => {
            context.wrote(&written);
            Arc::new(written)
        }
        None => webhook.clone(),
    })
}

impl Pass<'_> {
    /// Tells in the middle of a pass what must not be forgotten: the id that was just given.
    pub(super) async fn progress(&mut self, message: &str) -> Result<(), Failure> {
        let verdict = Verdict { reason: Reason::Progressing, message: message.to_owned() };
        let status = status::complete(&self.object, self.book.status.clone(), &verdict, Timestamp::now());
        self.book.status.conditions.clone_from(&status.conditions);
        let written = cluster::status::write(&self.api, &*self.object, &status, None).await?.applied();
        if let Some(written) = written {
            self.context.wrote(&written);
            self.object = Arc::new(written);
        }
        Ok(())
    }
}

/// What is told where nothing is left to do.
pub(super) fn verdict(webhook: &CognigyWebhook, outcome: Outcome, draft: &CognigyWebhookStatus) -> Verdict {
    let name = webhook.registered_name();
    let version = webhook.spec.version();
    let id = draft.webhook_id.as_deref().unwrap_or("nothing");
    let (reason, message) = match outcome {
        Outcome::Active if webhook.spec.is_existing() => {
            let policy = webhook.spec.retry_policy_ref.as_ref().map(|policy| policy.name.as_str()).unwrap_or_default();
            (Reason::Active, format!("{id} has retry policy {policy}; nothing else of it is managed"))
        }
        Outcome::Active => (Reason::Active, format!("{name} version {version} is active as {id}")),
        Outcome::Failing => (Reason::HealthCheckFailed, status::outage(webhook, draft)),
        Outcome::Disabled => (
            Reason::Disabled,
            format!("{name} version {version} is registered as {id} and, as spec.enabled says, inactive"),
        ),
        Outcome::Observing => {
            (Reason::Observing, format!("{id} is as the spec says; nothing is written (mode Observe)"))
        }
        Outcome::Drifted | Outcome::Released => (
            Reason::DriftDetected,
            if draft.webhook_id.is_some() {
                format!("{id} differs from the spec: {}", compare::sentence(&draft.drift))
            } else {
                format!("{name} version {version} is not registered; nothing is written (mode Observe)")
            },
        ),
    };
    Verdict { reason, message }
}

/// Whether the webhook was never Ready before.
fn first_ready(webhook: &CognigyWebhook) -> bool {
    let told = status::conditions(webhook.status.as_ref());
    !is_ready(told) && webhook.status.as_ref().is_none_or(|status| status.last_synced_at.is_none())
}
