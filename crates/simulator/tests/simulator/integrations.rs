use cognigy_simulator::{ChangeKind, CursorStyle, IdField, IdStyle, Locking, Options, Route, Support};
use reqwest::Method;
use serde_json::{Value, json};

use crate::client::{Client, orders, policy, send, start, started, with};

#[tokio::test]
async fn a_registration_is_created_once_however_often_it_is_sent() {
    let client = started().await;
    let first = client.register(&orders()).await;
    assert_eq!((first.status, first.header("etag")), (201, None));
    assert_eq!(first.json(), with(orders(), "id", json!(first.id())));

    let again = client.register(&orders()).await;
    assert_eq!((again.status, again.id()), (200, first.id()));
    assert_eq!(client.sim.integrations().len(), 1);
}

#[tokio::test]
async fn a_repeated_post_is_recognised_even_after_the_activation() {
    let client = started().await;
    let id = client.registered().await;
    assert_eq!(client.update(&id, &with(orders(), "status", json!("active"))).await.status, 200);
    assert_eq!(client.register(&orders()).await.status, 200);
    assert!(client.sim.integration(&id).unwrap().active, "and does not deactivate it");
}

#[tokio::test]
async fn another_payload_under_the_same_key_is_a_conflict() {
    let client = started().await;
    client.registered().await;
    for (field, value) in [("url", json!("https://other.example/")), ("headers", json!({})), ("method", json!("PUT"))] {
        assert_eq!(client.register(&with(orders(), field, value)).await.status, 409, "{field}");
    }
}

#[tokio::test]
async fn a_change_behind_makes_the_repeated_post_a_conflict() {
    let client = started().await;
    let id = client.registered().await;
    assert!(client.sim.change_behind(&id, json!({"url": "https://moved.example/"})));
    assert_eq!(client.register(&orders()).await.status, 409);
}

#[tokio::test]
async fn a_registration_without_its_request_id_is_refused() {
    let client = started().await;
    let post = || client.call(Method::POST, "/api/v1/integrations").json(&orders());
    assert_eq!(send(post()).await.status, 400);
    let wrong = send(post().header("x-request-id", "webhook-reg-orders-1")).await;
    assert_eq!(wrong.status, 400);
    assert!(wrong.detail().contains("webhook-reg-orders-2"), "{}", wrong.text);
}

#[tokio::test]
async fn a_bad_registration_is_refused_with_a_problem_document() {
    let client = started().await;
    let refused = client.register(&with(orders(), "version", json!(0))).await;
    assert_eq!((refused.status, refused.header("content-type")), (422, Some("application/problem+json")));
    let problem = refused.json();
    assert_eq!(problem["detail"], "version: 0 is below the limit 1");
    assert_eq!((&problem["status"], &problem["code"]), (&json!(422), &json!(4220)));
    assert!(problem["traceId"].as_str().unwrap().starts_with("api--"));
    assert!(problem["type"].is_string() && problem["title"].is_string());
    assert_eq!(client.register(&with(orders(), "retries", json!(1))).await.status, 422);
    assert_eq!(client.register(&with(orders(), "url", json!("http://api.example.com/"))).await.status, 422);
    assert!(client.sim.integrations().is_empty());
}

#[tokio::test]
async fn plain_http_urls_are_an_option() {
    let client = start(Options { allow_http_urls: true, ..Options::default() }).await;
    assert_eq!(client.register(&with(orders(), "url", json!("http://localhost/"))).await.status, 201);
}

#[tokio::test]
async fn wrong_content_types_broken_json_and_large_bodies_are_told_apart() {
    let client = started().await;
    let post = |kind: &'static str, body: String| {
        send(client.call(Method::POST, "/api/v1/integrations").header("content-type", kind).body(body))
    };
    assert_eq!(post("text/plain", orders().to_string()).await.status, 415);
    assert_eq!(post("application/json", "{".into()).await.status, 400);
    let padded = |size: usize| {
        let body = with(orders(), "headers", json!({"x-pad": ""})).to_string();
        body.replace(r#""x-pad":"""#, &format!(r#""x-pad":"{}""#, "x".repeat(size - body.len())))
    };
    assert_eq!(post("application/json", padded(60_001)).await.status, 413);
    let fits = post("application/json", padded(60_000)).await;
    assert_eq!(fits.status, 400, "only its request id is missing: {}", fits.text);
}

#[tokio::test]
async fn an_update_replaces_the_registration_and_keeps_the_webhooks_policy() {
    let client = started().await;
    let id = client.registered().await;
    client.sim.change_behind(&id, json!({"retryPolicy": policy(&id)}));
    let before = client.sim.etag(&id);

    let answered = client.update(&id, &with(orders(), "url", json!("https://new.example/"))).await;
    assert_eq!((answered.status, &answered.json()["url"]), (200, &json!("https://new.example/")));
    let webhook = client.webhook(&id).await.json();
    assert_eq!((&webhook["url"], &webhook["retryPolicy"]), (&json!("https://new.example/"), &policy(&id)));
    assert_ne!(client.sim.etag(&id), before, "the webhook's ETag moves with the integration");
}

