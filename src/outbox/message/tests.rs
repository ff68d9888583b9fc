use http::HeaderMap;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{alert::fingerprint, *};
use crate::api::{AlertState, ObjectKey, SinkKind};

fn key(name: &str) -> ObjectKey {
    ObjectKey::new("cx", name)
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn exhaustion() -> Exhaustion<'static> {
    Exhaustion { attempts: 4, reason: "ServerError", error: "Cognigy answers 503", since: Some(at(1_766_399_000)) }
}

fn told<T>(figures: Figures, time: Timestamp, tell: impl FnOnce(&WebhookTold<'_>) -> T) -> T {
    let (object, tenant) = (key("orders"), key("production"));
    tell(&WebhookTold { object: &object, tenant: &tenant, webhook_id: "wh_1", name: "order-hook", figures, time })
}

fn body(event: &str) -> Value {
    serde_json::from_str(event).unwrap()
}

const FIGURES: Figures = Figures { success_rate: Some(97.5), avg_latency_ms: Some(12.345) };

#[test]
fn the_dead_letter_is_the_documented_one_to_the_byte() {
    let letter = told(FIGURES, at(1_766_400_000), |told| told.dead_letter(&exhaustion()));
    assert_eq!(letter.body, r#"{"webhook_id":"wh_1","max_attempts_reached":4,"final_error":"Cognigy answers 503"}"#);
    assert_eq!((letter.sink, letter.alert_state, letter.fingerprint), (SinkKind::DeadLetter, None, None));
}

#[test]
fn the_alert_has_the_documented_fields_in_their_order() {
    let alert = told(FIGURES, at(1_766_400_000), |told| told.exhausted(&exhaustion()));
    let details = r#"{"attempts":4,"message":"Cognigy answers 503","namespace":"cx","reason":"ServerError","resource":"orders","since":"2025-12-22T10:23:20Z","tenant":"cx/production","webhook_name":"order-hook"}"#;
    let expected = format!(
        r#"{{"event":"webhook_retry_exhausted","webhook_id":"wh_1","timestamp":"2025-12-22T10:40:00Z","error_details":{details},"success_rate":97.5,"avg_latency_ms":12.345}}"#
    );
    assert_eq!(alert.body, expected);
}

#[test]
fn figures_that_are_not_known_are_null() {
    let alert = told(Figures::default(), at(1), |told| told.exhausted(&exhaustion()));
    assert_eq!(body(&alert.body)["success_rate"], Value::Null);
    assert_eq!(body(&alert.body)["avg_latency_ms"], Value::Null);
}

#[test]
fn monitoring_messages_are_the_documented_ones_to_the_byte() {
    let latency = Duration::from_micros(1_230);
    let checked =
        |passing| Monitoring::HealthChecked { integration: "order-hook".into(), version: 2, passing, latency };
    let written = Monitoring::PolicyWritten {
        webhook_id: "wh_1".into(),
        name: "order-hook".into(),
        latency,
        success: true,
        max_retries: 4,
        backoff_type: "exponential",
    };
    let deprecated = Monitoring::Deprecated { name: "order-hook".into(), old_version: 1 };
    let text = |message: &Monitoring| message.event("/x".into(), at(1_766_400_000)).body;
    assert_eq!(
        text(&checked(true)),
        r#"{"integration":"order-hook","version":2,"health_status":"pass","latency_ms":1.23,"exported_at":1766400000}"#
    );
    assert_eq!(body(&text(&checked(false)))["health_status"], "fail");
    assert_eq!(
        text(&written),
        r#"{"event":"webhook.policy.updated","webhookId":"wh_1","name":"order-hook","latencyMs":1.23,"success":true,"maxRetries":4,"backoffType":"exponential"}"#
    );
    assert_eq!(
        text(&deprecated),
        r#"{"event":"webhook_deprecated","name":"order-hook","old_version":1,"timestamp":"2025-12-22T10:40:00Z"}"#
    );
}

#[test]
fn an_alert_and_its_end_share_a_fingerprint_and_no_id() {
    let (firing, resolved) = told(FIGURES, at(1), |told| {
        let firing = told.exhausted(&exhaustion());
        (firing.clone(), told.resolved(&firing.id, Resolution::Recovered))
    });
    assert_eq!(firing.fingerprint, resolved.fingerprint);
    assert_ne!(firing.id, resolved.id);
    assert_eq!((firing.alert_state, resolved.alert_state), (Some(AlertState::Firing), Some(AlertState::Resolved)));
    assert_eq!(body(&resolved.body)["error_details"]["alert_id"], json!(firing.id));
    assert_eq!(body(&resolved.body)["event"], "webhook_retry_resolved");
}

#[test]
fn causes_and_objects_have_fingerprints_of_their_own() {
    let all = [
        fingerprint("CognigyWebhook", &key("orders"), "RetriesExhausted"),
        fingerprint("CognigyWebhook", &key("refunds"), "RetriesExhausted"),
        fingerprint("CognigyTenant", &key("orders"), "RetriesExhausted"),
        fingerprint("CognigyTenant", &key("orders"), "CircuitOpen"),
    ];
    let different: std::collections::BTreeSet<_> = all.iter().collect();
    assert_eq!(different.len(), all.len());
}

#[test]
fn the_envelope_is_cloudevents_in_binary_mode() {
    let alert = told(FIGURES, at(1_766_400_000), |told| told.exhausted(&exhaustion()));
    let headers = CloudEvent::of(&alert, "/apis/x".into()).headers();
    let header = |name: &str| headers.get(name).map(|value| value.to_str().unwrap());
    assert_eq!(header("ce-specversion"), Some("1.0"));
    assert_eq!(header("ce-id"), Some(alert.id.as_str()));
    assert_eq!(header("ce-source"), Some("/apis/x"));
    assert_eq!(header("ce-type"), Some("io.cognigy.webhook.retry.exhausted"));
    assert_eq!(header("ce-time"), Some("2025-12-22T10:40:00Z"));
    assert_eq!(header("ce-alertstate"), Some("firing"));
    assert_eq!(header("ce-fingerprint"), alert.fingerprint.as_deref());
    assert_eq!(header("content-type"), Some("application/json"));
}

fn decoded(headers: &HeaderMap, name: &str) -> String {
    let value = headers[name].to_str().unwrap();
    let mut bytes = Vec::new();
    let mut rest = value.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digits: String = rest.by_ref().take(2).map(char::from).collect();
            bytes.push(u8::from_str_radix(&digits, 16).unwrap());
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).unwrap()
}

proptest! {
    #[test]
    fn a_message_is_the_same_before_and_after_it_was_kept(
        error in any::<String>(), attempts in 1_i32..12, second in 0_i64..4_000_000_000, nanos in 0_i32..1_000_000_000,
        rate in 0.0_f64..100.0,
    ) {
        let figures = Figures { success_rate: Some(rate), avg_latency_ms: None };
        let what = Exhaustion { attempts, error: &error, ..exhaustion() };
        let time = Timestamp::new(second, nanos).unwrap();
        for made in told(figures, time, |told| [told.exhausted(&what), told.dead_letter(&what)]) {
            let kept: Undelivered = serde_json::from_str(&serde_json::to_string(&made).unwrap()).unwrap();
            prop_assert_eq!(CloudEvent::of(&kept, "/a".into()), CloudEvent::of(&made, "/a".into()));
        }
    }

    #[test]
    fn the_fingerprint_knows_no_time_duration_count_or_error(
        error in any::<String>(), attempts in 1_i32..12, second in 0_i64..4_000_000_000, webhooks in 0_usize..500,
    ) {
        let what = Exhaustion { attempts, error: &error, since: None, ..exhaustion() };
        let one = told(Figures::default(), at(second), |told| told.exhausted(&what));
        let other = told(FIGURES, at(7), |told| told.exhausted(&exhaustion()));
        prop_assert_eq!(one.fingerprint, other.fingerprint);
        let tenant = key("production");
        let told = |webhooks, second| TenantTold {
            tenant: &tenant, cause: "CircuitOpen", webhooks, examples: &[], figures: FIGURES, time: at(second),
        };
        prop_assert_eq!(told(webhooks, second).firing(&error).fingerprint, told(1, 1).firing("").fingerprint);
    }

    #[test]
    fn any_attribute_can_be_sent_and_read_again(source in "\\PC{1,40}") {
        let event = Monitoring::Deprecated { name: "n".into(), old_version: 1 }.event(source.clone(), at(1));
        prop_assert_eq!(decoded(&event.headers(), "ce-source"), source);
    }
}
