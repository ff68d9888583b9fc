//! Delivers what is kept in statuses: at least once, each message under one id, in the order of their object.
//!
//! Each sink of each tenant is a lane of its own. In a lane, the objects take turns, so that a message that a sink refuses
//! holds back only what comes after it from the same object. A failure makes the lane pause, longer each time; a change of
//! the sink ends the pause.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use backon::{BackoffBuilder as _, ExponentialBuilder};
use tokio::{sync::Notify, time::timeout};

use super::{CloudEvent, Office, Outcome, SinkError, lanes, sink};
use crate::api::{GROUP, ObjectKey, SinkKind, Undelivered, VERSION, condition};

/// The pause after the first failure; doubled each time.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause: a sink that is back has everything soon, and one that is down for hours costs little.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// The kinds of objects whose status keeps messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OwnerKind {
    /// A `CognigyTenant`.
    Tenant,
    /// A `CognigyWebhook`.
    Webhook,
}

/// The object that messages are about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Its kind.
    pub kind: OwnerKind,
    /// Its namespace and name.
    pub key: ObjectKey,
    /// Its uid.
    pub uid: String,
}

impl fmt::Display for Owner {
    /// The `CloudEvents` source: the object's path at the API server.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = match self.kind {
            OwnerKind::Tenant => "cognigytenants",
            OwnerKind::Webhook => "cognigywebhooks",
        };
        write!(f, "/apis/{GROUP}/{VERSION}/namespaces/{}/{plural}/{}", self.key.namespace, self.key.name)
    }
}

/// What became of a message, as far as the status does not say it yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The sink accepted it.
    Delivered,
    /// The last try failed, for this reason.
    Failed(String),
}

/// What is new after [`settle`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settled {
    /// These were delivered, and are no longer in the list.
    pub delivered: Vec<Undelivered>,
    /// The first try of these failed.
    pub failed: Vec<Undelivered>,
}

/// Brings the list of a status up to date.
pub fn settle(undelivered: &mut Vec<Undelivered>, progress: &BTreeMap<String, Progress>) -> Settled {
    let mut settled = Settled::default();
    undelivered.retain_mut(|message| match progress.get(&message.id) {
        Some(Progress::Delivered) => {
            settled.delivered.push(message.clone());
            false
        }
        Some(Progress::Failed(why)) => {
            if message.last_error.replace(why.clone()).is_none() {
                settled.failed.push(message.clone());
            }
            true
        }
        None => true,
    });
    settled
}

/// One sink of one tenant.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Lane {
    tenant: ObjectKey,
    sink: SinkKind,
}

/// What is known of one object.
#[derive(Debug)]
struct Letters {
    owner: Owner,
    tenant: ObjectKey,
    undelivered: Vec<Undelivered>,
    progress: BTreeMap<String, Progress>,
}

impl Letters {
    fn waiting(&self, kind: SinkKind) -> impl Iterator<Item = &Undelivered> {
        self.undelivered
            .iter()
            .filter(move |message| message.sink == kind)
            .filter(|message| self.progress.get(&message.id) != Some(&Progress::Delivered))
    }

    fn next(&self, lane: &Lane) -> Option<&Undelivered> {
        self.waiting(lane.sink).next().filter(|_| self.tenant == lane.tenant)
    }
}

#[derive(Debug, Default)]
struct State {
    /// By uid.
    letters: BTreeMap<String, Letters>,
    at_work: HashSet<Lane>,
    /// Ends a lane's pause.
    nudges: HashMap<Lane, Arc<Notify>>,
}

/// Delivers alerts and dead letters.
pub struct Courier {
    office: Arc<dyn Office>,
    state: Mutex<State>,
    more: Notify,
}

impl fmt::Debug for Courier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Courier").finish_non_exhaustive()
    }
}

