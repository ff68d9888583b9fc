use std::{io::Write, sync::Mutex};

use futures::FutureExt as _;
use k8s_openapi::api::core::v1::ObjectReference;

use super::{fact::MAX_NAME, *};
use crate::api::event::EventReason;

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
