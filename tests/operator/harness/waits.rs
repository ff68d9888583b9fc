//! What a user sees, and the waits for it.

use std::{fmt::Debug, sync::Mutex, time::Duration};

use cognigy_operator::api::{CognigyTenant, CognigyWebhook, RECONCILE_REQUESTED_ANNOTATION};
use cognigy_simulator::State;
use control_plane::AuditEvent;
use futures::StreamExt as _;
use k8s_openapi::{NamespaceResourceScope, api::events::v1::Event};
use kube::{Resource, api::ListParams, runtime::watcher};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{World, api_of};

/// No condition takes longer, however busy the machine is.
const PATIENCE: Duration = Duration::from_secs(90);

impl World {
    /// Asks for a full pass and waits until it is made.
    pub async fn full_pass(&self, name: &str, asked: &str) -> CognigyWebhook {
        self.annotate(name, RECONCILE_REQUESTED_ANNOTATION, asked).await;
        self.until(name, |webhook: &CognigyWebhook| {
            webhook.status.as_ref().and_then(|status| status.last_handled_reconcile_at.as_deref()) == Some(asked)
        })
        .await
    }

    /// Waits until an object is as described, and returns it.
    pub async fn until<K>(&self, name: &str, described: impl Fn(&K) -> bool) -> K
    where
        K: Resource<Scope = NamespaceResourceScope>
            + Clone
            + DeserializeOwned
            + Debug
            + serde::Serialize
            + Send
            + 'static,
        K::DynamicType: Default,
    {
        self.until_in(&self.namespace, name, described).await
    }

    /// The same in another namespace.
    pub async fn until_in<K>(&self, namespace: &str, name: &str, described: impl Fn(&K) -> bool) -> K
    where
        K: Resource<Scope = NamespaceResourceScope>
            + Clone
            + DeserializeOwned
            + Debug
            + serde::Serialize
            + Send
            + 'static,
        K::DynamicType: Default,
    {
        let last = Mutex::new(None);
        let found = async {
            let mut objects = watcher::watch_object(api_of::<K>(&self.client, namespace), name).boxed();
            while let Some(object) = objects.next().await {
                if let Ok(Some(object)) = object {
                    if described(&object) {
                        return object;
                    }
                    *last.lock().unwrap() = Some(object);
                }
            }
            unreachable!("a watch has no end")
        };
        let found = tokio::time::timeout(PATIENCE, found).await;
        found.unwrap_or_else(|_| {
            let last = last.lock().unwrap();
            let last = last.as_ref().map(|last| serde_json::to_string_pretty(last).unwrap());
            panic!("{name} did not become as described; it is {}", last.unwrap_or_else(|| "not there".into()))
        })
    }

    /// Waits until a webhook's Ready has this reason (and observedGeneration is current).
    pub async fn until_reason(&self, name: &str, reason: &str) -> CognigyWebhook {
        self.until_reason_in(&self.namespace, name, reason).await
    }

    /// The same in another namespace.
    pub async fn until_reason_in(&self, namespace: &str, name: &str, reason: &str) -> CognigyWebhook {
        self.until_in(namespace, name, |webhook: &CognigyWebhook| {
            let status = webhook.status.clone().unwrap_or_default();
            status.observed_generation == webhook.metadata.generation
                && status.conditions.iter().any(|c| c.type_ == "Ready" && c.reason == reason)
        })
        .await
    }

    /// Waits until a tenant's Ready has this reason (and observedGeneration is current).
    pub async fn until_tenant(&self, name: &str, reason: &str) -> CognigyTenant {
        self.until(name, |tenant: &CognigyTenant| {
            let status = tenant.status.clone().unwrap_or_default();
            status.observed_generation == tenant.metadata.generation
                && status.conditions.iter().any(|c| c.type_ == "Ready" && c.reason == reason)
        })
        .await
    }

    /// Waits until the object is gone.
    pub async fn until_gone<K>(&self, name: &str)
    where
        K: Resource<Scope = NamespaceResourceScope> + Clone + DeserializeOwned + Debug + Send + 'static,
        K::DynamicType: Default,
    {
        let gone = async {
            let mut objects = watcher::watch_object(self.api::<K>(), name).boxed();
            while let Some(object) = objects.next().await {
                if matches!(object, Ok(None)) {
                    return;
                }
            }
        };
        tokio::time::timeout(PATIENCE, gone).await.unwrap_or_else(|_| panic!("{name} is still there"));
    }

    /// The events about an object, in their order: reason and note.
    pub async fn events(&self, name: &str) -> Vec<(String, String)> {
        let mut events = self.api::<Event>().list(&ListParams::default()).await.unwrap().items;
        events.sort_by_key(|event| event.event_time.clone().map(|time| time.0));
        events
            .into_iter()
            .filter(|event| event.regarding.as_ref().and_then(|object| object.name.as_deref()) == Some(name))
            .map(|event| (event.reason.unwrap_or_default(), event.note.unwrap_or_default()))
            .collect()
    }

    /// Waits until an event with this reason is there about the object; its note.
    pub async fn until_event(&self, name: &str, reason: &str) -> String {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            if let Some((_, note)) = self.events(name).await.into_iter().find(|(r, _)| r == reason) {
                return note;
            }
            assert!(tokio::time::Instant::now() < deadline, "no event {reason}; {:?}", self.events(name).await);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until the simulator is as described.
    pub async fn until_sim(&self, what: &str, described: impl Fn(&State) -> bool) {
        let seen = tokio::time::timeout(PATIENCE, self.sim.wait_until(described)).await;
        seen.unwrap_or_else(|_| panic!("never: {what}; the requests were {:#?}", self.sim.requests()));
    }

    /// How many events with this reason are there about an object.
    pub async fn event_count(&self, name: &str, reason: &str) -> usize {
        self.events(name).await.iter().filter(|(r, _)| r == reason).count()
    }

    /// The webhook as it is now.
    pub async fn get(&self, name: &str) -> CognigyWebhook {
        self.api::<CognigyWebhook>().get(name).await.unwrap()
    }

    /// The audit lines so far.
    pub fn audit_lines(&self) -> Vec<Value> {
        self.audit.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// What the operator wrote to Kubernetes about an object, events apart, from the API server's own audit log.
    pub fn writes(&self, name: &str) -> Vec<AuditEvent> {
        let events = self.plane.audit_events().unwrap();
        events
            .into_iter()
            .filter(|event| event.user == self.user && event.is_write() && event.resource != "events")
            .filter(|event| event.namespace.as_deref() == Some(&self.namespace) && event.name.as_deref() == Some(name))
            .collect()
    }

    /// How often the operator read an object of this resource and name, from the API server's own audit log.
    pub fn reads(&self, resource: &str, name: &str) -> usize {
        let events = self.plane.audit_events().unwrap().into_iter();
        let own = events.filter(|event| event.user == self.user && event.namespace.as_deref() == Some(&self.namespace));
        own.filter(|event| event.verb == "get" && event.resource == resource && event.name.as_deref() == Some(name))
            .count()
    }

    /// Waits until whatever is created next is younger than this: creation times have whole seconds.
    pub async fn until_older(&self, webhook: &CognigyWebhook) {
        let created = webhook.metadata.creation_timestamp.as_ref().unwrap().0.as_second();
        self.eventually("the next second", async || jiff::Timestamp::now().as_second() > created).await;
    }

    /// Waits until `true`; for what has no watch.
    pub async fn eventually(&self, what: &str, mut check: impl AsyncFnMut() -> bool) {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while !check().await {
            assert!(tokio::time::Instant::now() < deadline, "never: {what}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}
