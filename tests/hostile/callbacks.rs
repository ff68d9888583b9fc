//! Callbacks that answer a health check with harm: each check ends by the limits that it has, with a short and clean message,
//! in little memory, and the next check is as good as ever.

use std::{sync::Arc, time::Duration};

use cognigy_operator::{
    probe::{Check, Guard, Prober, Report},
    text::is_unfit,
};
use tokio::time::timeout;
use url::Url;

use crate::{
    HASTE, PATIENCE,
    memory::{MIB, peak},
    names::Names,
    namespace::isolated,
    server::{Act, HOST, Script, Server, Tls, answer, repeat, say, script, trickle},
};

/// How a check ends.
#[derive(Clone, Copy)]
enum Ends {
    /// The callback is healthy: its status says so.
    Passing(u16),
    /// It is not, for a reason with these words; with the status where there was one.
    Failing(Option<u16>, &'static str),
    /// The same at the limit of the check's time.
    InTime(Option<u16>, &'static str),
}

use Ends::{Failing, InTime, Passing};

const OK: &str = "HTTP/1.1 200 OK\r\n";
const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
const NO_HTTP: &str = "no valid HTTP answer";

/// A record with the beginning of a server hello of 16 MiB.
const LONG_HELLO: [u8; 9] = [0x16, 3, 3, 0, 4, 2, 0xff, 0xff, 0xff];
/// A record of 16 KiB of which nothing has come yet.
const LONG_RECORD: [u8; 5] = [0x16, 3, 3, 0x40, 0];

/// Answers without end, or of more parts than there should be.
fn endless() -> Vec<(&'static str, Script, Ends)> {
    let body = |text: &str, length: usize| format!("{OK}Content-Length: {length}\r\n\r\n{text}");
    let large = "x".repeat(65 * 1024);
    vec![
        ("a body over 64 KiB", script([say(body(&large, large.len()))]), Passing(200)),
        ("a body without end", script([say(format!("{OK}\r\n")), repeat(&large)]), Passing(200)),
        ("a chunked body without end", script([say(CHUNKED), repeat(format!("10400\r\n{large}\r\n"))]), Passing(200)),
        (
            "a body in trickles",
            script([say(body("", 1_000_000)), trickle("x")]),
            InTime(Some(200), "reading the answer"),
        ),
        ("a head in trickles", script([trickle("HTTP/1.1 200 OK\r\nX: y")]), InTime(None, "waiting for the answer")),
        ("no answer", script([Act::Hold]), InTime(None, "waiting for the answer")),
        ("headers without end", script([say(OK), repeat("X: y\r\n")]), Failing(None, NO_HTTP)),
        ("a header without end", script([say(format!("{OK}X: ")), repeat("y".repeat(4096))]), Failing(None, NO_HTTP)),
        ("a header of 1 MiB", script([say(format!("{OK}X: {}\r\n\r\n", "y".repeat(MIB)))]), Failing(None, NO_HTTP)),
        ("100,000 headers", script([say(format!("{OK}{}\r\n", "X: y\r\n".repeat(100_000)))]), Failing(None, NO_HTTP)),
        ("101 headers", script([say(format!("{OK}{}\r\n", "X: y\r\n".repeat(101)))]), Failing(None, NO_HTTP)),
        (
            "only 100 Continue",
            script([repeat("HTTP/1.1 100 Continue\r\n\r\n")]),
            InTime(None, "waiting for the answer"),
        ),
        (
            "many early hints",
            script([say(format!("{}{}", "HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n".repeat(1000), body("", 0)))]),
            Passing(200),
        ),
        (
            "another protocol",
            script([say("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n"), Act::Hold]),
            Failing(Some(101), "answered 101"),
        ),
        ("chunks that are none", script([say(format!("{CHUNKED}zz\r\nxx\r\n"))]), Passing(200)),
        ("a chunk beyond all numbers", script([say(format!("{CHUNKED}{}\r\nx", "f".repeat(40)))]), Passing(200)),
        ("a chunk extension without end", script([say(CHUNKED), say("1;"), repeat("x=y;")]), Passing(200)),
        ("trailers without end", script([say(CHUNKED), say("0\r\n"), repeat("X: y\r\n")]), Passing(200)),
    ]
}

/// Answers whose framing, status or words are wrong, and those that break off.
fn broken() -> Vec<(&'static str, Script, Ends)> {
    let body = |text: &str, length: usize| format!("{OK}Content-Length: {length}\r\n\r\n{text}");
    vec![
        ("a negative length", script([say(format!("{OK}Content-Length: -1\r\n\r\n"))]), Failing(None, NO_HTTP)),
        (
            "two lengths",
            script([say(format!("{OK}Content-Length: 1\r\nContent-Length: 2\r\n\r\nx"))]),
            Failing(None, NO_HTTP),
        ),
        (
            "a length beyond all numbers",
            script([say(format!("{OK}Content-Length: {}\r\n\r\n", "9".repeat(40)))]),
            Failing(None, NO_HTTP),
        ),
        ("less than the length", script([say(body("half", 100))]), Passing(200)),
        ("more than the length", script([say(body("twice", 1)), repeat("x")]), Passing(200)),
        ("HTTP/0.9", script([say("<html>hello</html>")]), Failing(None, NO_HTTP)),
        ("HTTP/9.9", script([say("HTTP/9.9 200 OK\r\n\r\n")]), Failing(None, NO_HTTP)),
        (
            "another protocol's greeting",
            script([say("220 \u{1b}[31msmtp.example.com ESMTP\r\n")]),
            Failing(None, NO_HTTP),
        ),
        ("garbage before the status line", script([say(b"\0\xff\x1b[2J"), say(body("", 0))]), Failing(None, NO_HTTP)),
        ("blank lines without end", script([repeat("\r\n".repeat(2048))]), Failing(None, NO_HTTP)),
        (
            "status 999",
            script([say("HTTP/1.1 999 Odd\r\nContent-Length: 0\r\n\r\n")]),
            Failing(Some(999), "answered 999"),
        ),
        ("status 000", script([say("HTTP/1.1 000 Odd\r\nContent-Length: 0\r\n\r\n")]), Failing(None, NO_HTTP)),
        ("status 99999", script([say("HTTP/1.1 99999 Odd\r\nContent-Length: 0\r\n\r\n")]), Failing(None, NO_HTTP)),
        ("a reason phrase without end", script([say("HTTP/1.1 200 "), repeat("O")]), Failing(None, NO_HTTP)),
        (
            "a reason phrase that paints",
            script([say("HTTP/1.1 500 \u{202e}\u{1b}[31mred\r\nContent-Length: 0\r\n\r\n")]),
            Failing(None, NO_HTTP),
        ),
        (
            "control characters in a header",
            script([say(format!("{OK}X: \u{1b}[31m\0\r\n\r\n"))]),
            Failing(None, NO_HTTP),
        ),
        (
            "a redirection to metadata",
            answer("302 Found", "Location: https://169.254.169.254/latest/\r\n", ""),
            Failing(Some(302), "redirects are not followed"),
        ),
        (
            "a redirection to itself",
            answer("307 Temporary Redirect", "Location: /\r\n", ""),
            Failing(Some(307), "redirects are not followed"),
        ),
        (
            "a redirection to a file",
            answer("301 Moved Permanently", "Location: file:///etc/passwd\r\n", ""),
            Failing(Some(301), "redirects are not followed"),
        ),
        ("a bomb of gzip", answer("200 OK", "Content-Encoding: gzip\r\n", gzip_of_zeros()), Passing(200)),
        ("a connection that never closes", script([say("HTTP/1.1 204 No Content\r\n\r\n"), Act::Hold]), Passing(204)),
        ("two answers", script([say(body("", 0)), say("HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n")]), Passing(200)),
        ("a reset after the request", script([Act::Reset]), Failing(None, NO_HTTP)),
        ("a reset within the head", script([say(OK), Act::Reset]), Failing(None, NO_HTTP)),
        ("a reset within the body", script([say(body("half", 100)), Act::Reset]), Passing(200)),
        ("the end after the request", script([]), Failing(None, NO_HTTP)),
        ("HTTP/2 that nobody asked for", script([say([0, 0, 0, 4, 0, 0, 0, 0, 0]), Act::Hold]), Failing(None, NO_HTTP)),
    ]
}

/// What is said instead of a TLS handshake.
fn handshakes() -> Vec<(&'static str, Script, Ends)> {
    let failed = |words| Failing(None, words);
    let old = |minor: u8| {
        let mut hello = vec![0x16, 3, minor, 0, 42, 2, 0, 0, 38, 3, minor];
        hello.extend([7; 32]); // the server's random bytes
        hello.extend([0, 0xc0, 0x13, 0]); // no session, ECDHE_RSA_WITH_AES_128_CBC_SHA, no compression
        script([say(hello), Act::Hold])
    };
    let in_handshake = InTime(None, "in the TLS handshake");
    vec![
        ("TLS 1.0", old(1), failed("neither TLS 1.2 nor TLS 1.3")),
        ("TLS 1.1", old(2), failed("neither TLS 1.2 nor TLS 1.3")),
        ("an alert: protocol version", script([say([0x15, 3, 1, 0, 2, 2, 70])]), failed("neither TLS 1.2 nor TLS 1.3")),
        ("an alert: no reason", script([say([0x15, 3, 3, 0, 2, 2, 40])]), failed("the TLS handshake failed")),
        ("alerts without end", script([repeat([0x15, 3, 3, 0, 2, 1, 0])]), failed("the TLS handshake failed")),
        ("no TLS", script([say("HTTP/1.1 400 Bad Request\r\n\r\n")]), failed("does not speak TLS")),
        ("garbage without end", script([repeat("\u{1b}[31mgarbage")]), failed("does not speak TLS")),
        ("empty records without end", script([repeat([0x16, 3, 3, 0, 0])]), failed("the TLS handshake failed")),
        ("a handshake message of 16 MiB", script([repeat(LONG_HELLO)]), failed("the TLS handshake failed")),
        ("a handshake in trickles", script([say(LONG_RECORD), trickle([2])]), in_handshake),
        ("silence", script([Act::Hold]), in_handshake),
        ("the end", script([]), failed("it closed the connection")),
        ("a reset", script([Act::Reset]), failed("it closed the connection")),
        ("a reset at once", Script { acts: vec![Act::Reset], listens: false }, failed("")),
    ]
}

/// 16 MiB of zeros, well packed: what stands here need not be right, since nobody is to unpack it.
fn gzip_of_zeros() -> Vec<u8> {
    let mut bomb = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3];
    bomb.extend([0xed, 0xc1, 1, 1, 0, 0, 0, 0x80, 0x90, 0xfe, 0xaf]);
    bomb.resize(32 * 1024, 0);
    bomb
}

fn prober() -> Prober {
    Prober::with_resolver(Arc::new(Names::at(&["1.2.3.4"])))
}

fn check(server: &Server, ca_pem: &[u8], timeout: Duration) -> Check {
    let url = Url::parse(&format!("https://{HOST}:{}/hooks", server.port)).unwrap();
    Check { url, headers: Vec::new(), version: 1, timeout, ca_bundle: Some(ca_pem.into()) }
}

async fn run(prober: &Prober, check: &Check) -> Report {
    let report = timeout(PATIENCE, prober.check(check, &Guard::default())).await.expect("a check ends");
    let report = report.unwrap();
    assert!(report.message.chars().count() <= 500 && !report.message.chars().any(is_unfit), "{:?}", report.message);
    report
}

/// The prober, after a check of a good callback: what is made once is made.
async fn warm(prober: &Prober, ca: &Server) {
    assert!(run(prober, &check(ca, &ca.ca_pem, PATIENCE)).await.passing);
}

fn assert_ends(what: &str, report: &Report, ends: Ends) {
    let (passing, status, words) = match ends {
        Passing(status) => (true, Some(status), "answered"),
        Failing(status, words) | InTime(status, words) => (false, status, words),
    };
    assert_eq!((report.passing, report.http_status), (passing, status), "{what}: {report:?}");
    assert!(report.message.contains(words), "{what}: \"{words}\" is not in: {}", report.message);
}

/// Checks a callback, within little time where it has to be ended; in more where the machine was too slow to come so far.
async fn end(what: &str, prober: &Prober, server: &Server, ca_pem: &[u8], ends: Ends) -> usize {
    let mut limit = if matches!(ends, InTime(..)) { HASTE } else { PATIENCE };
    for tries in 1.. {
        let (report, memory) = peak(run(prober, &check(server, ca_pem, limit))).await;
        assert!(memory < 8 * MIB, "{what}: {memory} bytes");
        assert!(server.connections() <= tries, "{what}: nothing is followed or repeated");
        let reached = matches!(ends, InTime(_, words) if report.message.contains(words));
        if reached || limit >= PATIENCE {
            assert_ends(what, &report, ends);
            return memory;
        }
        assert!(report.message.contains("time ran out"), "{what}: {report:?}");
        limit *= 3;
    }
    unreachable!("the limit grows")
}

#[test]
fn every_hostile_answer_ends_its_check_with_a_clean_message_in_little_memory() {
    isolated(async || {
        let (good, prober) = (Server::tls(Tls::default(), &[answer("200 OK", "", "{}")]).await, prober());
        warm(&prober, &good).await;
        let answers = [endless(), broken()].concat();
        assert!(answers.len() >= 30);
        let mut most = 0;
        for (what, script, ends) in answers {
            let server = Server::tls(Tls::default(), &[script]).await;
            most = most.max(end(what, &prober, &server, &server.ca_pem, ends).await);
        }
        println!("most memory for one check: {} KiB", most / 1024);
        warm(&prober, &good).await;
    });
}

#[test]
fn every_hostile_handshake_ends_its_check_with_a_clean_message_in_little_memory() {
    isolated(async || {
        let (good, prober) = (Server::tls(Tls::default(), &[answer("200 OK", "", "{}")]).await, prober());
        warm(&prober, &good).await;
        for (what, script, ends) in handshakes() {
            let server = Server::plain(&[script]).await;
            end(what, &prober, &server, &good.ca_pem, ends).await;
        }
        warm(&prober, &good).await;
    });
}

#[test]
fn compression_is_not_asked_for_and_nothing_is_unpacked() {
    isolated(async || {
        let server =
            Server::tls(Tls::default(), &[answer("200 OK", "Content-Encoding: gzip\r\n", gzip_of_zeros())]).await;
        run(&prober(), &check(&server, &server.ca_pem, PATIENCE)).await;
        let request = server.heard().concat().to_lowercase();
        assert!(request.starts_with("post /hooks http/1.1\r\n") && !request.contains("accept-encoding"), "{request}");
    });
}

#[test]
fn many_hostile_callbacks_at_once_take_no_more_than_their_share() {
    isolated(async || {
        let (good, prober) = (Server::tls(Tls::default(), &[answer("200 OK", "", "{}")]).await, prober());
        warm(&prober, &good).await;
        let endless = Server::tls(Tls::default(), &[script([say(format!("{OK}X: ")), repeat("y".repeat(4096))])]).await;
        let check = check(&endless, &endless.ca_pem, PATIENCE);
        let all = futures::future::join_all((0..50).map(|_| run(&prober, &check)));
        let (reports, memory) = peak(all).await;
        assert!(reports.iter().all(|report| report.message.contains(NO_HTTP)), "{reports:?}");
        assert!(memory < 50 * MIB, "{memory} bytes");
    });
}
