//! What a tenant names as its own, base URL and token URL: in private networks if it likes, but no name leads a session's calls
//! to link-local or metadata addresses.

use std::sync::Arc;

use cognigy_operator::{
    cognigy::{
        Auth, BreakerConfig, ClientAuthentication, Concurrency, ErrorKind, Hosts, Session, SessionConfig, Silent,
    },
    net::JudgedNames,
};
use url::Url;

use crate::{
    PATIENCE,
    names::{Names, Says},
    namespace::{Traffic, isolated},
    server::{Server, answer},
};

const FORBIDDEN: &[&[&str]] = &[
    &["169.254.169.254"],
    &["169.254.170.2"],
    &["fe80::1"],
    &["fd00:ec2::254"],
    &["100.100.100.200"],
    &["168.63.129.16"],
    &["0.0.0.0"],
    &["::"],
    &["224.0.0.1"],
    &["255.255.255.255"],
    &["::ffff:169.254.169.254"],
    &["64:ff9b::a9fe:a9fe"],
    &["2002:a9fe:a9fe::1"],
    &["1.2.3.4", "169.254.169.254"],
    &["10.0.0.5", "fe80::1"],
];

const ALLOWED: &[&[&str]] =
    &[&["1.2.3.4"], &["10.0.0.5"], &["127.0.0.1"], &["100.64.0.1"], &["fd12::1"], &["10.0.0.5", "10.0.0.6"]];

fn config(base: &str, token: Option<&str>) -> SessionConfig {
    let auth = match token {
        None => Auth::Bearer("hunter2".into()),
        Some(url) => Auth::OAuth2 {
            client_id: "id".into(),
            client_secret: "hunter2".into(),
            token_url: Url::parse(url).unwrap(),
            client_authentication: ClientAuthentication::Basic,
            scopes: Vec::new(),
        },
    };
    SessionConfig {
        tenant: "cx/production".into(),
        base_url: Url::parse(base).unwrap(),
        auth,
        ca_pem: None,
        requests_per_minute: 600_000,
        burst: 1000,
        max_concurrent_requests: 16,
        request_timeout: PATIENCE,
        breaker: BreakerConfig { failure_threshold: 100, open: PATIENCE },
        concurrency: Concurrency::IfMatch,
    }
}

fn session(config: SessionConfig, answers: &[Says]) -> Session {
    let names = JudgedNames::of(Arc::new(Names::say(answers)));
    Session::with_names(config, &Hosts::new(), Arc::new(Silent), names).unwrap()
}

async fn assert_never_called(session: &Session, what: &str) {
    let error = session.probe().await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unreachable, "{what}: {error}");
    let words = "link-local, metadata and multicast addresses are never called";
    assert!(error.to_string().contains(words), "{what}: {error}");
}

#[test]
fn no_name_leads_calls_to_link_local_or_metadata_addresses() {
    isolated(async || {
        let before = Traffic::so_far();
        for addresses in FORBIDDEN {
            let says = [Says::Addresses(addresses)];
            for scheme in ["http", "https"] {
                let base = format!("{scheme}://metadata.google.internal/");
                assert_never_called(&session(config(&base, None), &says), &format!("{addresses:?}")).await;
                // The token is fetched first, from a host of its own.
                let token = format!("{scheme}://login.example.com/oauth/token");
                let session = session(config("https://10.0.0.5/", Some(&token)), &says);
                assert_never_called(&session, &format!("{addresses:?}")).await;
            }
        }
        assert_eq!(Traffic::so_far(), before, "something was sent");
    });
}

#[test]
fn a_name_that_is_bound_to_a_metadata_address_later_leads_nowhere() {
    isolated(async || {
        let server = Server::plain(&[answer("200 OK", "", r#"{"items":[]}"#)]).await;
        let base = format!("http://api.example.com:{}/", server.port);
        let answers = [Says::Addresses(&["10.0.0.5"]), Says::Addresses(&["169.254.169.254"])];
        let session = session(config(&base, None), &answers);
        session.probe().await.unwrap();
        let before = Traffic::so_far();
        assert_never_called(&session, "bound again").await;
        assert_eq!((Traffic::so_far(), server.connections()), (before, 1));
    });
}

#[test]
fn public_and_private_addresses_are_called() {
    isolated(async || {
        let server = Server::plain(&[answer("200 OK", "", r#"{"items":[]}"#)]).await;
        for addresses in ALLOWED {
            let base = format!("http://api.example.com:{}/", server.port);
            let probed = session(config(&base, None), &[Says::Addresses(addresses)]).probe().await;
            assert!(probed.is_ok(), "{addresses:?}: {probed:?}");
        }
        assert_eq!(server.connections(), ALLOWED.len());
    });
}

#[test]
fn a_session_is_not_even_made_for_such_an_address() {
    for host in ["169.254.169.254", "2852039166", "0xa9fea9fe", "[fe80::1]", "[::ffff:169.254.0.1]", "0", "224.1"] {
        let (bad, good) = (format!("https://{host}/"), "https://api.example.com/");
        for config in [config(&bad, None), config(good, Some(&bad))] {
            let refusal = Session::new(config, &Hosts::new(), Arc::new(Silent)).unwrap_err().to_string();
            assert!(refusal.contains("never called"), "{host}: {refusal}");
        }
    }
}
