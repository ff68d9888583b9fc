use std::time::Duration;

use cognigy_simulator::{ALL_SCOPES, ClientAuthentication, Credentials, Options, Quota, RetryAfter, Route};
use reqwest::Method;

use crate::client::{Answered, Client, orders, send, start, started};

const FORM: &str = "application/x-www-form-urlencoded";
const GRANT: &str = "grant_type=client_credentials&scope=integrations%3Aread+webhook%3Amanage";

async fn token_at(client: &Client, path: &str, body: &str) -> Answered {
    let Credentials { client_id, client_secret, .. } = client.sim.credentials();
    let request = client.bare(Method::POST, path).basic_auth(client_id, Some(client_secret));
    send(request.header("content-type", FORM).body(body.to_owned())).await
}

async fn token(client: &Client) -> String {
    let answered = token_at(client, "/oauth/token", GRANT).await;
    assert_eq!(answered.status, 200, "{}", answered.text);
    answered.json()["access_token"].as_str().unwrap().to_owned()
}

async fn list_with(client: &Client, token: &str) -> Answered {
    let request = client.bare(Method::GET, "/api/v1/integrations").header("accept", "application/json");
    send(request.bearer_auth(token)).await
}

#[tokio::test]
async fn each_token_endpoint_hands_out_tokens_that_work() {
    let client = started().await;
    for path in ["/oauth/token", "/api/v2/auth/token", "/auth/oauth2/token"] {
        let answered = token_at(&client, path, GRANT).await;
        let body = answered.json();
        assert_eq!((answered.status, &body["token_type"], &body["expires_in"]), (200, &"Bearer".into(), &3600.into()));
        assert_eq!(list_with(&client, body["access_token"].as_str().unwrap()).await.status, 200);
    }
    assert_eq!(client.sim.count(Route::Token), 3);
}

#[tokio::test]
async fn credentials_may_be_in_the_body_but_not_in_both_places() {
    let client = started().await;
    let in_body = format!("{GRANT}&client_id=sim-client&client_secret=sim-secret-5f1c");
    let bare = async |body: &str| {
        send(client.bare(Method::POST, "/oauth/token").header("content-type", FORM).body(body.to_owned())).await
    };
    assert_eq!(bare(&in_body).await.status, 200);
    assert_eq!(token_at(&client, "/oauth/token", &in_body).await.status, 400);
    let wrong = bare(&in_body.replace("5f1c", "0000")).await;
    assert_eq!((wrong.status, wrong.json()["error"].as_str()), (401, Some("invalid_client")));
    assert_eq!(bare(GRANT).await.status, 401);

    client.sim.configure(|options| options.client_authentication = ClientAuthentication::Basic);
    assert_eq!(bare(&in_body).await.status, 401);
    client.sim.configure(|options| options.client_authentication = ClientAuthentication::RequestBody);
    assert_eq!(token_at(&client, "/oauth/token", GRANT).await.status, 401);
    assert_eq!(bare(&in_body).await.status, 200);
}

#[tokio::test]
async fn a_secret_with_odd_characters_is_accepted_plain_and_form_encoded() {
    let credentials = Credentials { client_secret: "a+b/c:d%e f".into(), ..Credentials::default() };
    let client = start(Options { credentials, ..Options::default() }).await;
    let basic = async |secret: &str| {
        let request = client.bare(Method::POST, "/oauth/token").basic_auth("sim-client", Some(secret));
        send(request.header("content-type", FORM).body(GRANT)).await.status
    };
    assert_eq!(basic("a+b/c:d%e f").await, 200);
    assert_eq!(basic("a%2Bb%2Fc%3Ad%25e+f").await, 200);
    assert_eq!(basic("a b/c:d%e f").await, 401);
}

