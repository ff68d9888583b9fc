use std::time::Duration;

use cognigy_simulator::{Answer, Options};
use reqwest::Method;
use serde_json::{Value, json};

use crate::client::{Answered, Client, http_client, orders, send, start, started, with};

fn trusting(client: &Client) -> reqwest::Client {
    let ca = reqwest::Certificate::from_pem(client.sim.ca_pem().as_bytes()).unwrap();
    http_client().tls_certs_merge([ca]).build().unwrap()
}

fn check(trace_id: &str) -> Value {
    json!({"source": "cognigy-registrar", "event": "health_check", "timestamp": 1_766_400_000, "trace_id": trace_id,
           "data": {"status": "ready", "version": 2}})
}

async fn post(client: &Client, body: &Value) -> Answered {
    let request = trusting(client).post(client.sim.callback_url("orders"));
    send(request.header("user-agent", "CognigyWebhookRegistrar/1.0").json(body)).await
}

#[tokio::test]
async fn a_health_check_is_recorded_and_answered_as_programmed() {
    let client = started().await;
    let callback = client.sim.callback("orders");
    callback.answers([Answer::status(500), Answer::redirect("https://elsewhere.example/")]);
    assert_eq!(post(&client, &check("a")).await.status, 500);
    let redirected = post(&client, &check("b")).await;
    assert_eq!((redirected.status, redirected.header("location")), (302, Some("https://elsewhere.example/")));
    assert_eq!(post(&client, &check("c")).await.status, 200, "then the standing answer");
    callback.answer(Answer::status(503).body("down").header("x-why", "maintenance"));
    let down = post(&client, &check("d")).await;
    assert_eq!((down.status, down.text.as_str(), down.header("x-why")), (503, "down", Some("maintenance")));

    let requests = callback.requests();
    assert_eq!(requests.iter().map(|one| one.status.unwrap()).collect::<Vec<_>>(), [500, 302, 200, 503]);
    assert!(requests.iter().all(|one| one.violations.is_empty()), "{:?}", requests[0].violations);
    assert_eq!((requests[0].body.clone(), requests[0].tls_version.as_deref()), (check("a"), Some("TLSv1_3")));
    assert!(client.sim.requests().is_empty(), "callbacks are not API requests");
}

#[tokio::test]
async fn a_request_that_is_no_health_check_is_refused() {
    let client = started().await;
    let without_data = {
        let mut body = check("x");
        body.as_object_mut().unwrap().remove("data");
        body
    };
    for (body, complaint) in [
        (with(check("a"), "source", json!("me")), "source"),
        (with(check("b"), "event", json!("ping")), "event"),
        (with(check("c"), "timestamp", json!("now")), "timestamp"),
        (with(check("d"), "trace_id", json!("")), "trace_id"),
        (with(check("e"), "data", json!({"status": "ready", "version": 0})), "data.version"),
        (with(check("f"), "data", json!({"status": "up", "version": 1})), "data.status"),
        (with(check("g"), "extra", json!(1)), "fields"),
        (without_data, "fields"),
    ] {
        let refused = post(&client, &body).await;
        assert_eq!((refused.status, refused.text.contains(complaint)), (400, true), "{complaint}: {}", refused.text);
    }
    assert_eq!(post(&client, &check("z")).await.status, 200);
    assert!(post(&client, &check("z")).await.text.contains("trace_id was used before"));

    let bare = trusting(&client).put(client.sim.callback_url("orders")).json(&check("y"));
    let refused = send(bare).await.text;
    assert!(refused.contains("not POST") && refused.contains("User-Agent"), "{refused}");
    let plain = client.http.post(client.sim.http_callback_url("orders")).json(&check("w"));
    assert!(send(plain).await.text.contains("without TLS"));
}

#[tokio::test]
async fn a_health_check_carries_the_headers_of_the_registration() {
    let client = started().await;
    let url = client.sim.callback_url("orders");
    let body = with(with(orders(), "url", json!(url.as_str())), "headers", json!({"X-Env": "test"}));
    assert_eq!(client.register(&body).await.status, 201);
    assert!(post(&client, &check("a")).await.text.contains("own headers"));
    let request = trusting(&client).post(url).header("user-agent", "CognigyWebhookRegistrar/1.0");
    assert_eq!(send(request.header("x-env", "test").json(&check("b"))).await.status, 200);
}

#[tokio::test]
async fn a_callback_can_hang_be_lost_be_slow_and_talk_without_end() {
    let client = started().await;
    let callback = client.sim.callback("orders");
    callback.answers([Answer::lose_connection()]);
    let lost = trusting(&client).post(client.sim.callback_url("orders")).json(&check("a"));
    // A request that is no health check is answered 400 whatever is programmed, so this one must be good.
    let lost = lost.header("user-agent", "CognigyWebhookRegistrar/1.0").send().await;
    assert!(lost.is_err());

    callback.answer(Answer::hang());
    let request = trusting(&client)
        .post(client.sim.callback_url("orders"))
        .header("user-agent", "CognigyWebhookRegistrar/1.0")
        .json(&check("b"));
    let release = async {
        client.sim.wait_until(|state| state.callback_requests("orders").len() == 2).await;
        callback.answer(Answer::ok().huge(2_000_000).delay(Duration::from_millis(1)));
    };
    let (hung, ()) = tokio::join!(request.send(), release);
    assert!(hung.is_err());
    assert_eq!(post(&client, &check("c")).await.text.len(), 2_000_000);
    assert_eq!(callback.requests().iter().map(|one| one.status).collect::<Vec<_>>(), [None, None, Some(200)]);
}

#[tokio::test]
async fn plain_callbacks_go_with_plain_urls() {
    let client = start(Options { allow_http_urls: true, ..Options::default() }).await;
    let request = client.http.post(client.sim.http_callback_url("orders")).json(&check("a"));
    assert_eq!(send(request.header("user-agent", "CognigyWebhookRegistrar/1.0")).await.status, 200);
    assert_eq!(client.sim.callback("orders").requests()[0].tls_version, None);
}

#[tokio::test]
async fn a_sink_records_cloud_events_and_can_fail() {
    let client = started().await;
    let sink = client.sim.sink("alerts");
    sink.answers([Answer::status(500)]);
    let event = |id: &'static str| {
        let request =
            client.http.post(client.sim.sink_url("alerts")).header("ce-id", id).header("ce-specversion", "1.0");
        request.header("ce-source", "/s").header("ce-type", "t").header("ce-time", "2026-11-22T00:00:00Z")
    };
    assert_eq!(send(event("1").json(&json!({"event": "x"}))).await.status, 500);
    assert_eq!(send(event("1").json(&json!({"event": "x"}))).await.status, 200);
    assert_eq!(send(client.bare(Method::POST, "/sinks/alerts").body("text")).await.status, 200);

    let messages = sink.messages();
    assert_eq!(
        messages.iter().map(cognigy_simulator::SinkMessage::is_delivered).collect::<Vec<_>>(),
        [false, true, true]
    );
    assert_eq!((&messages[1].body, messages[1].header("CE-ID")), (&json!({"event": "x"}), Some("1")));
    assert!(messages[0].violations.is_empty());
    assert!(messages[2].violations.contains(&"ce-id is missing".to_owned()));
    assert!(client.sim.sink("other").messages().is_empty());
}
