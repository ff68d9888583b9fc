//! What a tenant's status says.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use crate::{
    api::{
        CognigyTenant, CognigyTenantStatus, Conditions, EventReason, Reason, Status,
        tenant::{ApiFigures, AuthMethod, Circuit, TenantAlerts, WebhookCounts},
    },
    cognigy::{CircuitState, ErrorKind},
    controller::{
        figures::CallFigures,
        sessions::{Connection, State},
        status::ready,
    },
};

/// The Ready reason and its sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The Ready reason.
    pub reason: Reason,
    /// The sentence.
    pub message: String,
}

/// What a failed probe says about the tenant.
pub fn reason(kind: &ErrorKind) -> Reason {
    match kind {
        ErrorKind::Unauthorized => Reason::Unauthorized,
        ErrorKind::Forbidden { .. } => Reason::Forbidden,
        ErrorKind::Tls => Reason::TlsFailed,
        ErrorKind::CircuitOpen { .. } => Reason::CircuitOpen,
        // The installation answers, and asks for patience.
        ErrorKind::RateLimited { .. } | ErrorKind::Abandoned => Reason::Connecting,
        ErrorKind::Rejected { .. } | ErrorKind::TooLarge { .. } => Reason::InvalidSpec,
        ErrorKind::Server { .. }
        | ErrorKind::Timeout
        | ErrorKind::Unreachable
        | ErrorKind::Malformed
        | ErrorKind::NotFound
        | ErrorKind::NotSupported
        | ErrorKind::Conflict
        | ErrorKind::LockingUnsupported => Reason::Unreachable,
    }
}

/// The event that a verdict means after what was told before.
pub fn event(told: &[Condition], reason: Reason) -> Option<EventReason> {
    let troubled = ready(told)
        .is_some_and(|ready| ready.status != Status::True.as_str() && ready.reason != Reason::Connecting.as_str());
    match reason {
        Reason::CircuitOpen => Some(EventReason::CircuitOpened),
        Reason::Connected if troubled => Some(EventReason::Recovered),
        other => EventReason::telling(other),
    }
}

/// What the connection, and the tenant's own wish to go, amount to.
pub fn verdict(tenant: &CognigyTenant, connection: &Connection) -> Verdict {
    if tenant.metadata.deletion_timestamp.is_some() {
        let message = "webhooks still use this tenant; it goes when they are gone".to_owned();
        return Verdict { reason: Reason::InUse, message };
    }
    match &connection.state {
        State::Ready => {
            Verdict { reason: Reason::Connected, message: format!("Connected to {}", tenant.spec.base_url) }
        }
        State::NotReady { reason, message } => Verdict { reason: *reason, message: message.clone() },
    }
}

/// How long the tenant has been ready, where the verdict says that it is.
pub fn ready_for(told: &[Condition], verdict: &Verdict, now: Timestamp) -> Option<Duration> {
    verdict.reason.verdict().ready.then(|| match ready(told).filter(|ready| ready.status == Status::True.as_str()) {
        // A clock that was set back must not keep an alert alive for as long.
        Some(ready) => now.duration_since(ready.last_transition_time.0).try_into().unwrap_or(Duration::MAX),
        None => Duration::ZERO,
    })
}

/// The status of a tenant that waits for nothing but the delivery of its last alerts.
pub fn leaving(tenant: &CognigyTenant, alerts: TenantAlerts, verdict: &Verdict, now: Timestamp) -> CognigyTenantStatus {
    let status = tenant.status.clone().unwrap_or_default();
    let generation = tenant.metadata.generation.unwrap_or_default();
    CognigyTenantStatus {
        observed_generation: Some(generation),
        conditions: Conditions::new(verdict.reason, &verdict.message, generation).merge(&status.conditions, now),
        alerts: Some(alerts),
        ..status
    }
}

/// The whole status. The figures of calls change with every call: new ones are told together with something else, or where
/// they are news.
pub fn status(
    tenant: &CognigyTenant,
    connection: &Connection,
    verdict: &Verdict,
    ((total, ready), figures): ((usize, usize), Option<CallFigures>),
    alerts: Option<TenantAlerts>,
    now: Timestamp,
) -> CognigyTenantStatus {
    let generation = tenant.metadata.generation.unwrap_or_default();
    let old = tenant.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    let count = |count: usize| i32::try_from(count).unwrap_or(i32::MAX);
    let mut status = CognigyTenantStatus {
        observed_generation: Some(generation),
        conditions: Conditions::new(verdict.reason, &verdict.message, generation).merge(old, now),
        auth: tenant.spec.auth.method().map(AuthMethod::kind),
        webhooks: Some(WebhookCounts { total: count(total), ready: count(ready) }),
        api: Some(ApiFigures {
            requests_per_minute: connection
                .session
                .as_ref()
                .map(|session| count(session.requests_per_minute() as usize)),
            ..tenant.status.as_ref().and_then(|status| status.api).unwrap_or_default()
        })
        .filter(|figures| *figures != ApiFigures::default()),
        circuit: connection.session.as_ref().map(|session| match session.circuit() {
            CircuitState::Closed => Circuit::Closed,
            CircuitState::Open => Circuit::Open,
            CircuitState::HalfOpen => Circuit::HalfOpen,
        }),
        alerts,
        last_handled_reconcile_at: tenant.status.as_ref().and_then(|status| status.last_handled_reconcile_at.clone()),
    };
    if let Some(figures) = figures
        && (tenant.status.as_ref() != Some(&status) || figures.is_news_to(&status.api.unwrap_or_default()))
    {
        let (success_rate, latency) = figures.in_status();
        status.api = Some(ApiFigures {
            success_rate_percent: Some(success_rate),
            average_latency_ms: Some(latency),
            ..status.api.unwrap_or_default()
        });
    }
    status
}
