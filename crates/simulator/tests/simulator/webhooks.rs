use cognigy_simulator::{ErrorFormat, Locking, Options, StaleStatus};
use reqwest::Method;
use serde_json::{Value, json};

use crate::client::{orders, policy, send, start, started, with};

#[tokio::test]
async fn a_webhook_is_read_with_its_version_and_written_under_it() {
    let client = started().await;
    let id = client.registered().await;
    let read = client.webhook(&id).await;
    let body = read.json();
    assert_eq!((read.status, &body["id"], &body["enabled"]), (200, &json!(id), &json!(false)));
    assert_eq!(read.etag(), format!("\"{}\"", body["_version"].as_str().unwrap()));
    assert!(body.get("retryPolicy").is_none());

    let body = with(with(body, "retryPolicy", policy(&id)), "enabled", json!(true));
    let written = client.put_webhook(&id, &read.etag(), &body).await;
    assert_eq!(written.status, 200, "{}", written.text);
    assert_ne!(written.etag(), read.etag());
    assert_eq!(client.webhook(&id).await.etag(), written.etag());
    let integration = client.get(&format!("/api/v1/integrations/{id}")).await.json();
    assert_eq!(integration["status"], "active", "enabled and status are one fact");
    let change = client.sim.history().pop().unwrap();
    assert!(change.active && change.has_policy && change.by_api);
}

#[tokio::test]
async fn a_write_needs_the_version_of_now() {
    let client = started().await;
    let id = client.registered().await;
    let path = format!("/api/v2/webhooks/{id}");
    let body = client.webhook(&id).await.json();
    let etag = client.sim.etag(&id).unwrap();

    assert_eq!(send(client.call(Method::PUT, &path).json(&body)).await.status, 428);
    for (value, status) in [
        ("*", 400),
        (etag.trim_matches('"'), 400),
        (&format!("W/{etag}"), 409),
        ("\"v9-00000000\"", 409),
        (&format!("\"v9-00000000\", {etag}"), 200),
    ] {
        assert_eq!(client.put_webhook(&id, value, &body).await.status, status, "If-Match: {value}");
    }
    assert_eq!(client.put_webhook(&id, &etag, &body).await.status, 409, "the write before has moved it");
}

#[tokio::test]
async fn a_stale_write_may_be_answered_412_and_changes_nothing() {
    let client = start(Options { stale_status: StaleStatus::PreconditionFailed, ..Options::default() }).await;
    let id = client.registered().await;
    let read = client.webhook(&id).await;
    assert!(client.sim.change_behind(&id, json!({"tags": ["x"]})));
    let stale = client.put_webhook(&id, &read.etag(), &with(read.json(), "name", json!("mine"))).await;
    assert_eq!(stale.status, 412);
    assert_eq!(client.sim.integration(&id).unwrap().name, "orders");
}

#[tokio::test]
async fn fields_that_are_not_sent_back_are_lost_but_the_registration_is_not() {
    let client = started().await;
    let id = client.registered().await;
    let read = client.webhook(&id).await;
    assert_eq!(read.json()["deliveryRegion"], "eu-1");
    let mut careless = read.json();
    careless.as_object_mut().unwrap().remove("deliveryRegion");
    let written = client.put_webhook(&id, &read.etag(), &careless).await;
    assert!(written.json().get("deliveryRegion").is_none());
    assert_eq!(client.sim.integration(&id).unwrap().headers, *orders()["headers"].as_object().unwrap());
}

