//! Callback URLs that are meant to lead into the cluster: each is refused with its own words, and nothing is sent to anywhere.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use cognigy_operator::probe::{Check, Guard, Prober, Report};
use tokio::{net::TcpStream, time::timeout};
use url::{Host, Url};

use crate::{
    HASTE,
    names::{Names, Says, parsed},
    namespace::{Traffic, isolated},
};

/// Hosts that are addresses, in every spelling, and schemes; what no switch opens comes with the word `never`.
const LITERALS: &[(&str, &str)] = &[
    // other schemes, and what only looks like https
    ("http://1.2.3.4/hook", "only https"),
    ("ftp://1.2.3.4/hook", "only https"),
    ("file:///etc/passwd", "only https"),
    ("gopher://127.0.0.1:70/_GET", "only https"),
    ("dict://127.0.0.1:11211/stat", "only https"),
    ("ldap://10.0.0.5/", "only https"),
    ("ws://1.2.3.4/", "only https"),
    ("wss://1.2.3.4/", "only https"),
    ("unix:/run/docker.sock", "only https"),
    ("https+unix://%2Frun%2Fdocker.sock/", "only https"),
    ("data:text/plain,x", "only https"),
    // user info, which makes one host look like another
    ("https://api.example.com@10.0.0.5/", "user name or password"),
    ("https://api.example.com:443@169.254.169.254/", "user name or password"),
    ("https://:secret@1.2.3.4/", "user name or password"),
    // loopback: decimal, octal, hexadecimal, short, mixed, encoded, in other digits, with other slashes
    ("https://127.0.0.1/", "loopback"),
    ("https://127.0.0.1:6443/api?x=1#fragment", "loopback"),
    ("https://127.0.0.1./", "loopback"),
    ("https://127.1/", "loopback"),
    ("https://127.0.1/", "loopback"),
    ("https://127.255.255.254/", "loopback"),
    ("https://2130706433/", "loopback"),
    ("https://0x7f000001/", "loopback"),
    ("https://0X7F.0x0.0.1/", "loopback"),
    ("https://017700000001/", "loopback"),
    ("https://0177.0.0.01/", "loopback"),
    ("https://%31%32%37.0.0.1/", "loopback"),
    ("https://１２７.０.０.１/", "loopback"),
    ("https://①②⑦.⓪.⓪.①/", "loopback"),
    ("https://127。0。0。1/", "loopback"),
    ("https:127.0.0.1", "loopback"),
    ("https:\\\\127.0.0.1\\hook", "loopback"),
    ("HTTPS://127.0.0.1/", "loopback"),
    ("https://[::1]/", "loopback"),
    ("https://[0000:0000::0001]:443/", "loopback"),
    // this machine, link-local, metadata
    ("https://0/", "never"),
    ("https://0.0.0.0/", "never"),
    ("https://[::]/", "never"),
    ("https://169.254.169.254/latest/meta-data/", "never"),
    ("https://2852039166/latest/meta-data/", "never"),
    ("https://0xa9fea9fe/", "never"),
    ("https://0251.0376.0251.0376/", "never"),
    ("https://169.254.43518/", "never"),
    ("https://169.254.170.2/v2/credentials", "never"),
    ("https://[fe80::1]/", "never"),
    ("https://[fd00:ec2::254]/", "never"),
    ("https://[fd20:ce::254]/", "never"),
    ("https://100.100.100.200/", "never"),
    ("https://168.63.129.16/", "never"),
    ("https://192.0.0.192/", "never"),
    // multicast, broadcast
    ("https://224.0.0.1/", "never"),
    ("https://[ff02::1]/", "never"),
    ("https://255.255.255.255/", "never"),
    ("https://4294967295/", "never"),
    // private
    ("https://10.0.0.5/", "private"),
    ("https://167772165/", "private"),
    ("https://172.16.0.1/", "private"),
    ("https://172.31.255.255/", "private"),
    ("https://192.168.1.1:8443/", "private"),
    ("https://0xc0a80101/", "private"),
    ("https://100.64.0.1/", "carrier-grade NAT"),
    ("https://[fd12:3456:789a::1]/", "unique-local"),
    ("https://[fec0::1]/", "unique-local"),
    // no one's
    ("https://192.0.2.1/", "documentation"),
    ("https://203.0.113.7/", "documentation"),
    ("https://[2001:db8::1]/", "documentation"),
    ("https://198.18.0.1/", "benchmarks"),
    ("https://240.0.0.1/", "reserved"),
    ("https://[5f00::1]/", "reserved"),
    // IPv4 within IPv6: mapped, compatible, translated, NAT64, 6to4, Teredo, ISATAP
    ("https://[::ffff:127.0.0.1]/", "a form of 127.0.0.1, a loopback"),
    ("https://[::ffff:7f00:1]/", "a form of 127.0.0.1, a loopback"),
    ("https://[::ffff:10.0.0.5]/", "a form of 10.0.0.5, a private"),
    ("https://[::ffff:1.2.3.4]/", "IPv6 form"),
    ("https://[::127.0.0.1]/", "a form of 127.0.0.1, a loopback"),
    ("https://[::ffff:169.254.169.254]/", "never"),
    ("https://[::ffff:0:169.254.169.254]/", "never"),
    ("https://[64:ff9b::a9fe:a9fe]/", "never"),
    ("https://[64:ff9b::10.0.0.5]/", "a form of 10.0.0.5, a private"),
    ("https://[64:ff9b:1::169.254.169.254]/", "never"),
    ("https://[2002:a9fe:a9fe::1]/", "never"),
    ("https://[2002:7f00:1::]/", "a form of 127.0.0.1, a loopback"),
    ("https://[2001:0:a9fe:a9fe::1]/", "never"),
    ("https://[2001:0:808:808:0:0:80ff:fffe]/", "a form of 127.0.0.1, a loopback"),
    ("https://[2600::5efe:169.254.169.254]/", "never"),
];

