//! Tenants: a connection is made, probed once, kept for the webhooks, and told.

mod alerts;
mod bundles;
pub mod config;
pub mod observe;
mod status;

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};

use kube::{Api, Resource as _, ResourceExt as _, runtime::controller::Action};

pub use self::bundles::Bundles;
use self::{alerts::Seen, status::Verdict};
use super::{
    backoff,
    context::Context,
    error::{Failure, undelivered},
    office,
    pass::PassError,
    sessions::{Connection, State},
    status::is_ready,
    tell,
};
use crate::{
    api::{
        CognigyTenant, EventReason, FINALIZER, FORCE_ORPHAN_ANNOTATION, ObjectKey, RECONCILE_REQUESTED_ANNOTATION,
        Reason, tenant::TenantAlerts,
    },
    cluster::{self, audit::Fact, metadata},
    cognigy::{
        CallObserver as _, Caller, CircuitState, ErrorKind, Lane, Place, Route, Session, Surface, Ticket, Urgency,
    },
    outbox::settle,
    traces,
};

/// Refused credentials are tried again this often, however many webhooks wait.
const REFUSED: Duration = Duration::from_mins(1);
/// An installation that cannot be reached is tried again after this long, then less and less often.
const FIRST_RETRY: Duration = Duration::from_secs(2);

/// One pass over a tenant.
pub async fn reconcile(tenant: Arc<CognigyTenant>, context: Arc<Context>, place: Place) -> Result<Action, PassError> {
    let key = ObjectKey::of(&*tenant);
    traces::of_tenant(&key);
    let api: Api<CognigyTenant> = Api::namespaced(context.client.clone(), &key.namespace);
    let Some(tenant) = context.fresh(&api, tenant).await? else { return Ok(Action::await_change()) };
    if tenant.metadata.deletion_timestamp.is_some() && context.index.webhooks_of_tenant(&key).is_empty() {
        if !last_words(&tenant, &context, &api).await? {
            return Ok(Action::await_change());
        }
        context.sessions.forget(&key);
        metadata::remove_finalizer(&api, &*tenant, FINALIZER).await?;
        return Ok(Action::await_change());
    }
    if tenant.metadata.deletion_timestamp.is_none()
        && let Some(written) = metadata::add_finalizer(&api, &*tenant, FINALIZER).await?
    {
        context.wrote(&written);
    }
    let connection = connect(&tenant, &key, &context, &api, place).await?;
    let verdict = status::verdict(&tenant, &connection);
    let (alerts, over) = alerts_now(&tenant, &connection, &verdict, &context);
    let retry = next_pass(&tenant, &connection).min(over.unwrap_or(Duration::MAX));
    let new_spec = tenant.status.as_ref().and_then(|status| status.observed_generation) != tenant.metadata.generation;
    if context.sessions.put(&key, connection.clone()) || new_spec {
        // Listed only now: a webhook that came while the connection was made found nothing and waits for this.
        context.triggers.webhooks(context.index.webhooks_of_tenant(&key));
    }
    if context.tenants.get(&key).is_none() {
        // It vanished meanwhile, and its connection was forgotten before this pass put it back.
        context.sessions.forget(&key);
        return Ok(Action::await_change());
    }
    if let Some(session) = &connection.session {
        context.metrics.circuit(&key.to_string(), session.circuit());
    }
    let handled = requested(&tenant).filter(|_| connection.session.is_some());
    write(&tenant, &connection, &verdict, alerts, handled, &context, &api).await?;
    Ok(Action::requeue(retry))
}

