use proptest::prelude::*;

use super::*;

fn guard(ranges: &[&str]) -> Guard {
    Guard {
        allow_private_networks: !ranges.is_empty(),
        private_ranges: ranges.iter().map(|range| range.parse().unwrap()).collect(),
        ..Guard::default()
    }
}

fn allowing(hosts: &[&str]) -> Guard {
    Guard { allowed_hosts: hosts.iter().map(|host| host.parse().unwrap()).collect(), ..Guard::default() }
}

fn judge_url(guard: &Guard, url: &str) -> Result<(), Refusal> {
    guard.judge_url(&Url::parse(url).unwrap_or_else(|error| panic!("{url}: {error}")))
}

fn judge_address(guard: &Guard, address: &str) -> Result<(), Refusal> {
    judge_addresses(guard, &[address.parse().unwrap()])
}

fn judge_addresses(guard: &Guard, addresses: &[IpAddr]) -> Result<(), Refusal> {
    guard.judge_addresses(&Url::parse("https://hooks.example.com:8443/").unwrap(), addresses)
}

/// Every URL here must be refused by a guard without switches; those that no switch opens come with the word `never`.
const HOSTILE: &[(&str, &str)] = &[
    ("http://api.example.com/hook", "only https"),
    ("ftp://api.example.com/hook", "only https"),
    ("file:///etc/passwd", "only https"),
    ("gopher://127.0.0.1:70/", "only https"),
    ("ws://api.example.com/", "only https"),
    ("unix:/run/docker.sock", "only https"),
    ("data:text/plain,x", "only https"),
    ("javascript:alert(1)", "only https"),
    ("https+insecure://api.example.com/", "only https"),
    ("https://user@api.example.com/", "user name or password"),
    ("https://user:pass@api.example.com/", "user name or password"),
    ("https://:pass@api.example.com/", "user name or password"),
    ("https://api.example.com@10.0.0.1/", "user name or password"),
    ("https://127.0.0.1/", "loopback"),
    ("https://127.0.0.1:8443/hook?x=1#y", "loopback"),
    ("https://127.0.0.1./", "loopback"),
    ("https://127.1/", "loopback"),
    ("https://127.0.1/", "loopback"),
    ("https://127.255.255.254/", "loopback"),
    ("https://2130706433/", "loopback"),
    ("https://0x7f000001/", "loopback"),
    ("https://0x7F.0x0.0x0.0x1/", "loopback"),
    ("https://017700000001/", "loopback"),
    ("https://0177.0.0.01/", "loopback"),
    ("https://0177.0x0.0.1/", "loopback"),
    ("https://%31%32%37.0.0.1/", "loopback"),
    ("https://１２７.０.０.１/", "loopback"),
    ("https://①②⑦.⓪.⓪.①/", "loopback"),
    ("https://127。0。0。1/", "loopback"),
    ("https:127.0.0.1", "loopback"),
    ("https:\\\\127.0.0.1\\hook", "loopback"),
    ("https:////127.0.0.1/", "loopback"),
    ("HTTPS://127.0.0.1/", "loopback"),
    ("https://\t127.0.0.1/", "loopback"),
    ("https://[::1]/", "loopback"),
    ("https://[0:0:0:0:0:0:0:1]/", "loopback"),
    ("https://[0000:0000::0001]:443/", "loopback"),
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
    ("https://224.0.0.1/", "never"),
    ("https://[ff02::1]/", "never"),
    ("https://255.255.255.255/", "never"),
    ("https://4294967295/", "never"),
    ("https://10.0.0.1/", "private"),
    ("https://167772161/", "private"),
    ("https://172.16.0.1/", "private"),
    ("https://172.31.255.255/", "private"),
    ("https://192.168.1.1/", "private"),
    ("https://0xc0a80101/", "private"),
    ("https://100.64.0.1/", "carrier-grade NAT"),
    ("https://[fd12:3456:789a::1]/", "unique-local"),
    ("https://[fec0::1]/", "unique-local"),
    ("https://192.0.2.1/", "documentation"),
    ("https://[2001:db8::1]/", "documentation"),
    ("https://198.18.0.1/", "benchmarks"),
    ("https://240.0.0.1/", "reserved"),
    ("https://[5f00::1]/", "reserved"),
    ("https://[::ffff:127.0.0.1]/", "a form of 127.0.0.1, a loopback"),
    ("https://[::ffff:7f00:1]/", "a form of 127.0.0.1, a loopback"),
    ("https://[0:0:0:0:0:ffff:10.0.0.1]/", "a form of 10.0.0.1, a private"),
    ("https://[::ffff:8.8.8.8]/", "IPv6 form"),
    ("https://[::127.0.0.1]/", "a form of 127.0.0.1, a loopback"),
    ("https://[::ffff:169.254.169.254]/", "never"),
    ("https://[::ffff:0:169.254.169.254]/", "never"),
    ("https://[64:ff9b::a9fe:a9fe]/", "never"),
    ("https://[64:ff9b:1::169.254.169.254]/", "never"),
    ("https://[2002:a9fe:a9fe::1]/", "never"),
    ("https://[2001:0:a9fe:a9fe::1]/", "never"),
    ("https://[2001:0:808:808:0:0:5601:5601]/", "never"),
    ("https://[2600::5efe:169.254.169.254]/", "never"),
    ("https://[64:ff9b::10.0.0.1]/", "a form of 10.0.0.1, a private"),
    ("https://[2002:7f00:1::]/", "a form of 127.0.0.1, a loopback"),
    ("https://[2001:0:808:808:0:0:80ff:fffe]/", "a form of 127.0.0.1, a loopback"),
];

