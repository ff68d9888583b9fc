//! The proxy: connections, and one request from its arrival to its end.

use std::{io, sync::Arc};

use http::{HeaderValue, Response, Uri, header};
use http_body_util::{BodyExt as _, Full, combinators::UnsyncBoxBody};
use hyper::{
    body::{Bytes, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioIo},
};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::sleep,
};

use super::{Action, Answer, Outcome, Request, Shared, Stage};
use crate::pki::Identity;

type BoxError = Box<dyn std::error::Error + Send + Sync>;
type Body = UnsyncBoxBody<Bytes, BoxError>;

/// The connection ends here, without an answer.
#[derive(Debug, thiserror::Error)]
#[error("the gateway closes the connection")]
struct Closed;

/// The API server as one user.
pub(super) struct Upstream {
    authority: HeaderValue,
    url: String,
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

impl Upstream {
    pub(super) fn new(url: &str, ca: &str, identity: &Identity) -> io::Result<Self> {
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_slice(ca.as_bytes()).map_err(io::Error::other)?)
            .map_err(io::Error::other)?;
        let chain = vec![CertificateDer::from_pem_slice(identity.certificate.as_bytes()).map_err(io::Error::other)?];
        let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).map_err(io::Error::other)?;
        let tls = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_root_certificates(roots)
            .with_client_auth_cert(chain, key)
            .map_err(io::Error::other)?;
        let connector = HttpsConnectorBuilder::new().with_tls_config(tls).https_only().enable_http1().build();
        let authority = url.trim_start_matches("https://").try_into().map_err(io::Error::other)?;
        Ok(Self { authority, url: url.to_owned(), client: Client::builder(TokioExecutor::new()).build(connector) })
    }

    async fn send(&self, head: &http::request::Parts, body: Bytes) -> Result<Response<Incoming>, BoxError> {
        let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
        let mut request = http::Request::new(Full::new(body));
        *request.method_mut() = head.method.clone();
        *request.uri_mut() = Uri::try_from(format!("{}{path}", self.url))?;
        *request.headers_mut() = head.headers.clone();
        request.headers_mut().insert(header::HOST, self.authority.clone());
        request.headers_mut().remove(header::CONNECTION);
        Ok(self.client.request(request).await?)
    }
}

/// Takes connections until it is dropped.
pub(super) async fn serve(listener: TcpListener, upstream: Arc<Upstream>, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            Ok((stream, _)) = listener.accept() => {
                connections.spawn(connection(stream, Arc::clone(&upstream), Arc::clone(&shared)));
            }
        }
    }
}

async fn connection(stream: TcpStream, upstream: Arc<Upstream>, shared: Arc<Shared>) {
    let mut closed = shared.connections.subscribe();
    let service = service_fn(move |request| exchange(request, Arc::clone(&upstream), Arc::clone(&shared)));
    // How a connection ended, the log of requests says.
    tokio::select! {
        _ = closed.changed() => {}
        _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service) => {}
    }
}

/// One request. Dropped, when the client goes away, it is not forwarded any more; what was forwarded goes on to its answer.
async fn exchange(
    request: http::Request<Incoming>,
    upstream: Arc<Upstream>,
    shared: Arc<Shared>,
) -> Result<Response<Body>, Closed> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| Closed)?.to_bytes();
    let request = shared.arrived(&head.method, &head.uri, body);
    let cut = |answered| {
        shared.ended(&request, Outcome::Cut(answered));
        Err(Closed)
    };
    let action = shared.action(&request);
    if !shared.pass(Stage::BeforeForward, &request, None).await {
        return cut(None);
    }
    match &action {
        Action::Answer(answer) => {
            shared.ended(&request, Outcome::Answered(answer.status.as_u16()));
            return Ok(answer.response());
        }
        Action::Hang => std::future::pending().await,
        Action::Cut => return cut(None),
        Action::Delay(time) => sleep(*time).await,
        Action::Pass | Action::CutAfterCommit | Action::Mute => {}
    }
    let forwarded = tokio::spawn(forward(upstream, head, request.clone(), matches!(action, Action::CutAfterCommit)));
    let response = forwarded.await.unwrap_or_else(|panic| Err(panic.into()));
    let status = response.as_ref().ok().map(|response| response.status().as_u16());
    if !shared.pass(Stage::AfterAnswer, &request, status).await {
        return cut(status);
    }
    match (response, action) {
        (Err(_), _) => {
            shared.ended(&request, Outcome::Unreachable);
            Err(Closed)
        }
        (Ok(_), Action::CutAfterCommit) => cut(status),
        (Ok(response), action) => {
            shared.ended(&request, Outcome::Answered(response.status().as_u16()));
            Ok(if matches!(action, Action::Mute) { muted(response) } else { response })
        }
    }
}

/// The answer, whole unless it is a watch's.
async fn forward(
    upstream: Arc<Upstream>,
    head: http::request::Parts,
    request: Request,
    wait_for_all: bool,
) -> Result<Response<Body>, BoxError> {
    let response = upstream.send(&head, request.body).await?;
    let (mut head_of_answer, body) = response.into_parts();
    head_of_answer.headers.remove(header::CONNECTION);
    head_of_answer.headers.remove(header::TRANSFER_ENCODING);
    let body = if request.verb == "watch" && !wait_for_all {
        body.map_err(Into::into).boxed_unsync()
    } else {
        head_of_answer.headers.remove(header::CONTENT_LENGTH);
        whole(body.collect().await?.to_bytes())
    };
    Ok(Response::from_parts(head_of_answer, body))
}

fn whole(body: Bytes) -> Body {
    Full::new(body).map_err(|never| match never {}).boxed_unsync()
}

/// The head, and a body that never begins.
fn muted(response: Response<Body>) -> Response<Body> {
    let (head, _) = response.into_parts();
    let silence = http_body_util::StreamBody::new(futures::stream::pending());
    Response::from_parts(head, silence.boxed_unsync())
}

impl Answer {
    fn response(&self) -> Response<Body> {
        let mut response = Response::new(whole(self.body.clone()));
        *response.status_mut() = self.status;
        for (name, value) in &self.headers {
            if let (Ok(name), Ok(value)) = (http::HeaderName::try_from(name), HeaderValue::try_from(value)) {
                response.headers_mut().append(name, value);
            }
        }
        response
    }
}
