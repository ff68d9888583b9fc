//! A callback endpoint on loopback that behaves as a test wants, and a resolver that leads to it.

use std::{
    collections::HashMap,
    convert::Infallible,
    io,
    net::{IpAddr, SocketAddr},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use cognigy_operator::probe::Resolver;
use futures::{
    FutureExt, Stream, StreamExt,
    future::{self, BoxFuture},
    stream,
};
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, StreamBody, combinators::BoxBody};
use hyper::{
    body::{Bytes, Frame, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};
use rustls::{ServerConfig, SupportedProtocolVersion, crypto::ring, version};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tokio_rustls::TlsAcceptor;

/// What an endpoint does with a connection.
#[derive(Clone)]
pub enum Behaviour {
    /// Answers with this status and headers.
    Answer(StatusCode, Vec<(&'static str, &'static str)>),
    /// Never answers.
    Hang,
    /// Answers 200 and a body without end.
    EndlessBody,
    /// Answers 200 and a byte of body now and then, for ever.
    Trickle,
    /// Answers with this text and closes.
    Raw(&'static str),
    /// Answers with the first text, and then with the second for ever.
    RawForEver(&'static str, &'static str),
    /// Sends these bytes instead of a TLS handshake, then closes.
    Plain(&'static [u8]),
}

/// What an endpoint received.
pub struct Received {
    pub method: Method,
    pub target: Uri,
    pub headers: HeaderMap,
    pub body: String,
}

/// Which certificate and TLS versions an endpoint has.
pub struct Tls {
    pub name: &'static str,
    pub issuer: &'static str,
    pub expires: (i32, u8, u8),
    pub versions: Vec<&'static SupportedProtocolVersion>,
}

impl Default for Tls {
    fn default() -> Self {
        Self {
            name: super::HOST,
            issuer: "Test CA",
            expires: (2099, 12, 31),
            versions: vec![&version::TLS13, &version::TLS12],
        }
    }
}

/// An endpoint; it ends with the value.
pub struct Endpoint {
    pub port: u16,
    pub ca_pem: Arc<[u8]>,
    received: Arc<Mutex<Vec<Received>>>,
    connections: Arc<AtomicUsize>,
    _tasks: JoinSet<()>,
}

impl Endpoint {
    pub async fn start(behaviour: Behaviour, tls: Tls) -> Self {
        let (config, ca_pem) = server_config(&tls);
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (received, connections) = (Arc::default(), Arc::new(AtomicUsize::new(0)));
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, acceptor, behaviour, Arc::clone(&received), connections.clone()));
        Self { port, ca_pem: ca_pem.into_bytes().into(), received, connections, _tasks: tasks }
    }

    pub fn received(&self) -> Vec<Received> {
        std::mem::take(&mut self.received.lock().unwrap())
    }

    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

fn server_config(tls: &Tls) -> (ServerConfig, String) {
    let mut ca = CertificateParams::new(Vec::new()).unwrap();
    ca.distinguished_name.push(DnType::CommonName, tls.issuer);
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = CertifiedIssuer::self_signed(ca, KeyPair::generate().unwrap()).unwrap();
    let mut leaf = CertificateParams::new(vec![tls.name.to_owned()]).unwrap();
    leaf.not_before = date_time_ymd(2020, 1, 1);
    leaf.not_after = date_time_ymd(tls.expires.0, tls.expires.1, tls.expires.2);
    let key = KeyPair::generate().unwrap();
    let certificate = leaf.signed_by(&key, &ca).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&tls.versions)
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key.into())
        .unwrap();
    (config, ca.pem())
}

async fn accept(
    listener: TcpListener,
    acceptor: TlsAcceptor,
    behaviour: Behaviour,
    received: Arc<Mutex<Vec<Received>>>,
    connections: Arc<AtomicUsize>,
) {
    let mut serving = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.fetch_add(1, Ordering::SeqCst);
        // a client that leaves early is what some tests want to see
        serving.spawn(serve(stream, acceptor.clone(), behaviour.clone(), received.clone()).map(drop));
    }
}

