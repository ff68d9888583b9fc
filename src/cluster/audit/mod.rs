//! The trail of what the operator did outside: one audit line and one Event per fact (docs/resources.md, «Events: the
//! audit trail» and «Audit line keys»; docs/cognigy-api.md §6).
//!
//! Events are created one by one and not through kube's `Recorder`, which merges those with equal reasons and loses the
//! notes of all but the first.

mod writer;

use std::{
    fmt,
    io::Write,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use jiff::Timestamp;
use k8s_openapi::{
    api::{core::v1::ObjectReference, events::v1::Event},
    apimachinery::pkg::apis::meta::v1::MicroTime,
};
use kube::{Client, api::ObjectMeta};
use serde::Serialize;
use tokio::sync::{Notify, mpsc, oneshot};
use tracing::warn;
use uuid::Uuid;

use self::writer::{Entry, write_events};
use crate::{
    api::event::{EventKind, EventReason},
    text,
};

/// Who reports, in every Event.
pub const REPORTING_CONTROLLER: &str = "cognigy.io/operator";
/// The API server refuses longer notes (bytes).
const MAX_NOTE: usize = 1024;
/// The API server refuses longer instances (bytes).
const MAX_INSTANCE: usize = 128;
/// The longest name that an object can have (bytes).
const MAX_NAME: usize = 253;
/// Events that may wait for a slow API server: some thousand webhooks at once, a few megabytes.
const QUEUE: usize = 16_384;
/// From here on, who is about to cause more waits a little.
const FULL: usize = QUEUE / 4 * 3;
/// How long at most.
const ROOM_WITHIN: Duration = Duration::from_secs(2);

/// One thing that happened. What does not apply is `None` and `null` in the audit line.
#[derive(Clone, Debug)]
pub struct Fact {
    /// What happened; gives the Event its type too.
    pub reason: EventReason,
    /// To which object.
    pub object: ObjectReference,
    /// What changed outside: id, version or `ETag` before and after, latency. Never a secret. Control and invisible
    /// characters become blanks, and what is over 1 kB is cut.
    pub note: String,
    /// The id in Cognigy.
    pub webhook_id: Option<String>,
    /// The name in Cognigy.
    pub webhook_name: Option<String>,
    /// The registration's version.
    pub version: Option<i64>,
    /// The state after it (`Active`, `Inactive`) or the answer's HTTP status.
    pub status: Option<String>,
    /// How long the call took.
    pub latency: Option<Duration>,
    /// The tenant's share of successful calls, in percent.
    pub success_rate: Option<f64>,
}

impl Fact {
    /// A fact with nothing but a note.
    pub fn new(reason: EventReason, object: ObjectReference, note: impl Into<String>) -> Self {
        Self {
            reason,
            object,
            note: note.into(),
            webhook_id: None,
            webhook_name: None,
            version: None,
            status: None,
            latency: None,
            success_rate: None,
        }
    }

    fn line(&self, note: &str, now: Timestamp) -> Line<'_> {
        Line {
            timestamp: now.to_string(),
            target: "audit",
            action: self.reason.as_str(),
            namespace: self.object.namespace.as_deref(),
            name: self.object.name.as_deref(),
            webhook_id: self.webhook_id.as_deref(),
            webhook_name: self.webhook_name.as_deref(),
            version: self.version,
            status: self.status.as_deref(),
            latency_ms: self.latency.map(|latency| (latency.as_secs_f64() * 1e6).round() / 1e3),
            details: note.to_owned(),
            success_rate: self.success_rate,
        }
    }

    fn event(self, note: String, now: Timestamp, instance: &str) -> Event {
        let object = self.object.name.clone().unwrap_or_default();
        let unique = Uuid::new_v4().simple().to_string();
        let prefix = cut(&object, MAX_NAME - unique.len() - 1).trim_end_matches(['.', '-']);
        let type_ = match self.reason.kind() {
            EventKind::Normal => "Normal",
            EventKind::Warning => "Warning",
        };
        Event {
            metadata: ObjectMeta {
                name: Some(format!("{prefix}.{unique}")),
                // Where Kubernetes keeps the events of objects without a namespace.
                namespace: Some(self.object.namespace.clone().unwrap_or_else(|| "default".to_owned())),
                ..ObjectMeta::default()
            },
            action: Some(self.reason.as_str().to_owned()),
            reason: Some(self.reason.as_str().to_owned()),
            type_: Some(type_.to_owned()),
            note: Some(note),
            event_time: Some(MicroTime(now)),
            regarding: Some(self.object),
            reporting_controller: Some(REPORTING_CONTROLLER.to_owned()),
            reporting_instance: Some(instance.to_owned()),
            ..Event::default()
        }
    }
}

