//! What a request asks for, told from its method and path as the API server's audit log tells it.

use http::{Method, Uri};
use hyper::body::Bytes;
use serde_json::Value;

/// One request to the API server; the words are those of [`crate::AuditEvent`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Counts the gateway's requests, from 0 in the order of their arrival.
    pub number: usize,
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`; for URLs that name no resource the HTTP method in lower case.
    pub verb: String,
    /// Path and query.
    pub request_uri: String,
    /// API group, empty for the core group and for URLs that name no resource.
    pub group: String,
    /// Plural name of the resource; empty for URLs that name none.
    pub resource: String,
    /// `status`, `token`, …
    pub subresource: Option<String>,
    /// The namespace of a namespaced object.
    pub namespace: Option<String>,
    /// The object's name; of a `create` the one in the body, where there is one.
    pub name: Option<String>,
    /// As the client sent it.
    pub body: Bytes,
}

impl Request {
    pub(super) fn new(number: usize, method: &Method, uri: &Uri, body: Bytes) -> Self {
        let target = Target::of(uri.path());
        let name = target.name.map(str::to_owned).or_else(|| (method == Method::POST).then(|| name_in(&body))?);
        Self {
            number,
            verb: target.verb(method, uri.query().unwrap_or_default()),
            request_uri: uri.path_and_query().map(ToString::to_string).unwrap_or_default(),
            group: target.group.to_owned(),
            resource: target.resource.to_owned(),
            subresource: target.subresource.map(str::to_owned),
            namespace: target.namespace.map(str::to_owned),
            name,
            body,
        }
    }

    /// Whether the request asks for a change.
    pub fn is_write(&self) -> bool {
        ["create", "update", "patch", "delete", "deletecollection"].contains(&self.verb.as_str())
    }

    /// Whether it is this verb of this resource.
    pub fn is(&self, verb: &str, resource: &str) -> bool {
        self.verb == verb && self.resource == resource
    }

    /// The body as JSON (a server-side apply is JSON too where kube sends it); nothing where it is none.
    pub fn json(&self) -> Option<Value> {
        serde_json::from_slice(&self.body).ok()
    }
}

fn name_in(body: &Bytes) -> Option<String> {
    let body: Value = serde_json::from_slice(body).ok()?;
    Some(body.pointer("/metadata/name")?.as_str()?.to_owned())
}

#[derive(Default)]
struct Target<'a> {
    group: &'a str,
    namespace: Option<&'a str>,
    resource: &'a str,
    name: Option<&'a str>,
    subresource: Option<&'a str>,
}

impl<'a> Target<'a> {
    fn of(path: &'a str) -> Self {
        let parts: Vec<_> = path.split('/').filter(|part| !part.is_empty()).collect();
        let (group, rest) = match parts.as_slice() {
            ["api", _version, rest @ ..] => ("", rest),
            ["apis", group, _version, rest @ ..] => (*group, rest),
            _ => return Self::default(),
        };
        let (namespace, rest) = match rest {
            // `namespaces/a` and `namespaces/a/status` are the namespace itself.
            ["namespaces", namespace, resource, rest @ ..] if !["status", "finalize"].contains(resource) => {
                (Some(*namespace), [&[*resource], rest].concat())
            }
            _ => (None, rest.to_vec()),
        };
        let part = |nth: usize| rest.get(nth).copied();
        Self { group, namespace, resource: part(0).unwrap_or_default(), name: part(1), subresource: part(2) }
    }

    fn verb(&self, method: &Method, query: &str) -> String {
        let named = self.name.is_some();
        let watches = query.split('&').any(|pair| ["watch", "watch=1", "watch=true"].contains(&pair));
        let verb = match *method {
            Method::GET if self.resource.is_empty() => "get",
            Method::GET if watches => "watch",
            Method::GET if named => "get",
            Method::GET => "list",
            Method::POST if !self.resource.is_empty() => "create",
            Method::PUT => "update",
            Method::PATCH => "patch",
            Method::DELETE if named => "delete",
            Method::DELETE => "deletecollection",
            _ => return method.as_str().to_lowercase(),
        };
        verb.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(method: &Method, uri: &'static str, body: &'static str) -> String {
        let Request { verb, group, resource, subresource, namespace, name, .. } =
            Request::new(0, method, &Uri::from_static(uri), Bytes::from_static(body.as_bytes()));
        let part = |part: Option<String>| part.unwrap_or_else(|| "-".into());
        format!("{verb} [{group}] {} {resource} {} {}", part(namespace), part(name), part(subresource))
    }

    #[test]
    fn a_request_says_what_it_asks_for() {
        for (method, uri, body, expected) in [
            (Method::GET, "/version", "", "get []  - - -"),
            (Method::GET, "/api/v1/namespaces", "", "list [] - namespaces - -"),
            (Method::GET, "/api/v1/namespaces/a", "", "get [] - namespaces a -"),
            (Method::PUT, "/api/v1/namespaces/a/finalize", "", "update [] - namespaces a finalize"),
            (Method::GET, "/api/v1/namespaces/a/secrets?watch=true&x=y", "", "watch [] a secrets - -"),
            (
                Method::GET,
                "/apis/cognigy.io/v1alpha1/cognigywebhooks?limit=5",
                "",
                "list [cognigy.io] - cognigywebhooks - -",
            ),
            (
                Method::PATCH,
                "/apis/cognigy.io/v1alpha1/namespaces/a/cognigywebhooks/w/status?force=true",
                "",
                "patch [cognigy.io] a cognigywebhooks w status",
            ),
            (
                Method::POST,
                "/apis/events.k8s.io/v1/namespaces/a/events",
                r#"{"metadata":{"name":"e"}}"#,
                "create [events.k8s.io] a events e -",
            ),
            (Method::DELETE, "/api/v1/namespaces/a/secrets/s", "", "delete [] a secrets s -"),
            (Method::DELETE, "/api/v1/namespaces/a/secrets", "", "deletecollection [] a secrets - -"),
        ] {
            assert_eq!(told(&method, uri, body).replace("  ", " "), expected.replace("  ", " "), "{method} {uri}");
        }
    }
}