/// The connection as it is now: the one that is kept where nothing changed, otherwise a new one; probed where that is due.
async fn connect(
    tenant: &CognigyTenant,
    key: &ObjectKey,
    context: &Arc<Context>,
    api: &Api<CognigyTenant>,
    place: Place,
) -> Result<Connection, PassError> {
    let kept = context.sessions.get(key);
    if tenant.spec.suspend {
        return Ok(suspended());
    }
    let fingerprint = observe::fingerprint(tenant, context);
    // Before the session is made: what comes meanwhile is rather taken for missing in it than for being there.
    let scopes = observe::scopes(tenant, context);
    let mut connection = match kept {
        Some(kept) if kept.fingerprint == fingerprint && kept.session.is_some() => kept,
        _ => {
            let session = match session(tenant, context).await {
                Ok(session) => session,
                Err(Failure::Kubernetes(error)) => return Err(error.into()),
                Err(failure) => {
                    let farewell = kept.filter(|_| matches!(failure, Failure::Source(_))).and_then(|kept| {
                        let session = kept.session.or(kept.farewell)?;
                        observe::is_at(tenant, session.base_url()).then_some(session)
                    });
                    let broken = broken(failure.disposition().reason, failure.message(), fingerprint);
                    return Ok(Connection { farewell, ..broken });
                }
            };
            let connection = connecting(tenant, session, fingerprint, scopes);
            if tenant.status.as_ref().is_none_or(|status| status.conditions.is_empty()) {
                let verdict = status::verdict(tenant, &connection);
                write(tenant, &connection, &verdict, None, None, context, api).await?;
            }
            connection
        }
    };
    let waits = connection.next_probe.is_some_and(|next| next > Instant::now());
    let due = requested(tenant).is_some() || connection.state != State::Ready && !waits;
    let open = connection.session.as_ref().is_some_and(|session| session.circuit() == CircuitState::Open);
    if due || open {
        let caller = caller(key, context, &connection.fingerprint, place);
        let used = context.index.surfaces_of_tenant(key);
        let listed = used.is_empty() || used.contains(&Surface::Integrations);
        probe(&mut connection, caller, listed).await;
    }
    Ok(connection)
}

fn broken(reason: Reason, message: String, fingerprint: String) -> Connection {
    Connection {
        fingerprint,
        scopes: BTreeSet::new(),
        session: None,
        farewell: None,
        state: State::NotReady { reason, message },
        next_probe: None,
        failures: 0,
    }
}

fn suspended() -> Connection {
    broken(Reason::Suspended, "spec.suspend is true: no calls are sent".to_owned(), String::new())
}

/// A connection that was not probed yet.
fn connecting(tenant: &CognigyTenant, session: Session, fingerprint: String, scopes: BTreeSet<String>) -> Connection {
    let message = format!("connecting to {}", tenant.spec.base_url);
    Connection { session: Some(session), scopes, ..broken(Reason::Connecting, message, fingerprint) }
}

/// The connection that a pass over this tenant would make, or one over the `given` session; it is probed, and told to nobody.
pub(super) async fn rehearse(tenant: &CognigyTenant, context: &Context, given: Option<Session>) -> Connection {
    if tenant.spec.suspend {
        return suspended();
    }
    let (fingerprint, scopes) = (observe::fingerprint(tenant, context), observe::scopes(tenant, context));
    let made = match given {
        Some(session) => Ok(session),
        None => session(tenant, context).await,
    };
    match made {
        Ok(session) => {
            let mut connection = connecting(tenant, session, fingerprint, scopes);
            let used = context.index.surfaces_of_tenant(&ObjectKey::of(tenant));
            probe(&mut connection, Caller::default(), used.is_empty() || used.contains(&Surface::Integrations)).await;
            connection
        }
        Err(failure) => broken(failure.disposition().reason, failure.message(), fingerprint),
    }
}

/// What the annotation asks for, where that was not done yet: a probe now, whatever the last one said.
fn requested(tenant: &CognigyTenant) -> Option<&String> {
    let handled = tenant.status.as_ref().and_then(|status| status.last_handled_reconcile_at.as_ref());
    tenant.annotations().get(RECONCILE_REQUESTED_ANNOTATION).filter(|asked| Some(*asked) != handled)
}

