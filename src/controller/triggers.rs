//! How a change reaches the objects that it concerns: from the watches, and from one pass to others.

use std::{
    collections::{BTreeSet, HashMap},
    hash::{DefaultHasher, Hash as _, Hasher as _},
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

/// The queues, and so the controllers, that the webhooks of one watched namespace are spread over: kube's `Controller` looks at every
/// pass under way whenever one begins or ends, and ten thousand of them can wait for Cognigy at the same time.
const WEBHOOK_QUEUES: usize = 64;

/// What the passes that are to be made are read from, by a controller each.
pub type Queue<K> = BoxStream<'static, ObjectRef<K>>;

/// The reading ends, for the controllers of one watched namespace.
pub struct Queues {
    /// The tenants that are to have a pass.
    pub tenants: Vec<Queue<CognigyTenant>>,
    /// The policies that are to have a pass.
    pub policies: Vec<Queue<RetryPolicy>>,
    /// The webhooks that are to have a pass, each always in the same queue.
    pub webhooks: Vec<Queue<CognigyWebhook>>,
}

/// The queues of each watched namespace; those of all namespaces are under `None`.
#[derive(Debug, Default)]
struct Lanes(Mutex<HashMap<Option<String>, Vec<mpsc::UnboundedSender<ObjectKey>>>>);

impl Lanes {
    fn open<K>(&self, namespace: Option<&str>, count: usize) -> Vec<Queue<K>>
    where
        K: Resource<DynamicType = ()> + 'static,
    {
        let (senders, receivers): (Vec<_>, Vec<_>) = (0..count).map(|_| mpsc::unbounded_channel()).unzip();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(namespace.map(str::to_owned), senders);
        let queue = |mut receiver: mpsc::UnboundedReceiver<ObjectKey>| {
            futures::stream::poll_fn(move |context| receiver.poll_recv(context)).map(|key| reference(&key)).boxed()
        };
        receivers.into_iter().map(queue).collect()
    }

    fn send(&self, key: ObjectKey) {
        let lanes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(queues) = lanes.get(&None).or_else(|| lanes.get(&Some(key.namespace.clone()))) {
            // A closed queue means that the process is ending.
            let _ = queues[place(&key, queues.len())].send(key);
        }
    }
}

/// Which of so many queues an object has.
fn place(key: &ObjectKey, queues: usize) -> usize {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    usize::try_from(hasher.finish() % queues as u64).unwrap_or_default()
}

impl Triggers {
    /// The queues of a watched namespace, or of all.
    pub fn queues(&self, namespace: Option<&str>) -> Queues {
        Queues {
            tenants: self.tenants.open(namespace, 1),
            policies: self.policies.open(namespace, 1),
            webhooks: self.webhooks.open(namespace, WEBHOOK_QUEUES),
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
    use futures::FutureExt as _;

    use super::*;

    #[test]
    fn what_is_asked_for_comes_once_and_an_object_always_in_the_same_queue() {
        let lanes = Lanes::default();
        let mut queues = lanes.open::<CognigyWebhook>(None, 8);
        let names: BTreeSet<_> = (0..100).map(|nth| format!("hook-{nth}")).collect();
        let mut before = Vec::new();
        for _ in 0..2 {
            for name in &names {
                lanes.send(ObjectKey::new("cx", name));
            }
            let came: Vec<Vec<String>> = queues
                .iter_mut()
                .map(|queue| std::iter::from_fn(|| queue.next().now_or_never().flatten()).map(|one| one.name).collect())
                .collect();
            assert_eq!(came.iter().flatten().cloned().collect::<BTreeSet<_>>(), names);
            assert_eq!(came.iter().map(Vec::len).sum::<usize>(), names.len());
            assert!(came.iter().all(|queue| !queue.is_empty()), "{came:?}");
            assert!(before.is_empty() || before == came);
            before = came;
        }
    }

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
