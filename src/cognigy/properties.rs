//! What holds for whatever Cognigy answers: nothing panics, what is kept is bounded, and nothing is lost.

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use proptest::prelude::*;
use serde_json::{Value, json};
use url::Url;

use super::{
    BackoffType, BotWebhook, ETag, ErrorKind, Integration, IntervalPolicy, Route, StoredPolicy, Webhook, WebhookId,
    call::{self, Reply},
    fields::version_tag,
    problem::{self, Problem},
    token::Grant,
    wire::RawAnswer,
};
use crate::{
    mutated::{any_json, mutated, unknown_fields},
    redact::Redactor,
    text,
};

const SECRET: &str = "a-secret-of-the-request-5f1c";

fn integration() -> Value {
    json!({"id": "wh_1", "_version": "v1", "name": "orders", "url": "https://api.example.com/orders", "method": "POST",
        "headers": {"X-Key": "value"}, "payloadFormat": "application/json", "version": 2, "status": "inactive",
        "idempotencyKey": "orders:2"})
}

fn webhook() -> Value {
    json!({"id": "wh_1", "_version": "v1", "name": "orders", "url": "https://api.example.com/orders", "enabled": true,
        "lastChanged": 1_766_400_000, "retryPolicy": policy()})
}

fn policy() -> Value {
    json!({"webhookId": "wh_1", "maxRetries": 2, "backoffType": "exponential", "intervalsMs": [1000, 2500],
        "failureThresholdPercent": 15.0})
}

fn bot_webhook() -> Value {
    json!({"id": "wh_1", "name": "orders", "url": "https://api.example.com/orders", "retryPolicy": {"enabled": true,
        "maxAttempts": 3, "backoffStrategy": "exponential", "baseDelayMs": 1000, "maxDelayMs": 30000,
        "maxRetryWindowSeconds": 3600}})
}

fn refusal() -> Value {
    json!({"type": "about:blank", "title": "Unprocessable", "status": 422, "detail": format!("{SECRET} is refused"),
        "code": 1000, "traceId": "api--1", "error": {"message": SECRET}, "error_description": "no"})
}

/// Headers as a hostile server may send them: known names, any bytes that HTTP lets through.
fn headers() -> impl Strategy<Value = HeaderMap> {
    let name =
        prop::sample::select(vec!["etag", "location", "x-trace-id", "x-request-id", "retry-after", "date", "x-odd"]);
    let value = prop_oneof![
        prop::collection::vec(prop_oneof![0x20_u8..0x7f, 0x80_u8..=0xff, Just(b'\t')], 0..60),
        prop::sample::select(vec![
            "\"v1\"",
            "W/\"v1\"",
            "*",
            "/api/v1/integrations/wh_1",
            "7",
            "Tue, 22 Dec 2026 10:40:01 GMT"
        ])
        .prop_map(|text| text.as_bytes().to_vec()),
        Just(SECRET.as_bytes().to_vec()),
    ];
    prop::collection::vec((name, value), 0..5).prop_map(|fields| {
        let fields = fields.into_iter();
        fields.map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_bytes(&value).unwrap())).collect()
    })
}

fn understood<T>(headers: HeaderMap, body: Vec<u8>, read: impl Fn(&Reply) -> Result<T, String>) -> Result<T, String> {
    let raw = RawAnswer { status: StatusCode::OK, headers, body };
    let answer = call::understand(&raw, &secrets(), read)?;
    if let Some(tag) = &answer.etag {
        assert!(tag.as_str().len() <= 1026 && HeaderValue::from_str(tag.as_str()).is_ok() && tag.as_str() != "\"*\"");
        assert!(!tag.as_str().contains(SECRET));
    }
    assert_is_fit(answer.trace_id.as_deref());
    Ok(answer.value)
}

fn secrets() -> Redactor {
    Redactor::new([SECRET.into()])
}

fn assert_is_fit(shown: Option<&str>) {
    if let Some(shown) = shown {
        assert!(shown.chars().count() <= 500 && !shown.chars().any(text::is_unfit), "{shown:?}");
        assert!(!shown.contains(SECRET) && !shown.contains(&SECRET[..8]), "{shown:?}");
    }
}

fn is_id(id: &WebhookId) -> bool {
    (1..=256).contains(&id.as_str().len())
        && !id.as_str().chars().any(char::is_control)
        && !id.as_str().contains(SECRET)
}

