//! The trail of what the operator did outside: one audit line and one Event per fact (docs/resources.md, «Events: the
//! audit trail» and «Audit line keys»; docs/cognigy-api.md §6).
//!
//! ```text
//! fact.rs    what happened, and its Event         line.rs    its audit line, and where lines go
//! writer.rs  the task that creates the Events     mod.rs     where facts are told, and the queue
//! ```
//!
//! Events are created one by one and not through kube's `Recorder`, which merges those with equal reasons and loses the
//! notes of all but the first.

mod fact;
mod line;
mod writer;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use jiff::Timestamp;
use kube::Client;
use tokio::sync::{Notify, mpsc, oneshot};
use tracing::warn;

use self::writer::{Entry, write_events};
pub use self::{fact::Fact, line::AuditSink};
use crate::text;

/// Who reports, in every Event.
pub const REPORTING_CONTROLLER: &str = "cognigy.io/operator";
/// The API server refuses longer notes (bytes).
const MAX_NOTE: usize = 1024;
/// The API server refuses longer instances (bytes).
const MAX_INSTANCE: usize = 128;
/// Events that may wait for a slow API server: some thousand webhooks at once, a few megabytes.
const QUEUE: usize = 16_384;
/// From here on, who is about to cause more waits a little.
const FULL: usize = QUEUE / 4 * 3;
/// How long at most.
const ROOM_WITHIN: Duration = Duration::from_secs(2);

/// The Events that are told and not yet written or given up.
#[derive(Debug, Default)]
struct Backlog {
    count: AtomicUsize,
    written: Notify,
}

impl Backlog {
    fn more(&self) {
        self.count.fetch_add(1, Ordering::Relaxed);
    }

    fn less(&self) {
        self.count.fetch_sub(1, Ordering::Relaxed);
        self.written.notify_waiters();
    }
}

/// Where facts are told; cheap to clone.
#[derive(Clone, Debug)]
pub struct Trail {
    queue: mpsc::Sender<Entry>,
    backlog: Arc<Backlog>,
    sink: AuditSink,
    instance: Arc<str>,
    dropped: Arc<AtomicU64>,
}

impl Trail {
    /// A trail, and the task that writes its Events, those of one object in the order in which they were told. The task ends when every clone
    /// of the trail is gone. `instance` is this process: see [`reporting_instance`].
    pub fn new(client: Client, sink: AuditSink, instance: &str) -> (Self, impl Future<Output = ()> + Send + use<>) {
        let (queue, entries) = mpsc::channel(QUEUE);
        let backlog = Arc::<Backlog>::default();
        let trail = Self {
            queue,
            backlog: backlog.clone(),
            sink,
            instance: cut(instance, MAX_INSTANCE).into(),
            dropped: Arc::default(),
        };
        (trail, write_events(client, entries, backlog))
    }

    /// Tells a fact: the audit line at once, the Event soon. Neither waits nor fails; an Event that finds the queue full
    /// is counted and logged, and its audit line remains.
    pub fn record(&self, fact: Fact) {
        let now = Timestamp::now();
        let note = clean(&fact.note);
        self.sink.write(&fact.line(&note, now));
        self.backlog.more();
        if self.queue.try_send(Entry::Event(Box::new(fact.event(note, now, &self.instance)))).is_err() {
            self.backlog.less();
            let dropped = self.dropped.fetch_add(1, Ordering::Relaxed) + 1;
            // A full queue must not fill the log as well.
            if dropped.is_power_of_two() {
                warn!(
                    dropped,
                    "events are dropped: the API server takes them too slowly; the audit lines are complete"
                );
            }
        }
    }

    /// Waits until the queue is less than three quarters full, but not for long: whoever is about to cause Events lets those before
    /// go first, and yet no trouble with Events holds up the work for good.
    pub async fn room(&self) {
        self.room_within(ROOM_WITHIN).await;
    }

    async fn room_within(&self, patience: Duration) {
        let room = async {
            loop {
                let written = self.backlog.written.notified();
                if self.pending() < FULL {
                    return;
                }
                written.await;
            }
        };
        // What finds no room even then is counted when it is told.
        let _ = tokio::time::timeout(patience, room).await;
    }

    /// How many Events wait to be written.
    pub fn pending(&self) -> usize {
        self.backlog.count.load(Ordering::Relaxed)
    }

    /// How many Events found the queue full.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Waits until every Event told before has been written (or given up).
    pub async fn flush(&self) {
        let (done, flushed) = oneshot::channel();
        if self.queue.send(Entry::Flush(done)).await.is_ok() {
            // An error means that the task is gone, and with it what there was to wait for.
            let _ = flushed.await;
        }
    }
}

/// The name of this process in Events: the pod's, or the host's.
pub fn reporting_instance() -> String {
    let variable = |name| std::env::var(name).ok().filter(|value: &String| !value.is_empty());
    let host = || std::fs::read_to_string("/proc/sys/kernel/hostname").ok().map(|name| name.trim().to_owned());
    variable("POD_NAME").or_else(|| variable("HOSTNAME")).or_else(host).unwrap_or_else(|| "unknown".to_owned())
}

/// On one line, without what could deceive, at most [`MAX_NOTE`] bytes.
fn clean(note: &str) -> String {
    let line = text::one_line(note);
    if line.len() <= MAX_NOTE { line } else { format!("{}…", cut(&line, MAX_NOTE - '…'.len_utf8())) }
}

/// The longest beginning of at most `bytes` that ends between two characters.
fn cut(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}

#[cfg(test)]
mod tests;
