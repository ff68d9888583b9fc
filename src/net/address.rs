//! What kind of network an address belongs to, whatever form it hides in.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

/// The kinds of addresses that are not the public Internet (IANA special-purpose registries, and the metadata services
/// of the cloud providers).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// 0.0.0.0/8 and ::, which reach the machine itself.
    Unspecified,
    /// 127.0.0.0/8 and `::1`.
    Loopback,
    /// 169.254.0.0/16 and `fe80::/10`.
    LinkLocal,
    /// Where clouds hand out credentials, as far as that is outside the link-local range.
    Metadata,
    /// 10.0.0.0/8, 172.16.0.0/12 and 192.168.0.0/16.
    Private,
    /// `fc00::/7`, and the older `fec0::/10`.
    UniqueLocal,
    /// 100.64.0.0/10.
    CarrierGradeNat,
    /// 224.0.0.0/4 and `ff00::/8`.
    Multicast,
    /// 255.255.255.255.
    Broadcast,
    /// Addresses for documentation, as 192.0.2.0/24 and `2001:db8::/32`.
    Documentation,
    /// Addresses for benchmarks, as 198.18.0.0/15.
    Benchmark,
    /// An IPv6 form of an IPv4 address: mapped, compatible, translated, NAT64, 6to4, Teredo or ISATAP.
    EmbeddedIpv4,
    /// Whatever else is not assigned to the public Internet.
    Reserved,
}

impl Class {
    /// The class of an address; `None` is the public Internet. The address is taken as it stands: see [`embedded`].
    pub fn of(address: IpAddr) -> Option<Self> {
        if METADATA.contains(&address) {
            return Some(Self::Metadata);
        }
        match address {
            IpAddr::V4(address) => of_v4(address),
            IpAddr::V6(address) => of_v6(address),
        }
    }

    /// Whether no switch opens addresses of this class to health checks.
    pub const fn is_never_allowed(self) -> bool {
        matches!(self, Self::Unspecified | Self::LinkLocal | Self::Metadata | Self::Multicast | Self::Broadcast)
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unspecified => "an unspecified address",
            Self::Loopback => "a loopback address",
            Self::LinkLocal => "a link-local address",
            Self::Metadata => "the address of a cloud metadata service",
            Self::Private => "a private address",
            Self::UniqueLocal => "a unique-local address",
            Self::CarrierGradeNat => "a carrier-grade NAT address",
            Self::Multicast => "a multicast address",
            Self::Broadcast => "the broadcast address",
            Self::Documentation => "an address for documentation",
            Self::Benchmark => "an address for benchmarks",
            Self::EmbeddedIpv4 => "an IPv6 form of an IPv4 address",
            Self::Reserved => "a reserved address",
        })
    }
}

/// Metadata services outside the link-local ranges: AWS (instances, EKS Pod Identity), Google Cloud, Scaleway, Alibaba,
/// Azure and Oracle.
const METADATA: [IpAddr; 7] = [
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23)),
    IpAddr::V6(Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0x42, 0, 0, 0, 0, 0, 0x42)),
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
];

/// The IPv4 addresses that an IPv6 address may lead to; empty for most. Teredo carries two, of server and client.
pub fn embedded(address: IpAddr) -> Vec<Ipv4Addr> {
    let IpAddr::V6(address) = address else { return Vec::new() };
    let v4 = |high: u16, low: u16| Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low));
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => Vec::new(),
        // compatible and mapped, translated, NAT64 (RFC 6052, and the local range of RFC 8215), 6to4, ISATAP
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low]
        | [0, 0, 0, 0, 0xffff, 0, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        | [0x64, 0xff9b, 1, _, _, _, high, low]
        | [0x2002, high, low, _, _, _, _, _]
        | [_, _, _, _, 0 | 0x200, 0x5efe, high, low] => vec![v4(high, low)],
        // Teredo: the server, and the client with all bits turned
        [0x2001, 0, server_high, server_low, _, _, high, low] => vec![v4(server_high, server_low), v4(!high, !low)],
        _ => Vec::new(),
    }
}