async fn serve(
    mut stream: TcpStream,
    acceptor: TlsAcceptor,
    behaviour: Behaviour,
    received: Arc<Mutex<Vec<Received>>>,
) -> io::Result<()> {
    match behaviour {
        Behaviour::Plain(bytes) => {
            stream.read_u8().await?; // the client has spoken
            stream.write_all(bytes).await?;
            stream.shutdown().await?;
            stream.read_to_end(&mut Vec::new()).await.map(drop)
        }
        Behaviour::Raw(text) => {
            let mut stream = acceptor.accept(stream).await?;
            stream.read_u8().await?; // the client has spoken
            stream.write_all(text.as_bytes()).await?;
            stream.shutdown().await?;
            stream.read_to_end(&mut Vec::new()).await.map(drop)
        }
        Behaviour::RawForEver(first, then) => {
            let mut stream = acceptor.accept(stream).await?;
            stream.read_u8().await?; // the client has spoken
            stream.write_all(first.as_bytes()).await?;
            loop {
                stream.write_all(then.as_bytes()).await?;
            }
        }
        behaviour => {
            let service = service_fn(|request| respond(request, behaviour.clone(), received.clone()));
            let stream = TokioIo::new(acceptor.accept(stream).await?);
            http1::Builder::new().serve_connection(stream, service).await.map_err(io::Error::other)
        }
    }
}

async fn respond(
    request: Request<Incoming>,
    behaviour: Behaviour,
    received: Arc<Mutex<Vec<Received>>>,
) -> Result<Response<BoxBody<Bytes, io::Error>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
    received.lock().unwrap().push(Received { method: head.method, target: head.uri, headers: head.headers, body });
    let data = |bytes| Ok(Frame::data(Bytes::from_static(bytes)));
    let mut response = Response::builder();
    let body = match behaviour {
        Behaviour::Answer(status, headers) => {
            response =
                headers.iter().fold(response.status(status), |response, (name, value)| response.header(*name, *value));
            body_of(stream::iter([data(b"{}")]))
        }
        Behaviour::EndlessBody => body_of(stream::repeat_with(move || data(&[b'x'; 16 * 1024]))),
        Behaviour::Trickle => {
            let ticks = stream::unfold((), |()| tokio::time::sleep(Duration::from_millis(20)).map(|()| Some(((), ()))));
            body_of(ticks.map(move |()| data(b"x")))
        }
        _ => future::pending().await,
    };
    Ok(response.body(body).unwrap())
}

type Chunk = io::Result<Frame<Bytes>>;

fn body_of(chunks: impl Stream<Item = Chunk> + Send + Sync + 'static) -> BoxBody<Bytes, io::Error> {
    BodyExt::boxed(StreamBody::new(chunks))
}

/// A resolver that knows only what the test tells it, and counts.
#[derive(Default)]
pub struct Names {
    known: HashMap<&'static str, Vec<IpAddr>>,
    silent: bool,
    asked: AtomicUsize,
}

impl Names {
    pub fn of(host: &'static str, addresses: &[&str]) -> Self {
        let addresses = addresses.iter().map(|address| address.parse().unwrap()).collect();
        Self { known: HashMap::from([(host, addresses)]), ..Self::default() }
    }

    pub fn silent() -> Self {
        Self { silent: true, ..Self::default() }
    }

    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

impl Resolver for Names {
    fn resolve<'a>(&'a self, host: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        if self.silent {
            return future::pending().boxed();
        }
        let known = self.known.get(host).cloned();
        future::ready(known.ok_or_else(|| io::Error::other("the name server is away"))).boxed()
    }
}

/// A port of loopback where nobody listens.
pub async fn closed_port() -> u16 {
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
    listener.local_addr().unwrap().port()
}
