//! Cognigy installations that answer with harm: each call ends by the limits that it has, with a short and clean message, in
//! little memory, and the session goes on.

use std::{sync::Arc, time::Duration};

use cognigy_operator::{
    cognigy::{
        Auth, BreakerConfig, ClientAuthentication, Concurrency, Error, ErrorKind, Hosts, Read, Session, SessionConfig,
        Silent, WebhookId,
    },
    net::JudgedNames,
    text::is_unfit,
};
use serde_json::json;
use tokio::time::timeout;
use url::Url;

use crate::{
    HASTE, PATIENCE,
    logs::Logs,
    memory::{MIB, peak},
    names::Names,
    namespace::isolated,
    server::{Act, HOST, Script, Server, answer, repeat, say, script, trickle},
};

/// How a call ends.
#[derive(Clone, Copy)]
pub enum Ends {
    /// With what was asked for.
    Well,
    /// With an error of this kind, and these words.
    Badly(fn(&ErrorKind) -> bool, &'static str),
    /// With a time-out at the session's limit.
    InTime,
}

pub use Ends::{Badly, InTime, Well};

type Row = (&'static str, Script, Ends);

const OK: &str = "HTTP/1.1 200 OK\r\n";
const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
/// No single answer takes more, however it is made.
pub const MOST: usize = 24 * MIB;

pub fn malformed(kind: &ErrorKind) -> bool {
    *kind == ErrorKind::Malformed
}

pub fn unreachable(kind: &ErrorKind) -> bool {
    *kind == ErrorKind::Unreachable
}

fn server_trouble(kind: &ErrorKind) -> bool {
    matches!(kind, ErrorKind::Server { .. })
}

fn rejected(kind: &ErrorKind) -> bool {
    matches!(kind, ErrorKind::Rejected { .. })
}

fn unauthorized(kind: &ErrorKind) -> bool {
    *kind == ErrorKind::Unauthorized
}

fn rate_limited(kind: &ErrorKind) -> bool {
    matches!(kind, ErrorKind::RateLimited { .. })
}

/// A session with a server that is in a private network.
pub fn session(server: &Server, scheme: &str, timeout: Duration, oauth2: bool) -> Session {
    let base_url = Url::parse(&format!("{scheme}://{HOST}:{}/", server.port)).unwrap();
    let auth = if oauth2 {
        Auth::OAuth2 {
            client_id: "id".into(),
            client_secret: "hunter2".into(),
            token_url: base_url.join("/oauth/token").unwrap(),
            client_authentication: ClientAuthentication::Basic,
            scopes: Vec::new(),
        }
    } else {
        Auth::Bearer("hunter2".into())
    };
    let config = SessionConfig {
        tenant: "cx/production".into(),
        base_url,
        auth,
        ca_pem: (scheme == "https").then(|| server.ca_pem.clone()),
        requests_per_minute: 600_000,
        burst: 100_000,
        max_concurrent_requests: 16,
        request_timeout: timeout,
        breaker: BreakerConfig { failure_threshold: 100, open: PATIENCE },
        concurrency: Concurrency::IfMatch,
    };
    let names = JudgedNames::of(Arc::new(Names::at(&["10.0.0.5"])));
    Session::with_names(config, &Hosts::new(), Arc::new(Silent), names).unwrap()
}

pub async fn read(session: &Session) -> Result<Read, Error> {
    let id = WebhookId::new("wh_1").unwrap();
    let read = timeout(PATIENCE, session.get_webhook(&id, None)).await.expect("a call ends");
    read.map(|answer| answer.value)
}

pub fn assert_clean(what: &str, error: &Error) {
    let told = [Some(error.to_string()), error.detail.clone(), error.trace_id.clone()];
    for text in told.into_iter().flatten() {
        assert!(text.chars().count() <= 1200 && !text.chars().any(is_unfit), "{what}: {text:?}");
        assert!(!text.contains("hunter2"), "{what}: {text}");
    }
}

pub fn assert_ends<T>(what: &str, result: Result<T, Error>, ends: Ends) {
    match (result, ends) {
        (Ok(_), Well) => {}
        (Err(error), Badly(kind, words)) => {
            assert_clean(what, &error);
            assert!(kind(&error.kind), "{what}: {:?} {error}", error.kind);
            assert!(error.to_string().contains(words), "{what}: \"{words}\" is not in: {error}");
        }
        (Err(error), InTime) => assert_eq!(error.kind, ErrorKind::Timeout, "{what}: {error}"),
        (Ok(_), _) => panic!("{what}: went well"),
        (Err(error), Well) => panic!("{what}: {:?} {error}", error.kind),
    }
}

fn webhook() -> Script {
    answer("200 OK", "", r#"{"id":"wh_1","name":"orders"}"#)
}

fn json(body: impl AsRef<[u8]>) -> Script {
    answer("200 OK", "Content-Type: application/json\r\n", body)
}

fn repeated(text: &str, bytes: usize) -> String {
    text.repeat(bytes / text.len())
}

/// Answers that break HTTP.
fn broken() -> Vec<Row> {
    let length = |length: usize| format!("{OK}Content-Length: {length}\r\n\r\n");
    vec![
        ("a body over 1 MiB", json("x".repeat(MIB + 1)), Badly(malformed, "larger than 1 MiB")),
        (
            "a body without end",
            script([say(format!("{OK}\r\n")), repeat("x".repeat(4096))]),
            Badly(malformed, "larger than 1 MiB"),
        ),
        (
            "a chunked body without end",
            script([say(CHUNKED), repeat("3\r\nxxx\r\n")]),
            Badly(malformed, "larger than 1 MiB"),
        ),
        ("a body in trickles", script([say(length(MIB)), trickle("x")]), InTime),
        ("a head in trickles", script([trickle("HTTP/1.1 200 OK\r\nX: y")]), InTime),
        ("no answer", script([Act::Hold]), InTime),
        ("only 100 Continue", script([repeat("HTTP/1.1 100 Continue\r\n\r\n")]), InTime),
        ("blank lines without end", script([repeat("\r\n".repeat(2048))]), Badly(unreachable, "")),
        ("headers without end", script([say(OK), repeat("X: y\r\n")]), Badly(unreachable, "")),
        ("a header without end", script([say(format!("{OK}X: ")), repeat("y".repeat(4096))]), Badly(unreachable, "")),
        ("100,000 headers", script([say(format!("{OK}{}\r\n", "X: y\r\n".repeat(100_000)))]), Badly(unreachable, "")),
        ("chunks that are none", script([say(format!("{CHUNKED}zz\r\nxx\r\n"))]), Badly(unreachable, "")),
        ("a chunk extension without end", script([say(CHUNKED), say("1;"), repeat("x=y;")]), Badly(unreachable, "")),
        ("trailers without end", script([say(CHUNKED), say("0\r\n"), repeat("X: y\r\n")]), Badly(unreachable, "")),
        (
            "two lengths",
            script([say(format!("{OK}Content-Length: 1\r\nContent-Length: 2\r\n\r\n{{}}"))]),
            Badly(unreachable, ""),
        ),
        ("less than the length", script([say(length(100)), say("{}")]), Badly(unreachable, "")),
        ("HTTP/0.9", script([say("<html>\u{1b}[31m")]), Badly(unreachable, "")),
        (
            "garbage before the status line",
            script([say(b"\0\xff\x1b[2JHTTP/1.1 200 OK\r\n\r\n")]),
            Badly(unreachable, ""),
        ),
        ("status 999", answer("999 Odd", "", "{}"), Badly(server_trouble, "999")),
        ("status 000", answer("000 Odd", "", "{}"), Badly(unreachable, "")),
        ("a reset", script([Act::Reset]), Badly(unreachable, "")),
        ("a reset at once", Script { acts: vec![Act::Reset], listens: false }, Badly(unreachable, "")),
        ("a reset within the head", script([say(OK), Act::Reset]), Badly(unreachable, "")),
        ("a reset within the body", script([say(length(100)), say("{"), Act::Reset]), Badly(unreachable, "")),
        (
            "another protocol",
            script([say("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n"), Act::Hold]),
            Badly(server_trouble, "101"),
        ),
        (
            "a redirection to metadata",
            answer("302 Found", "Location: http://169.254.169.254/latest/\r\n", ""),
            Badly(unreachable, "redirects to http://169.254.169.254 (status 302)"),
        ),
        (
            "a redirection to a host without end",
            answer("302 Found", &format!("Location: https://{}.example/\r\n", "a".repeat(300_000)), ""),
            Badly(unreachable, "redirects are not followed"),
        ),
        (
            "compression that nobody asked for",
            answer("200 OK", "Content-Encoding: gzip\r\n", b"\x1f\x8b\x08"),
            Badly(malformed, "not JSON"),
        ),
        (
            "a connection that never closes",
            script([
                say(format!("{OK}Connection: close\r\nContent-Length: 13\r\n\r\n")),
                say(r#"{"id":"wh_1"}"#),
                Act::Hold,
            ]),
            Well,
        ),
    ]
}

/// Answers in good HTTP, whose content is hostile.
fn contents() -> Vec<Row> {
    let nested = |open: &str, levels: usize| json(repeated(open, open.len() * levels));
    let empty_objects = format!("[{}0]", repeated(r#"{"":0},"#, MIB - 100));
    let as_many_as_may_be = format!("[{}0]", r#"{"":0},"#.repeat(24_900));
    vec![
        ("100,000 levels of lists", nested("[", 100_000), Badly(malformed, "more than 50000 values")),
        ("100,000 levels of objects", nested(r#"{"a":"#, 100_000), Badly(malformed, "more than 50000 values")),
        ("1,000 levels of lists", nested("[", 1_000), Badly(malformed, "not JSON")),
        (
            "a million zeros",
            json(format!("[{}0]", repeated("0,", MIB - 100))),
            Badly(malformed, "more than 50000 values"),
        ),
        ("empty objects", json(empty_objects), Badly(malformed, "more than 50000 values")),
        ("as many values as may be", json(as_many_as_may_be), Badly(malformed, "no object")),
        (
            "a huge number",
            json(format!(r#"{{"id":"wh_1","version":{}}}"#, "9".repeat(400_000))),
            Badly(malformed, "not JSON"),
        ),
        ("a number beyond all", json(r#"{"id":"wh_1","version":1e999999}"#), Badly(malformed, "not JSON")),
        ("NaN", json(r#"{"id":"wh_1","version":NaN}"#), Badly(malformed, "not JSON")),
        ("a list instead of an object", json(r#"[{"id":"wh_1"}]"#), Badly(malformed, "no object")),
        ("a text instead of an object", json(r#""wh_1""#), Badly(malformed, "no object")),
        ("an object without id", json(r#"{"name":"orders"}"#), Badly(malformed, "no id")),
        ("an id of another type", json(r#"{"id":{"$oid":"1"}}"#), Badly(malformed, "no id")),
        ("an id that paints", json("{\"id\":\"wh\\u001b[31m\"}"), Badly(malformed, "control or invisible characters")),
        ("an id that turns", json("{\"id\":\"wh\\u202e1\"}"), Badly(malformed, "control or invisible characters")),
        ("an id that leaves its path", json(r#"{"id":".."}"#), Badly(malformed, "relative path")),
        (
            "an id of 1 MB",
            json(format!(r#"{{"id":"{}"}}"#, "x".repeat(1_000_000))),
            Badly(malformed, "longer than 256 bytes"),
        ),
        ("keys twice", json(r#"{"id":"wh_0","id":"wh_1","name":1,"name":"orders"}"#), Well),
        (
            "wrong types everywhere",
            json(r#"{"id":"wh_1","name":[],"url":{},"retryPolicy":"none","enabled":"yes","_version":{}}"#),
            Well,
        ),
        ("invalid UTF-8", json(b"{\"id\":\"\xff\xfe\"}"), Badly(malformed, "not JSON")),
        ("half a surrogate", json(r#"{"id":"\ud800"}"#), Badly(malformed, "not JSON")),
        ("a byte order mark", json(b"\xef\xbb\xbf{\"id\":\"wh_1\"}"), Badly(malformed, "not JSON")),
        ("two documents", json(r#"{"id":"wh_1"}{"id":"wh_2"}"#), Badly(malformed, "not JSON")),
        (
            "an entity tag that switches locking off",
            answer("200 OK", "ETag: *\r\n", r#"{"id":"wh_1","_version":"*"}"#),
            Well,
        ),
        (
            "an entity tag of 100 kB",
            answer("200 OK", &format!("ETag: \"{}\"\r\n", "x".repeat(100_000)), r#"{"id":"wh_1"}"#),
            Well,
        ),
        ("an entity tag of bytes", answer("200 OK", "ETag: \"\u{202e}\u{fffd}\"\r\n", r#"{"id":"wh_1"}"#), Well),
    ]
}

/// Refusals whose words are hostile.
fn refusals() -> Vec<Row> {
    let detail = |text: &str| json!({"detail": text, "traceId": text, "title": text}).to_string();
    let painted = "see \u{1b}[31mred\u{1b}]0;title\u{7} \u{202e}txet\u{2066} \u{200b}\r\nHTTP/1.1 200 OK\n{\"level\":\"info\"} \u{9b}1m";
    let with = |status: &str, body: &[u8]| answer(status, "", body);
    vec![
        (
            "words that paint",
            with("422 No", detail(painted).as_bytes()),
            Badly(rejected, "see [31mred ]0;title txet HTTP/1.1 200 OK"),
        ),
        ("plain words that paint", with("422 No", painted.as_bytes()), Badly(rejected, "see [31mred")),
        ("words of 1 MB", with("422 No", detail(&"x".repeat(300_000)).as_bytes()), Badly(rejected, "xxx…")),
        (
            "words of 1 MB, 4 bytes each",
            with("422 No", detail(&"😀".repeat(80_000)).as_bytes()),
            Badly(rejected, "😀…"),
        ),
        ("words that are not UTF-8", with("500 Oh", &[0xff; 100_000]), Badly(server_trouble, "�…")),
        (
            "words that say our secret",
            with("500 Oh", detail("Authorization: Bearer hunter2").as_bytes()),
            Badly(server_trouble, "Bearer ***"),
        ),
        (
            "a refusal without end",
            script([say("HTTP/1.1 500 Oh\r\n\r\n"), repeat("x".repeat(4096))]),
            Badly(server_trouble, "500"),
        ),
        (
            "a refusal in trickles",
            script([say("HTTP/1.1 500 Oh\r\nContent-Length: 9999\r\n\r\n"), trickle("x")]),
            Badly(server_trouble, "500"),
        ),
        (
            "a refusal of many values",
            with("422 No", format!("[{}0]", repeated("{},", MIB - 100)).as_bytes()),
            Badly(rejected, "{},{},"),
        ),
        ("a trace id that paints", answer("500 Oh", "X-Trace-Id: a\tb\r\n", ""), Badly(server_trouble, "a b")),
        (
            "a trace id of 10 kB",
            answer("500 Oh", &format!("X-Trace-Id: {}\r\n", "y".repeat(10_000)), ""),
            Badly(server_trouble, "yyy…"),
        ),
    ]
}

async fn each(rows: Vec<Row>) -> usize {
    let mut most = 0;
    for (what, hostile, ends) in rows {
        let must_be_ended = matches!(ends, InTime) || hostile.acts.iter().any(|act| matches!(act, Act::Trickle(_)));
        let mut limit = if must_be_ended { HASTE } else { PATIENCE };
        loop {
            let server = Server::plain(&[hostile.clone(), webhook()]).await;
            let session = session(&server, "http", limit, false);
            let (result, memory) = peak(read(&session)).await;
            assert!(memory < MOST, "{what}: {memory} bytes");
            assert_eq!(server.connections(), 1, "{what}: nothing is followed or repeated");
            most = most.max(memory);
            let too_hasty = result.as_ref().is_err_and(|error| error.kind == ErrorKind::Timeout);
            if too_hasty && !matches!(ends, InTime) && limit < PATIENCE {
                limit *= 3; // the machine is slow: the answer had not even begun
                continue;
            }
            assert_ends(what, result, ends);
            let goes_on = async { while read(&session).await.is_err() {} };
            timeout(PATIENCE, goes_on).await.unwrap_or_else(|_| panic!("{what}: the session does not go on"));
            break;
        }
    }
    most
}

#[test]
fn every_answer_that_breaks_http_ends_its_call_and_not_the_session() {
    isolated(async || println!("most memory for one call: {} KiB", each(broken()).await / 1024));
}

#[test]
fn no_content_takes_much_memory_or_is_taken_for_what_it_is_not() {
    isolated(async || println!("most memory for one call: {} KiB", each(contents()).await / 1024));
}

#[test]
fn the_words_of_a_refusal_are_clean_and_cut_in_errors_and_logs() {
    isolated(async || {
        let logs = Logs::keep();
        println!("most memory for one call: {} KiB", each(refusals()).await / 1024);
        let logged = logs.all();
        assert!(logged.contains("Cognigy is in trouble"), "{logged}");
        for line in logged.lines() {
            assert!(line.len() < 8_000 && !line.chars().any(is_unfit) && !line.contains("hunter2"), "{line}");
            serde_json::from_str::<serde_json::Value>(line).expect(line);
        }
    });
}

#[test]
fn no_retry_after_makes_the_session_spin_or_wait_for_ever() {
    isolated(async || {
        let far = "Fri, 31 Dec 9999 23:59:59 GMT";
        let values =
            ["0", "-1", "-0", "99999999999", "1e9", "NaN", "inf", "18446744073709551616", far, "soon", "\u{fffd}", ""];
        let huge = "9".repeat(100_000);
        for value in values.into_iter().chain([huge.as_str(), "Thu, 01 Jan 1970 00:00:00 GMT"]) {
            let hostile = answer("429 Too Many Requests", &format!("Retry-After: {value}\r\n"), "");
            let server = Server::plain(&[hostile]).await;
            let error = read(&session(&server, "http", PATIENCE, false)).await.unwrap_err();
            assert_clean(value, &error);
            assert!(rate_limited(&error.kind), "{value}: {error}");
            let after = error.retry_after().unwrap();
            assert!((Duration::ZERO..=Duration::from_hours(1)).contains(&after), "{value}: {after:?}");
        }
    });
}

#[test]
fn hostile_answers_of_a_token_endpoint_are_no_tokens() {
    isolated(async || {
        let token = |token: &str, more: &str| json(format!(r#"{{"access_token":"{token}"{more}}}"#));
        let listing = answer("200 OK", "", r#"{"items":[]}"#);
        let rows: Vec<Row> = vec![
            ("a token of 1 MB", token(&"x".repeat(1_000_000), ""), Badly(malformed, "longer than 16 KiB")),
            ("a token that ends its header", token("x\\r\\nX-Injected: y", ""), Badly(malformed, "cannot be sent")),
            ("no token", token("", ""), Badly(malformed, "no access_token")),
            ("a token of another type", json(r#"{"access_token":{"value":"x"}}"#), Badly(malformed, "no access_token")),
            ("a page", answer("200 OK", "", "<html>\u{1b}[31m</html>"), Badly(malformed, "not JSON")),
            (
                "a body without end",
                script([say(format!("{OK}\r\n")), repeat("x".repeat(4096))]),
                Badly(malformed, "larger than 1 MiB"),
            ),
            ("many values", json(format!("[{}0]", repeated("{},", MIB - 100))), Badly(malformed, "not JSON")),
            (
                "a refusal that paints",
                answer("400 No", "", r#"{"error":"\u001b[31m","error_description":"no\u202e\r\none"}"#),
                Badly(unauthorized, "no one"),
            ),
            (
                "a refusal that says our secret",
                answer("401 No", "", r#"{"error_description":"not hunter2"}"#),
                Badly(unauthorized, "not ***"),
            ),
            ("a life beyond all numbers", token("t", r#","expires_in":99999999999999999999999999"#), Well),
            ("a life of less than nothing", token("t", r#","expires_in":-1e308"#), Well),
            ("a life that is no number", token("t", r#","expires_in":"NaN""#), Well),
            ("a life without end", token("t", r#","expires_in":"inf""#), Well),
        ];
        for (what, hostile, ends) in rows {
            let server = Server::plain(&[hostile, listing.clone()]).await;
            let (result, memory) = peak(session(&server, "http", PATIENCE, true).probe()).await;
            assert_ends(what, result, ends);
            assert!(memory < MOST, "{what}: {memory} bytes");
        }
    });
}
