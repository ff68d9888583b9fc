//! What a health check sends (cognigy-api.md §5).

use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request,
    header::{self, InvalidHeaderName, InvalidHeaderValue},
};
use http_body_util::Full;
use hyper::body::Bytes;
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use url::{Position, Url};

use crate::traces::TraceContext;

const USER_AGENT: HeaderValue =
    HeaderValue::from_static(concat!("CognigyWebhookRegistrar/", env!("CARGO_PKG_VERSION")));
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// Headers that frame or route a message: they are the connection's, whatever the webhook says.
const FRAMING: [HeaderName; 8] = [
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::EXPECT,
    header::HOST,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// Why a webhook's header cannot be sent; the value is never told.
#[derive(Debug, thiserror::Error)]
pub(super) enum InvalidRequest {
    #[error("{0:?} is no valid name of a header")]
    Name(String, #[source] InvalidHeaderName),
    #[error("the value of header {0} holds a character that none may, as a line break does")]
    Value(HeaderName, #[source] InvalidHeaderValue),
    #[error("the URL cannot be sent: {0}")]
    Message(#[from] http::Error),
    #[error("the body cannot be written: {0}")]
    Body(#[from] serde_json::Error),
}

/// The body, in the order of cognigy-api.md §5.
#[derive(Serialize)]
struct Body {
    source: &'static str,
    event: &'static str,
    timestamp: i64,
    trace_id: String,
    data: Data,
}

#[derive(Serialize)]
struct Data {
    status: &'static str,
    version: i64,
}

pub(super) fn request(
    url: &Url,
    headers: &[(String, SecretString)],
    version: i64,
    trace: TraceContext,
) -> Result<Request<Full<Bytes>>, InvalidRequest> {
    let body = Body {
        source: "cognigy-registrar",
        event: "health_check",
        timestamp: Timestamp::now().as_second(),
        trace_id: trace.trace_id(),
        data: Data { status: "ready", version },
    };
    let mut request = Request::builder()
        .method(Method::POST)
        .uri(&url[Position::BeforePath..Position::AfterQuery])
        .body(Full::new(serde_json::to_vec(&body)?.into()))?;
    *request.headers_mut() = own_headers(headers)?;
    let host = value(header::HOST, url[Position::BeforeHost..Position::AfterPort].as_bytes())?;
    request.headers_mut().insert(header::HOST, host);
    request.headers_mut().insert(header::USER_AGENT, USER_AGENT);
    request.headers_mut().insert(TRACEPARENT, value(TRACEPARENT, trace.traceparent().as_bytes())?);
    request.headers_mut().entry(header::CONTENT_TYPE).or_insert(JSON);
    Ok(request)
}

/// The webhook's own headers, without those of the connection.
fn own_headers(headers: &[(String, SecretString)]) -> Result<HeaderMap, InvalidRequest> {
    let mut map = HeaderMap::new();
    for (name, secret) in headers {
        let name =
            HeaderName::from_bytes(name.as_bytes()).map_err(|error| InvalidRequest::Name(name.clone(), error))?;
        let mut value = value(name.clone(), secret.expose_secret().as_bytes())?;
        value.set_sensitive(true);
        if !FRAMING.contains(&name) {
            map.insert(name, value);
        }
    }
    Ok(map)
}

fn value(name: HeaderName, bytes: &[u8]) -> Result<HeaderValue, InvalidRequest> {
    HeaderValue::from_bytes(bytes).map_err(|error| InvalidRequest::Value(name, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn build(url: &str, headers: &[(&str, &str)]) -> Result<Request<Full<Bytes>>, InvalidRequest> {
        let headers: Vec<_> = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())).collect();
        let trace = TraceContext::from_trace_id(0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c).unwrap();
        request(&Url::parse(url).unwrap(), &headers, 2, trace)
    }

    #[test]
    fn host_and_target_come_from_the_url_alone() {
        let request = build("https://api.example.com:8443/a%20b?c=d#e", &[("Host", "evil.example")]).unwrap();
        assert_eq!(request.headers()["host"], "api.example.com:8443");
        assert_eq!(request.uri(), "/a%20b?c=d");
        assert_eq!(build("https://[2606:4700::1111]", &[]).unwrap().headers()["host"], "[2606:4700::1111]");
    }

    #[test]
    fn headers_of_the_connection_are_not_the_webhooks() {
        let headers = [("Content-Length", "9"), ("transfer-encoding", "chunked"), ("Expect", "100-continue")];
        let request = build("https://api.example.com/", &headers).unwrap();
        for (name, _) in headers {
            assert!(!request.headers().contains_key(name), "{name}");
        }
    }

    #[test]
    fn the_webhook_may_say_its_content_type_but_not_who_calls() {
        let headers = [("Content-Type", "application/vnd.orders+json"), ("User-Agent", "me"), ("traceparent", "x")];
        let request = build("https://api.example.com/", &headers).unwrap();
        assert_eq!(request.headers()["content-type"], "application/vnd.orders+json");
        assert!(request.headers()["user-agent"].to_str().unwrap().starts_with("CognigyWebhookRegistrar/"));
        let traceparent = request.headers()["traceparent"].to_str().unwrap();
        assert!(
            traceparent.starts_with("00-0af7651916cd43dd8448eb211c80319c-") && traceparent.len() == 55,
            "{traceparent}"
        );
    }

    #[test]
    fn a_header_that_cannot_be_sent_is_named_without_its_value() {
        let error = build("https://api.example.com/", &[("X-Api-Key", "hush\n")]).unwrap_err();
        assert!(error.to_string().contains("x-api-key") && !format!("{error} {error:?}").contains("hush"), "{error}");
        let error = build("https://api.example.com/", &[("X Api", "hush")]).unwrap_err();
        assert!(error.to_string().contains("\"X Api\"") && !format!("{error} {error:?}").contains("hush"), "{error}");
    }

    #[test]
    fn a_request_does_not_show_secrets_when_printed() {
        let request = build("https://api.example.com/", &[("X-Api-Key", "hush")]).unwrap();
        assert!(!format!("{request:?}").contains("hush"), "{request:?}");
    }
}
