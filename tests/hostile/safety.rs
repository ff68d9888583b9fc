//! The ground that all other tests stand on.

use tokio::net::{TcpListener, TcpStream};

use crate::namespace::{interfaces, isolated};

#[test]
fn a_test_has_only_loopback_and_every_address_leads_there() {
    isolated(async || {
        assert_eq!(interfaces(), ["lo"]);
        let listener = TcpListener::bind("[::]:443").await.unwrap();
        for address in [
            "127.0.0.1",
            "10.0.0.5",
            "169.254.169.254",
            "1.2.3.4",
            "0.0.0.0",
            "[::1]",
            "[2606:4700::1111]",
            "[64:ff9b::a01:203]",
            "[fd00:ec2::254]",
        ] {
            let there =
                TcpStream::connect(format!("{address}:443")).await.unwrap_or_else(|error| panic!("{address}: {error}"));
            drop((there, listener.accept().await.unwrap()));
        }
    });
}