/// A new session from what the tenant names.
async fn session(tenant: &CognigyTenant, context: &Context) -> Result<Session, Failure> {
    let config = observe::read(tenant, context).await?;
    Session::new(config, &context.hosts, context.observer.clone())
        .map_err(|error| Failure::InvalidSpec(error.to_string()))
}

/// The caller that a tenant's probe is: it decides for all of the tenant's webhooks, and is given up when the tenant asks
/// for another session meanwhile.
fn caller(key: &ObjectKey, context: &Arc<Context>, fingerprint: &str, place: Place) -> Caller {
    let (key, context, fingerprint) = (key.clone(), context.clone(), fingerprint.to_owned());
    let lane = Lane { namespace: key.namespace.clone() };
    let wanted = move || {
        let now = context.tenants.get(&key);
        !context.stop.is_cancelled() && now.is_some_and(|tenant| observe::fingerprint(&tenant, &context) == fingerprint)
    };
    Caller { lane, urgency: Urgency::Probe, ticket: Ticket::take(), place, wanted: Arc::new(wanted) }
}

/// One cheap call decides whether the connection works.
///
/// `listed`: webhooks of this tenant are registered, or may be.
async fn probe(connection: &mut Connection, caller: Caller, listed: bool) {
    let Some(session) = &connection.session else { return };
    let session = session.on_behalf_of(caller);
    let probed = match session.probe().await {
        // The probe lists registrations: where no webhook needs them, that they are refused says all the same that the
        // credentials are good.
        Err(error) if !listed && matches!(error.kind, ErrorKind::Forbidden { .. }) && error.route != Route::Token => {
            Ok(())
        }
        probed => probed.map(drop),
    };
    let Err(error) = probed else {
        connection.state = State::Ready;
        connection.next_probe = None;
        connection.failures = 0;
        return;
    };
    if error.kind == ErrorKind::Abandoned {
        connection.next_probe = Some(Instant::now());
        return;
    }
    // Where this very call opened the circuit (again), that is what holds calls back now.
    let error = session.held().unwrap_or(error);
    let wait = match &error.kind {
        ErrorKind::Unauthorized | ErrorKind::Forbidden { .. } | ErrorKind::Rejected { .. } => REFUSED,
        _ => error
            .retry_after()
            .unwrap_or_else(|| backoff::after_failures(connection.failures + 1, FIRST_RETRY, REFUSED)),
    };
    connection.failures += 1;
    connection.next_probe = Some(Instant::now() + wait);
    connection.state = State::NotReady { reason: status::reason(&error.kind), message: error.to_string() };
}

/// When the tenant is to be looked at again by itself.
fn next_pass(tenant: &CognigyTenant, connection: &Connection) -> Duration {
    let resync = Duration::from_secs(u64::try_from(tenant.spec.resync_period_seconds).unwrap_or(600));
    match (&connection.state, connection.next_probe) {
        (State::NotReady { .. }, Some(next)) => {
            next.saturating_duration_since(Instant::now()) + Duration::from_millis(50)
        }
        _ => backoff::until_resync(
            &tenant.uid().unwrap_or_default(),
            resync,
            std::time::SystemTime::now(),
            rand::random(),
        ),
    }
}

/// The tenant's alerts with what its sink has accepted meanwhile.
fn kept_alerts(tenant: &CognigyTenant, context: &Context) -> TenantAlerts {
    let mut alerts = tenant.status.as_ref().and_then(|status| status.alerts.clone()).unwrap_or_default();
    settle(&mut alerts.undelivered, &context.outbox.courier.progress(&tenant.uid().unwrap_or_default()));
    alerts
}

