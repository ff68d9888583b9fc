//! How a change reaches the objects that it concerns: from the watches, and from one pass to others.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use futures::{StreamExt as _, stream::BoxStream};
use kube::{Resource, runtime::reflector::ObjectRef};
use tokio::sync::{Notify, mpsc};

use super::context::reference;
use crate::api::{CognigyTenant, CognigyWebhook, ObjectKey, RetryPolicy};

/// Counts in the status of tenants and policies are written at most this often (resources.md).
const COUNT_PERIOD: Duration = Duration::from_secs(10);
/// How long to wait for more of the same before counts are written.
const COUNT_GATHER: Duration = Duration::from_millis(300);

/// Asks for passes. Never blocks: the controllers' queues drop what is asked for twice.
#[derive(Debug, Default)]
pub struct Triggers {
    tenants: Lanes,
    policies: Lanes,
    webhooks: Lanes,
    miscounted: Mutex<Miscounted>,
    miscounted_more: Notify,
    later: Mutex<Later>,
    sooner: Notify,
}

/// Passes that are to be made at a time of their own, at most one for each webhook.
#[derive(Debug, Default)]
struct Later {
    order: BTreeSet<(Instant, ObjectKey)>,
    times: HashMap<ObjectKey, Instant>,
}

impl Later {
    fn put(&mut self, key: ObjectKey, at: Instant) {
        if let Some(before) = self.times.insert(key.clone(), at) {
            self.order.remove(&(before, key.clone()));
        }
        self.order.insert((at, key));
    }

    /// Those that are due, and when the next one is.
    fn take(&mut self, now: Instant) -> (Vec<ObjectKey>, Option<Instant>) {
        let mut due = Vec::new();
        while let Some((at, key)) = self.order.pop_first() {
            if at > now {
                self.order.insert((at, key));
                return (due, Some(at));
            }
            self.times.remove(&key);
            due.push(key);
        }
        (due, None)
    }
}

#[derive(Debug, Default)]
struct Miscounted {
    tenants: BTreeSet<ObjectKey>,
    policies: BTreeSet<ObjectKey>,
}

/// The reading ends, for the controllers of one watched namespace.
pub struct Queues {
    /// The tenants that are to have a pass.
    pub tenants: BoxStream<'static, ObjectRef<CognigyTenant>>,
    /// The policies that are to have a pass.
    pub policies: BoxStream<'static, ObjectRef<RetryPolicy>>,
    /// The webhooks that are to have a pass.
    pub webhooks: BoxStream<'static, ObjectRef<CognigyWebhook>>,
}

/// One queue for each watched namespace; `None` is the queue of all namespaces.
#[derive(Debug, Default)]
struct Lanes(Mutex<HashMap<Option<String>, mpsc::UnboundedSender<ObjectKey>>>);

impl Lanes {
    fn open<K>(&self, namespace: Option<&str>) -> BoxStream<'static, ObjectRef<K>>
    where
        K: Resource<DynamicType = ()> + 'static,
    {
        let (sender, mut receiver) = mpsc::unbounded_channel();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(namespace.map(str::to_owned), sender);
        futures::stream::poll_fn(move |context| receiver.poll_recv(context)).map(|key| reference(&key)).boxed()
    }

    fn send(&self, key: ObjectKey) {
        let lanes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lane) = lanes.get(&None).or_else(|| lanes.get(&Some(key.namespace.clone()))) {
            // A closed queue means that the process is ending.
            let _ = lane.send(key);
        }
    }
}

impl Triggers {
    /// The queues of a watched namespace, or of all.
    pub fn queues(&self, namespace: Option<&str>) -> Queues {
        Queues {
            tenants: self.tenants.open(namespace),
            policies: self.policies.open(namespace),
            webhooks: self.webhooks.open(namespace),
        }
    }

    /// Asks for a tenant's pass.
    pub fn tenant(&self, key: ObjectKey) {
        self.tenants.send(key);
    }

    /// Asks for a policy's pass.
    pub fn policy(&self, key: ObjectKey) {
        self.policies.send(key);
    }

    /// Asks for the passes of webhooks.
    pub fn webhooks(&self, keys: impl IntoIterator<Item = ObjectKey>) {
        keys.into_iter().for_each(|key| self.webhooks.send(key));
    }

    /// Asks for a webhook's pass at a time, instead of any other time that was asked for before.
    pub fn webhook_at(&self, key: ObjectKey, at: Instant) {
        self.later.lock().unwrap_or_else(PoisonError::into_inner).put(key, at);
        self.sooner.notify_one();
    }

    /// Asks for the passes whose time has come; runs for ever.
    pub async fn run_later(&self) {
        loop {
            let (due, next) = self.later.lock().unwrap_or_else(PoisonError::into_inner).take(Instant::now());
            self.webhooks(due);
            let sleep = async {
                match next {
                    Some(next) => tokio::time::sleep_until(next.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = sleep => {}
                () = self.sooner.notified() => {}
            }
        }
    }

    /// Asks for the passes of tenants and policies whose count of webhooks may be wrong, soon and together.
    pub fn recount(&self, tenants: impl IntoIterator<Item = ObjectKey>, policies: impl IntoIterator<Item = ObjectKey>) {
        let mut miscounted = self.miscounted.lock().unwrap_or_else(PoisonError::into_inner);
        miscounted.tenants.extend(tenants);
        miscounted.policies.extend(policies);
        drop(miscounted);
        self.miscounted_more.notify_one();
    }

    /// Hands out what [`recount`](Self::recount) gathered; runs for ever.
    pub async fn run_recounts(&self) {
        loop {
            self.miscounted_more.notified().await;
            tokio::time::sleep(COUNT_GATHER).await;
            let miscounted = std::mem::take(&mut *self.miscounted.lock().unwrap_or_else(PoisonError::into_inner));
            miscounted.tenants.into_iter().for_each(|key| self.tenant(key));
            miscounted.policies.into_iter().for_each(|key| self.policy(key));
            tokio::time::sleep(COUNT_PERIOD).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_webhook_has_one_time_and_comes_when_it_is_due() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let key = |name: &str| ObjectKey::new("cx", name);
        let mut later = Later::default();
        later.put(key("orders"), at(5));
        later.put(key("refunds"), at(3));
        later.put(key("orders"), at(2));
        assert_eq!(later.take(at(1)), (vec![], Some(at(2))));
        assert_eq!(later.take(at(2)), (vec![key("orders")], Some(at(3))));
        later.put(key("orders"), at(4));
        assert_eq!(later.take(at(9)), (vec![key("refunds"), key("orders")], None));
        assert_eq!(later.take(at(9)), (vec![], None));
        assert!(later.times.is_empty());
    }
}
