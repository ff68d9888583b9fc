//! Ports that stay the simulator's own while it does not listen.

use std::{io, net::SocketAddr};

use tokio::net::{TcpListener, TcpSocket};

const BACKLOG: u32 = 1024;

/// A port that is held by a socket which never listens: connections are refused between two listeners, and nobody else can be given
/// the port meanwhile, neither by asking for any free one nor as the source of a connection.
#[derive(Debug)]
pub(crate) struct Port {
    address: SocketAddr,
    _held: TcpSocket,
}

impl Port {
    /// Takes a port, any free one for 0. Fails where somebody else has it.
    pub(crate) fn take(address: SocketAddr) -> io::Result<Self> {
        let held = socket(address)?;
        held.bind(address)?;
        // Only now, so that a port that another simulator holds is not shared with it but refused.
        held.set_reuseport(true)?;
        Ok(Self { address: held.local_addr()?, _held: held })
    }

    /// Where it is.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Begins to listen; ends when the listener is dropped.
    pub(crate) fn listen(&self) -> io::Result<TcpListener> {
        let socket = socket(self.address)?;
        socket.set_reuseport(true)?;
        socket.bind(self.address)?;
        socket.listen(BACKLOG)
    }
}

fn socket(address: SocketAddr) -> io::Result<TcpSocket> {
    if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::net::TcpStream;

    use super::*;

    fn any() -> SocketAddr {
        (Ipv4Addr::LOCALHOST, 0).into()
    }

    #[tokio::test]
    async fn a_port_is_refused_to_others_while_nobody_listens() {
        let port = Port::take(any()).unwrap();
        for _ in 0..3 {
            let listener = port.listen().unwrap();
            let client = TcpStream::connect(port.address()).await.unwrap();
            let (server, _) = listener.accept().await.unwrap();
            // The side that closes first leaves a connection behind that still waits.
            drop((server, client, listener));
            assert_eq!(TcpListener::bind(port.address()).await.unwrap_err().kind(), io::ErrorKind::AddrInUse);
            let refused = TcpStream::connect(port.address()).await.unwrap_err();
            assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        }
    }

    #[tokio::test]
    async fn two_cannot_take_the_same_port() {
        let port = Port::take(any()).unwrap();
        assert_eq!(Port::take(port.address()).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        let _listener = port.listen().unwrap();
        assert_eq!(Port::take(port.address()).unwrap_err().kind(), io::ErrorKind::AddrInUse);
    }
}
