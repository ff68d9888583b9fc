//! What Cognigy says when it refuses: problem documents, OAuth errors or plain text (cognigy-api.md §8).

use std::time::{Duration, SystemTime};

use http::header::{DATE, LOCATION, RETRY_AFTER};
use http::{HeaderMap, StatusCode};
use serde_json::Value;
use url::Url;

use super::wire::RawAnswer;
use super::{ErrorKind, Route, Throttle, json};
use crate::{redact::Redactor, text::clean};

/// The longest text that reaches a status, an event or a log, in characters.
pub(super) const MAX_TEXT: usize = 500;
const MAX_TRACE_ID: usize = 128;
/// The longest host name has 253 characters.
const MAX_ORIGIN: usize = 300;
/// How much of a body is looked at for the log, in bytes: more than is shown, since white space is not.
const MAX_EXCERPT: usize = 16 * 1024;
/// Without `Retry-After`.
const DEFAULT_PAUSE: Duration = Duration::from_secs(2);
/// A server may not make us spin, nor silence a host for ever.
const PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_hours(1));

/// What an answer says about itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Problem {
    pub detail: Option<String>,
    /// OAuth's `error`.
    pub oauth_error: Option<String>,
    pub trace_id: Option<String>,
}

impl Problem {
    /// Reads the body of a refusal, whatever its form.
    pub fn read(headers: &HeaderMap, body: &[u8], secrets: &Redactor) -> Self {
        let text = String::from_utf8_lossy(body);
        let document = json::read(text.as_bytes()).ok();
        let field = |name: &str| document.as_ref().and_then(|d| text_of(d.get(name)?));
        let detail = match &document {
            Some(Value::String(text)) => Some(text.clone()),
            Some(Value::Object(_)) => {
                ["detail", "error_description", "message", "title", "error", "code"].into_iter().find_map(field)
            }
            Some(_) => None,
            None => Some(text.into_owned()),
        };
        Self {
            detail: detail.and_then(|text| clean(&secrets.redact(beginning(&text)), MAX_TEXT)),
            oauth_error: field("error").and_then(|text| clean(&text, MAX_TEXT)),
            trace_id: ["traceId", "trace_id"]
                .into_iter()
                .find_map(field)
                .and_then(|text| clean(&secrets.redact(beginning(&text)), MAX_TRACE_ID))
                .or_else(|| trace_id(headers, secrets)),
        }
    }
}

/// A field's text: a string, a number, or an object's `message`.
fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.trim().is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Object(fields) => fields.get("message")?.as_str().map(str::to_owned),
        _ => None,
    }
}

/// As much of a text as is worth the search for secrets, which costs more than to read it.
fn beginning(text: &str) -> &str {
    &text[..text.floor_char_boundary(MAX_EXCERPT)]
}

/// Cognigy's trace id as headers carry it.
pub(super) fn trace_id(headers: &HeaderMap, secrets: &Redactor) -> Option<String> {
    let text = |name| Some(secrets.redact(beginning(headers.get(name)?.to_str().ok()?)));
    ["x-trace-id", "x-request-id"].into_iter().find_map(|name| clean(&text(name)?, MAX_TRACE_ID))
}

/// The first characters of a body, for the log.
pub(super) fn excerpt(body: &[u8], secrets: &Redactor) -> Option<String> {
    clean(&secrets.redact(&String::from_utf8_lossy(body.get(..MAX_EXCERPT).unwrap_or(body))), MAX_TEXT)
}

/// The row of cognigy-api.md §7 that a status stands for.
pub(super) fn classify(route: Route, status: StatusCode, headers: &HeaderMap) -> ErrorKind {
    match status.as_u16() {
        401 => ErrorKind::Unauthorized,
        403 => ErrorKind::Forbidden { scope: route.scope(), role: route.role() },
        404 | 410 => ErrorKind::NotFound,
        405 | 501 => ErrorKind::NotSupported,
        408 => ErrorKind::Timeout,
        409 | 412 | 423 => ErrorKind::Conflict,
        429 => ErrorKind::RateLimited { retry_after: retry_after(headers, SystemTime::now()), by: Throttle::Answered },
        // Not followed: it would carry credentials to where nobody said they may go.
        300..=399 => ErrorKind::Unreachable,
        status @ 400..=499 => ErrorKind::Rejected { status },
        status => ErrorKind::Server { status },
    }
}

