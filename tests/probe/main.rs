//! Health checks against real endpoints on loopback: what users read about each kind of answer, and what endpoints receive.

#![allow(clippy::unwrap_used)]

mod endpoint;

use std::{sync::Arc, time::Duration};

use cognigy_operator::probe::{Check, Guard, Own, Prober, Report, TlsVersion};
use http::{Method, StatusCode};
use jiff::Timestamp;
use rustls::version;
use url::Url;

use endpoint::{Behaviour, Endpoint, Names, Tls, closed_port};

const HOST: &str = "hooks.test";

/// Long enough for every check that should end by itself.
const PATIENT: Duration = Duration::from_secs(20);

/// Short, for checks that must be ended.
const HASTY: Duration = Duration::from_millis(500);

fn loopback_allowed() -> Guard {
    let private_ranges = vec!["127.0.0.0/8".parse().unwrap()];
    Guard { allow_private_networks: true, private_ranges, ..Guard::default() }
}

fn check_of(endpoint: &Endpoint) -> Check {
    Check {
        url: Url::parse(&format!("https://{HOST}:{}/hooks/orders?shop=1", endpoint.port)).unwrap(),
        headers: vec![("X-Environment".to_owned(), "production".into()), ("X-Api-Key".to_owned(), "hush".into())],
        version: 2,
        timeout: PATIENT,
        ca_bundle: Some(endpoint.ca_pem.clone()),
    }
}

fn prober(addresses: &[&str]) -> Prober {
    Prober::with_resolver(Arc::new(Names::of(HOST, addresses)))
}

async fn run(check: &Check) -> Report {
    let report = prober(&["127.0.0.1"]).check(check, &loopback_allowed()).await.unwrap();
    assert!(!format!("{report:?} {check:?}").contains("hush"), "{report:?} {check:?}");
    report
}

async fn run_against(behaviour: Behaviour, timeout: Duration) -> Report {
    let endpoint = Endpoint::start(behaviour, Tls::default()).await;
    run(&Check { timeout, ..check_of(&endpoint) }).await
}

async fn run_with(tls: Tls) -> Report {
    let endpoint = Endpoint::start(answer(StatusCode::OK), tls).await;
    run(&check_of(&endpoint)).await
}

fn answer(status: StatusCode) -> Behaviour {
    Behaviour::Answer(status, Vec::new())
}

fn assert_fails(report: &Report, http_status: Option<u16>, words: &[&str]) {
    assert!(!report.passing, "{report:?}");
    assert_eq!(report.http_status, http_status, "{report:?}");
    for word in words {
        assert!(report.message.contains(word), "\"{word}\" is not in: {}", report.message);
    }
}

#[tokio::test]
async fn an_endpoint_that_answers_2xx_passes() {
    for status in [StatusCode::OK, StatusCode::CREATED, StatusCode::ACCEPTED, StatusCode::NO_CONTENT] {
        let report = run_against(answer(status), PATIENT).await;
        assert!(report.passing, "{report:?}");
        assert_eq!(report.http_status, Some(status.as_u16()));
        assert_eq!(report.message, format!("answered {status}"));
    }
}

#[tokio::test]
async fn an_endpoint_that_answers_otherwise_fails_with_its_status() {
    for status in [StatusCode::BAD_REQUEST, StatusCode::NOT_FOUND, StatusCode::INTERNAL_SERVER_ERROR] {
        let report = run_against(answer(status), PATIENT).await;
        assert_fails(&report, Some(status.as_u16()), &["answered", status.as_str()]);
    }
}

