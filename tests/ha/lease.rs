//! The Lease, version by version.

use std::sync::{Arc, Mutex};

use futures::StreamExt as _;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use kube::{
    api::ListParams,
    runtime::{WatchStreamExt as _, watcher},
};
use tokio::task::JoinSet;

use crate::harness::World;

/// What a watcher saw of the only Lease of a world.
pub struct History {
    versions: Arc<Mutex<Vec<LeaseSpec>>>,
    _watch: JoinSet<()>,
}

impl World {
    /// Watches the Lease from now on.
    pub fn lease_history(&self) -> History {
        let versions = Arc::new(Mutex::new(Vec::new()));
        let (seen, leases) = (Arc::clone(&versions), self.api::<Lease>());
        let mut watch = JoinSet::new();
        watch.spawn(async move {
            let mut leases = watcher(leases, watcher::Config::default()).default_backoff().applied_objects().boxed();
            while let Some(lease) = leases.next().await {
                let Ok(lease) = lease else { continue };
                seen.lock().unwrap().push(lease.spec.unwrap_or_default());
            }
        });
        History { versions, _watch: watch }
    }

    /// The only Lease of this world, as it is now.
    pub async fn the_lease(&self) -> Lease {
        let leases = self.api::<Lease>().list(&ListParams::default()).await.unwrap().items;
        let [lease] = &leases[..] else { panic!("not exactly one: {leases:?}") };
        lease.clone()
    }
}

/// The name of the replica that holds it.
pub fn holder(spec: &LeaseSpec) -> Option<String> {
    Some(spec.holder_identity.as_ref()?.split_once('_')?.0.to_owned())
}

impl History {
    pub fn versions(&self) -> Vec<LeaseSpec> {
        self.versions.lock().unwrap().clone()
    }

    /// Its holders in turn; nobody is one too.
    pub fn holders(&self) -> Vec<Option<String>> {
        let mut holders: Vec<_> = self.versions().iter().map(holder).collect();
        holders.dedup();
        holders
    }

    /// How often it was written while this replica held it.
    pub fn written_by(&self, name: &str) -> usize {
        self.versions().iter().filter(|spec| holder(spec).as_deref() == Some(name)).count()
    }

    /// Waits until this replica holds it.
    pub async fn until_held_by(&self, world: &World, name: &str) {
        let held = async || self.versions().last().and_then(holder).as_deref() == Some(name);
        world.eventually(&format!("{name} holds the Lease"), held).await;
    }
}