impl Courier {
    /// A courier that has nothing to deliver yet.
    pub fn new(office: Arc<dyn Office>) -> Self {
        Self { office, state: Mutex::default(), more: Notify::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An object's status, as watched, keeps these messages for sinks of this tenant.
    pub fn sync(&self, owner: Owner, tenant: ObjectKey, undelivered: &[Undelivered]) {
        self.sync_if(|| true, owner, tenant, undelivered);
    }

    /// The same where it is news: a watch may lag behind what was written since.
    pub fn sync_if(
        &self,
        is_news: impl FnOnce() -> bool,
        owner: Owner,
        tenant: ObjectKey,
        undelivered: &[Undelivered],
    ) {
        let mut state = self.lock();
        if !is_news() {
            return;
        }
        if undelivered.is_empty() {
            if state.letters.remove(&owner.uid).is_some() {
                self.count(&state);
            }
            return;
        }
        let before = state.letters.remove(&owner.uid).map(|letters| letters.progress).unwrap_or_default();
        let ids: HashSet<&str> = undelivered.iter().map(|message| message.id.as_str()).collect();
        let progress = before.into_iter().filter(|(id, _)| ids.contains(id.as_str())).collect();
        let letters = Letters { tenant, undelivered: undelivered.to_vec(), progress, owner };
        state.letters.insert(letters.owner.uid.clone(), letters);
        self.count(&state);
        drop(state);
        self.more.notify_one();
    }

    /// What a person asked about these messages is about to be written: nothing is known of them any more, and no try of them
    /// begins until the watch brings them again.
    pub fn hold_back(&self, uid: &str, ids: &[&str]) {
        let mut state = self.lock();
        let Some(letters) = state.letters.get_mut(uid) else { return };
        let is_meant = |id: &str| ids.contains(&id);
        let lanes: HashSet<Lane> = letters
            .undelivered
            .extract_if(.., |message| is_meant(&message.id))
            .map(|message| Lane { tenant: letters.tenant.clone(), sink: message.sink })
            .collect();
        letters.progress.retain(|id, _| !is_meant(id));
        // Whoever pauses because of them need not.
        state.nudges.iter().filter(|(lane, _)| lanes.contains(lane)).for_each(|(_, nudge)| nudge.notify_one());
        self.count(&state);
    }

    /// An object is gone.
    pub fn forget(&self, uid: &str) {
        let mut state = self.lock();
        if state.letters.remove(uid).is_some() {
            self.count(&state);
        }
    }

    /// What became of an object's messages, by id.
    pub fn progress(&self, uid: &str) -> BTreeMap<String, Progress> {
        self.lock().letters.get(uid).map(|letters| letters.progress.clone()).unwrap_or_default()
    }

    /// A tenant's sinks, or the Secrets behind their headers, changed: what failed is tried again at once.
    pub fn retry_now(&self, tenant: &ObjectKey) {
        let state = self.lock();
        state.nudges.iter().filter(|(lane, _)| lane.tenant == *tenant).for_each(|(_, nudge)| nudge.notify_one());
    }

    fn count(&self, state: &State) {
        for kind in [SinkKind::Alerts, SinkKind::DeadLetter] {
            self.office.pending(kind, state.letters.values().map(|letters| letters.waiting(kind).count()).sum());
        }
    }

    /// Delivers until it is dropped; what is under way then is delivered again by the next process.
    pub async fn run(self: Arc<Self>) {
        let claim = || self.claim();
        lanes::run(&self.more, claim, |(lane, nudge)| self.clone().work_off(lane, nudge)).await;
    }

    /// The lanes that have something to deliver and are not at work.
    fn claim(&self) -> Vec<(Lane, Arc<Notify>)> {
        let mut state = self.lock();
        let wanted: HashSet<Lane> = state
            .letters
            .values()
            .flat_map(|letters| {
                letters.undelivered.iter().map(|one| Lane { tenant: letters.tenant.clone(), sink: one.sink })
            })
            .collect();
        let idle: Vec<Lane> = wanted
            .into_iter()
            .filter(|lane| !state.at_work.contains(lane) && state.letters.values().any(|one| one.next(lane).is_some()))
            .collect();
        idle.into_iter()
            .map(|lane| {
                state.at_work.insert(lane.clone());
                let nudge = state.nudges.entry(lane.clone()).or_default().clone();
                (lane, nudge)
            })
            .collect()
    }

    /// The next message of a lane, of the next object after the last one. A lane that has none is no longer at work.
    fn next(&self, lane: &Lane, last: &str) -> Option<(Owner, Undelivered)> {
        let mut state = self.lock();
        let turn = |letters: &Letters| Some((letters.owner.clone(), letters.next(lane)?.clone()));
        let after = state.letters.iter().filter(|(uid, _)| uid.as_str() > last);
        let again = state.letters.iter().filter(|(uid, _)| uid.as_str() <= last);
        let next = after.chain(again).find_map(|(_, letters)| turn(letters));
        if next.is_none() {
            state.at_work.remove(lane);
            state.nudges.remove(lane);
        }
        next
    }

    async fn work_off(self: Arc<Self>, lane: Lane, nudge: Arc<Notify>) {
        let (mut last, mut failures) = (String::new(), 0);
        while let Some((owner, message)) = self.next(&lane, &last) {
            last.clone_from(&owner.uid);
            let delivered = self.deliver(&lane, &owner, &message).await;
            failures = if delivered.is_ok() { 0 } else { failures + 1 };
            self.note(&owner, &message, delivered);
            if failures > 0 {
                tokio::select! {
                    () = tokio::time::sleep(pause(failures)) => {}
                    () = nudge.notified() => failures = 0,
                }
            }
        }
    }

    async fn deliver(&self, lane: &Lane, owner: &Owner, message: &Undelivered) -> Result<(), SinkError> {
        let (limit, event) = (sink::time_limit(lane.sink), CloudEvent::of(message, owner.to_string()));
        let delivery = async {
            let sink = timeout(limit, self.office.sink(&lane.tenant, lane.sink)).await.unwrap_or_else(|_| {
                Err(SinkError::NotUsable("Kubernetes did not answer in time when the sink's Secrets were read".into()))
            })?;
            sink.post(&event, limit).await
        };
        sink::traced((lane.sink, &lane.tenant), &event, delivery).await
    }

    /// Remembers what became of a message, and has the status say it.
    fn note(&self, owner: &Owner, message: &Undelivered, delivered: Result<(), SinkError>) {
        let (kind, id) = (message.sink, message.id.as_str());
        let progress = match delivered {
            Ok(()) => {
                self.office.tried(kind, Outcome::Delivered);
                tracing::info!(sink = %kind, %id, object = %owner.key, "delivered");
                Progress::Delivered
            }
            Err(error) => {
                self.office.tried(kind, Outcome::Failed);
                tracing::warn!(sink = %kind, %id, object = %owner.key, %error, "not delivered; it is tried again");
                Progress::Failed(condition::clean(&error.to_string()))
            }
        };
        let mut state = self.lock();
        let Some(letters) = state.letters.get_mut(&owner.uid) else { return };
        // One that was discarded while it was under way is nobody's any more.
        if letters.undelivered.iter().all(|message| message.id != id) {
            return;
        }
        let news = letters.progress.insert(id.to_owned(), progress.clone()).as_ref() != Some(&progress);
        self.count(&state);
        drop(state);
        if news {
            self.office.told(owner);
        }
    }
}

/// How long a lane pauses after this many failures in a row, with jitter.
fn pause(failures: u32) -> Duration {
    let steps = ExponentialBuilder::new().with_min_delay(FIRST_PAUSE).with_max_delay(LONGEST_PAUSE).without_max_times();
    let nth = usize::try_from(failures.saturating_sub(1)).unwrap_or(usize::MAX).min(32);
    let delay = steps.build().nth(nth).unwrap_or(LONGEST_PAUSE);
    delay.mul_f64(0.8 + 0.4 * rand::random::<f64>())
}

#[cfg(test)]
#[path = "courier_tests.rs"]
pub(super) mod tests;