/// The tenant's alerts as of now, and how long until one may be over.
fn alerts_now(
    tenant: &CognigyTenant,
    connection: &Connection,
    verdict: &Verdict,
    context: &Context,
) -> (Option<TenantAlerts>, Option<Duration>) {
    let mut alerts = kept_alerts(tenant, context);
    let told = tenant.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    let now = jiff::Timestamp::now();
    let (key, ready_for) = (ObjectKey::of(tenant), status::ready_for(told, verdict, now));
    let webhooks = context.index.webhooks_of_tenant(&key);
    let trouble = match &connection.state {
        State::NotReady { reason, message } => Some((*reason, message.as_str())),
        State::Ready => None,
    };
    let seen = Seen { trouble, ready_for, ..seen(tenant, &webhooks, context, now) };
    let over = seen.update(&mut alerts);
    if alerts.firing.iter().all(|alert| alert.reason != Reason::RateLimited.as_str()) {
        context.figures.calm(&key, seen.quiet());
    }
    ((alerts != TenantAlerts::default()).then_some(alerts), over.map(|left| left + Duration::from_millis(50)))
}

fn seen<'a>(
    tenant: &'a CognigyTenant,
    webhooks: &'a BTreeSet<ObjectKey>,
    context: &Context,
    now: jiff::Timestamp,
) -> Seen<'a> {
    let key = ObjectKey::of(tenant);
    Seen {
        tenant,
        trouble: None,
        ready_for: None,
        throttled: context.figures.throttled_for(&key),
        running_for: context.figures.running_for(),
        webhooks,
        figures: office::figures(context, &key),
        now,
    }
}

/// Whether a tenant that nobody uses any more has told everything: its alerts are over, and that is delivered.
async fn last_words(tenant: &CognigyTenant, context: &Context, api: &Api<CognigyTenant>) -> Result<bool, PassError> {
    let now = jiff::Timestamp::now();
    let mut alerts = kept_alerts(tenant, context);
    seen(tenant, &BTreeSet::new(), context, now).end(&mut alerts);
    let forced = tenant.annotations().get(FORCE_ORPHAN_ANNOTATION).is_some_and(|value| value == "true");
    let Some(waiting) = undelivered(&alerts.undelivered).filter(|_| !forced) else { return Ok(true) };
    let verdict = Verdict { reason: Reason::InUse, message: waiting.message() };
    let status = status::leaving(tenant, alerts, &verdict, now);
    let told = tenant.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    let event = waiting.disposition().event;
    tell::verdict(context, Fact::new, tenant, told, (verdict.reason, event), &verdict.message);
    if let Some(written) = cluster::status::write(api, tenant, &status, tenant.status.as_ref()).await?.applied() {
        context.wrote(&written);
    }
    Ok(false)
}

async fn write(
    tenant: &CognigyTenant,
    connection: &Connection,
    verdict: &Verdict,
    alerts: Option<TenantAlerts>,
    handled: Option<&String>,
    context: &Context,
    api: &Api<CognigyTenant>,
) -> Result<(), PassError> {
    let key = ObjectKey::of(tenant);
    traces::told(verdict.reason.as_str());
    let users = context.index.webhooks_of_tenant(&key);
    let ready = users
        .iter()
        .filter_map(|user| context.webhooks.get(user))
        .filter(|webhook| webhook.status.as_ref().is_some_and(|status| is_ready(&status.conditions)));
    let counts = (users.len(), ready.count());
    let figures = context.figures.of(&key);
    let mut status = status::status(tenant, connection, verdict, (counts, figures), alerts, jiff::Timestamp::now());
    let success_rate = figures.map(|figures| figures.success_rate_percent);
    let before = tenant.status.as_ref();
    let told = before.map(|status| status.conditions.as_slice()).unwrap_or_default();
    let fact = |reason, object, note| Fact { success_rate, ..Fact::new(reason, object, note) };
    if let Some(asked) = handled {
        let note = format!("the probe that was requested ({asked}) is done: {}", verdict.reason);
        context.trail.record(fact(EventReason::ReconcileRequestHandled, tenant.object_ref(&()), note));
        status.last_handled_reconcile_at = Some(asked.clone());
    }
    tell::verdict(context, fact, tenant, told, (verdict.reason, status::event(told, verdict.reason)), &verdict.message);
    if let Some(written) = cluster::status::write(api, tenant, &status, before).await?.applied() {
        context.wrote(&written);
    }
    Ok(())
}