proptest! {
    #[test]
    fn whatever_a_registration_is_answered_with_is_read_or_refused_in_a_few_words(
        headers in headers(), body in mutated(integration())
    ) {
        match understood(headers, body, |reply| Integration::read(reply.required_body()?, reply.etag.clone())) {
            Ok(read) => prop_assert!(is_id(&read.id)),
            Err(why) => assert_is_fit(Some(&why)),
        }
    }

    #[test]
    fn whatever_a_webhook_is_answered_with_is_read_or_refused_in_a_few_words(
        headers in headers(), body in mutated(webhook())
    ) {
        match understood(headers, body, |reply| Webhook::read(reply.required_body()?, reply.etag.clone())) {
            Ok(read) => {
                prop_assert!(is_id(read.id()));
                let _ = (read.name(), read.url(), read.enabled(), read.retry_policy(), read.last_changed());
                let shown = format!("{read:?}");
                prop_assert!(!shown.contains("retryPolicy"));
            }
            Err(why) => assert_is_fit(Some(&why)),
        }
    }

    #[test]
    fn whatever_a_bot_listing_holds_is_read_or_refused_in_a_few_words(body in mutated(bot_webhook())) {
        match understood(HeaderMap::new(), body, |reply| BotWebhook::read(reply.required_body()?)) {
            Ok(read) => prop_assert!(is_id(&read.id)),
            Err(why) => assert_is_fit(Some(&why)),
        }
    }

    #[test]
    fn a_policy_write_sends_back_every_field_that_nobody_knows(unknown in unknown_fields()) {
        let mut document = webhook();
        document.as_object_mut().unwrap().extend(unknown.clone());
        let wanted = IntervalPolicy {
            webhook_id: WebhookId::new("wh_1").unwrap(),
            max_retries: 1,
            backoff_type: BackoffType::Exponential,
            intervals_ms: vec![7],
            failure_threshold_percent: 15.0,
        };
        let changed = Webhook::read(&document, version_tag(&document)).unwrap().with_policy(&wanted);
        prop_assert_eq!(changed.retry_policy(), Some(StoredPolicy::Interval(wanted.clone())));
        let mut expected = document;
        expected["retryPolicy"] = json!(wanted);
        for field in ["id", "_version"] {
            expected.as_object_mut().unwrap().remove(field);
        }
        prop_assert_eq!(changed.body(), expected);
    }

    #[test]
    fn a_stored_policy_of_any_form_is_known_or_kept_as_it_is(stored in any_json()) {
        let mut document = webhook();
        document["retryPolicy"] = stored.clone();
        match Webhook::read(&document, None).unwrap().retry_policy() {
            None => prop_assert!(stored.is_null()),
            Some(StoredPolicy::Unknown(kept)) => prop_assert_eq!(kept, stored),
            Some(StoredPolicy::Interval(_)) => prop_assert!(stored.is_object()),
        }
    }

    #[test]
    fn whatever_a_refusal_says_is_shown_short_clean_and_without_secrets(
        headers in headers(), body in prop_oneof![mutated(refusal()), prop::collection::vec(any::<u8>(), 0..2000)]
    ) {
        let read = Problem::read(&headers, &body, &secrets());
        assert_is_fit(read.detail.as_deref());
        assert_is_fit(read.trace_id.as_deref());
        assert_is_fit(problem::excerpt(&body, &secrets()).as_deref());
        if let Some(code) = read.oauth_error {
            prop_assert!(code.chars().count() <= 500);
        }
    }

    #[test]
    fn no_status_and_no_header_closes_a_gate_for_less_than_a_second_or_more_than_an_hour(
        status in 300_u16..600, headers in headers()
    ) {
        let kind = problem::classify(Route::PutWebhook, StatusCode::from_u16(status).unwrap(), &headers);
        if let ErrorKind::RateLimited { retry_after, .. } = kind {
            prop_assert!((1..=3600).contains(&retry_after.as_secs()));
        }
    }

    #[test]
    fn no_token_answer_breaks_the_reader_and_no_refusal_of_one_quotes_it(
        body in mutated(json!({"access_token": SECRET, "expires_in": 3600, "token_type": "Bearer"}))
    ) {
        match Grant::read(&body) {
            Ok(grant) => {
                let shown = format!("{grant:?}");
                prop_assert!(!shown.contains(SECRET));
            }
            Err(why) => prop_assert!(!why.contains(SECRET)),
        }
    }

    #[test]
    fn no_redirection_is_quoted_with_more_than_its_origin(location in "(https?://)?[ -~]{0,200}") {
        let headers = [(header::LOCATION, HeaderValue::from_str(&location).unwrap())].into_iter().collect();
        let raw = RawAnswer { status: StatusCode::FOUND, headers, body: Vec::new() };
        let shown = problem::redirection(&raw, &secrets());
        prop_assert!(shown.chars().count() < 600 && !shown.chars().any(text::is_unfit), "{}", shown);
    }

    #[test]
    fn an_id_is_one_segment_of_the_path_whatever_it_holds(id in "\\PC{1,60}|[./\\\\?#%:@]{1,9}|\\.{1,3}(/\\.{1,2})?") {
        let Ok(id) = WebhookId::new(id) else { return Ok(()) };
        let mut url = Url::parse("https://c.example.com/new").unwrap();
        url.path_segments_mut().unwrap().pop_if_empty().extend(["api", "v2", "webhooks", id.as_str()]);
        prop_assert_eq!(url.host_str(), Some("c.example.com"));
        prop_assert_eq!((url.query(), url.fragment()), (None, None));
        prop_assert_eq!(url.path_segments().unwrap().count(), 5, "{}", url);
        prop_assert!(url.path().starts_with("/new/api/v2/webhooks/"), "{}", url);
    }

    #[test]
    fn an_entity_tag_header_is_a_strong_tag_or_none(text in "(W/|w/)?\"?[ -~]{0,30}\"?") {
        if let Some(tag) = ETag::from_header(&text) {
            let opaque = tag.as_str().trim_matches('"');
            prop_assert!(tag.as_str().starts_with('"') && tag.as_str().ends_with('"') && opaque != "*");
            prop_assert!(text.contains(opaque));
            prop_assert_eq!(ETag::from_header(tag.as_str()), Some(tag));
        }
    }
}