#[tokio::test]
async fn a_key_can_neither_be_changed_nor_taken() {
    let client = started().await;
    let id = client.registered().await;
    let by_hand = client.sim.add_integration(json!({"name": "by-hand"}));
    assert_eq!(client.update(&id, &with(orders(), "idempotencyKey", json!("other"))).await.status, 422);
    assert_eq!(client.update(&by_hand, &orders()).await.status, 409);
    assert_eq!(client.update(&by_hand, &with(orders(), "idempotencyKey", json!("free"))).await.status, 200);
}

#[tokio::test]
async fn a_deleted_integration_is_gone_in_both_views() {
    let client = started().await;
    let id = client.registered().await;
    let delete = || send(client.call(Method::DELETE, &format!("/api/v1/integrations/{id}")));
    assert_eq!(delete().await.status, 204);
    assert_eq!(delete().await.status, 404);
    assert_eq!(client.webhook(&id).await.status, 404);
    assert_eq!(client.update(&id, &orders()).await.status, 404);
    assert_eq!(client.get(&format!("/api/v1/integrations/{id}")).await.status, 404);
    assert_eq!(client.sim.history().last().unwrap().kind, ChangeKind::Deleted);
}

#[tokio::test]
async fn routes_that_an_installation_lacks_say_so() {
    for (support, status) in
        [(Support::NotFound, 404), (Support::MethodNotAllowed, 405), (Support::NotImplemented, 501)]
    {
        let client = start(Options {
            delete_integration: support,
            get_integration: support,
            list_integrations: support,
            ..Options::default()
        })
        .await;
        let id = client.registered().await;
        let path = format!("/api/v1/integrations/{id}");
        assert_eq!(client.get(&path).await.status, status);
        assert_eq!(client.get("/api/v1/integrations").await.status, status);
        assert_eq!(send(client.call(Method::DELETE, &path)).await.status, status);
        assert_eq!(client.webhook(&id).await.status, 200);
        assert_eq!(client.sim.integrations().len(), 1);
    }
}

async fn pages(client: &Client, path: &str, next: impl Fn(&Value) -> Option<String>) -> Vec<Vec<String>> {
    let (mut pages, mut cursor) = (vec![], String::new());
    loop {
        let answered = client.get(&format!("{path}?pageSize=2{cursor}")).await;
        assert_eq!(answered.status, 200, "{}", answered.text);
        let page = answered.json();
        let names = page["items"].as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap().to_owned());
        pages.push(names.collect());
        match next(&page) {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return pages,
        }
    }
}

#[tokio::test]
async fn pages_follow_the_cursor_wherever_it_is() {
    type Next = fn(&Value) -> Option<String>;
    let styles: [(CursorStyle, Next); 3] = [
        (CursorStyle::Pagination, |page| {
            assert!(page["pagination"].as_object().unwrap().contains_key("nextCursor"));
            page["pagination"]["nextCursor"].as_str().map(str::to_owned)
        }),
        (CursorStyle::TopLevel, |page| page.get("nextCursor").map(|next| next.as_str().unwrap().to_owned())),
        (CursorStyle::Next, |page| Some(page["next"].as_str().unwrap().to_owned()).filter(|next| !next.is_empty())),
    ];
    for (cursor_style, next) in styles {
        let client = start(Options { cursor_style, ..Options::default() }).await;
        for name in ["a", "b", "c", "d"] {
            client.sim.add_integration(json!({"name": name}));
        }
        assert_eq!(pages(&client, "/api/v1/integrations", next).await, [["a", "b"], ["c", "d"]]);
    }
}

#[tokio::test]
async fn a_cursor_stays_good_when_objects_go() {
    let client = started().await;
    let ids: Vec<String> = ["a", "b", "c"].map(|name| client.sim.add_integration(json!({"name": name}))).into();
    let page = client.get("/api/v1/integrations?pageSize=2").await.json();
    client.sim.delete_behind(&ids[1]);
    let cursor = page["pagination"]["nextCursor"].as_str().unwrap().to_owned();
    let rest = client.get(&format!("/api/v1/integrations?pageSize=2&cursor={cursor}")).await.json();
    assert_eq!(rest["items"][0]["name"], "c");
}

#[tokio::test]
async fn bad_page_queries_are_refused() {
    let client = started().await;
    for query in ["pageSize=0", "pageSize=101", "pageSize=x", "cursor=nonsense", "limit=5"] {
        assert_eq!(client.get(&format!("/api/v1/integrations?{query}")).await.status, 400, "{query}");
    }
    assert_eq!(client.get("/api/v1/integrations?pageSize=100").await.status, 200);
}