#[test]
fn no_hostile_url_passes_a_guard_without_switches() {
    for (url, words) in HOSTILE {
        let refusal = judge_url(&Guard::default(), url).expect_err(url).to_string();
        assert!(refusal.contains(words), "{url}: \"{words}\" is not in: {refusal}");
    }
}

#[test]
fn no_switch_opens_what_is_never_allowed() {
    let open = guard(&["0.0.0.0/0", "::/0"]);
    for (url, _) in HOSTILE.iter().filter(|(_, words)| *words == "never") {
        assert!(judge_url(&open, url).is_err(), "{url}");
    }
}

#[test]
fn both_switches_open_everything_else() {
    let open = guard(&["0.0.0.0/0", "::/0"]);
    for (url, words) in HOSTILE {
        let is_address = !["never", "only https", "user name or password"].contains(words);
        assert!(!is_address || judge_url(&open, url).is_ok(), "{url}");
    }
}

#[test]
fn public_urls_pass() {
    for url in [
        "https://api.example.com/hooks/orders",
        "https://api.example.com:8443/hooks?a=b#c",
        "https://api.example.com./",
        "https://münchen.example/",
        "https://1.1.1.1/",
        "https://[2606:4700::1111]/",
        "https://127.0.0.1.example.com/",
        "https://example.com/@10.0.0.1",
        "https://example.com/?url=https://127.0.0.1/",
    ] {
        assert_eq!(judge_url(&Guard::default(), url), Ok(()), "{url}");
    }
}

#[test]
fn a_private_address_needs_operator_and_tenant() {
    let operator_only = Guard { allow_private_networks: false, ..guard(&["10.0.0.0/8"]) };
    let tenant_only = Guard { allow_private_networks: true, ..Guard::default() };
    let elsewhere = guard(&["10.1.0.0/16"]);
    let both = guard(&["192.168.0.0/16", "10.0.0.0/8"]);
    for (guard, operator, tenant) in [
        (Guard::default(), "is not", "is not"),
        (operator_only, "is so", "is not"),
        (tenant_only, "is not", "is so"),
        (elsewhere, "is not", "is so"),
    ] {
        let refusal = judge_address(&guard, "10.0.0.5").unwrap_err().to_string();
        assert!(refusal.contains("hooks.example.com leads to 10.0.0.5"), "{refusal}");
        assert!(refusal.contains("a private address"), "{refusal}");
        assert!(
            refusal.contains(&format!("--allow-private-callbacks for a range that contains 10.0.0.5 ({operator})"))
        );
        assert!(refusal.contains(&format!("spec.callbacks.allowPrivateNetworks: true ({tenant})")), "{refusal}");
    }
    assert_eq!(judge_address(&both, "10.0.0.5"), Ok(()));
}

