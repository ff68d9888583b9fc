use std::time::Duration;

use cognigy_simulator::{Fault, RetryAfter, Route};
use serde_json::json;

use crate::client::{Client, orders, started, with};

#[tokio::test]
async fn a_status_strikes_as_often_as_asked_and_the_work_is_not_done() {
    let client = started().await;
    client.sim.fault(Fault::on(Route::CreateIntegration).times(2).status(503).retry_after(RetryAfter::Seconds(3)));
    for _ in 0..2 {
        let struck = client.register(&orders()).await;
        assert_eq!((struck.status, struck.header("retry-after")), (503, Some("3")));
        assert_eq!(struck.header("content-type"), Some("application/problem+json"));
    }
    assert!(client.sim.integrations().is_empty());
    assert_eq!(client.register(&orders()).await.status, 201);
    assert_eq!(client.sim.faults()[0].hits, 2);
}

#[tokio::test]
async fn a_status_may_carry_any_body_and_a_date() {
    let client = started().await;
    client.sim.fault(Fault::any().times(1).status(502).body("bad gateway"));
    client
        .sim
        .fault(Fault::any().times(1).status(429).body(json!({"error": "slow"})).retry_after(RetryAfter::DateIn(9)));
    let text = client.get("/api/v1/integrations").await;
    assert_eq!(
        (text.status, text.text.as_str(), text.header("content-type")),
        (502, "bad gateway", Some("text/plain; charset=utf-8"))
    );
    let dated = client.get("/api/v1/integrations").await;
    assert_eq!((dated.status, dated.json()), (429, json!({"error": "slow"})));
    assert!(httpdate::parse_http_date(dated.header("retry-after").unwrap()).is_ok());
}

#[tokio::test]
async fn a_status_after_the_commit_hides_a_change_that_was_made() {
    let client = started().await;
    client.sim.fault(Fault::on(Route::CreateIntegration).times(1).status(500).after_commit());
    assert_eq!(client.register(&orders()).await.status, 500);
    assert_eq!(client.sim.integrations().len(), 1);
    assert_eq!(client.register(&orders()).await.status, 200);
}

async fn is_lost(client: &Client) -> bool {
    let request = client
        .call(reqwest::Method::POST, "/api/v1/integrations")
        .header("x-request-id", "webhook-reg-orders-2")
        .json(&orders());
    match request.send().await {
        Err(_) => true,
        Ok(response) => response.bytes().await.is_err(),
    }
}

#[tokio::test]
async fn a_connection_is_lost_before_or_after_the_change() {
    let client = started().await;
    client.sim.fault(Fault::on(Route::CreateIntegration).times(1).lose_before());
    assert!(is_lost(&client).await);
    assert!(client.sim.integrations().is_empty());

    client.sim.fault(Fault::on(Route::CreateIntegration).times(1).lose_after());
    assert!(is_lost(&client).await);
    assert_eq!(client.sim.integrations().len(), 1);
    assert!(client.sim.requests().iter().all(|request| request.status.is_none()), "no status was ever sent");
}

#[tokio::test]
async fn a_body_is_cut_after_the_head_was_sent() {
    let client = started().await;
    client.sim.fault(Fault::any().times(1).cut_body());
    let request = client.call(reqwest::Method::GET, "/api/v1/integrations");
    let response = request.send().await.expect("the head arrives");
    assert_eq!(response.status(), 200);
    assert!(response.content_length().unwrap() > 0);
    assert!(response.bytes().await.is_err());
}

#[tokio::test]
async fn bodies_may_be_no_json_or_far_too_long() {
    let client = started().await;
    client.sim.fault(Fault::any().times(1).malformed_json());
    client.sim.fault(Fault::any().times(1).huge_body(3_000_000));
    let malformed = client.register(&orders()).await;
    assert_eq!((malformed.status, malformed.header("content-type")), (201, Some("application/json")));
    assert!(serde_json::from_str::<serde_json::Value>(&malformed.text).is_err());
    assert_eq!(client.sim.integrations().len(), 1, "the work was done");
    let huge = client.get("/api/v1/integrations").await;
    assert!(huge.text.len() > 3_000_000 && huge.json().is_object());
}

#[tokio::test]
async fn a_request_hangs_until_its_rule_is_removed() {
    let client = started().await;
    let rule = client.sim.fault(Fault::on(Route::CreateIntegration).hang());
    let hanging = is_lost(&client);
    let releasing = async {
        client.sim.wait_until(|state| state.count(Route::CreateIntegration) == 1).await;
        assert!(client.sim.remove_fault(rule));
    };
    let (lost, ()) = tokio::join!(hanging, releasing);
    assert!(lost && client.sim.integrations().is_empty());
    assert!(!client.sim.remove_fault(rule));
}

#[tokio::test]
async fn a_delay_comes_before_the_work_unless_it_is_to_come_after() {
    let client = started().await;
    let delayed = Fault::on(Route::CreateIntegration).delay(Duration::from_hours(1));

    let rule = client.sim.fault(delayed.clone());
    let request = client.call(reqwest::Method::POST, "/api/v1/integrations").json(&orders());
    let request = request.header("x-request-id", "webhook-reg-orders-2").timeout(Duration::from_millis(50));
    assert!(request.send().await.unwrap_err().is_timeout());
    assert!(client.sim.integrations().is_empty());
    client.sim.remove_fault(rule);

    let rule = client.sim.fault(delayed.after_commit());
    let body = orders();
    tokio::select! {
        _ = client.register(&body) => panic!("the answer was not delayed"),
        () = client.sim.wait_until(|state| state.integrations().len() == 1) => {}
    }
    client.sim.remove_fault(rule);
    client.sim.fault(Fault::any().delay(Duration::from_millis(1)));
    assert_eq!(client.register(&orders()).await.status, 200, "a delay alone changes nothing");
}