#[tokio::test]
async fn a_cursor_that_repeats_is_a_fault_to_be_had() {
    let client = start(Options { repeat_cursor: true, ..Options::default() }).await;
    let cursor = |page: Value| page["pagination"]["nextCursor"].as_str().unwrap().to_owned();
    let first = cursor(client.get("/api/v1/integrations").await.json());
    let second = cursor(client.get(&format!("/api/v1/integrations?cursor={first}")).await.json());
    assert_eq!(first, second);
}

#[tokio::test]
async fn ids_and_versions_come_as_the_installation_likes() {
    let client = start(Options {
        id_field: IdField::UnderscoreId,
        id_style: IdStyle::Hex,
        path_prefix: "/new".into(),
        post_carries_etag: true,
        post_carries_version: true,
        integrations_carry_version: true,
        create_status: 200,
        ..Options::default()
    })
    .await;
    assert!(client.sim.base_url().as_str().ends_with("/new"));
    let created = client.register(&orders()).await;
    let id = created.json()["_id"].as_str().unwrap().to_owned();
    assert_eq!((created.status, id.len(), created.json().get("id")), (200, 24, None));
    assert_eq!(created.etag(), format!("\"{}\"", created.json()["_version"].as_str().unwrap()));
    assert_eq!(client.webhook(&id).await.etag(), created.etag());
    let listed = client.get("/api/v1/integrations").await.json();
    assert_eq!(listed["items"][0]["_version"], created.json()["_version"]);

    let without_prefix = client.sim.base_url().join("/api/v1/integrations").unwrap();
    assert_eq!(send(client.http.get(without_prefix)).await.status, 404);
}

#[tokio::test]
async fn bodyless_writes_say_nothing() {
    for status in [201, 202, 204] {
        let client = start(Options { bodyless_writes: Some(status), ..Options::default() }).await;
        let created = client.register(&orders()).await;
        assert_eq!((created.status, created.text.as_str()), (status, ""));
        let id = client.get("/api/v1/integrations").await.json()["items"][0]["id"].as_str().unwrap().to_owned();
        let etag = client.webhook(&id).await.etag();
        let body = json!({"name": "orders", "url": "https://h.example/", "enabled": false});
        let written = client.put_webhook(&id, &etag, &body).await;
        assert_eq!(written.text, "");
        assert_eq!(client.sim.integration(&id).unwrap().url, "https://h.example/");
    }
}

#[tokio::test]
async fn history_tells_interruptions_from_a_smooth_change_of_versions() {
    let client = started().await;
    let active = |version: i64| json!({"name": "orders", "version": version, "status": "active"});
    let one = client.sim.add_integration(active(1));
    let two = client.sim.add_integration(active(2));
    assert_eq!(client.sim.active_versions("orders"), [1, 2]);
    client.sim.change_behind(&one, json!({"status": "inactive"}));
    assert!(client.sim.interruptions("orders").is_empty());
    client.sim.change_behind(&two, json!({"enabled": false}));
    let interruptions = client.sim.interruptions("orders");
    assert_eq!(interruptions.iter().map(|change| change.version).collect::<Vec<_>>(), [2]);
}

#[tokio::test]
async fn unknown_paths_and_methods_are_refused_and_logged() {
    let client = started().await;
    assert_eq!(client.get("/api/v1/integration").await.status, 404);
    let wrong = send(client.call(Method::PATCH, "/api/v1/integrations")).await;
    assert_eq!((wrong.status, wrong.header("allow")), (405, Some("GET, POST")));
    let log = client.sim.requests();
    assert_eq!(
        log.iter().map(|one| (one.route, one.status)).collect::<Vec<_>>(),
        [(None, Some(404)), (None, Some(405))]
    );
}

#[tokio::test]
async fn the_log_shows_requests_in_order_as_they_came() {
    let client = started().await;
    client.registered().await;
    client.get("/api/v1/integrations?pageSize=5").await;
    let log = client.sim.requests();
    assert_eq!(log[0].route, Some(Route::CreateIntegration));
    assert_eq!(log[0].header("X-Request-ID"), Some("webhook-reg-orders-2"));
    assert_eq!((log[0].json(), log[0].status), (orders(), Some(201)));
    assert_eq!((log[1].query.as_deref(), log[1].method.as_str()), (Some("pageSize=5"), "GET"));
    assert!(log[0].seq < log[1].seq && log[0].peer_port == log[1].peer_port && !log[0].tls);
    assert_eq!((client.sim.count(Route::ListIntegrations), client.sim.requests_to(Route::Token).len()), (1, 0));
    client.sim.clear_log();
    assert!(client.sim.requests().is_empty());
}

#[tokio::test]
async fn without_locking_integrations_show_when_they_changed() {
    let client =
        start(Options { locking: Locking::LastChanged, integrations_carry_version: true, ..Options::default() }).await;
    let id = client.registered().await;
    let changed = async || client.get(&format!("/api/v1/integrations/{id}")).await.json()["lastChanged"].as_u64();
    let before = changed().await.unwrap();
    client.update(&id, &orders()).await;
    assert!(changed().await.unwrap() > before);
}
