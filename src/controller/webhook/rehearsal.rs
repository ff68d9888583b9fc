//! What a pass would do, without doing it: the operator's own pass over the operator's own plan, with every read made and every
//! write noted and taken for done.
//!
//! A health check is taken to pass, since nothing is sent to a callback; an installation that refuses DELETE is known only by
//! trying. Both are said by the step itself.

use std::sync::Arc;

use kube::ResourceExt as _;
use serde::Serialize;

use super::{
    apply::{Ended, Pass},
    change, compare, existing, farewell,
    observe::{self, Line},
    plan::Outcome,
    report,
    status::Verdict,
};
use crate::{
    api::{
        CognigyWebhook, CognigyWebhookStatus, FINALIZER, Reason,
        webhook::{Drift, Mode},
    },
    cognigy::Session,
    controller::{
        context::Context,
        error::{Class, Failure},
        rehearsal::Registered,
    },
    redact::Redactor,
};

/// What would be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Action {
    /// The finalizer and the idempotency key are recorded on the resource, before the first POST.
    Claim,
    /// `POST /api/v1/integrations`, inactive.
    Register,
    /// What is registered under this name and version becomes the resource's own.
    Adopt,
    /// `PUT /api/v1/integrations/{id}` with other fields.
    Update,
    /// The retry policy is written.
    WriteRetryPolicy,
    /// The callback is checked; what follows is done when it passes.
    CheckHealth,
    /// A registration is activated.
    Activate,
    /// A registration is deactivated.
    Deactivate,
    /// `DELETE`; where the installation does not delete, it stays there, inactive.
    Delete,
    /// The finalizer is removed, and the resource is gone.
    Release,
}

impl Action {
    /// Whether it changes something in Cognigy.
    pub fn writes_outside(self) -> bool {
        match self {
            Self::Register
            | Self::Update
            | Self::WriteRetryPolicy
            | Self::Activate
            | Self::Deactivate
            | Self::Delete => true,
            Self::Claim | Self::Adopt | Self::CheckHealth | Self::Release => false,
        }
    }
}

/// One thing that would be done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Act {
    /// What.
    pub action: Action,
    /// To which version of a registration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<i64>,
    /// Under which id, where there is one already.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhook_id: Option<String>,
    /// Which callback is checked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The fields that it changes: as they are, and as they are to be. Header values are never shown.
    pub fields: Vec<Drift>,
}

/// Takes out what secrets Cognigy shows in fields where none belongs.
pub(super) fn without_secrets(mut acts: Vec<Act>, secrets: &Redactor) -> Vec<Act> {
    for act in &mut acts {
        compare::hide(&mut act.fields, secrets);
    }
    acts
}

/// How a rehearsed pass ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// As the operator would tell it after the steps.
    Done,
    /// The operator would tell what stands in its way, and stop.
    Stopped,
    /// It cannot be known: the tenant or the cluster cannot be asked now.
    Unknown,
}

/// What a pass would do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rehearsed {
    /// In this order.
    pub acts: Vec<Act>,
    /// Where Cognigy differs although nothing would be done (`mode: Observe`).
    pub differences: Vec<Drift>,
    /// How it ends.
    pub end: End,
    /// The Ready reason afterwards.
    pub reason: Reason,
    /// The operator's own sentence with it; `None` where it would name what is not made yet.
    pub message: Option<String>,
}

impl Rehearsed {
    fn nothing(reason: Reason, message: impl Into<String>) -> Self {
        Self { acts: Vec::new(), differences: Vec::new(), end: End::Done, reason, message: Some(message.into()) }
    }

    fn failed(acts: Vec<Act>, failure: &Failure) -> Self {
        let disposition = failure.disposition();
        let end = match disposition.class {
            Class::User | Class::Refused | Class::Waiting => End::Stopped,
            Class::Tenant | Class::Passing | Class::Kubernetes | Class::Abandoned => End::Unknown,
        };
        let message = Some(failure.message());
        Self { acts, differences: Vec::new(), end, reason: disposition.reason, message }
    }

    fn done(webhook: &CognigyWebhook, acts: Vec<Act>, outcome: Outcome, left: report::Left) -> Self {
        let report::Left { mut status, mut drift, session, .. } = left;
        compare::hide(&mut drift, &session.redactor());
        let observing = webhook.spec.mode == Mode::Observe;
        status.drift = if observing { compare::for_status(drift.clone()) } else { Vec::new() };
        let Verdict { reason, message } = report::verdict(webhook, outcome, &status);
        let message = acts.is_empty().then_some(message);
        let differences = if outcome == Outcome::Drifted { drift } else { Vec::new() };
        Self { acts, differences, end: End::Done, reason, message }
    }
}

