//! Starting and ending a simulator.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    net::SocketAddr,
    ops::Deref,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use hyper_util::service::TowerToHyperService;
use tempfile::TempDir;
use tokio_rustls::TlsAcceptor;
use url::Url;

use crate::{
    Certificate, Handle, Options, admin,
    handle::Endpoints,
    port::Port,
    server::{App, Listening, Transport, serve},
    shared::Shared,
    tls::{Authority, Renewals, TlsError, TlsVersions},
};

/// Why a simulator could not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An address could not be taken.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// [`Options::host`] and a port make no URL.
    #[error("{host:?} is no host for a URL: {source}")]
    Host {
        /// The host.
        host: String,
        /// Why.
        source: url::ParseError,
    },
    /// TLS could not be set up.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The authority's certificate could not be written.
    #[error("cannot write the authority's certificate to {path:?}: {source}")]
    CaFile {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// Where a listener listens, and how.
struct Socket {
    port: Port,
    transport: Transport,
}

/// A running simulator; dropping it ends everything. All that steers it is on [`Handle`].
#[derive(Debug)]
pub struct Simulator {
    handle: Handle,
    sockets: Vec<Socket>,
    listening: Mutex<Vec<Listening>>,
    _ca_folder: Option<TempDir>,
}

impl std::fmt::Debug for Socket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.port.fmt(f)
    }
}

impl Deref for Simulator {
    type Target = Handle;

    fn deref(&self) -> &Handle {
        &self.handle
    }
}

impl Simulator {
    /// Starts all listeners, on the runtime that this is called on; it is ready when this returns.
    pub fn start(options: Options) -> Result<Self, Error> {
        let mut opening = Opening { options: &options, sockets: Vec::new() };
        let http = opening.open(options.http_port, Transport::Plain)?;
        let mut endpoints =
            Endpoints { http, https: None, certificates: BTreeMap::new(), old_tls: None, renewals: None };
        let mut ca_pem = String::new();
        if options.tls.enabled {
            let authority = Authority::new("cognigy-simulator authority")?;
            ca_pem = authority.pem();
            opening.open_tls(authority, &mut endpoints)?;
        }
        let sockets = opening.sockets;
        let (ca_file, ca_folder) = write_ca(&options, &ca_pem)?;

        let handle = Handle::new(Arc::new(Shared::new(options)), endpoints, ca_pem, ca_file);
        let simulator = Self { handle, sockets, listening: Mutex::default(), _ca_folder: ca_folder };
        simulator.serve()?;
        Ok(simulator)
    }

    /// Closes all listeners and connections; the state stays.
    pub async fn stop(&self) {
        let listening = std::mem::take(&mut *self.listening.lock().unwrap_or_else(PoisonError::into_inner));
        for one in listening {
            one.end().await;
        }
    }

    /// Closes all connections and listens again on the same ports, with the same state.
    pub async fn restart(&self) -> Result<(), Error> {
        self.stop().await;
        self.serve()
    }

    /// A handle to move into tasks; it does not keep the simulator alive.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    fn serve(&self) -> Result<(), Error> {
        let app =
            App { shared: self.handle.shared(), admin: TowerToHyperService::new(admin::router(self.handle.clone())) };
        let listen = |socket: &Socket| {
            let address = socket.port.address();
            let listener = socket.port.listen().map_err(|source| Error::Listen { address, source })?;
            Ok((listener, socket.transport.clone()))
        };
        let listeners = self.sockets.iter().map(listen).collect::<Result<Vec<_>, Error>>()?;
        let running = listeners.into_iter().map(|(listener, transport)| serve(listener, transport, app.clone()));
        self.listening.lock().unwrap_or_else(PoisonError::into_inner).extend(running);
        Ok(())
    }
}

/// Sockets that are being opened.
struct Opening<'a> {
    options: &'a Options,
    sockets: Vec<Socket>,
}

impl Opening<'_> {
    fn open(&mut self, port: u16, transport: Transport) -> Result<Url, Error> {
        let address = SocketAddr::new(self.options.listen, port);
        let port = Port::take(address).map_err(|source| Error::Listen { address, source })?;
        let scheme = if matches!(transport, Transport::Plain) { "http" } else { "https" };
        let host = &self.options.host;
        let url = Url::parse(&format!("{scheme}://{host}:{}/", port.address().port()))
            .map_err(|source| Error::Host { host: host.clone(), source })?;
        self.sockets.push(Socket { port, transport });
        Ok(url)
    }

    /// The main TLS listener, one for each kind of certificate, and one that speaks no TLS of today.
    fn open_tls(&mut self, authority: Authority, endpoints: &mut Endpoints) -> Result<(), Error> {
        let tls = &self.options.tls;
        let stranger = Authority::new("an authority that nobody has heard of")?;
        let mut names = tls.extra_names.clone();
        names.extend(["localhost", "127.0.0.1", "::1"].map(String::from));
        let host = self.options.host.trim_matches(['[', ']']).to_owned();
        if !names.contains(&host) {
            names.push(host);
        }
        let mut shown = BTreeMap::new();
        let mut transport = |kind: Certificate, versions: TlsVersions| {
            let authority = if kind == Certificate::UnknownIssuer { &stranger } else { &authority };
            if versions == TlsVersions::Old {
                return Ok::<_, TlsError>(Transport::OldTls);
            }
            let (config, certificate) = authority.server(kind, &names, versions, tls.http2)?;
            shown.insert(kind, certificate);
            Ok(Transport::Tls(TlsAcceptor::from(config)))
        };

        let main = self.open(self.options.https_port, transport(tls.certificate, tls.versions)?)?;
        if tls.versions != TlsVersions::Old {
            endpoints.certificates.insert(tls.certificate, main.clone());
        }
        endpoints.https = Some(main);
        for kind in Certificate::ALL {
            if let Entry::Vacant(place) = endpoints.certificates.entry(kind) {
                place.insert(self.open(0, transport(kind, TlsVersions::Both)?)?);
            }
        }
        endpoints.old_tls = Some(self.open(0, Transport::OldTls)?);
        endpoints.renewals = Some(Renewals { authority, names, shown });
        Ok(())
    }
}

fn write_ca(options: &Options, pem: &str) -> Result<(PathBuf, Option<TempDir>), Error> {
    let failed = |path: PathBuf| |source| Error::CaFile { path, source };
    let (path, folder) = if let Some(path) = &options.tls.ca_file {
        (path.clone(), None)
    } else {
        let folder = tempfile::Builder::new().prefix("cognigy-simulator-").tempdir();
        let folder = folder.map_err(failed(std::env::temp_dir()))?;
        (folder.path().join("ca.pem"), Some(folder))
    };
    if options.tls.enabled {
        std::fs::write(&path, pem).map_err(failed(path.clone()))?;
    }
    Ok((path, folder))
}
