//! The task that creates the Events: those of one object one after the other, those of others at the same time.

use std::{
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::Arc,
    time::Duration,
};

use backon::{BackoffBuilder as _, ExponentialBuilder};
use futures::future::{join, join_all};
use k8s_openapi::api::events::v1::Event;
use kube::{Api, Client, api::PostParams};
use tokio::sync::{mpsc, oneshot};
use tracing::{debug, warn};

use super::Backlog;
use crate::cluster::words;

/// How long one Event may hold up those behind it.
const PATIENCE: Duration = Duration::from_secs(10);

/// What stands in the queue.
#[derive(Debug)]
pub(super) enum Entry {
    Event(Box<Event>),
    Flush(oneshot::Sender<()>),
}

/// How many Events are written at the same time. One after another, a roll-out of ten thousand webhooks tells more than the
/// API server takes while the queue holds it (docs/performance.md, «Events»).
const LANES: usize = 16;
/// How many may wait in a lane; the queue before them is the long one.
const LANE: usize = 16;

/// Works until nobody can tell anything any more.
pub(super) async fn write_events(client: Client, mut entries: mpsc::Receiver<Entry>, backlog: Arc<Backlog>) {
    let (lanes, workers): (Vec<_>, Vec<_>) = (0..LANES)
        .map(|_| {
            let (lane, events) = mpsc::channel(LANE);
            (lane, write_lane(client.clone(), events, backlog.clone()))
        })
        .unzip();
    let sorting = async move {
        while let Some(entry) = entries.recv().await {
            match entry {
                // A lane is closed only with its worker, which ends after this.
                Entry::Event(event) => drop(lanes[lane(&event)].send(Entry::Event(event)).await),
                Entry::Flush(done) => {
                    for lane in &lanes {
                        let (written, flushed) = oneshot::channel();
                        drop(lane.send(Entry::Flush(written)).await);
                        drop(flushed.await);
                    }
                    // An error means that nobody waits any more.
                    let _ = done.send(());
                }
            }
        }
    };
    join(sorting, join_all(workers)).await;
}

/// The lane of all Events of one object.
fn lane(event: &Event) -> usize {
    let mut hasher = DefaultHasher::new();
    event.regarding.as_ref().map(|object| (&object.namespace, &object.name, &object.kind)).hash(&mut hasher);
    usize::try_from(hasher.finish() % LANES as u64).unwrap_or_default()
}

async fn write_lane(client: Client, mut entries: mpsc::Receiver<Entry>, backlog: Arc<Backlog>) {
    while let Some(entry) = entries.recv().await {
        match entry {
            Entry::Event(event) => {
                if tokio::time::timeout(PATIENCE, write(&client, &event)).await.is_err() {
                    warn!(event = ?summary(&event), "an event could not be written in time");
                }
                backlog.less();
            }
            // An error means that nobody waits any more.
            Entry::Flush(done) => {
                let _ = done.send(());
            }
        }
    }
}

async fn write(client: &Client, event: &Event) {
    let api = Api::<Event>::namespaced(client.clone(), event.metadata.namespace.as_deref().unwrap_or_default());
    let mut delays =
        ExponentialBuilder::new().with_min_delay(Duration::from_millis(200)).with_max_times(3).with_jitter().build();
    loop {
        let Err(error) = api.create(&PostParams::default(), event).await else { return };
        match (Refusal::of(&error), delays.next()) {
            // An earlier try got through although its answer did not.
            (Refusal::Exists, _) => return,
            (Refusal::NamespaceGone, _) => {
                return debug!(event = ?summary(event), "no event: the namespace goes or is gone");
            }
            (Refusal::Passing, Some(delay)) => tokio::time::sleep(delay).await,
            (Refusal::Passing | Refusal::Final, _) => {
                return warn!(event = ?summary(event), error = words(&error), "an event could not be written");
            }
        }
    }
}

/// What it means that an Event was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refusal {
    Exists,
    NamespaceGone,
    Passing,
    Final,
}

impl Refusal {
    fn of(error: &kube::Error) -> Self {
        let kube::Error::Api(status) = error else { return Self::Passing };
        let terminating = || {
            let mut causes = status.details.iter().flat_map(|details| &details.causes);
            causes.any(|cause| cause.reason == "NamespaceTerminating")
        };
        match status.code {
            409 if status.is_already_exists() => Self::Exists,
            404 => Self::NamespaceGone,
            403 if terminating() => Self::NamespaceGone,
            // 0: a proxy's answer, which is no `Status`.
            0 | 409 | 429 | 500.. => Self::Passing,
            _ => Self::Final,
        }
    }
}

fn summary(event: &Event) -> (Option<&str>, Option<&str>) {
    (event.reason.as_deref(), event.regarding.as_ref().and_then(|object| object.name.as_deref()))
}

#[cfg(test)]
mod tests {
    use kube::core::Status;

    use super::*;

    #[test]
    fn a_refusal_is_quiet_only_where_the_namespace_goes() {
        let refusal = |code, reason: &str, cause: &str| {
            let status = serde_json::json!({
                "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": "", "code": code,
                "reason": reason, "details": {"causes": [{"reason": cause, "message": "", "field": ""}]}
            });
            Refusal::of(&kube::Error::Api(Box::new(serde_json::from_value::<Status>(status).unwrap())))
        };
        assert_eq!(refusal(403, "Forbidden", "NamespaceTerminating"), Refusal::NamespaceGone);
        assert_eq!(refusal(403, "Forbidden", ""), Refusal::Final);
        assert_eq!(refusal(404, "NotFound", ""), Refusal::NamespaceGone);
        assert_eq!(refusal(409, "AlreadyExists", ""), Refusal::Exists);
        assert_eq!(refusal(429, "TooManyRequests", ""), Refusal::Passing);
        assert_eq!(refusal(500, "InternalError", ""), Refusal::Passing);
        assert_eq!(refusal(422, "Invalid", ""), Refusal::Final);
    }
}
