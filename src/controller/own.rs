//! What no callback may lead to, whatever is allowed: the API server and the operator's own pod.

use std::{
    env,
    net::{IpAddr, SocketAddr, UdpSocket},
};

use crate::probe::Own;

/// Where the environment tells addresses: of the pod (docs/operations.md) and of the API server.
const VARIABLES: [&str; 3] = ["POD_IP", "POD_IPS", "KUBERNETES_SERVICE_HOST"];

/// All that is known when the operator starts: where its API server is, the addresses that it has itself, and the port of
/// its probes and metrics.
pub async fn addresses(config: &kube::Config, listen: SocketAddr) -> Vec<Own> {
    let host = config.cluster_url.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    let port = config.cluster_url.port_u16().unwrap_or(443);
    let api_server: Vec<SocketAddr> = tokio::net::lookup_host((host, port)).await.into_iter().flatten().collect();
    let told = VARIABLES.into_iter().filter_map(|name| env::var(name).ok()).collect::<Vec<_>>().join(",");
    of(&api_server, &told, listen)
}

fn of(api_server: &[SocketAddr], told: &str, listen: SocketAddr) -> Vec<Own> {
    let told = told.split(',').filter_map(|address| address.trim().parse::<IpAddr>().ok());
    let interfaces = api_server.iter().filter_map(|server| interface_towards(*server));
    let addresses = told.chain(interfaces).filter(|address| !address.is_loopback()).map(Own::Address);
    let mut own: Vec<Own> = api_server.iter().copied().map(Own::at).chain(addresses).collect();
    own.push(Own::LoopbackPort(listen.port()));
    own
}

/// The address from which this process speaks to another one. Nothing is sent.
fn interface_towards(there: SocketAddr) -> Option<IpAddr> {
    let any: SocketAddr = if there.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0_u16; 8], 0).into() };
    let socket = UdpSocket::bind(any).ok()?;
    socket.connect(there).ok()?;
    Some(socket.local_addr().ok()?.ip())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_api_server_elsewhere_and_the_pods_addresses_are_own_with_all_their_ports() {
        let own = of(&[at("192.0.2.1:443")], "10.244.0.7, fd00::7,10.96.0.1,not an address,", at("0.0.0.0:8080"));
        for address in ["192.0.2.1", "10.244.0.7", "fd00::7", "10.96.0.1"] {
            assert!(own.contains(&Own::Address(address.parse().unwrap())), "{address}: {own:?}");
        }
        assert!(own.contains(&Own::LoopbackPort(8080)), "{own:?}");
    }

    #[test]
    fn on_loopback_only_the_ports_of_api_server_and_operator_are_own() {
        let own = of(&[at("127.0.0.1:6443"), at("[::1]:6443")], "127.0.0.1", at("127.0.0.1:8080"));
        assert_eq!(own, [Own::LoopbackPort(6443), Own::LoopbackPort(6443), Own::LoopbackPort(8080)]);
    }

    #[test]
    fn the_own_address_is_found_without_being_told() {
        assert_eq!(interface_towards(at("127.0.0.1:1")), Some("127.0.0.1".parse().unwrap()));
    }
}
