//! What may be reached, and by which address: the public Internet, private networks that operator *and* tenant allow, and
//! never the API server or the operator itself.

use std::sync::Arc;

use cognigy_operator::probe::{Check, Guard, Own, Prober, Rule};
use url::Url;

use crate::{
    PATIENCE,
    names::{Names, Says},
    namespace::{Traffic, isolated},
    server::{HOST, Server, Tls, answer},
};

async fn healthy() -> Server {
    Server::tls_on(443, Tls::default(), &[answer("200 OK", "", "")]).await
}

fn check(server: &Server, host: &str) -> Check {
    let url = Url::parse(&format!("https://{host}:{}/", server.port)).unwrap();
    let ca_bundle = Some(server.ca_pem.clone().into());
    Check { url, headers: Vec::new(), version: 1, timeout: PATIENCE, ca_bundle }
}

fn allowing(ranges: &[&str], tenant: bool) -> Guard {
    let private_ranges = ranges.iter().map(|range| range.parse().unwrap()).collect();
    Guard { private_ranges, allow_private_networks: tenant, ..Guard::default() }
}

#[test]
fn public_addresses_are_reached() {
    isolated(async || {
        let server = healthy().await;
        let public: [&'static [&'static str]; 3] =
            [&["1.2.3.4"], &["2606:4700::1111"], &["1.2.3.4", "2606:4700::1111"]];
        for addresses in public {
            let prober = Prober::with_resolver(Arc::new(Names::at(addresses)));
            let report = prober.check(&check(&server, HOST), &Guard::default()).await.unwrap();
            assert!(report.passing, "{addresses:?}: {report:?}");
        }
        let report = Prober::new().check(&check(&server, "0x01.0x020304"), &Guard::default()).await.unwrap();
        assert!(report.passing, "{report:?}");
        assert_eq!(server.connections(), 4);
    });
}

#[test]
fn a_private_address_is_reached_only_where_operator_and_tenant_allow_it() {
    isolated(async || {
        let server = healthy().await;
        let prober = Prober::with_resolver(Arc::new(Names::at(&["10.0.0.5"])));
        let before = Traffic::so_far();
        for guard in [
            allowing(&[], false),
            allowing(&[], true),
            allowing(&["10.0.0.0/8"], false),
            allowing(&["10.1.0.0/16"], true),
        ] {
            for host in [HOST, "10.0.0.5", "0x0a000005"] {
                let refusal = prober.check(&check(&server, host), &guard).await.unwrap_err().to_string();
                assert!(refusal.contains("--allow-private-callbacks"), "{refusal}");
                assert!(refusal.contains("spec.callbacks.allowPrivateNetworks"), "{refusal}");
            }
        }
        assert_eq!((Traffic::so_far(), server.connections()), (before, 0));
        for host in [HOST, "10.0.0.5"] {
            let report = prober.check(&check(&server, host), &allowing(&["10.0.0.0/8"], true)).await.unwrap();
            assert!(report.passing, "{report:?}");
        }
        assert_eq!(server.connections(), 2);
    });
}

#[test]
fn api_server_and_operator_are_never_reached_whatever_is_allowed() {
    isolated(async || {
        let server = healthy().await;
        let own = |address: &str| Own::at(format!("{address}:443").parse().unwrap());
        // An API server on a public, a cluster and a loopback address; the operator's pod has 10.244.0.7.
        let never =
            vec![own("1.2.3.4"), own("10.96.0.1"), own("127.0.0.1"), Own::Address("10.244.0.7".parse().unwrap())];
        let guard = Guard { never, ..allowing(&["0.0.0.0/0", "::/0"], true) };
        let before = Traffic::so_far();
        let leads: [&'static [&'static str]; 7] = [
            &["1.2.3.4"],
            &["10.96.0.1"],
            &["10.244.0.7"],
            &["127.0.0.1"],
            &["127.0.0.53"],
            &["::ffff:10.96.0.1"],
            &["8.8.8.8", "64:ff9b::10.244.0.7"],
        ];
        for addresses in leads {
            let prober = Prober::with_resolver(Arc::new(Names::at(addresses)));
            let refusal = prober.check(&check(&server, HOST), &guard).await.unwrap_err();
            assert!(matches!(refusal.rule(), Rule::OwnAddress(_)), "{addresses:?}: {refusal}");
            assert!(refusal.to_string().ends_with("that is never called"), "{refusal}");
        }
        for host in ["1.2.3.4", "10.96.0.1", "127.1", "[::1]", "[::ffff:127.0.0.1]"] {
            let refusal = Prober::new().check(&check(&server, host), &guard).await.unwrap_err();
            assert!(matches!(refusal.rule(), Rule::OwnAddress(_)), "{host}: {refusal}");
        }
        assert_eq!((Traffic::so_far(), server.connections()), (before, 0));
        let elsewhere = Prober::with_resolver(Arc::new(Names::at(&["10.96.0.2"])));
        assert!(elsewhere.check(&check(&server, HOST), &guard).await.unwrap().passing);
    });
}

#[test]
fn a_name_that_is_bound_to_another_address_between_two_questions_gains_nothing() {
    isolated(async || {
        let server = healthy().await;
        let names = Arc::new(Names::say(&[Says::Addresses(&["1.2.3.4"]), Says::Addresses(&["10.0.0.5"])]));
        let prober = Prober::with_resolver(names.clone());
        let report = prober.check(&check(&server, HOST), &Guard::default()).await.unwrap();
        assert!(report.passing, "{report:?}");
        assert_eq!((names.asked(), server.connections()), (1, 1), "one question, one connection: to what was judged");
        let before = Traffic::so_far();
        let refusal = prober.check(&check(&server, HOST), &Guard::default()).await.unwrap_err().to_string();
        assert!(refusal.contains("leads to 10.0.0.5"), "{refusal}");
        assert_eq!((names.asked(), Traffic::so_far()), (2, before));
    });
}
