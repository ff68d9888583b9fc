//! Servers that answer with bytes, not with HTTP: whatever a test wants them to say.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures::FutureExt as _;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};
use rustls::{ServerConfig, crypto::ring};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tokio_rustls::TlsAcceptor;

/// The name that the certificates of these servers are for.
pub const HOST: &str = "hooks.example.com";

/// One thing that a server does.
#[derive(Clone, Debug)]
pub enum Act {
    /// Sends these bytes.
    Say(Vec<u8>),
    /// Sends these bytes again and again.
    Repeat(Vec<u8>),
    /// Sends these bytes one by one, again and again, with pauses.
    Trickle(Vec<u8>),
    /// Listens until the client has asked something in HTTP/2.
    HearRequest,
    /// Keeps the connection for as long as the client does.
    Hold,
    /// Breaks the connection off.
    Reset,
}

/// What a server does on one connection after it has heard something, or before where it does not wait for that.
#[derive(Clone, Debug)]
pub struct Script {
    pub acts: Vec<Act>,
    /// Whether it waits for the client's first bytes.
    pub listens: bool,
}

pub fn script(acts: impl Into<Vec<Act>>) -> Script {
    Script { acts: acts.into(), listens: true }
}

pub fn say(bytes: impl AsRef<[u8]>) -> Act {
    Act::Say(bytes.as_ref().to_vec())
}

pub fn repeat(bytes: impl AsRef<[u8]>) -> Act {
    Act::Repeat(bytes.as_ref().to_vec())
}

pub fn trickle(bytes: impl AsRef<[u8]>) -> Act {
    Act::Trickle(bytes.as_ref().to_vec())
}

/// A whole answer with this body.
pub fn answer(status: &str, headers: &str, body: impl AsRef<[u8]>) -> Script {
    let body = body.as_ref();
    let head = format!("HTTP/1.1 {status}\r\n{headers}Connection: close\r\nContent-Length: {}\r\n\r\n", body.len());
    script([say(head), say(body)])
}

/// Certificate and protocol of a server.
pub struct Tls {
    pub names: Vec<String>,
    pub valid: [(i32, u8, u8); 2],
    pub protocols: Vec<Vec<u8>>,
}

impl Default for Tls {
    fn default() -> Self {
        Self {
            names: vec![HOST.into(), "1.2.3.4".into(), "10.0.0.5".into()],
            valid: [(2020, 1, 1), (2099, 12, 31)],
            protocols: Vec::new(),
        }
    }
}

/// A server on all addresses of the namespace; it ends with the value.
pub struct Server {
    pub port: u16,
    pub ca_pem: Vec<u8>,
    connections: Arc<AtomicUsize>,
    heard: Arc<Mutex<Vec<String>>>,
    _tasks: JoinSet<()>,
}

impl Server {
    /// Follows the scripts over TCP, one per connection and the last again and again.
    pub async fn plain(scripts: &[Script]) -> Self {
        Self::start(None, String::new(), scripts, 0).await
    }

    /// The same within TLS.
    pub async fn tls(tls: Tls, scripts: &[Script]) -> Self {
        Self::tls_on(0, tls, scripts).await
    }

    /// The same on this port.
    pub async fn tls_on(port: u16, tls: Tls, scripts: &[Script]) -> Self {
        let (config, ca_pem) = server_config(tls);
        Self::start(Some(TlsAcceptor::from(Arc::new(config))), ca_pem, scripts, port).await
    }

    async fn start(tls: Option<TlsAcceptor>, ca_pem: String, scripts: &[Script], port: u16) -> Self {
        let listener = TcpListener::bind(SocketAddr::from(([0_u16; 8], port))).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (connections, heard) = (Arc::new(AtomicUsize::new(0)), Arc::default());
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, tls, scripts.to_vec(), Arc::clone(&connections), Arc::clone(&heard)));
        Self { port, ca_pem: ca_pem.into_bytes(), connections, heard, _tasks: tasks }
    }

    /// How many connections came.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// The heads of the requests that came.
    pub fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }
}

fn server_config(tls: Tls) -> (ServerConfig, String) {
    let mut ca = CertificateParams::new(Vec::new()).unwrap();
    ca.distinguished_name.push(DnType::CommonName, "Test CA");
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = CertifiedIssuer::self_signed(ca, KeyPair::generate().unwrap()).unwrap();
    let mut leaf = CertificateParams::new(tls.names).unwrap();
    let [(y1, m1, d1), (y2, m2, d2)] = tls.valid;
    (leaf.not_before, leaf.not_after) = (date_time_ymd(y1, m1, d1), date_time_ymd(y2, m2, d2));
    let key = KeyPair::generate().unwrap();
    let certificate = leaf.signed_by(&key, &ca).unwrap();
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key.into())
        .unwrap();
    config.alpn_protocols = tls.protocols;
    (config, ca.pem())
}

async fn accept(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    scripts: Vec<Script>,
    connections: Arc<AtomicUsize>,
    heard: Arc<Mutex<Vec<String>>>,
) {
    let mut serving = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let number = connections.fetch_add(1, Ordering::SeqCst);
        let script = scripts[number.min(scripts.len() - 1)].clone();
        // a client that leaves early is what some tests want to see
        serving.spawn(serve(stream, tls.clone(), script, Arc::clone(&heard)).map(drop));
    }
}

async fn serve(
    stream: TcpStream,
    tls: Option<TlsAcceptor>,
    script: Script,
    heard: Arc<Mutex<Vec<String>>>,
) -> io::Result<()> {
    let resets = script.acts.iter().any(|act| matches!(act, Act::Reset));
    if resets {
        stream.set_zero_linger()?;
    }
    match tls {
        Some(acceptor) => act(acceptor.accept(stream).await?, script, heard).await,
        None => act(stream, script, heard).await,
    }
}

async fn act(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    script: Script,
    heard: Arc<Mutex<Vec<String>>>,
) -> io::Result<()> {
    let mut request = Vec::with_capacity(16 * 1024);
    if script.listens {
        stream.read_buf(&mut request).await?;
        heard.lock().unwrap().push(String::from_utf8_lossy(&request).into_owned());
    }
    for act in script.acts {
        match act {
            Act::Say(bytes) => stream.write_all(&bytes).await?,
            Act::Repeat(bytes) => loop {
                stream.write_all(&bytes).await?;
            },
            Act::Trickle(bytes) => {
                for byte in bytes.into_iter().cycle() {
                    stream.write_all(&[byte]).await?;
                    stream.flush().await?;
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
            Act::HearRequest => {
                while !asks_in_http_2(&request) {
                    if stream.read_buf(&mut request).await? == 0 {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                }
            }
            Act::Hold => {
                stream.flush().await?;
                stream.read_to_end(&mut Vec::new()).await?;
            }
            Act::Reset => {
                stream.flush().await?;
                return Ok(()); // without linger, to drop is to break off
            }
        }
    }
    stream.flush().await?;
    stream.shutdown().await?;
    stream.read_to_end(&mut Vec::new()).await.map(drop)
}

/// Whether there is a HEADERS frame among those after the preface.
fn asks_in_http_2(heard: &[u8]) -> bool {
    let mut rest = heard.get(24..).unwrap_or_default();
    while let [a, b, c, kind, ..] = *rest {
        if kind == 1 {
            return true;
        }
        let length = usize::try_from(u32::from_be_bytes([0, a, b, c])).unwrap();
        rest = rest.get(9 + length..).unwrap_or_default();
    }
    false
}
