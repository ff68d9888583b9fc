//! Listeners: from a connection to the part of the simulator that a path belongs to.

use std::{net::SocketAddr, sync::Arc};

use axum::Router;
use http::Request;
use hyper::{body::Incoming, service::Service, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::oneshot,
    task::{JoinHandle, JoinSet},
};
use tokio_rustls::TlsAcceptor;

use crate::{
    api, callbacks,
    exchange::{Outcome, Peer},
    shared::Shared,
    sinks, tls,
};

/// What a listener speaks.
#[derive(Clone)]
pub(crate) enum Transport {
    Plain,
    Tls(TlsAcceptor),
    /// TLS too old for anybody.
    OldTls,
}

/// Everything that a connection needs.
#[derive(Clone)]
pub(crate) struct App {
    pub(crate) shared: Arc<Shared>,
    pub(crate) admin: TowerToHyperService<Router>,
}

/// A listener that runs until this is dropped or [`Listening::end`].
#[derive(Debug)]
pub(crate) struct Listening {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Listening {
    /// Closes the listener and all of its connections.
    pub(crate) async fn end(self) {
        drop(self.stop);
        if let Err(error) = self.task.await {
            tracing::warn!(%error, "a listener ended badly");
        }
    }
}

/// Serves `listener` in the background.
pub(crate) fn serve(listener: TcpListener, transport: Transport, app: App) -> Listening {
    let (stop, stopped) = oneshot::channel::<()>();
    let task = tokio::spawn(async move {
        let mut connections = JoinSet::new();
        tokio::pin!(stopped);
        loop {
            tokio::select! {
                _ = &mut stopped => break,
                Some(_) = connections.join_next(), if !connections.is_empty() => {}
                accepted = listener.accept() => match accepted {
                    Ok((stream, address)) => {
                        connections.spawn(connection(stream, address, transport.clone(), app.clone()));
                    }
                    Err(error) => tracing::warn!(%error, "a connection could not be accepted"),
                },
            }
        }
        connections.shutdown().await;
    });
    Listening { stop, task }
}

async fn connection(stream: TcpStream, address: SocketAddr, transport: Transport, app: App) {
    // Without it an answer may wait for the client's acknowledgement of its first part.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%address, %error, "small packets of a connection are held back");
    }
    let ended = match transport {
        Transport::Plain => http(stream, Peer { address, tls: None }, app).await,
        Transport::OldTls => tls::refuse_protocol(stream).await.map_err(Into::into),
        Transport::Tls(acceptor) => match acceptor.accept(stream).await {
            Ok(stream) => {
                let version = stream.get_ref().1.protocol_version();
                http(stream, Peer { address, tls: version }, app).await
            }
            Err(error) => Err(error.into()),
        },
    };
    if let Err(error) = ended {
        tracing::debug!(%address, %error, "a connection ended");
    }
}

async fn http<S>(stream: S, peer: Peer, app: App) -> Result<(), Box<dyn std::error::Error + Send + Sync>>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request| {
        let app = app.clone();
        async move { dispatch(&app, &peer, request).await }
    });
    auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await
}

async fn dispatch(app: &App, peer: &Peer, request: Request<Incoming>) -> Outcome {
    let path = request.uri().path().to_owned();
    if path == "/_sim" || path.starts_with("/_sim/") {
        let Ok(response) = app.admin.call(request).await;
        return Ok(response);
    }
    if let Some(name) = path.strip_prefix(callbacks::PATH) {
        return callbacks::serve(&app.shared, peer, name, request).await;
    }
    if let Some(name) = path.strip_prefix(sinks::PATH) {
        return sinks::serve(&app.shared, name, request).await;
    }
    api::serve(&app.shared, peer, request).await
}