fn of_v4(address: Ipv4Addr) -> Option<Class> {
    Some(match address.octets() {
        [0, ..] => Class::Unspecified,
        [127, ..] => Class::Loopback,
        [169, 254, ..] => Class::LinkLocal,
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => Class::Private,
        [100, 64..=127, ..] => Class::CarrierGradeNat,
        [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => Class::Documentation,
        [198, 18..=19, ..] => Class::Benchmark,
        [224..=239, ..] => Class::Multicast,
        [255, 255, 255, 255] => Class::Broadcast,
        // IETF protocol assignments, the 6to4 relay anycast range, and what is kept for the future
        [192, 0, 0, _] | [192, 88, 99, _] | [240..=255, ..] => Class::Reserved,
        _ => return None,
    })
}

fn of_v6(address: Ipv6Addr) -> Option<Class> {
    Some(match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0] => Class::Unspecified,
        [0, 0, 0, 0, 0, 0, 0, 1] => Class::Loopback,
        [0xfe80..=0xfebf, ..] => Class::LinkLocal,
        [0xfc00..=0xfdff | 0xfec0..=0xfeff, ..] => Class::UniqueLocal,
        [0xff00..=0xffff, ..] => Class::Multicast,
        _ if !embedded(address.into()).is_empty() => Class::EmbeddedIpv4,
        [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => Class::Documentation,
        [0x2001, 2, 0, ..] => Class::Benchmark,
        // IETF protocol assignments are 2001::/23
        [0x2001, 0..=0x1ff, ..] => Class::Reserved,
        // the only range that is given out to the public Internet
        [0x2000..=0x3fff, ..] => return None,
        _ => Class::Reserved,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_special_range_is_known_up_to_its_ends() {
        use Class::*;
        let table: &[(Option<Class>, &[&str])] = &[
            (Some(Unspecified), &["0.0.0.0", "0.255.255.255", "::"]),
            (Some(Loopback), &["127.0.0.0", "127.0.0.1", "127.255.255.255", "::1"]),
            (
                Some(LinkLocal),
                &["169.254.0.0", "169.254.169.254", "169.254.255.255", "fe80::1", "febf::1", "fe80::5efe:8.8.8.8"],
            ),
            (Some(Metadata), &["fd00:ec2::254", "fd00:ec2::23", "fd20:ce::254", "fd00:42::42"]),
            (Some(Metadata), &["100.100.100.200", "168.63.129.16", "192.0.0.192"]),
            (Some(Private), &["10.0.0.0", "10.255.255.255", "172.16.0.0", "172.31.255.255"]),
            (Some(Private), &["192.168.0.0", "192.168.255.255"]),
            (Some(UniqueLocal), &["fc00::", "fd12:3456::1", "fdff:ffff::", "fec0::1", "feff::1"]),
            (Some(CarrierGradeNat), &["100.64.0.0", "100.127.255.255"]),
            (Some(Multicast), &["224.0.0.0", "239.255.255.255", "ff00::", "ff02::1", "ffff::"]),
            (Some(Broadcast), &["255.255.255.255"]),
            (Some(Documentation), &["192.0.2.1", "198.51.100.1", "203.0.113.255", "2001:db8::1", "3fff:fff::1"]),
            (Some(Benchmark), &["198.18.0.0", "198.19.255.255", "2001:2::1"]),
            (Some(EmbeddedIpv4), &["::ffff:8.8.8.8", "::8.8.8.8", "::ffff:0:8.8.8.8", "64:ff9b::8.8.8.8"]),
            (Some(EmbeddedIpv4), &["64:ff9b:1::8.8.8.8", "2002:808:808::1", "2001::1", "2001:0:ffff::1"]),
            (Some(EmbeddedIpv4), &["2600::5efe:8.8.8.8", "2600::200:5efe:8.8.8.8"]),
            (Some(Reserved), &["192.0.0.1", "192.88.99.1", "240.0.0.0", "255.255.255.254"]),
            (
                Some(Reserved),
                &["100::1", "2001:1::1", "2001:10::1", "2001:1ff::1", "4000::1", "5f00::1", "64:ff9b:2::1"],
            ),
            (None, &["1.1.1.1", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255"]),
            (None, &["128.0.0.0", "169.253.255.255", "169.255.0.0", "172.15.255.255", "172.32.0.0", "192.0.1.0"]),
            (None, &["192.167.255.255", "192.169.0.0", "198.17.255.255", "198.20.0.0", "223.255.255.255"]),
            (None, &["2000::1", "2001:200::1", "2001:4860:4860::8888", "2606:4700::1111", "3ffe:ffff::1"]),
        ];
        for (class, addresses) in table {
            for address in *addresses {
                assert_eq!(Class::of(address.parse().unwrap()), *class, "{address}");
            }
        }
    }

    #[test]
    fn embedded_addresses_are_found_in_every_form() {
        for (address, expected) in [
            ("::ffff:10.1.2.3", vec!["10.1.2.3"]),
            ("::10.1.2.3", vec!["10.1.2.3"]),
            ("::ffff:0:10.1.2.3", vec!["10.1.2.3"]),
            ("64:ff9b::a01:203", vec!["10.1.2.3"]),
            ("64:ff9b:1:2::a01:203", vec!["10.1.2.3"]),
            ("2002:a01:203::1", vec!["10.1.2.3"]),
            ("2001:0:a01:203:8000:63bf:3fff:fdd2", vec!["10.1.2.3", "192.0.2.45"]),
            ("2600:1::5efe:a01:203", vec!["10.1.2.3"]),
            ("::", vec![]),
            ("::1", vec![]),
            ("2606:4700::1111", vec![]),
            ("10.1.2.3", vec![]),
        ] {
            let found: Vec<String> = embedded(address.parse().unwrap()).iter().map(ToString::to_string).collect();
            assert_eq!(found, expected, "{address}");
        }
    }
}