#[tokio::test]
async fn the_endpoint_receives_exactly_what_the_contract_says() {
    let endpoint = Endpoint::start(answer(StatusCode::OK), Tls::default()).await;
    let before = Timestamp::now().as_second();
    let report = run(&check_of(&endpoint)).await;
    let received = endpoint.received();
    assert_eq!(received.len(), 1);
    let received = &received[0];

    let body: serde_json::Value = serde_json::from_str(&received.body).unwrap();
    let timestamp = body["timestamp"].as_i64().unwrap();
    assert!((before..=Timestamp::now().as_second()).contains(&timestamp), "{timestamp}");
    let trace_id = &report.trace_id;
    assert_eq!(
        received.body,
        format!(
            r#"{{"source":"cognigy-registrar","event":"health_check","timestamp":{timestamp},"trace_id":"{trace_id}","data":{{"status":"ready","version":2}}}}"#
        )
    );

    assert_eq!((&received.method, received.target.to_string().as_str()), (&Method::POST, "/hooks/orders?shop=1"));
    let header = |name| received.headers.get(name).unwrap_or_else(|| panic!("{name}")).to_str().unwrap();
    assert_eq!(header("host"), format!("{HOST}:{}", endpoint.port));
    assert_eq!(header("user-agent"), concat!("CognigyWebhookRegistrar/", env!("CARGO_PKG_VERSION")));
    assert_eq!(header("content-type"), "application/json");
    assert_eq!(header("x-environment"), "production");
    assert_eq!(header("x-api-key"), "hush");
    let parts: Vec<_> = header("traceparent").split('-').collect();
    assert_eq!((parts[0], parts[1], parts[2].len(), parts[3]), ("00", trace_id.as_str(), 16, "01"));
    assert!(trace_id.len() == 32 && trace_id.chars().all(|digit| digit.is_ascii_hexdigit()), "{trace_id}");
}

#[tokio::test]
async fn each_check_has_a_trace_id_of_its_own() {
    let endpoint = Endpoint::start(answer(StatusCode::OK), Tls::default()).await;
    assert_ne!(run(&check_of(&endpoint)).await.trace_id, run(&check_of(&endpoint)).await.trace_id);
}

#[tokio::test]
async fn a_redirect_fails_and_is_not_followed() {
    for status in [StatusCode::MOVED_PERMANENTLY, StatusCode::FOUND, StatusCode::TEMPORARY_REDIRECT] {
        let redirect = Behaviour::Answer(status, vec![("location", "/elsewhere")]);
        let endpoint = Endpoint::start(redirect, Tls::default()).await;
        let report = run(&check_of(&endpoint)).await;
        assert_fails(&report, Some(status.as_u16()), &["redirects are not followed", "spec.url"]);
        assert_eq!((endpoint.received().len(), endpoint.connections()), (1, 1));
    }
}

#[tokio::test]
async fn an_endpoint_that_never_answers_fails_at_the_time_limit() {
    let report = run_against(Behaviour::Hang, HASTY).await;
    assert_fails(&report, None, &["500ms", "waiting for the answer"]);
    assert_eq!(report.tls_version, Some(TlsVersion::Tls13), "what was seen before is kept");
}

#[tokio::test]
async fn an_endpoint_that_never_shakes_hands_fails_at_the_time_limit() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = Endpoint::start(Behaviour::Hang, Tls::default()).await;
    let port = listener.local_addr().unwrap().port();
    let url = Url::parse(&format!("https://{HOST}:{port}/")).unwrap();
    let report = run(&Check { url, timeout: HASTY, ..check_of(&endpoint) }).await;
    assert_fails(&report, None, &["500ms", "in the TLS handshake"]);
}

#[tokio::test]
async fn an_answer_that_trickles_fails_at_the_time_limit() {
    let report = run_against(Behaviour::Trickle, HASTY).await;
    assert_fails(&report, Some(200), &["500ms", "reading the answer"]);
}

#[tokio::test]
async fn an_endless_answer_is_cut_and_passes() {
    let report = run_against(Behaviour::EndlessBody, PATIENT).await;
    assert!(report.passing, "{report:?}");
}