/// An audit line: these keys, in this order, all of them always.
#[derive(Serialize)]
struct Line<'a> {
    timestamp: String,
    target: &'static str,
    action: &'static str,
    namespace: Option<&'a str>,
    name: Option<&'a str>,
    webhook_id: Option<&'a str>,
    webhook_name: Option<&'a str>,
    version: Option<i64>,
    status: Option<&'a str>,
    latency_ms: Option<f64>,
    details: String,
    success_rate: Option<f64>,
}

/// Where audit lines go.
#[derive(Clone)]
pub struct AuditSink(Arc<Mutex<dyn Write + Send>>);

impl fmt::Debug for AuditSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AuditSink")
    }
}

impl AuditSink {
    /// Standard output, among the log lines but never within one.
    pub fn stdout() -> Self {
        Self::new(std::io::stdout())
    }

    /// Any writer; each line is one `write_all`.
    pub fn new(writer: impl Write + Send + 'static) -> Self {
        Self(Arc::new(Mutex::new(writer)))
    }

    fn write(&self, line: &Line<'_>) {
        let written = serde_json::to_string(line).map_err(std::io::Error::from).and_then(|text| {
            let mut writer = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            writer.write_all(format!("{text}\n").as_bytes())?;
            writer.flush()
        });
        if let Err(error) = written {
            warn!(%error, action = line.action, name = line.name, "an audit line could not be written");
        }
    }
}

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
mod tests {
    use futures::FutureExt as _;

    use super::*;

    fn fact(note: &str) -> Fact {
        let object = ObjectReference {
            kind: Some("CognigyWebhook".into()),
            namespace: Some("cx".into()),
            name: Some("orders".into()),
            ..ObjectReference::default()
        };
        Fact::new(EventReason::Registered, object, note)
    }

