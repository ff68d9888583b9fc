//! Certificates that are not to be trusted, told by their exact cause: of callbacks, and of Cognigy installations.

use std::sync::Arc;

use cognigy_operator::{
    cognigy::{Auth, BreakerConfig, Concurrency, ErrorKind, Hosts, Session, SessionConfig, Silent},
    net::JudgedNames,
    probe::{Check, Guard, Prober},
    text::is_unfit,
};
use url::Url;

use crate::{
    PATIENCE,
    names::Names,
    namespace::isolated,
    server::{HOST, Server, Tls, answer},
};

/// Certificates, and the words for them of a health check and of a session.
fn certificates() -> Vec<(&'static str, Tls, &'static str, &'static str)> {
    let named = |names: Vec<String>| Tls { names, ..Tls::default() };
    let valid = |valid| Tls { valid, ..Tls::default() };
    vec![
        ("expired", valid([(2020, 1, 1), (2021, 2, 3)]), "expired (2021-02-03T00:00:00Z)", "expired"),
        ("not valid yet", valid([(2098, 1, 1), (2099, 1, 1)]), "not valid yet (2098-01-01T00:00:00Z)", "not yet valid"),
        (
            "another's",
            named(vec!["other.example.com".into()]),
            "not for this host but for other.example.com",
            "name mismatch",
        ),
        (
            "of a name above",
            named(vec!["*.hooks.example.com".into()]),
            "not for this host but for *.hooks",
            "name mismatch",
        ),
        ("with hostile names", named(hostile_names()), "not for this host but for", "name mismatch"),
    ]
}

/// Long names that paint, and many of them.
fn hostile_names() -> Vec<String> {
    (0..100).map(|number| format!("\u{1b}[31m{number}.{}.example.com", "x".repeat(100))).collect()
}

fn check(server: &Server, ca_pem: &[u8]) -> Check {
    let url = Url::parse(&format!("https://{HOST}:{}/", server.port)).unwrap();
    Check { url, headers: Vec::new(), version: 1, timeout: PATIENCE, ca_bundle: Some(ca_pem.into()) }
}

fn session(server: &Server, ca_pem: &[u8]) -> Session {
    let config = SessionConfig {
        tenant: "cx/production".into(),
        base_url: Url::parse(&format!("https://{HOST}:{}/", server.port)).unwrap(),
        auth: Auth::Bearer("hunter2".into()),
        ca_pem: Some(ca_pem.to_vec()),
        requests_per_minute: 600_000,
        burst: 1000,
        max_concurrent_requests: 16,
        request_timeout: PATIENCE,
        breaker: BreakerConfig { failure_threshold: 100, open: PATIENCE },
        concurrency: Concurrency::IfMatch,
    };
    let names = JudgedNames::of(Arc::new(Names::at(&["1.2.3.4"])));
    Session::with_names(config, &Hosts::new(), Arc::new(Silent), names).unwrap()
}

#[test]
fn no_untrusted_certificate_is_spoken_to_and_each_cause_is_told() {
    isolated(async || {
        let prober = Prober::with_resolver(Arc::new(Names::at(&["1.2.3.4"])));
        let other = Server::tls(Tls::default(), &[answer("200 OK", "", "")]).await;
        let mut table: Vec<_> = Vec::new();
        for (what, tls, check, session) in certificates() {
            let server = Server::tls(tls, &[answer("200 OK", "", "")]).await;
            let ca_pem = server.ca_pem.clone();
            table.push((what, server, ca_pem, check, session));
        }
        let stranger = Server::tls(Tls::default(), &[answer("200 OK", "", "")]).await;
        table.push(("of another authority", stranger, other.ca_pem.clone(), "spec.caBundle", "caBundle"));
        for (what, server, ca_pem, of_check, of_session) in table {
            let report = prober.check(&check(&server, &ca_pem), &Guard::default()).await.unwrap();
            let error = session(&server, &ca_pem).probe().await.unwrap_err();
            assert_eq!(error.kind, ErrorKind::Tls, "{what}: {error}");
            for (text, words) in [(report.message, of_check), (error.to_string(), of_session)] {
                assert!(text.contains(words), "{what}: \"{words}\" is not in: {text}");
                assert!(text.chars().count() < 1000 && !text.chars().any(is_unfit), "{what}: {text}");
            }
            assert_eq!(server.heard(), [""; 0], "{what}: nothing was said to it");
        }
    });
}