#[tokio::test]
async fn a_token_request_must_be_well_formed() {
    let client = started().await;
    for (body, error) in [
        ("scope=integrations%3Aread", "invalid_request"),
        ("grant_type=password&scope=integrations%3Aread", "unsupported_grant_type"),
        ("grant_type=client_credentials", "invalid_scope"),
        ("grant_type=client_credentials&scope=everything", "invalid_scope"),
        ("grant_type=client_credentials&grant_type=client_credentials&scope=integrations%3Aread", "invalid_request"),
        ("grant_type=client_credentials&scope=integrations:read", "invalid_request"),
        ("grant_type=client_credentials&scope=integrations%3read", "invalid_request"),
        ("grant_type=client_credentials&scope=integrations%3Aread&audience=x", "invalid_request"),
    ] {
        let answered = token_at(&client, "/oauth/token", body).await;
        assert_eq!((answered.status, answered.json()["error"].as_str()), (400, Some(error)), "{body}");
    }
    let json = client.bare(Method::POST, "/oauth/token").basic_auth("sim-client", Some("sim-secret-5f1c"));
    assert_eq!(send(json.json(&serde_json::json!({"grant_type": "client_credentials"}))).await.status, 415);
    assert_eq!(send(client.bare(Method::GET, "/oauth/token")).await.status, 405);
}

#[tokio::test]
async fn tokens_end_by_time_by_rotation_and_on_demand() {
    let client = started().await;
    let first = token(&client).await;
    client.sim.expire_tokens();
    let ended = list_with(&client, &first).await;
    assert_eq!(ended.status, 401);
    assert!(ended.header("www-authenticate").unwrap().contains("invalid_token"));

    let second = token(&client).await;
    client.sim.set_credentials(Credentials { client_secret: "new".into(), ..Credentials::default() });
    assert_eq!(list_with(&client, &second).await.status, 401);
    let old_secret = client.bare(Method::POST, "/oauth/token").basic_auth("sim-client", Some("sim-secret-5f1c"));
    assert_eq!(send(old_secret.header("content-type", FORM).body(GRANT)).await.status, 401);

    client.sim.configure(|options| {
        options.token_lifetime = Duration::ZERO;
        options.expires_in = false;
    });
    let answered = token_at(&client, "/oauth/token", GRANT).await;
    assert!(answered.json().get("expires_in").is_none());
    let expired = list_with(&client, answered.json()["access_token"].as_str().unwrap()).await;
    assert_eq!((expired.status, expired.detail().contains("expired")), (401, true));
}

#[tokio::test]
async fn an_api_key_or_a_static_token_will_do() {
    let client = start(Options { api_key_header: "X-Cognigy-Key".into(), ..Options::default() }).await;
    let with_key = |name: &'static str, key: &'static str| {
        send(client.bare(Method::GET, "/api/v1/integrations").header("accept", "application/json").header(name, key))
    };
    assert_eq!(with_key("x-cognigy-key", "sim-api-key-77ab").await.status, 200);
    assert_eq!(with_key("x-cognigy-key", "wrong").await.status, 401);
    assert_eq!(with_key("x-api-key", "sim-api-key-77ab").await.status, 401);
    assert_eq!(list_with(&client, "sim-bearer-token-90de").await.status, 200);
    assert_eq!(list_with(&client, "wrong").await.status, 401);
    let none = client.bare(Method::GET, "/api/v1/integrations").header("accept", "application/json");
    assert_eq!(send(none).await.status, 401);
}

#[tokio::test]
async fn each_route_needs_its_own_scopes() {
    let client = started().await;
    let id = client.registered().await;
    let bot = cognigy_simulator::BotWebhook::new("b", "n", "https://h.example/");
    let bot_webhook = client.sim.add_bot_webhook(bot);
    let (one, webhook) = (format!("/api/v1/integrations/{id}"), format!("/api/v2/webhooks/{id}"));
    let patch = format!("/api/v2/bots/b/webhooks/{bot_webhook}");
    let routes = [
        (Method::POST, "/api/v1/integrations", vec!["integrations:write", "webhooks:manage"]),
        (Method::PUT, &one, vec!["integrations:write", "webhooks:manage"]),
        (Method::DELETE, &one, vec!["integrations:write", "webhooks:manage"]),
        (Method::GET, &one, vec!["integrations:read"]),
        (Method::GET, "/api/v1/integrations", vec!["integrations:read"]),
        (Method::GET, "/api/v2/bots/b/webhooks", vec!["bot:webhooks:read"]),
        (Method::PATCH, &patch, vec!["bot:webhooks:manage"]),
        (Method::GET, &webhook, vec!["integration:read"]),
        (Method::PUT, &webhook, vec!["webhook:manage"]),
    ];
    for (method, path, scopes) in routes {
        for missing in &scopes {
            client.sim.set_granted_scopes(ALL_SCOPES.into_iter().filter(|scope| scope != missing));
            let refused = send(client.call(method.clone(), path)).await;
            assert_eq!((refused.status, refused.detail().contains(missing)), (403, true), "{method} {path}: {missing}");
        }
        client.sim.set_granted_scopes(scopes);
        let passed = send(client.call(method.clone(), path)).await;
        assert!(![401, 403].contains(&passed.status), "{method} {path}: {}", passed.text);
        if method == Method::DELETE {
            client.sim.add_integration(serde_json::json!({"id": id}));
        }
    }
}