/// What a full pass over this webhook would do now, as if one were asked for. Only reads are sent.
/// `registered`: what its tenant's installation lists, which all webhooks of the tenant share.
pub async fn rehearse(webhook: &Arc<CognigyWebhook>, context: &Context, registered: Arc<Registered>) -> Rehearsed {
    if webhook.metadata.deletion_timestamp.is_some() {
        return leave(webhook, context, registered).await;
    }
    if webhook.spec.suspend {
        return Rehearsed::nothing(Reason::Suspended, SUSPENDED);
    }
    let rehearsed = if webhook.spec.is_existing() {
        rehearse_existing(webhook, context).await
    } else {
        rehearse_registered(webhook, context, registered).await
    };
    rehearsed.unwrap_or_else(|failure| Rehearsed::failed(Vec::new(), &failure))
}

/// What is told of a suspended webhook.
pub(super) const SUSPENDED: &str = "spec.suspend is true: Cognigy is left as it is";

async fn rehearse_registered(
    webhook: &Arc<CognigyWebhook>,
    context: &Context,
    registered: Arc<Registered>,
) -> Result<Rehearsed, Failure> {
    let wish = observe::wish(webhook, context).await?;
    let session = session(observe::line(&wish.tenant_key, context), &wish.tenant_key.to_string())?;
    let settled = change::settled(webhook, wish.ground());
    let mut pass = super::open(webhook, context, &wish, session, (settled, false)).rehearsed(registered);
    let ended = pass.bring_up(&wish).await;
    let acts = pass.script();
    Ok(match ended {
        Ok(Ended::Done(outcome)) => Rehearsed::done(webhook, acts, outcome, pass.left()),
        Ok(Ended::Unhealthy) => {
            Rehearsed::failed(acts, &Failure::HealthCheckFailed(unhealthy(webhook.status.as_ref())))
        }
        Err(failure) => Rehearsed::failed(acts, &failure),
    })
}

fn unhealthy(status: Option<&CognigyWebhookStatus>) -> String {
    let told = status.and_then(|status| status.health.as_ref()).and_then(|health| health.message.clone());
    told.unwrap_or_else(|| "the callback fails its health check".into())
}

async fn rehearse_existing(webhook: &Arc<CognigyWebhook>, context: &Context) -> Result<Rehearsed, Failure> {
    let wish = existing::observe::wish(webhook, context).await?;
    let session = session(observe::line(&wish.tenant_key, context), &wish.tenant_key.to_string())?;
    let settled = change::settled(webhook, wish.ground());
    let mut pass = existing::open(webhook, context, &wish, session, settled).rehearsed();
    let ended = pass.run().await;
    let acts = pass.script();
    Ok(match ended {
        Ok(outcome) => Rehearsed::done(webhook, acts, outcome, pass.left()),
        Err(failure) => Rehearsed::failed(acts, &failure),
    })
}

/// What a pass over a webhook that is being deleted would do.
async fn leave(webhook: &Arc<CognigyWebhook>, context: &Context, registered: Arc<Registered>) -> Rehearsed {
    if !webhook.finalizers().iter().any(|finalizer| finalizer == FINALIZER) {
        return Rehearsed::nothing(Reason::Deleting, "it is going; the operator has let go of it");
    }
    let leaving = farewell::Leaving::of(webhook);
    if leaving.lets_go() {
        let webhook_id = webhook.status.as_ref().and_then(|status| status.webhook_id.clone());
        let act = Act { action: Action::Release, version: None, webhook_id, url: None, fields: Vec::new() };
        return Rehearsed { acts: vec![act], ..Rehearsed::nothing(Reason::Deleting, "Cognigy is left as it is") };
    }
    let blocked = |acts, failure| Rehearsed::failed(acts, &Failure::DeletionBlocked(Box::new(failure)));
    let key = webhook.tenant_key();
    if let Err(failure) = observe::tenant(webhook, context).await {
        return blocked(Vec::new(), failure);
    }
    let session = match session(observe::last_line(&key, context), &key.to_string()) {
        Ok(session) => session,
        Err(failure) => return blocked(Vec::new(), failure),
    };
    let farewell::Leaving { version, book, world, farewell, .. } = leaving;
    let mut pass = Pass::new(context, webhook.clone(), session, None, version, (world, book)).rehearsed(registered);
    let left = pass.take_down(farewell).await;
    let acts = pass.script();
    match left {
        Ok(()) => Rehearsed { acts, message: None, ..Rehearsed::nothing(Reason::Deleting, "") },
        Err(failure) => blocked(acts, failure),
    }
}

fn session(line: Line, tenant: &str) -> Result<Session, Failure> {
    match line {
        Line::Open(session) => Ok(session),
        Line::Closed(failure) => Err(failure),
        Line::Unknown => Err(Failure::TenantNotFound(tenant.to_owned())),
    }
}