#[tokio::test]
async fn a_bad_policy_is_refused_in_the_servers_words() {
    let client = started().await;
    let id = client.registered().await;
    let read = client.webhook(&id).await;
    for (field, value, detail) in [
        ("webhookId", json!("wh_other"), "retryPolicy.webhookId: \"wh_other\" is not this webhook"),
        ("maxRetries", json!(11), "retryPolicy.maxRetries: 11 is above the limit 10"),
        ("intervalsMs", json!([1000, 1400, 6250, 15625]), "retryPolicy.intervalsMs[1]: 1400 is less than 1.5 times"),
        ("intervalsMs", json!([1000]), "retryPolicy.intervalsMs: has 1 intervals for 4 retries"),
        ("backoffType", json!("linear"), "retryPolicy.backoffType"),
        ("failureThresholdPercent", json!(100), "retryPolicy.failureThresholdPercent"),
        ("jitter", json!(true), "retryPolicy.jitter: is no known field"),
    ] {
        let body = with(read.json(), "retryPolicy", with(policy(&id), field, value));
        let refused = client.put_webhook(&id, &read.etag(), &body).await;
        assert_eq!((refused.status, refused.header("content-type")), (422, Some("application/problem+json")));
        assert!(refused.detail().starts_with(detail), "{}", refused.text);
    }
    assert_eq!(client.sim.etag(&id), Some(read.etag()), "nothing was changed");
}

#[tokio::test]
async fn a_conditional_read_costs_no_body() {
    let client = started().await;
    let id = client.registered().await;
    let read =
        |tag: String| send(client.call(Method::GET, &format!("/api/v2/webhooks/{id}")).header("if-none-match", tag));
    let etag = client.sim.etag(&id).unwrap();
    let same = read(etag.clone()).await;
    assert_eq!((same.status, same.text.as_str(), same.etag()), (304, "", etag.clone()));
    assert_eq!(read("\"other\"".into()).await.status, 200);
    client.sim.configure(|options| options.ignore_if_none_match = true);
    assert_eq!(read(etag).await.status, 200);
}

#[tokio::test]
async fn each_kind_of_locking_shows_what_it_has() {
    for (locking, etag, version, changed) in [
        (Locking::EtagAndVersion, true, true, false),
        (Locking::EtagOnly, true, false, false),
        (Locking::VersionOnly, false, true, false),
        (Locking::LastChanged, false, false, true),
        (Locking::None, false, false, false),
    ] {
        let client = start(Options { locking, ..Options::default() }).await;
        let id = client.registered().await;
        let read = client.webhook(&id).await;
        let has = |field: &str| read.json().get(field).is_some();
        assert_eq!((read.header("etag").is_some(), has("_version"), has("lastChanged")), (etag, version, changed));

        let unconditional =
            send(client.call(Method::PUT, &format!("/api/v2/webhooks/{id}")).json(&read.json())).await.status;
        assert_eq!(unconditional, if locking.needs_if_match() { 428 } else { 200 }, "{locking:?}");
        if locking == Locking::VersionOnly {
            let quoted = format!("\"{}\"", read.json()["_version"].as_str().unwrap());
            let written = client.put_webhook(&id, &quoted, &read.json()).await;
            assert_eq!((written.status, written.header("etag")), (200, None));
        }
    }
}

#[tokio::test]
async fn a_write_may_keep_its_new_etag_to_itself() {
    let client = start(Options { put_carries_etag: false, ..Options::default() }).await;
    let id = client.registered().await;
    let read = client.webhook(&id).await;
    assert_eq!(client.put_webhook(&id, &read.etag(), &read.json()).await.header("etag"), None);
}

#[tokio::test]
async fn errors_come_in_each_shape() {
    let client = started().await;
    let missing = async |format| {
        client.sim.configure(|options| options.error_format = format);
        client.webhook("nobody").await
    };
    assert_eq!(missing(ErrorFormat::ProblemTextCode).await.json()["code"], "NOT_FOUND");
    let oauth = missing(ErrorFormat::Oauth).await.json();
    assert_eq!((oauth["error"].as_str(), oauth["error_description"].is_string()), (Some("invalid_request"), true));
    let plain = missing(ErrorFormat::Plain).await;
    assert_eq!((plain.status, plain.json()), (404, Value::Null));
    assert_eq!(plain.text, "There is no webhook \"nobody\".");
    assert!(plain.header("x-trace-id").unwrap().starts_with("api--"));
}
