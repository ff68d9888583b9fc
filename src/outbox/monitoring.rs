//! Best-effort messages: a bounded queue for each tenant, one try each, and what does not fit is counted.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::{sync::Notify, time::timeout};

use super::{CloudEvent, Office, Outcome, SinkError, lanes, sink};
use crate::api::{ObjectKey, SinkKind};

/// How many messages of one tenant may wait for a slow sink.
pub const CAPACITY: usize = 100;

#[derive(Debug, Default)]
struct State {
    queues: HashMap<ObjectKey, VecDeque<CloudEvent>>,
    at_work: HashSet<ObjectKey>,
}

/// Sends messages to the tenants' monitoring.
pub struct Monitor {
    office: Arc<dyn Office>,
    state: Mutex<State>,
    more: Notify,
}

impl fmt::Debug for Monitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Monitor").finish_non_exhaustive()
    }
}

impl Monitor {
    /// A monitor whose queues are empty.
    pub fn new(office: Arc<dyn Office>) -> Self {
        Self { office, state: Mutex::default(), more: Notify::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands a message over; never waits. One that finds the tenant's queue full is dropped and counted.
    pub fn send(&self, tenant: &ObjectKey, event: CloudEvent) {
        let mut state = self.lock();
        let queue = state.queues.entry(tenant.clone()).or_default();
        if queue.len() >= CAPACITY {
            self.office.dropped(SinkKind::Monitoring);
            return;
        }
        queue.push_back(event);
        self.count(&state);
        drop(state);
        self.more.notify_one();
    }

    /// A tenant is gone, and with it what waits for its sink.
    pub fn forget(&self, tenant: &ObjectKey) {
        let mut state = self.lock();
        let waiting = state.queues.remove(tenant).map_or(0, |queue| queue.len());
        (0..waiting).for_each(|_| self.office.dropped(SinkKind::Monitoring));
        self.count(&state);
    }

    fn count(&self, state: &State) {
        self.office.pending(SinkKind::Monitoring, state.queues.values().map(VecDeque::len).sum());
    }

    /// Sends until it is dropped.
    pub async fn run(self: Arc<Self>) {
        lanes::run(&self.more, || self.claim(), |tenant| self.clone().work_off(tenant)).await;
    }

    fn claim(&self) -> Vec<ObjectKey> {
        let mut state = self.lock();
        let waiting = state.queues.iter().filter(|(_, queue)| !queue.is_empty());
        let idle: Vec<_> =
            waiting.map(|(tenant, _)| tenant).filter(|one| !state.at_work.contains(*one)).cloned().collect();
        state.at_work.extend(idle.iter().cloned());
        idle
    }

    fn next(&self, tenant: &ObjectKey) -> Option<CloudEvent> {
        let mut state = self.lock();
        let event = state.queues.get_mut(tenant).and_then(VecDeque::pop_front);
        self.count(&state);
        if event.is_none() {
            state.queues.remove(tenant);
            state.at_work.remove(tenant);
        }
        event
    }

    async fn work_off(self: Arc<Self>, tenant: ObjectKey) {
        while let Some(event) = self.next(&tenant) {
            let outcome = match self.post(&tenant, &event).await {
                Ok(()) => Outcome::Delivered,
                Err(error) => {
                    tracing::debug!(%tenant, %error, "a monitoring message was not delivered");
                    Outcome::Failed
                }
            };
            self.office.tried(SinkKind::Monitoring, outcome);
        }
    }

    async fn post(&self, tenant: &ObjectKey, event: &CloudEvent) -> Result<(), SinkError> {
        let limit = sink::time_limit(SinkKind::Monitoring);
        let post = async { self.office.sink(tenant, SinkKind::Monitoring).await?.post(event, limit).await };
        let delivery = async { timeout(limit, post).await.unwrap_or(Err(SinkError::TooLate(limit))) };
        sink::traced((SinkKind::Monitoring, tenant), event, delivery).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outbox::{courier::tests::Notes, message::Monitoring};

    fn event() -> CloudEvent {
        Monitoring::Deprecated { name: "n".into(), old_version: 1 }.event("/a".into(), jiff::Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn what_does_not_fit_is_dropped_and_counted_and_no_other_tenant_suffers() {
        let notes = Arc::new(Notes::default());
        let monitor = Monitor::new(notes.clone());
        let (full, other) = (ObjectKey::new("cx", "full"), ObjectKey::new("cx", "other"));
        (0..CAPACITY + 7).for_each(|_| monitor.send(&full, event()));
        monitor.send(&other, event());
        assert_eq!(*notes.dropped.lock().unwrap(), 7);
        assert_eq!(notes.pending.lock().unwrap()[&SinkKind::Monitoring], CAPACITY + 1);
        assert_eq!(monitor.claim().len(), 2);
        assert!(monitor.next(&other).is_some() && monitor.next(&other).is_none());
        monitor.forget(&full);
        assert_eq!(notes.pending.lock().unwrap()[&SinkKind::Monitoring], 0);
    }
}