#[tokio::test]
async fn the_token_endpoints_faults_are_oauth_errors() {
    let client = started().await;
    client.sim.fault(Fault::on(Route::Token).status(500));
    let struck = crate::client::send(client.bare(reqwest::Method::POST, "/oauth/token").body("")).await;
    assert_eq!((struck.status, struck.json()["error"].as_str()), (500, Some("server_error")));
}

#[tokio::test]
async fn faults_of_a_path_leave_other_paths_alone() {
    let client = started().await;
    let id = client.registered().await;
    let other = client.sim.add_integration(with(orders(), "name", json!("other")));
    client.sim.fault(Fault::any().method("GET").path_contains(&other).status(500));
    assert_eq!(client.webhook(&id).await.status, 200);
    assert_eq!(client.webhook(&other).await.status, 500);
    client.sim.clear_faults();
    assert_eq!(client.webhook(&other).await.status, 200);
}

#[tokio::test]
async fn a_restart_keeps_ports_and_state_and_closes_connections() {
    let client = started().await;
    let id = client.registered().await;
    let before = client.sim.requests()[0].peer_port;
    client.sim.stop().await;
    assert!(client.call(reqwest::Method::GET, "/api/v1/integrations").send().await.is_err());
    client.sim.restart().await.unwrap();
    assert_eq!(client.webhook(&id).await.status, 200);
    assert_ne!(client.sim.requests().last().unwrap().peer_port, before);
}

#[tokio::test]
async fn dropping_a_simulator_ends_it() {
    let client = started().await;
    let (url, handle) = (client.sim.base_url(), client.sim.handle());
    let http = client.http.clone();
    assert!(http.get(url.clone()).send().await.is_ok());
    drop(client);
    // The port closes a moment later; until then a connection may still be taken.
    while http.get(url.clone()).send().await.is_ok() {
        tokio::task::yield_now().await;
    }
    assert!(handle.integrations().is_empty());
}

#[tokio::test]
async fn a_lost_answer_is_lost_on_a_used_connection_and_on_http_2_as_well() {
    let client = started().await;
    let ca = reqwest::Certificate::from_pem(client.sim.ca_pem().as_bytes()).unwrap();
    let tls = crate::client::http_client().tls_certs_merge([ca]).build().unwrap();
    for (http, base) in [(&client.http, client.sim.base_url()), (&tls, client.sim.https_base_url().unwrap())] {
        let get = || {
            let request = http.get(base.join("/api/v1/integrations").unwrap()).header("accept", "application/json");
            request.bearer_auth("sim-bearer-token-90de")
        };
        let first = get().send().await.unwrap();
        assert_eq!(first.version() == reqwest::Version::HTTP_2, base.scheme() == "https");
        first.bytes().await.unwrap();
        client.sim.clear_log();
        client.sim.fault(Fault::any().times(1).lose_after());
        assert!(get().send().await.is_err());
        client.sim.fault(Fault::any().times(1).cut_body());
        let cut = get().send().await.expect("the head arrives");
        assert!(cut.bytes().await.is_err());
        assert_eq!(client.sim.count(Route::ListIntegrations), 2, "nothing was repeated in secret");
    }
}

#[tokio::test]
async fn somebody_else_may_change_or_delete_the_object_just_before_a_write() {
    let client = started().await;
    let id = client.registered().await;
    let read = client.webhook(&id).await;
    client.sim.fault(Fault::on(Route::PutWebhook).times(1).change_behind(json!({"tags": ["theirs"]})));
    assert_eq!(client.put_webhook(&id, &read.etag(), &read.json()).await.status, 409);
    let again = client.webhook(&id).await;
    assert_eq!(again.json()["tags"], json!(["theirs"]));
    assert_eq!(client.put_webhook(&id, &again.etag(), &again.json()).await.status, 200);

    client.sim.fault(Fault::on(Route::PutWebhook).times(1).delete_behind());
    assert_eq!(client.put_webhook(&id, "\"any\"", &again.json()).await.status, 404);
    assert!(!client.sim.history().last().unwrap().by_api);
}

#[tokio::test]
async fn an_echo_repeats_credentials_and_body_in_every_place_of_the_answer() {
    let client = started().await;
    let bearer = client.sim.credentials().bearer_token;
    client.sim.fault(Fault::on(Route::CreateIntegration).times(4).echo(422));
    for _ in 0..4 {
        let refused = client.register(&orders()).await;
        assert_eq!(refused.status, 422);
        assert!(refused.json()["title"].as_str().unwrap().contains(&bearer), "{}", refused.text);
        assert_eq!(refused.header("x-trace-id"), Some(bearer.as_str()));
        assert_eq!(refused.etag(), format!("\"{bearer}\""));
    }
    assert!(client.sim.integrations().is_empty());
    client.sim.fault(Fault::on(Route::CreateIntegration).times(1).echo(200));
    let created = client.register(&orders()).await;
    assert_eq!((created.status, created.etag()), (201, format!("\"{bearer}\"")));
    assert_eq!(client.sim.integrations().len(), 1);
}
