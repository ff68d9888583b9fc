//! The connections to Cognigy that tenants hold and webhooks use.
//!
//! A tenant's pass keeps its connection here; a webhook's pass takes it, and hands back what it learned about the tenant
//! (refused credentials, an untrusted certificate), so that the *tenant* shows it and one probe decides (docs/design.md,
//! *One table for errors*).

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use crate::{
    api::{ObjectKey, Reason},
    cognigy::Session,
};

/// Whether calls may be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// They may.
    Ready,
    /// Nothing is sent until the tenant is ready again.
    NotReady {
        /// The tenant's Ready reason.
        reason: Reason,
        /// Why, for people.
        message: String,
    },
}

/// What a tenant offers its webhooks.
#[derive(Clone, Debug)]
pub struct Connection {
    /// What the session was made from: the tenant's generation and the versions of its Secrets. Another fingerprint needs
    /// another session.
    pub fingerprint: String,
    /// The scopes that the session was made for: those that the tenant names, or those of what its webhooks needed then.
    pub scopes: BTreeSet<String>,
    /// The way to send; `None` while the tenant cannot even be read (a missing Secret).
    pub session: Option<Session>,
    /// The session that worked until its Secret or `ConfigMap` vanished: only for what is being deleted, since a namespace
    /// loses its objects in any order.
    pub farewell: Option<Session>,
    /// Whether calls may be sent.
    pub state: State,
    /// When a connection that is not ready is to be probed again.
    pub next_probe: Option<Instant>,
    /// Probes that failed in a row.
    pub failures: u32,
}

/// The connections of all tenants; cheap to lock, never held across a wait.
#[derive(Debug, Default)]
pub struct Sessions {
    connections: Mutex<HashMap<ObjectKey, Connection>>,
}

impl Sessions {
    fn lock(&self) -> MutexGuard<'_, HashMap<ObjectKey, Connection>> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The tenant's connection; `None` while the tenant has not been looked at since the start.
    pub fn get(&self, tenant: &ObjectKey) -> Option<Connection> {
        self.lock().get(tenant).cloned()
    }

    /// Keeps a connection. Says whether webhooks should look again: calls became possible, are so in another way, or
    /// stopped being possible.
    pub fn put(&self, tenant: &ObjectKey, connection: Connection) -> bool {
        let now = (connection.state.clone(), connection.fingerprint.clone());
        let before = self.lock().insert(tenant.clone(), connection);
        before.is_none_or(|before| now != (before.state, before.fingerprint))
    }

    /// A webhook found out that the tenant cannot be used. Says whether that is news: the tenant should then be probed.
    /// What a session says that has been replaced meanwhile is no news.
    pub fn report(&self, tenant: &ObjectKey, session: &Session, reason: Reason, message: String) -> bool {
        match self.lock().get_mut(tenant) {
            Some(connection)
                if connection.state == State::Ready
                    && connection.session.as_ref().is_some_and(|current| current.is(session)) =>
            {
                connection.state = State::NotReady { reason, message };
                connection.next_probe = None;
                true
            }
            _ => false,
        }
    }

    /// The rate in force for each tenant that has a session, in requests per minute.
    pub fn rates(&self) -> Vec<(ObjectKey, u32)> {
        let with_session = |(tenant, connection): (&ObjectKey, &Connection)| {
            Some((tenant.clone(), connection.session.as_ref()?.requests_per_minute()))
        };
        self.lock().iter().filter_map(with_session).collect()
    }

    /// Whether calls may still be sent on this session: the tenant is ready, and has no other one by now; or it is the one
    /// that is left for what is being deleted.
    pub fn offers(&self, tenant: &ObjectKey, session: &Session) -> bool {
        let is = |known: &Option<Session>| known.as_ref().is_some_and(|known| known.is(session));
        self.lock().get(tenant).is_some_and(|connection| {
            is(&connection.farewell) || (connection.state == State::Ready && is(&connection.session))
        })
    }

    /// Forgets a tenant.
    pub fn forget(&self, tenant: &ObjectKey) {
        self.lock().remove(tenant);
    }
}