#[test]
fn an_ipv6_form_needs_its_own_range_and_that_of_the_address_within() {
    let address = "64:ff9b::10.0.0.5";
    assert!(judge_address(&guard(&["10.0.0.0/8"]), address).is_err());
    assert!(judge_address(&guard(&["64:ff9b::/96"]), address).is_err());
    assert_eq!(judge_address(&guard(&["64:ff9b::/96", "10.0.0.0/8"]), address), Ok(()));
    assert_eq!(judge_address(&guard(&["64:ff9b::/96"]), "64:ff9b::8.8.8.8"), Ok(()));
    assert!(judge_address(&guard(&["64:ff9b::/96", "169.254.0.0/16"]), "64:ff9b::169.254.169.254").is_err());
}

#[test]
fn one_forbidden_address_forbids_all() {
    let addresses = ["1.1.1.1", "2606:4700::1111", "10.0.0.5", "8.8.8.8"].map(|address| address.parse().unwrap());
    let refusal = judge_addresses(&Guard::default(), &addresses).unwrap_err();
    assert!(refusal.to_string().contains("10.0.0.5"), "{refusal}");
    assert_eq!(judge_addresses(&Guard::default(), &addresses[..2]), Ok(()));
}

#[test]
fn the_api_server_and_the_own_pod_are_never_called_in_any_form() {
    let never = ["34.1.2.3", "10.96.0.1", "2606:4700::9"].map(|own| Own::Address(own.parse().unwrap())).to_vec();
    let guard = Guard { never, ..guard(&["0.0.0.0/0", "::/0"]) };
    for address in ["34.1.2.3", "10.96.0.1", "2606:4700::9", "::ffff:34.1.2.3", "64:ff9b::10.96.0.1", "2002:2201:203::"]
    {
        let refusal = judge_address(&guard, address).unwrap_err();
        assert!(matches!(refusal.rule(), Rule::OwnAddress(_)), "{address}: {refusal}");
    }
    assert!(matches!(judge_url(&guard, "https://10.96.0.1/").unwrap_err().rule(), Rule::OwnAddress(_)));
    assert_eq!(judge_address(&guard, "10.96.0.2"), Ok(()));
}

#[test]
fn on_loopback_an_own_port_is_never_called_at_any_address_and_in_any_form() {
    let never = vec![Own::at("127.0.0.1:8443".parse().unwrap()), Own::at("[::ffff:34.1.2.3]:443".parse().unwrap())];
    let guard = Guard { never, ..guard(&["0.0.0.0/0", "::/0"]) };
    for address in ["127.0.0.1", "127.0.0.9", "::1", "::ffff:127.0.0.1", "2002:7f00:1::", "34.1.2.3"] {
        let refusal = judge_address(&guard, address).unwrap_err();
        assert!(matches!(refusal.rule(), Rule::OwnAddress(_)), "{address}: {refusal}");
    }
    assert!(matches!(judge_url(&guard, "https://127.1:8443/").unwrap_err().rule(), Rule::OwnAddress(_)));
    assert_eq!(judge_url(&guard, "https://127.0.0.1/"), Ok(()));
    assert_eq!(judge_address(&guard, "10.0.0.5"), Ok(()));
}

#[test]
fn only_allowed_hosts_pass() {
    let guard =
        allowing(&["*.example.com", "Hooks.Partner.example", "münchen.example", "1.1.1.1", "[2606:4700::1111]"]);
    for url in [
        "https://api.example.com/",
        "https://a.b.example.com/",
        "https://API.EXAMPLE.COM./",
        "https://hooks.partner.example/",
        "https://xn--mnchen-3ya.example/",
        "https://1.1.1.1/",
        "https://0x01010101/",
        "https://[2606:4700:0::1111]/",
    ] {
        assert_eq!(judge_url(&guard, url), Ok(()), "{url}");
    }
    for url in [
        "https://example.com/",
        "https://badexample.com/",
        "https://api.example.com.evil.example/",
        "https://.example.com/",
        "https://partner.example/",
        "https://x.hooks.partner.example/",
        "https://1.1.1.2/",
        "https://evil.example/api.example.com",
    ] {
        let refusal = judge_url(&guard, url).expect_err(url);
        assert!(matches!(refusal.rule(), Rule::HostNotAllowed(_)), "{url}: {refusal}");
        assert!(refusal.to_string().contains("spec.callbacks.allowedHosts (*.example.com, "), "{refusal}");
    }
}