/// How long a 429 closes the gate: seconds or an HTTP date, the latter against the server's own clock where it tells it.
pub(super) fn retry_after(headers: &HeaderMap, now: SystemTime) -> Duration {
    let text = |name| Some(headers.get(name)?.to_str().ok()?.trim());
    let date = |text| httpdate::parse_http_date(text).ok();
    let Some(value) = text(RETRY_AFTER) else {
        return DEFAULT_PAUSE;
    };
    let pause = if !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit()) {
        // Only a number beyond u64 cannot be read: a very long pause.
        value.parse().map_or(PAUSE.1, Duration::from_secs)
    } else if let Some(until) = date(value) {
        let now = text(DATE).and_then(date).unwrap_or(now);
        until.duration_since(now).unwrap_or_default()
    } else {
        DEFAULT_PAUSE
    };
    pause.clamp(PAUSE.0, PAUSE.1)
}

/// Where a redirection leads, without what may be secret in it.
pub(super) fn redirection(raw: &RawAnswer, secrets: &Redactor) -> String {
    let target = raw
        .headers
        .get(LOCATION)
        .and_then(|value| Url::parse(value.to_str().ok()?).ok())
        .and_then(|url| {
            Some(format!(" to {}", clean(&secrets.redact(beginning(&url.origin().ascii_serialization())), MAX_ORIGIN)?))
        })
        .unwrap_or_default();
    format!(
        "the installation redirects{target} (status {}) and redirects are not followed; set the tenant's baseUrl to the final address",
        raw.status.as_u16()
    )
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
        fields.iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_str(value).unwrap())).collect()
    }

    fn detail(body: &str) -> Option<String> {
        Problem::read(&HeaderMap::new(), body.as_bytes(), &Redactor::default()).detail
    }

    #[test]
    fn the_words_for_people_are_found_in_every_form_of_refusal() {
        for (body, words) in [
            (
                r#"{"type":"about:blank","title":"Unprocessable","status":422,"detail":"intervalsMs too short","code":1000}"#,
                Some("intervalsMs too short"),
            ),
            (r#"{"title":"Bad Request","status":400,"code":"X1"}"#, Some("Bad Request")),
            (r#"{"error":"invalid_client","error_description":"unknown client"}"#, Some("unknown client")),
            (r#"{"error":"invalid_client"}"#, Some("invalid_client")),
            (r#"{"error":{"message":"inner"}}"#, Some("inner")),
            (r#"{"detail":["wrong type"],"message":"fallback"}"#, Some("fallback")),
            (r#"{"code":1000}"#, Some("1000")),
            (r#""just a string""#, Some("just a string")),
            ("upstream  connect\n\terror", Some("upstream connect error")),
            ("{}", None),
            ("[1,2]", None),
            ("", None),
            (" \n ", None),
        ] {
            assert_eq!(detail(body).as_deref(), words, "{body}");
        }
    }

    #[test]
    fn the_trace_id_comes_from_the_document_or_else_from_the_headers() {
        let both = headers(&[("x-request-id", "req"), ("x-trace-id", "trace")]);
        let read =
            |headers: &HeaderMap, body: &str| Problem::read(headers, body.as_bytes(), &Redactor::default()).trace_id;
        assert_eq!(read(&both, r#"{"traceId":"api--1"}"#).as_deref(), Some("api--1"));
        assert_eq!(read(&both, "{}").as_deref(), Some("trace"));
        assert_eq!(read(&headers(&[("x-request-id", "req")]), "").as_deref(), Some("req"));
        assert_eq!(read(&HeaderMap::new(), ""), None);
    }

    #[test]
    fn a_secret_that_cognigy_echoes_is_removed_before_the_text_is_cut() {
        let secrets = Redactor::new(["hunter2\"x".into(), "ab".into()]);
        let body = serde_json::json!({"detail": "header X-Key: hunter2\"x is bad, ab"}).to_string();
        let problem = Problem::read(&HeaderMap::new(), body.as_bytes(), &secrets);
        assert_eq!(problem.detail.unwrap(), "header X-Key: *** is bad, ab");
        let logged = excerpt(body.as_bytes(), &secrets).unwrap();
        assert!(!logged.contains("hunter2"), "{logged}");
        let at_the_cut = format!("{}hunter2\"x", "a".repeat(MAX_TEXT - 4));
        let problem = Problem::read(&HeaderMap::new(), at_the_cut.as_bytes(), &secrets);
        assert!(!problem.detail.unwrap().contains("hunt"));
    }

    #[test]
    fn each_status_stands_for_one_row_of_the_error_table() {
        let kind = |status: u16| classify(Route::PutWebhook, StatusCode::from_u16(status).unwrap(), &HeaderMap::new());
        assert_eq!(kind(401), ErrorKind::Unauthorized);
        assert_eq!(kind(403), ErrorKind::Forbidden { scope: "webhook:manage", role: "Webhook Administrator" });
        assert_eq!(kind(404), ErrorKind::NotFound);
        assert_eq!(kind(405), ErrorKind::NotSupported);
        assert_eq!(kind(501), ErrorKind::NotSupported);
        assert_eq!(kind(409), ErrorKind::Conflict);
        assert_eq!(kind(412), ErrorKind::Conflict);
        assert_eq!(kind(422), ErrorKind::Rejected { status: 422 });
        assert_eq!(kind(428), ErrorKind::Rejected { status: 428 });
        assert_eq!(kind(503), ErrorKind::Server { status: 503 });
        assert_eq!(kind(302), ErrorKind::Unreachable);
        assert!(matches!(kind(429), ErrorKind::RateLimited { retry_after: DEFAULT_PAUSE, .. }));
    }

    #[test]
    fn retry_after_is_read_in_both_forms_and_kept_within_bounds() {
        let now = UNIX_EPOCH + Duration::from_hours(500_000);
        let date = |offset: u64| httpdate::fmt_http_date(now + Duration::from_secs(offset));
        for (value, seconds) in [
            ("7".to_owned(), 7),
            ("0".to_owned(), 1),
            ("999999".to_owned(), 3600),
            ("99999999999999999999999".to_owned(), 3600),
            (date(90), 90),
            (date(0), 1),
            (httpdate::fmt_http_date(now - Duration::from_secs(90)), 1),
            (date(86_400), 3600),
            ("soon".to_owned(), 2),
            ("-5".to_owned(), 2),
            ("1.5".to_owned(), 2),
        ] {
            let pause = retry_after(&headers(&[("retry-after", &value)]), now);
            assert_eq!(pause, Duration::from_secs(seconds), "{value}");
        }
        assert_eq!(retry_after(&HeaderMap::new(), now), DEFAULT_PAUSE);
    }

    #[test]
    fn a_retry_after_date_is_measured_against_the_servers_own_clock() {
        let ours = UNIX_EPOCH + Duration::from_hours(500_000);
        let theirs = ours - Duration::from_mins(50);
        let answer = headers(&[
            ("date", &httpdate::fmt_http_date(theirs)),
            ("retry-after", &httpdate::fmt_http_date(theirs + Duration::from_secs(9))),
        ]);
        assert_eq!(retry_after(&answer, ours), Duration::from_secs(9));
    }

    proptest! {
        #[test]
        fn no_retry_after_leaves_the_bounds(value in "[ -~]{0,40}") {
            let pause = retry_after(&headers(&[("retry-after", &value)]), SystemTime::now());
            prop_assert!(pause >= PAUSE.0 && pause <= PAUSE.1);
        }

        #[test]
        fn no_refusal_breaks_a_line_or_exceeds_the_length(body in proptest::collection::vec(any::<u8>(), 0..3000)) {
            if let Some(text) = Problem::read(&HeaderMap::new(), &body, &Redactor::default()).detail {
                prop_assert!(text.chars().count() <= MAX_TEXT);
                prop_assert!(!text.chars().any(char::is_control));
            }
        }

        #[test]
        fn a_problem_documents_detail_is_shown_as_written(words in "[a-zA-Zäß(){}]{1,30}( [a-z]{1,9}){0,9}") {
            let body = serde_json::json!({ "detail": words }).to_string();
            prop_assert_eq!(detail(&body), Some(words));
        }
    }
}