    #[test]
    fn an_audit_line_has_every_key_in_order_and_null_where_it_does_not_apply() {
        let mut fact = fact("registered");
        let line = |fact: &Fact| serde_json::to_string(&fact.line(&fact.note, Timestamp::UNIX_EPOCH)).unwrap();
        assert_eq!(
            line(&fact),
            concat!(
                r#"{"timestamp":"1970-01-01T00:00:00Z","target":"audit","action":"Registered","namespace":"cx","#,
                r#""name":"orders","webhook_id":null,"webhook_name":null,"version":null,"status":null,"#,
                r#""latency_ms":null,"details":"registered","success_rate":null}"#
            )
        );
        fact.webhook_id = Some("wh_1".into());
        fact.version = Some(2);
        fact.latency = Some(Duration::from_nanos(1_234_567));
        fact.success_rate = Some(99.5);
        let line = line(&fact);
        assert!(line.contains(r#""webhook_id":"wh_1""#) && line.contains(r#""version":2"#), "{line}");
        assert!(line.contains(r#""latency_ms":1.235"#) && line.contains(r#""success_rate":99.5"#), "{line}");
    }

    #[test]
    fn a_note_stays_on_one_line_and_within_a_kilobyte_without_cutting_a_character() {
        assert_eq!(clean(" one\ntwo\u{1b}[31m\n"), "one two [31m");
        let long = clean(&"ü".repeat(600));
        assert!(long.len() <= MAX_NOTE && long.len() > MAX_NOTE - 5, "{}", long.len());
        assert!(long.ends_with("ü…"));
        assert_eq!(clean(&"x".repeat(MAX_NOTE)).len(), MAX_NOTE);
    }

    #[test]
    fn an_event_is_of_its_own_name_and_of_the_type_that_its_reason_has() {
        let now = Timestamp::UNIX_EPOCH;
        let normal = fact("n").event("n".into(), now, "pod-1");
        let again = fact("n").event("n".into(), now, "pod-1");
        assert_ne!(normal.metadata.name, again.metadata.name);
        assert!(normal.metadata.name.unwrap().starts_with("orders."));
        assert_eq!(normal.metadata.namespace.as_deref(), Some("cx"));
        assert_eq!((normal.type_.as_deref(), normal.action.as_deref()), (Some("Normal"), Some("Registered")));
        assert_eq!(normal.reporting_instance.as_deref(), Some("pod-1"));
        let mut warning = fact("n");
        warning.reason = EventReason::Rejected;
        warning.object.name = Some(format!("{}.{}", "a".repeat(219), "b".repeat(33)));
        let warning = warning.event("n".into(), now, "pod-1");
        assert_eq!(warning.type_.as_deref(), Some("Warning"));
        let name = warning.metadata.name.unwrap();
        assert!(name.len() <= MAX_NAME && name.starts_with("aaa") && !name.contains(".."), "{name}");
    }

    /// A writer whose lines can be read.
    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Lines {
        fn count(&self) -> usize {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap().lines().count()
        }
    }

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// An API server that keeps the notes of Events and answers the first request with 500.
    async fn api_server() -> (Client, Arc<Mutex<Vec<String>>>) {
        use axum::{Json, Router, http::StatusCode, routing::post};
        let _ = rustls::crypto::ring::default_provider().install_default();
        let notes = Arc::new(Mutex::new(Vec::new()));
        let (seen, failed) = (notes.clone(), Arc::new(AtomicU64::new(0)));
        let create = post(move |Json(event): Json<serde_json::Value>| async move {
            if failed.fetch_add(1, Ordering::Relaxed) == 0 {
                return (StatusCode::INTERNAL_SERVER_ERROR, Json(serde_json::json!({})));
            }
            seen.lock().unwrap().push(event["note"].as_str().unwrap().to_owned());
            (StatusCode::CREATED, Json(event))
        });
        let router = Router::new().route("/apis/events.k8s.io/v1/namespaces/{namespace}/events", create);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        let mut config = kube::Config::new(url.parse().unwrap());
        config.proxy_url = None;
        (Client::try_from(config).unwrap(), notes)
    }

    #[tokio::test]
    async fn events_are_written_in_order_each_with_its_note_and_a_passing_fault_loses_none() {
        let (client, notes) = api_server().await;
        let lines = Lines::default();
        let (trail, writer) = Trail::new(client, AuditSink::new(lines.clone()), "pod-1");
        let expected: Vec<String> = (0..20).map(|n| format!("note {n}")).collect();
        for note in &expected {
            trail.record(fact(note));
        }
        assert_eq!(lines.count(), 20, "audit lines do not wait for events");
        let writer = tokio::spawn(writer);
        trail.flush().await;
        assert_eq!(*notes.lock().unwrap(), expected);
        drop(trail);
        writer.await.unwrap();
    }

    #[tokio::test]
    async fn a_full_queue_drops_events_and_counts_them_but_no_audit_line() {
        let (client, _) = api_server().await;
        let lines = Lines::default();
        let (trail, _never_run) = Trail::new(client, AuditSink::new(lines.clone()), "pod-1");
        for _ in 0..QUEUE + 3 {
            trail.record(fact("n"));
        }
        assert_eq!((trail.dropped(), trail.pending()), (3, QUEUE));
        assert_eq!(lines.count(), QUEUE + 3);
    }

    #[tokio::test]
    async fn who_is_about_to_tell_waits_for_room_and_goes_on_without_it_after_a_while() {
        let (client, _) = api_server().await;
        let (trail, writer) = Trail::new(client, AuditSink::new(Lines::default()), "pod-1");
        (1..FULL).for_each(|_| trail.record(fact("n")));
        assert_eq!(trail.room().now_or_never(), Some(()), "there is room");
        trail.record(fact("n"));
        assert_eq!(trail.room().now_or_never(), None, "there is none");
        // Nothing is ever written here, and yet it ends.
        trail.room_within(Duration::from_millis(1)).await;
        assert_eq!(trail.pending(), FULL);
        drop(writer);
    }

    #[tokio::test]
    async fn an_event_that_is_written_makes_room() {
        let (client, notes) = api_server().await;
        let (trail, writer) = Trail::new(client, AuditSink::new(Lines::default()), "pod-1");
        (0..FULL).for_each(|_| trail.record(fact("n")));
        let writer = tokio::spawn(writer);
        while trail.room().now_or_never().is_none() {
            tokio::task::yield_now().await;
        }
        assert!(trail.pending() < FULL && !notes.lock().unwrap().is_empty());
        writer.abort();
    }

    #[tokio::test]
    async fn flushing_ends_when_nobody_writes_any_more() {
        let (client, _) = api_server().await;
        let (trail, writer) = Trail::new(client, AuditSink::new(Lines::default()), "pod-1");
        drop(writer);
        trail.record(fact("n"));
        trail.flush().await;
        assert_eq!(trail.dropped(), 1);
    }
}