#[test]
fn an_allowed_host_does_not_open_a_private_address() {
    let refusal = judge_url(&allowing(&["10.0.0.5"]), "https://10.0.0.5/").unwrap_err().to_string();
    assert!(refusal.starts_with("callback host 10.0.0.5 is a private address"), "{refusal}");
    assert!(judge_address(&allowing(&["*.example.com"]), "10.0.0.5").is_err());
}

#[test]
fn what_is_no_host_is_no_pattern() {
    for text in ["", "*", "*.", "*.*.example.com", "a.*.example.com", "api*.example.com", "*.10.0.0.1", "10.0.0.0/8"] {
        let error = text.parse::<HostPattern>().expect_err(text).to_string();
        assert!(error.contains("*.example.com"), "{error}");
    }
    for text in ["https://api.example.com", "api.example.com:443", "api.example.com/hook", "a b", "fd00::1"] {
        assert!(text.parse::<HostPattern>().is_err(), "{text}");
    }
}

#[test]
fn a_pattern_shows_as_it_was_written() {
    for text in ["*.example.com", "api.example.com", "10.0.0.5", "[2606:4700::1111]"] {
        assert_eq!(text.parse::<HostPattern>().unwrap().to_string(), text);
    }
}

proptest! {
    #[test]
    fn no_ipv6_form_is_safer_than_the_address_within(bits: u32, form in 0..6_usize, high: u16) {
        let [a, b, c, d] = bits.to_be_bytes();
        let (first, last) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
        let form = match form {
            0 => [0, 0, 0, 0, 0, 0xffff, first, last],
            1 => [0x64, 0xff9b, 0, 0, 0, 0, first, last],
            2 => [0x2002, first, last, high, 0, 0, 0, 1],
            3 => [0x2001, 0, high, 1, 0, 0, !first, !last],
            4 => [0x64, 0xff9b, 1, high, 0, 0, first, last],
            _ => [0x2600, high, 0, 0, 0x200, 0x5efe, first, last],
        };
        let within = IpAddr::from([a, b, c, d]);
        let ranges: Vec<IpNet> = vec!["::/0".parse().unwrap(), "10.0.0.0/8".parse().unwrap()];
        let guard = Guard { private_ranges: ranges, allow_private_networks: true, ..Guard::default() };
        let judge = |address| judge_addresses(&guard, &[address]).is_ok();
        prop_assert!(judge(within) || !judge(IpAddr::from(form)));
        prop_assert!(judge_addresses(&Guard::default(), &[IpAddr::from(form)]).is_err());
    }

    #[test]
    fn no_url_that_is_allowed_as_it_stands_leads_to_an_address_that_is_not_public(
        scheme in "(https|http|ftp|HTTPS)", user in "([a-z]{1,3}(:[a-z]{0,3})?@)?",
        host in "[0-9a-fx]{1,10}(\\.[0-9a-fx]{0,10}){0,3}\\.?|\\[[0-9a-f:.]{2,30}\\]|[0-9]{1,10}|\\PC{1,20}",
        rest in "(:[0-9]{1,5})?(/\\PC{0,20})?"
    ) {
        let Ok(url) = Url::parse(&format!("{scheme}://{user}{host}{rest}")) else { return Ok(()) };
        match Guard::default().judge_url(&url) {
            Ok(()) => {
                prop_assert_eq!(url.scheme(), "https");
                prop_assert!(url.username().is_empty() && url.password().is_none());
                let address = url.host().and_then(|host| literal(&host));
                prop_assert!(address.is_none_or(|address| Class::of(address).is_none()), "{}", url);
            }
            Err(refusal) => {
                let told = refusal.to_string();
                prop_assert!(!told.chars().any(crate::text::is_unfit), "{}", told);
            }
        }
    }

    #[test]
    fn a_host_pattern_is_refused_or_reads_the_same_again(text in "(\\*\\.)?(\\PC{0,12}|[a-z0-9.*-]{0,12}|\\[[0-9a-f:]{2,9}\\])") {
        if let Ok(pattern) = text.parse::<HostPattern>() {
            prop_assert_eq!(pattern.to_string().parse::<HostPattern>().ok(), Some(pattern));
        }
    }
}