#[tokio::test]
async fn a_token_has_no_more_scopes_than_were_asked_for_and_granted() {
    let client = started().await;
    let narrow = token(&client).await;
    let post = |token: &str| {
        let request = client.bare(Method::POST, "/api/v1/integrations").header("accept", "application/json");
        send(request.bearer_auth(token).header("x-request-id", "webhook-reg-orders-2").json(&orders()))
    };
    assert_eq!(post(&narrow).await.status, 403);
    assert_eq!(list_with(&client, &narrow).await.status, 200);
    client.sim.set_granted_scopes(["webhook:manage"]);
    assert_eq!(list_with(&client, &narrow).await.status, 403, "scopes taken away count at once");
    assert_eq!(token_at(&client, "/oauth/token", GRANT).await.json()["scope"], "webhook:manage");
    client.sim.configure(|options| options.refuse_excess_scopes = true);
    let refused = token_at(&client, "/oauth/token", GRANT).await;
    assert_eq!((refused.status, refused.json()["error"].as_str()), (400, Some("invalid_scope")));
}

#[tokio::test]
async fn a_call_must_accept_json() {
    let client = started().await;
    let get = || client.bare(Method::GET, "/api/v1/integrations").bearer_auth("sim-bearer-token-90de");
    assert_eq!(send(get()).await.status, 406);
    client.sim.configure(|options| options.require_accept = false);
    assert_eq!(send(get()).await.status, 200);
}

#[tokio::test]
async fn a_quota_refuses_the_request_after_the_last_in_either_form() {
    for as_http_date in [false, true] {
        let quota = Some(Quota { requests: 2, window: Duration::from_mins(5), as_http_date });
        let client = start(Options { quota, ..Options::default() }).await;
        assert_eq!(client.get("/api/v1/integrations").await.status, 200);
        assert_eq!(client.get("/api/v1/integrations").await.status, 200);
        let refused = client.get("/api/v1/integrations").await;
        assert_eq!(refused.status, 429);
        let retry_after = refused.header("retry-after").unwrap();
        if as_http_date {
            assert!(httpdate::parse_http_date(retry_after).unwrap() > std::time::SystemTime::now());
        } else {
            assert!((1..=300).contains(&retry_after.parse::<u64>().unwrap()));
        }
    }
}

#[tokio::test]
async fn a_window_that_is_over_lets_in_again() {
    let quota = Some(Quota { requests: 1, window: Duration::ZERO, as_http_date: false });
    let client = start(Options { quota, ..Options::default() }).await;
    assert_eq!(client.get("/api/v1/integrations").await.status, 200);
    assert_eq!(client.get("/api/v1/integrations").await.status, 200);
}

#[tokio::test]
async fn a_budget_is_used_up_and_refilled_by_hand() {
    let client = start(Options { budget_retry_after: RetryAfter::Seconds(7), ..Options::default() }).await;
    client.sim.set_budget(Some(1));
    assert_eq!(client.get("/api/v1/integrations").await.status, 200);
    let refused = client.get("/api/v1/integrations").await;
    assert_eq!((refused.status, refused.header("retry-after")), (429, Some("7")));
    client.sim.set_budget(Some(1));
    assert_eq!(client.get("/api/v1/integrations").await.status, 200);
    client.sim.set_budget(None);
    assert_eq!(client.get("/api/v1/integrations").await.status, 200);
}
