use cognigy_simulator::Route;
use reqwest::Method;
use serde_json::{Value, json};

use crate::client::{Answered, Client, orders, send, started};

async fn admin(client: &Client, method: Method, path: &str, body: Option<Value>) -> Answered {
    let url = client.sim.admin_url().join(path).unwrap();
    let request = client.http.request(method, url);
    send(match body {
        Some(body) => request.json(&body),
        None => request,
    })
    .await
}

#[tokio::test]
async fn admin_requests_are_neither_logged_nor_counted() {
    let client = started().await;
    client.sim.set_budget(Some(0));
    let overview = admin(&client, Method::GET, "", None).await.json();
    assert_eq!(overview["baseUrl"], client.sim.base_url().as_str());
    assert!(overview["callbackUrls"]["expired"].as_str().unwrap().starts_with("https://"));
    assert!(admin(&client, Method::GET, "ca.pem", None).await.text.contains("BEGIN CERTIFICATE"));
    assert!(client.sim.requests().is_empty());
}

#[tokio::test]
async fn faults_are_set_shown_and_removed() {
    let client = started().await;
    let rule = json!({"route": "listIntegrations", "times": 1,
                      "effect": {"status": {"status": 429, "retryAfter": {"seconds": 4}}}});
    let added = admin(&client, Method::POST, "faults", Some(rule)).await;
    assert_eq!(added.status, 201, "{}", added.text);
    let struck = client.get("/api/v1/integrations").await;
    assert_eq!((struck.status, struck.header("retry-after")), (429, Some("4")));
    assert_eq!(admin(&client, Method::GET, "faults", None).await.json()[0]["hits"], 1);
    let path = format!("faults/{}", added.json()["id"]);
    assert_eq!(admin(&client, Method::DELETE, &path, None).await.status, 204);
    assert_eq!(admin(&client, Method::DELETE, &path, None).await.status, 404);
    let hang = json!({"effect": "hang", "method": "GET"});
    assert_eq!(admin(&client, Method::POST, "faults", Some(hang)).await.status, 201);
    assert_eq!(admin(&client, Method::DELETE, "faults", None).await.status, 204);
    assert!(client.sim.faults().is_empty());
    assert_eq!(admin(&client, Method::POST, "faults", Some(json!({"rout": "x"}))).await.status, 422);
}

#[tokio::test]
async fn objects_are_added_changed_and_deleted_behind_everybodys_back() {
    let client = started().await;
    let added = admin(&client, Method::POST, "integrations", Some(orders())).await;
    let id = added.json()["id"].as_str().unwrap().to_owned();
    let path = format!("integrations/{id}");
    let before = client.webhook(&id).await.etag();
    assert_eq!(admin(&client, Method::PATCH, &path, Some(json!({"status": "active"}))).await.status, 204);
    let after = client.webhook(&id).await;
    assert_eq!((after.etag() != before, &after.json()["enabled"]), (true, &json!(true)));
    assert_eq!(admin(&client, Method::GET, &path, None).await.json()["active"], true);
    let history = admin(&client, Method::GET, "history", None).await.json();
    assert_eq!((&history[1]["active"], &history[1]["byApi"]), (&json!(true), &json!(false)));
    assert_eq!(admin(&client, Method::DELETE, &path, None).await.status, 204);
    assert_eq!(admin(&client, Method::PATCH, &path, Some(json!({}))).await.status, 404);

    let bot = json!({"botId": "b", "name": "n", "url": "https://h.example/"});
    assert_eq!(admin(&client, Method::POST, "bot-webhooks", Some(bot)).await.status, 201);
    assert_eq!(client.get("/api/v2/bots/b/webhooks").await.json()["items"][0]["name"], "n");
}

#[tokio::test]
async fn the_log_is_shown_and_cleared() {
    let client = started().await;
    client.get("/api/v1/integrations").await;
    let log = admin(&client, Method::GET, "log", None).await.json();
    assert_eq!((&log[0]["route"], &log[0]["status"]), (&json!("listIntegrations"), &json!(200)));
    assert_eq!(admin(&client, Method::DELETE, "log", None).await.status, 204);
    assert_eq!(client.sim.count(Route::ListIntegrations), 0);
}

#[tokio::test]
async fn callbacks_and_sinks_are_programmed_and_read() {
    let client = started().await;
    let down = json!([{"status": 500}, {"status": 503, "delayMs": 1}]);
    for place in ["callbacks/orders", "sinks/alerts"] {
        assert_eq!(admin(&client, Method::PUT, place, Some(down.clone())).await.status, 204);
        assert_eq!(admin(&client, Method::PUT, place, Some(json!({"status": 202}))).await.status, 204);
    }
    assert_eq!(send(client.http.post(client.sim.sink_url("alerts")).body("{}")).await.status, 202);
    assert_eq!(admin(&client, Method::GET, "sinks/alerts", None).await.json()[0]["status"], 202);
    assert_eq!(admin(&client, Method::GET, "callbacks/orders", None).await.json(), json!([]));
}

#[tokio::test]
async fn quotas_tokens_scopes_and_credentials_are_set() {
    let client = started().await;
    assert_eq!(admin(&client, Method::PUT, "budget", Some(json!(0))).await.status, 204);
    assert_eq!(client.get("/api/v1/integrations").await.status, 429);
    assert_eq!(admin(&client, Method::PUT, "budget", Some(Value::Null)).await.status, 204);
    assert_eq!(client.get("/api/v1/integrations").await.status, 200);
    assert_eq!(admin(&client, Method::PUT, "scopes", Some(json!(["webhook:manage"]))).await.status, 204);
    assert_eq!(client.get("/api/v1/integrations").await.status, 403);
    assert_eq!(admin(&client, Method::DELETE, "tokens", None).await.status, 204);
    let rotation = json!({"clientSecret": "new"});
    assert_eq!(admin(&client, Method::PUT, "credentials", Some(rotation)).await.status, 204);
    let now = client.sim.credentials();
    assert_eq!((now.client_id.as_str(), now.client_secret.as_str()), ("sim-client", "new"));
    assert!(!format!("{now:?}").contains("new"), "secrets do not show in Debug");
}