/// Names, and what they resolve to.
const NAMES: &[(&str, &[&str], &str)] = &[
    ("https://localhost/", &["127.0.0.1"], "localhost leads to 127.0.0.1, which is a loopback"),
    ("https://LOCALHOST./", &["::1", "127.0.0.1"], "leads to ::1, which is a loopback"),
    ("https://kubernetes.default.svc/", &["10.96.0.1"], "leads to 10.96.0.1, which is a private"),
    ("https://metadata.google.internal/computeMetadata/v1/", &["169.254.169.254"], "never"),
    ("https://127.0.0.1.nip.io/", &["127.0.0.1"], "leads to 127.0.0.1"),
    ("https://hooks.example.com:10250/", &["192.168.1.1"], "leads to 192.168.1.1, which is a private"),
    ("https://hooks.example.com./", &["172.16.0.1"], "private"),
    ("https://HOOKS.Example.COM/", &["100.64.0.1"], "carrier-grade NAT"),
    ("https://münchen.example/", &["fd12:3456:789a::1"], "xn--mnchen-3ya.example leads to fd12:3456:789a::1"),
    ("https://ⓔxample.com/", &["10.0.0.5"], "example.com leads to 10.0.0.5"),
    ("https://exa\u{ad}mple.com/", &["10.0.0.5"], "example.com leads to 10.0.0.5"),
    ("https://hooks.example.com/@1.2.3.4", &["0.0.0.0"], "never"),
    ("https://hooks.example.com/#@1.2.3.4", &["::"], "never"),
    ("https://hooks.example.com/", &["fe80::1"], "never"),
    ("https://hooks.example.com/", &["fd00:ec2::254"], "never"),
    ("https://hooks.example.com/", &["100.100.100.200"], "never"),
    ("https://hooks.example.com/", &["239.1.1.1"], "never"),
    ("https://hooks.example.com/", &["255.255.255.255"], "never"),
    ("https://hooks.example.com/", &["203.0.113.7"], "documentation"),
    ("https://hooks.example.com/", &["240.0.0.1"], "reserved"),
    ("https://hooks.example.com/", &["::ffff:10.0.0.5"], "a form of 10.0.0.5, a private"),
    ("https://hooks.example.com/", &["::ffff:169.254.169.254"], "never"),
    ("https://hooks.example.com/", &["64:ff9b::a9fe:a9fe"], "never"),
    ("https://hooks.example.com/", &["2002:a9fe:a9fe::1"], "never"),
    // one of several is enough, wherever it stands
    ("https://hooks.example.com/", &["1.2.3.4", "10.0.0.5"], "leads to 10.0.0.5"),
    ("https://hooks.example.com/", &["10.0.0.5", "1.2.3.4"], "leads to 10.0.0.5"),
    ("https://hooks.example.com/", &["1.2.3.4", "2606:4700::1111", "1.1.1.1", "169.254.169.254"], "never"),
];

/// What is no URL at all, so that nothing could be checked.
const NO_URLS: &[&str] = &[
    "https://[fe80::1%25eth0]/",
    "https://[::ffff:127.0.0.256]/",
    "https://127.0.0.1%00.example.com/",
    "https://256.1.1.1/",
    "https://1.2.3.4.5/",
    "https://0x7f.1.1.1.1/",
    "https:///",
    "https://hooks.example.com:99999/",
    "https://hooks example.com/",
    "https://%6c%6f%63%61%6c host/",
];

