use serde_json::json;

use super::*;

fn with(mut body: Value, pointer: &str, value: Value) -> Value {
    *body.pointer_mut(pointer).unwrap() = value;
    body
}

fn without(mut body: Value, field: &str) -> Value {
    body.as_object_mut().unwrap().remove(field);
    body
}

fn order() -> Value {
    json!({"name": "orders", "url": "https://api.example.com/o", "method": "POST", "headers": {"X-A": "1"},
           "payloadFormat": "application/json", "version": 2, "status": "inactive", "idempotencyKey": "orders:2"})
}

fn intervals(list: &[i64], threshold: f64) -> Value {
    json!({"webhookId": "w", "maxRetries": list.len(), "backoffType": "exponential", "intervalsMs": list,
           "failureThresholdPercent": threshold})
}

#[test]
fn the_documented_bodies_are_accepted() {
    let registered = registration(&order(), false).unwrap();
    assert_eq!((registered.version, registered.active), (2, false));
    assert!(interval_policy(&intervals(&[1000, 2500, 6250, 15625], 15.0), "w").is_ok());
    let window = json!({"retryPolicy": {"enabled": true, "maxAttempts": 3, "backoffStrategy": "exponential",
        "baseDelayMs": 1000, "maxDelayMs": 30000, "maxRetryWindowSeconds": 3600}});
    assert!(window_policy(&window).is_ok());
}

#[test]
fn each_field_of_a_registration_is_checked() {
    for (pointer, value) in [
        ("/name", json!("")),
        ("/name", json!(1)),
        ("/url", json!("http://api.example.com/o")),
        ("/url", json!("https://")),
        ("/url", json!("orders")),
        ("/method", json!("GET")),
        ("/headers", json!(["a"])),
        ("/headers", json!({"a b": "c"})),
        ("/headers", json!({"a": 1})),
        ("/headers", json!({"a": "line\nbreak"})),
        ("/payloadFormat", json!("json")),
        ("/version", json!(0)),
        ("/version", json!("2")),
        ("/version", json!(1.5)),
        ("/status", json!("paused")),
        ("/idempotencyKey", json!("")),
    ] {
        let refused = registration(&with(order(), pointer, value.clone()), false).unwrap_err();
        assert!(refused.field.starts_with(&pointer[1..]), "{pointer} {value}: {refused}");
    }
    for field in ["name", "url", "method", "version", "status", "idempotencyKey"] {
        assert_eq!(registration(&without(order(), field), false).unwrap_err().field, field);
    }
    let mut unknown = order();
    unknown["extra"] = json!(1);
    assert_eq!(registration(&unknown, false).unwrap_err().to_string(), "extra: is no known field");
    assert!(registration(&with(order(), "/url", json!("http://localhost/")), true).is_ok());
}

#[test]
fn each_limit_of_an_interval_policy_holds_and_its_neighbour_passes() {
    let good = |list: &[i64], threshold| interval_policy(&intervals(list, threshold), "w");
    assert!(good(&[2, 3], 0.0).is_ok());
    assert_eq!(good(&[3, 4], 0.0).unwrap_err().field, "retryPolicy.intervalsMs[1]");
    assert!(good(&[1_440_000, 2_160_000], 0.0).is_ok());
    assert!(good(&[1_440_000, 2_160_001], 0.0).unwrap_err().message.contains("3600000"));
    assert!(good(&[0], 0.0).is_err());
    assert!(good(&[i64::MAX, i64::MAX], 0.0).is_err());
    assert!(good(&[1000], 99.9).is_ok(), "round(1.0) is 1");
    assert!(good(&[1000], 99.94).is_ok(), "round(0.6) is 1");
    assert!(good(&[1000], 99.96).is_err(), "round(0.4) is 0");
    assert!(good(&[1000], 100.0).is_err());
    assert!(good(&[1000], 100.1).is_err());
    assert!(good(&[1000], -0.1).is_err());
    let eleven: Vec<i64> = (0..11).map(|n| 1 << n).collect();
    assert!(good(&eleven[..10], 0.0).is_ok());
    assert!(good(&eleven, 0.0).unwrap_err().to_string().contains("11 is above the limit 10"));
    assert!(good(&[], 0.0).is_err());
}

#[test]
fn each_field_of_an_interval_policy_is_checked() {
    let policy = || intervals(&[1000, 2500], 15.0);
    for (pointer, value) in [
        ("/webhookId", json!("other")),
        ("/maxRetries", json!(3)),
        ("/maxRetries", json!(2.0)),
        ("/backoffType", json!("linear")),
        ("/intervalsMs", json!("1000")),
        ("/intervalsMs", json!([1000, 2500.5])),
        ("/failureThresholdPercent", json!("15")),
    ] {
        assert!(interval_policy(&with(policy(), pointer, value.clone()), "w").is_err(), "{pointer} {value}");
    }
    for field in ["webhookId", "maxRetries", "backoffType", "intervalsMs", "failureThresholdPercent"] {
        assert!(interval_policy(&without(policy(), field), "w").is_err(), "{field}");
    }
    let mut unknown = policy();
    unknown["jitter"] = json!(true);
    assert!(interval_policy(&unknown, "w").is_err());
}

#[test]
fn each_limit_of_a_window_policy_holds() {
    let policy = || {
        json!({"retryPolicy": {"enabled": true, "maxAttempts": 10, "backoffStrategy": "linear",
               "baseDelayMs": 1, "maxDelayMs": 1, "maxRetryWindowSeconds": 86400}})
    };
    assert!(window_policy(&policy()).is_ok());
    assert!(window_policy(&json!({"retryPolicy": {"enabled": false, "backoffStrategy": "linear"}})).is_ok());
    for (pointer, value) in [
        ("/retryPolicy/enabled", json!("yes")),
        ("/retryPolicy/maxAttempts", json!(11)),
        ("/retryPolicy/maxAttempts", json!(0)),
        ("/retryPolicy/backoffStrategy", json!("Exponential")),
        ("/retryPolicy/baseDelayMs", json!(0)),
        ("/retryPolicy/maxDelayMs", json!(-1)),
        ("/retryPolicy/maxRetryWindowSeconds", json!(86401)),
        ("/retryPolicy", json!(null)),
    ] {
        assert!(window_policy(&with(policy(), pointer, value.clone())).is_err(), "{pointer} {value}");
    }
    assert!(window_policy(&json!({"retryPolicy": {"enabled": true, "backoffStrategy": "linear", "x": 1}})).is_err());
    assert!(window_policy(&json!({})).is_err());
}

#[test]
fn a_webhook_keeps_fields_that_nobody_knows_and_refuses_those_of_the_other_view() {
    let body =
        json!({"id": "w", "_version": "v1-0", "name": "n", "url": "https://h/", "enabled": true, "region": "eu"});
    let view = webhook_view(&body, "w", false).unwrap();
    assert_eq!(Value::Object(view.unknown), json!({"region": "eu"}));
    assert_eq!(webhook_view(&body, "other", false).unwrap_err().field, "id");
    let mut mixed = body;
    mixed["status"] = json!("active");
    assert_eq!(webhook_view(&mixed, "w", false).unwrap_err().field, "status");
}
