//! The audit log of the API server: who did what, and how it was answered.

use std::{
    fs::File,
    io::{Read as _, Seek as _, SeekFrom},
    path::Path,
};

use serde::Deserialize;
use serde_json::Value;

use crate::error::{IoContext, Result};

/// How much the audit log keeps of each request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuditLevel {
    /// Who, what and the answer's code.
    Metadata,
    /// The bodies of request and response too (Secrets included: only for tests).
    RequestResponse,
}

impl AuditLevel {
    /// The policy file: everything at this level, one line per request, when it is answered.
    pub(crate) fn policy(self) -> String {
        let level = match self {
            Self::Metadata => "Metadata",
            Self::RequestResponse => "RequestResponse",
        };
        format!(
            "apiVersion: audit.k8s.io/v1\nkind: Policy\nomitStages: [RequestReceived, ResponseStarted]\nrules: [{{level: {level}}}]\n"
        )
    }
}

/// One answered request. A watch appears when it ends.
#[derive(Clone, Debug, PartialEq)]
pub struct AuditEvent {
    /// The API verb: `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`; for other URLs the HTTP method.
    pub verb: String,
    /// Path and query.
    pub request_uri: String,
    /// Name of the user (see [`crate::User::name`]).
    pub user: String,
    /// What the client calls itself.
    pub user_agent: String,
    /// API group, empty for the core group and for URLs that name no resource.
    pub group: String,
    /// Plural name of the resource; empty for URLs that name none.
    pub resource: String,
    /// `status`, `token`, …
    pub subresource: Option<String>,
    /// The namespace of a namespaced object.
    pub namespace: Option<String>,
    /// The object's name; missing for lists and for a `create` whose name only the body says (unless that is kept).
    pub name: Option<String>,
    /// HTTP status of the answer.
    pub code: u16,
    /// When the request came in (RFC 3339, microseconds).
    pub received_at: String,
    /// The request's body, with [`AuditLevel::RequestResponse`].
    pub request: Option<Value>,
    /// The answer's body, with [`AuditLevel::RequestResponse`].
    pub response: Option<Value>,
}

impl AuditEvent {
    /// Whether the request asked for a change.
    pub fn is_write(&self) -> bool {
        ["create", "update", "patch", "delete", "deletecollection"].contains(&self.verb.as_str())
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    stage: String,
    verb: String,
    #[serde(rename = "requestURI")]
    request_uri: String,
    user: UserInfo,
    #[serde(default)]
    user_agent: String,
    #[serde(default)]
    object_ref: ObjectRef,
    response_status: Option<ResponseStatus>,
    request_received_timestamp: String,
    request_object: Option<Value>,
    response_object: Option<Value>,
}

#[derive(Deserialize)]
struct UserInfo {
    #[serde(default)]
    username: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ObjectRef {
    api_group: String,
    resource: String,
    subresource: Option<String>,
    namespace: Option<String>,
    name: Option<String>,
}

#[derive(Deserialize)]
struct ResponseStatus {
    #[serde(default)]
    code: u16,
}

/// Reads the answered requests in the order of the log, from a position on.
pub(crate) fn read(path: &Path, from: u64) -> Result<Vec<AuditEvent>> {
    let mut log = Vec::new();
    let read = |mut file: File| {
        file.seek(SeekFrom::Start(from))?;
        file.read_to_end(&mut log)
    };
    File::open(path).and_then(read).while_trying(|| format!("read {}", path.display()))?;
    parse(&log)
}

/// Where the next line of the log begins, or the one that is being written.
pub(crate) fn position(path: &Path) -> Result<u64> {
    let log = std::fs::read(path).while_trying(|| format!("read {}", path.display()))?;
    Ok(log.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end as u64 + 1))
}

/// A last line without its end is still being written and is left for the next time.
fn parse(log: &[u8]) -> Result<Vec<AuditEvent>> {
    let complete = log.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    log[..complete]
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(serde_json::from_slice::<Line>)
        .filter(|line| line.as_ref().map_or(true, |line| line.stage == "ResponseComplete"))
        .map(|line| Ok(line?.into()))
        .collect()
}

impl From<Line> for AuditEvent {
    fn from(line: Line) -> Self {
        Self {
            verb: line.verb,
            request_uri: line.request_uri,
            user: line.user.username,
            user_agent: line.user_agent,
            group: line.object_ref.api_group,
            resource: line.object_ref.resource,
            subresource: line.object_ref.subresource,
            namespace: line.object_ref.namespace,
            name: line.object_ref.name,
            code: line.response_status.map_or(0, |status| status.code),
            received_at: line.request_received_timestamp,
            request: line.request_object,
            response: line.response_object,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATCHED: &str = r#"{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata","stage":"ResponseComplete","requestURI":"/apis/cognigy.io/v1alpha1/namespaces/a/cognigywebhooks/w/status?force=true","verb":"patch","user":{"username":"operator","groups":["system:authenticated"]},"userAgent":"kube-rs","objectRef":{"resource":"cognigywebhooks","namespace":"a","name":"w","apiGroup":"cognigy.io","apiVersion":"v1alpha1","subresource":"status"},"responseStatus":{"metadata":{},"code":200},"requestReceivedTimestamp":"2026-11-22T10:00:00.000001Z","stageTimestamp":"2026-11-22T10:00:00.000002Z"}"#;
    const PANIC: &str = r#"{"stage":"Panic","verb":"get","requestURI":"/","user":{},"requestReceivedTimestamp":"2026-11-22T10:00:00Z"}"#;

    #[test]
    fn an_answered_request_says_who_did_what_to_which_object() {
        let events = parse(format!("{PATCHED}\n").as_bytes()).unwrap();
        let [event] = events.as_slice() else { panic!("one event expected, got {events:?}") };
        assert_eq!((event.verb.as_str(), event.user.as_str(), event.code), ("patch", "operator", 200));
        assert_eq!((event.group.as_str(), event.resource.as_str()), ("cognigy.io", "cognigywebhooks"));
        assert_eq!(event.subresource.as_deref(), Some("status"));
        assert_eq!((event.namespace.as_deref(), event.name.as_deref()), (Some("a"), Some("w")));
        assert_eq!(event.user_agent, "kube-rs");
        assert!(event.is_write());
    }

    #[test]
    fn a_line_that_is_still_being_written_is_left_for_later() {
        let half = &PATCHED[..100];
        assert_eq!(parse(format!("{PATCHED}\n{half}").as_bytes()).unwrap().len(), 1);
        assert_eq!(parse(half.as_bytes()).unwrap(), []);
    }

    #[test]
    fn only_answered_requests_count() {
        assert_eq!(parse(format!("{PANIC}\n").as_bytes()).unwrap(), []);
    }

    #[test]
    fn a_broken_line_is_an_error_and_not_a_missing_event() {
        assert!(parse(b"{nonsense}\n").is_err());
    }
}