fn check(url: &Url) -> Check {
    Check { url: url.clone(), headers: Vec::new(), version: 1, timeout: HASTE, ca_bundle: None }
}

async fn run(url: &Url, guard: &Guard, says: Says) -> Result<Report, String> {
    let prober = Prober::with_resolver(Arc::new(Names::say(&[says])));
    prober.check(&check(url), guard).await.map_err(|refusal| refusal.to_string())
}

/// No switch, either one alone, and both for a range elsewhere.
fn guards() -> Vec<Guard> {
    let ranges = |ranges: &[&str]| ranges.iter().map(|range| range.parse().unwrap()).collect::<Vec<_>>();
    let everything = ranges(&["0.0.0.0/0", "::/0"]);
    vec![
        Guard::default(),
        Guard { allow_private_networks: true, ..Guard::default() },
        Guard { private_ranges: everything, ..Guard::default() },
        Guard { allow_private_networks: true, private_ranges: ranges(&["10.99.0.0/16"]), ..Guard::default() },
    ]
}

fn open() -> Guard {
    let private_ranges = vec!["0.0.0.0/0".parse().unwrap(), "::/0".parse().unwrap()];
    Guard { allow_private_networks: true, private_ranges, ..Guard::default() }
}

fn rows() -> impl Iterator<Item = (Url, &'static [&'static str], &'static str)> {
    let literals = LITERALS.iter().map(|(url, words)| (*url, &[][..], *words));
    let named = NAMES.iter().copied();
    literals.chain(named).map(|(url, addresses, words)| (Url::parse(url).unwrap(), addresses, words))
}

/// Where a row would lead if nothing were refused.
fn leads_to(url: &Url, addresses: &[&str]) -> Vec<SocketAddr> {
    let port = url.port().unwrap_or(443);
    let addresses = match url.host() {
        Some(Host::Ipv4(address)) => vec![address.into()],
        Some(Host::Ipv6(address)) => vec![address.into()],
        _ => parsed(addresses),
    };
    addresses.into_iter().map(|address| SocketAddr::new(address, port)).collect()
}

/// Multicast, broadcast, what is kept for the future, and link-local addresses without an interface: refused by the kernel itself.
fn no_machine_connects_to(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_multicast() || address.octets()[0] >= 240,
        IpAddr::V6(address) => address.is_multicast() || address.is_unicast_link_local(),
    }
}

#[test]
fn every_hostile_url_is_refused_in_its_own_words_and_no_connection_is_tried() {
    isolated(async || {
        assert!(LITERALS.len() + NAMES.len() >= 60);
        let before = Traffic::so_far();
        for (url, addresses, words) in rows() {
            for guard in guards() {
                let refusal = run(&url, &guard, Says::Addresses(addresses)).await.expect_err(url.as_str());
                assert!(refusal.contains(words), "{url}: \"{words}\" is not in: {refusal}");
            }
            if words == "never" {
                let refusal = run(&url, &open(), Says::Addresses(addresses)).await.expect_err(url.as_str());
                assert!(refusal.ends_with("that is never called"), "{url}: {refusal}");
            }
        }
        assert_eq!(Traffic::so_far(), before, "something was sent");
    });
}

#[test]
fn a_connection_to_any_of_these_addresses_would_have_been_seen() {
    isolated(async || {
        for (url, addresses, _) in rows() {
            for address in leads_to(&url, addresses) {
                let before = Traffic::so_far();
                let tried =
                    timeout(Duration::from_secs(30), TcpStream::connect(address)).await.expect("nobody listens");
                let error = tried.expect_err("nobody listens");
                let seen = Traffic::so_far() != before;
                assert!(seen || no_machine_connects_to(address.ip()), "{address}: {error}");
            }
        }
    });
}

#[test]
fn what_is_no_url_is_not_taken_for_one() {
    for url in NO_URLS {
        assert!(Url::parse(url).is_err(), "{url}");
    }
}

#[test]
fn a_name_server_that_fails_says_nothing_or_knows_no_address_is_a_failing_check_and_no_connection() {
    isolated(async || {
        let before = Traffic::so_far();
        let url = Url::parse("https://hooks.example.com/").unwrap();
        for (says, words) in [
            (Says::Addresses(&[]), "cannot resolve hooks.example.com: it has no address"),
            (Says::Failure("the name \u{1b}[31mserver\u{202e} is\r\naway"), "the name [31mserver is away"),
            (Says::Nothing, "time ran out while resolving the host name"),
        ] {
            let report = run(&url, &open(), says).await.unwrap();
            assert!(!report.passing && report.message.contains(words), "{report:?}");
        }
        assert_eq!(Traffic::so_far(), before, "something was sent");
    });
}
