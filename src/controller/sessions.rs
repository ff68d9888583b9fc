//! The connections to Cognigy that tenants hold and webhooks use.
//!
//! A tenant's pass puts its connection here; a webhook's pass takes it, and hands back what it learned about the tenant
//! (refused credentials), so that the *tenant* shows it and one probe decides (docs/design.md, *One table for errors*).

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::index::Key;
use crate::{api::Reason, cognigy::Session};

/// What a tenant offers its webhooks.
#[derive(Clone, Debug)]
pub enum Connection {
    /// Calls may be sent.
    Ready(Session),
    /// Nothing is sent until the tenant is ready again.
    NotReady {
        /// The tenant's Ready reason.
        reason: Reason,
        /// Why, for people.
        message: String,
    },
}

/// The connections of all tenants; cheap to lock, never held across a wait.
#[derive(Debug, Default)]
pub struct Sessions {
    connections: Mutex<HashMap<Key, Connection>>,
}

impl Sessions {
    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Connection>> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The tenant's connection; `None` while the tenant has not been looked at since the start.
    pub fn get(&self, tenant: &Key) -> Option<Connection> {
        self.lock().get(tenant).cloned()
    }

    /// Puts a connection in. Says whether webhooks should look again: calls became possible, are so in another way, or
    /// stopped being possible.
    pub fn put(&self, tenant: &Key, connection: Connection) -> bool {
        let before = self.lock().insert(tenant.clone(), connection.clone());
        match (before, connection) {
            (Some(Connection::Ready(before)), Connection::Ready(now)) => !before.is(&now),
            (Some(Connection::NotReady { reason: before, .. }), Connection::NotReady { reason: now, .. }) => {
                before != now
            }
            _ => true,
        }
    }

    /// Forgets a tenant.
    pub fn forget(&self, tenant: &Key) {
        self.lock().remove(tenant);
    }
}