#[tokio::test]
async fn an_answer_that_breaks_off_keeps_its_status() {
    let cut = Behaviour::Raw("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
    let report = run_against(cut, PATIENT).await;
    assert!(report.passing, "{report:?}");
}

#[tokio::test]
async fn endless_headers_fail() {
    let one = Behaviour::RawForEver(
        "HTTP/1.1 200 OK\r\nX: ",
        "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
    );
    let many = Behaviour::RawForEver("HTTP/1.1 200 OK\r\n", "X: y\r\n");
    for behaviour in [one, many] {
        assert_fails(&run_against(behaviour, PATIENT).await, None, &["no valid HTTP answer"]);
    }
}

#[tokio::test]
async fn what_is_no_http_fails() {
    for text in ["220 smtp.example.com ESMTP\r\n", "HTTP/9.9 200 OK\r\n\r\n", "HTTP/1.1 999999 OK\r\n\r\n"] {
        assert_fails(&run_against(Behaviour::Raw(text), PATIENT).await, None, &["no valid HTTP answer"]);
    }
}

#[tokio::test]
async fn tls_version_and_expiry_of_the_certificate_are_told() {
    let expires: Timestamp = "2031-05-04T00:00:00Z".parse().unwrap();
    let table = [(&version::TLS12, TlsVersion::Tls12, "TLSv1.2"), (&version::TLS13, TlsVersion::Tls13, "TLSv1.3")];
    for (version, expected, text) in table {
        let report = run_with(Tls { versions: vec![version], expires: (2031, 5, 4), ..Tls::default() }).await;
        assert!(report.passing, "{report:?}");
        assert_eq!((report.tls_version, expected.to_string().as_str()), (Some(expected), text));
        assert_eq!(report.certificate_expires_at, Some(expires));
    }
}

#[tokio::test]
async fn a_certificate_of_an_unknown_issuer_fails() {
    let endpoint = Endpoint::start(answer(StatusCode::OK), Tls::default()).await;
    for (issuer, words) in [("Other CA", "unknown issuer"), ("Test CA", "another CA of that name")] {
        let other = Endpoint::start(answer(StatusCode::OK), Tls { issuer, ..Tls::default() }).await;
        let report = run(&Check { ca_bundle: Some(other.ca_pem.clone()), ..check_of(&endpoint) }).await;
        assert_fails(&report, None, &["TLS handshake", words, "spec.caBundle"]);
    }
    assert!(endpoint.received().is_empty());
}

#[tokio::test]
async fn a_certificate_for_another_name_fails() {
    let report = run_with(Tls { name: "other.test", ..Tls::default() }).await;
    assert_fails(&report, None, &["TLS handshake", "not for this host but for other.test"]);
}

#[tokio::test]
async fn an_expired_certificate_fails_and_tells_when() {
    let report = run_with(Tls { expires: (2021, 2, 3), ..Tls::default() }).await;
    assert_fails(&report, None, &["TLS handshake", "expired (2021-02-03T00:00:00Z)"]);
    assert_eq!(report.certificate_expires_at, Some("2021-02-03T00:00:00Z".parse().unwrap()));
}

#[tokio::test]
async fn an_endpoint_with_older_tls_only_fails() {
    let protocol_version_alert = Behaviour::Plain(&[0x15, 3, 1, 0, 2, 2, 70]);
    let report = run_against(protocol_version_alert, PATIENT).await;
    assert_fails(&report, None, &["TLS handshake", "neither TLS 1.2 nor TLS 1.3"]);
}

#[tokio::test]
async fn an_endpoint_without_tls_fails() {
    let report = run_against(Behaviour::Plain(b"HTTP/1.1 400 Bad Request\r\n\r\n"), PATIENT).await;
    assert_fails(&report, None, &["does not speak TLS"]);
    assert_fails(&run_against(Behaviour::Plain(b""), PATIENT).await, None, &["it closed the connection"]);
}

#[tokio::test]
async fn a_port_where_nobody_listens_fails() {
    let endpoint = Endpoint::start(Behaviour::Hang, Tls::default()).await;
    let port = closed_port().await;
    let url = Url::parse(&format!("https://{HOST}:{port}/")).unwrap();
    let report = run(&Check { url, ..check_of(&endpoint) }).await;
    assert_fails(&report, None, &["cannot connect to port", &port.to_string(), "refused"]);
}

#[tokio::test]
async fn a_failing_name_server_is_a_failing_check() {
    let endpoint = Endpoint::start(answer(StatusCode::OK), Tls::default()).await;
    let table = [
        (Names::default(), "the name server is away"),
        (Names::of(HOST, &[]), "no address"),
        (Names::silent(), "resolving"),
    ];
    for (names, words) in table {
        let check = Check { timeout: HASTY, ..check_of(&endpoint) };
        let report = Prober::with_resolver(Arc::new(names)).check(&check, &loopback_allowed()).await.unwrap();
        assert_fails(&report, None, &[words]);
    }
    assert_eq!(endpoint.connections(), 0);
}

#[tokio::test]
async fn the_next_address_is_tried_where_one_does_not_answer() {
    let endpoint = Endpoint::start(answer(StatusCode::OK), Tls::default()).await;
    let report = prober(&["127.0.0.9", "127.0.0.1"]).check(&check_of(&endpoint), &loopback_allowed()).await.unwrap();
    assert!(report.passing, "{report:?}");
}

#[tokio::test]
async fn a_name_is_resolved_once_and_the_judged_address_is_called() {
    let endpoint = Endpoint::start(answer(StatusCode::OK), Tls::default()).await;
    let names = Arc::new(Names::of(HOST, &["127.0.0.1"]));
    let report = Prober::with_resolver(names.clone()).check(&check_of(&endpoint), &loopback_allowed()).await.unwrap();
    assert!(report.passing, "{report:?}");
    assert_eq!((names.asked(), endpoint.connections()), (1, 1));
}

#[tokio::test]
async fn an_address_as_host_is_called_without_a_resolver() {
    let endpoint = Endpoint::start(answer(StatusCode::OK), Tls { name: "127.0.0.1", ..Tls::default() }).await;
    let url = Url::parse(&format!("https://127.0.0.1:{}/", endpoint.port)).unwrap();
    let names = Arc::new(Names::default());
    let check = Check { url, ..check_of(&endpoint) };
    let report = Prober::with_resolver(names.clone()).check(&check, &loopback_allowed()).await.unwrap();
    assert!(report.passing, "{report:?}");
    assert_eq!(names.asked(), 0);
}

#[tokio::test]
async fn what_the_guard_forbids_is_refused_before_any_connection() {
    let endpoint = Endpoint::start(answer(StatusCode::OK), Tls::default()).await;
    let one_only = Guard { private_ranges: vec!["127.0.0.1/32".parse().unwrap()], ..loopback_allowed() };
    let own = Guard { never: vec![Own::LoopbackPort(endpoint.port)], ..loopback_allowed() };
    let elsewhere = Guard { allowed_hosts: vec!["*.example.com".parse().unwrap()], ..loopback_allowed() };
    for (guard, words) in [
        (Guard::default(), "leads to 127.0.0.1, which is a loopback address"),
        (one_only, "leads to 127.0.0.2, which is a loopback address"),
        (own, "belongs to the cluster's API server or to the operator itself"),
        (elsewhere, "is not among the tenant's spec.callbacks.allowedHosts (*.example.com)"),
    ] {
        let refusal = prober(&["127.0.0.1", "127.0.0.2"]).check(&check_of(&endpoint), &guard).await.unwrap_err();
        assert!(refusal.to_string().starts_with(&format!("callback host {HOST} ")), "{refusal}");
        assert!(refusal.to_string().contains(words), "\"{words}\" is not in: {refusal}");
    }
    assert_eq!(endpoint.connections(), 0);
}

#[tokio::test]
async fn a_header_that_cannot_be_sent_fails_without_showing_its_value() {
    let endpoint = Endpoint::start(answer(StatusCode::OK), Tls::default()).await;
    let headers = vec![("X-Api-Key".to_owned(), "hush\n".into())];
    let report = run(&Check { headers, ..check_of(&endpoint) }).await;
    assert_fails(&report, None, &["x-api-key", "line break"]);
    assert_eq!(endpoint.connections(), 0);
}

#[tokio::test]
async fn a_ca_bundle_without_certificates_fails_and_says_so() {
    let endpoint = Endpoint::start(answer(StatusCode::OK), Tls::default()).await;
    let bundle: Arc<[u8]> = b"not a certificate".as_slice().into();
    let report = run(&Check { ca_bundle: Some(bundle), ..check_of(&endpoint) }).await;
    assert_fails(&report, None, &["CA bundle", "no certificate"]);
}
