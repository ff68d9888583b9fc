//! The gateway between a plain HTTP client and a real API server.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use control_plane::{
    ControlPlane, User,
    gateway::{Action, Answer, Exchange, Gateway, Outcome, Request, Stage},
};
use http::{Method, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_mins(1);
const CONFIG_MAPS: &str = "/api/v1/namespaces/default/configmaps";

struct Setting {
    plane: &'static ControlPlane,
    gateway: Gateway,
    client: Client<HttpConnector, Full<Bytes>>,
}

impl Setting {
    async fn new() -> Self {
        let plane = ControlPlane::shared().await.unwrap();
        let gateway = plane.gateway(&User::admin()).await.unwrap();
        // Each request on a connection of its own: a client may repeat by itself what an idle connection lost.
        let client = Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build_http();
        Self { plane, gateway, client }
    }

    async fn open(
        &self,
        method: Method,
        path: &str,
        body: Value,
    ) -> Result<http::Response<Incoming>, hyper_util::client::legacy::Error> {
        let request = http::Request::builder().method(method).uri(format!("{}{path}", self.gateway.url()));
        let request = request.header("content-type", "application/json");
        self.client.request(request.body(Full::new(body.to_string().into())).unwrap()).await
    }

    /// Status and body; nothing when the connection ended without an answer.
    async fn send(&self, method: Method, path: &str, body: Value) -> Option<(u16, Value)> {
        let answer = self.open(method, path, body).await.ok()?;
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        Some((status, serde_json::from_slice(&body).unwrap()))
    }

    async fn create(&self, name: &str) -> Option<(u16, Value)> {
        self.send(Method::POST, CONFIG_MAPS, json!({"metadata": {"name": name}})).await
    }

    async fn get(&self, name: &str) -> Option<(u16, Value)> {
        self.send(Method::GET, &format!("{CONFIG_MAPS}/{name}"), Value::Null).await
    }

    fn outcomes(&self) -> Vec<Outcome> {
        self.gateway.log().into_iter().map(|exchange| exchange.outcome).collect()
    }
}

fn creates(request: &Request) -> bool {
    request.is("create", "configmaps")
}

#[tokio::test]
async fn what_no_rule_concerns_passes_and_is_logged() {
    let setting = Setting::new().await;
    assert_eq!(setting.create("passes").await.unwrap().0, 201);
    assert_eq!(setting.get("passes").await.unwrap().0, 200);
    let log = setting.gateway.log();
    let [Exchange { request, outcome }, read] = log.as_slice() else { panic!("two requests expected, got {log:#?}") };
    assert_eq!(
        (request.verb.as_str(), request.resource.as_str(), *outcome),
        ("create", "configmaps", Outcome::Answered(201))
    );
    assert_eq!((request.namespace.as_deref(), request.name.as_deref()), (Some("default"), Some("passes")));
    assert_eq!(request.json().unwrap(), json!({"metadata": {"name": "passes"}}));
    assert_eq!((read.request.number, read.request.verb.as_str()), (1, "get"));
}

#[tokio::test]
async fn its_clients_are_the_user_it_was_made_for() {
    let setting = Setting::new().await;
    let gateway = setting.plane.gateway(&User::named("eve")).await.unwrap();
    let setting = Setting { gateway, ..setting };
    let (status, body) = setting.get("none").await.unwrap();
    assert_eq!(status, 403);
    assert!(body["message"].as_str().unwrap().contains("\"eve\""), "{body}");
}

#[tokio::test]
async fn a_kubectl_with_its_kubeconfig_goes_through_it() {
    let setting = Setting::new().await;
    let mut kubectl = setting.plane.kubectl();
    kubectl.env("KUBECONFIG", setting.gateway.kubeconfig_file()).args(["get", "--raw", "/readyz"]);
    let output = tokio::process::Command::from(kubectl).output().await.unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "ok", "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(setting.outcomes(), [Outcome::Answered(200)]);
}

#[tokio::test]
async fn an_answer_of_its_own_never_reaches_the_api_server() {
    let setting = Setting::new().await;
    let throttled = Answer::error(StatusCode::TOO_MANY_REQUESTS, "TooManyRequests", "slow down");
    setting.gateway.once(creates, throttled.header("retry-after", "1"));
    let answer = setting.open(Method::POST, CONFIG_MAPS, json!({"metadata": {"name": "answered"}})).await.unwrap();
    assert_eq!((answer.status().as_u16(), &answer.headers()["retry-after"]), (429, &"1".parse().unwrap()));
    assert_eq!(setting.get("answered").await.unwrap().0, 404);
    assert_eq!(setting.create("answered").await.unwrap().0, 201, "once is once");
}

#[tokio::test]
async fn a_cut_request_is_not_made_and_one_cut_after_commit_is() {
    let setting = Setting::new().await;
    setting.gateway.once(creates, Action::Cut);
    assert_eq!(setting.create("cut").await, None);
    assert_eq!(setting.get("cut").await.unwrap().0, 404);
    setting.gateway.once(creates, Action::CutAfterCommit);
    assert_eq!(setting.create("cut").await, None);
    assert_eq!(setting.get("cut").await.unwrap().0, 200);
    let outcomes = setting.outcomes();
    assert_eq!((outcomes[0], outcomes[2]), (Outcome::Cut(None), Outcome::Cut(Some(201))));
}

#[tokio::test]
async fn a_hung_request_is_neither_made_nor_answered() {
    let setting = Setting::new().await;
    setting.gateway.act(|request| if creates(request) { Action::Hang } else { Action::Pass });
    tokio::select! {
        answer = setting.create("hung") => panic!("answered: {answer:?}"),
        () = setting.gateway.wait_until(|log| log.len() == 1) => {}
    }
    assert_eq!(setting.get("hung").await.unwrap().0, 404);
    setting.gateway.pass_all();
    assert_eq!(setting.create("hung").await.unwrap().0, 201);
}

#[tokio::test]
async fn a_held_request_goes_on_when_it_is_released() {
    let setting = Setting::new().await;
    let before = setting.gateway.hold(Stage::BeforeForward, creates);
    let after = setting.gateway.hold(Stage::AfterAnswer, creates);
    let (answer, ()) = tokio::join!(setting.create("held"), async {
        let held = before.reached().await.unwrap();
        assert_eq!((held.request.name.as_deref(), held.status), (Some("held"), None));
        assert_eq!(setting.get("held").await.unwrap().0, 404);
        held.release();
        let held = after.reached().await.unwrap();
        assert_eq!(held.status, Some(201));
        assert_eq!(setting.get("held").await.unwrap().0, 200);
        drop(held);
    });
    assert_eq!(answer.unwrap().0, 201);
}

#[tokio::test]
async fn a_held_request_can_be_cut_instead() {
    let setting = Setting::new().await;
    for (stage, status) in [(Stage::BeforeForward, 404), (Stage::AfterAnswer, 200)] {
        let stopped = setting.gateway.hold(stage, creates);
        let (answer, ()) =
            tokio::join!(setting.create("held-and-cut"), async { stopped.reached().await.unwrap().cut() });
        assert_eq!(answer, None);
        assert_eq!(setting.get("held-and-cut").await.unwrap().0, status, "{stage:?}");
    }
}

#[tokio::test]
async fn a_request_whose_client_left_while_it_was_held_is_not_made() {
    let setting = Setting::new().await;
    let stopped = setting.gateway.hold(Stage::BeforeForward, creates);
    let held = tokio::select! {
        answer = setting.create("left") => panic!("answered: {answer:?}"),
        held = stopped.reached() => held.unwrap(),
    };
    // The client's connection went with its request; the gateway learns of it before anything else comes.
    setting.gateway.disconnect();
    assert_eq!(setting.get("left").await.unwrap().0, 404);
    held.release();
    assert_eq!(setting.get("left").await.unwrap().0, 404);
}

#[tokio::test]
async fn a_watch_streams_ends_with_its_connection_and_can_be_muted() {
    let setting = Setting::new().await;
    let watch = format!("{CONFIG_MAPS}?watch=true&fieldSelector=metadata.name%3Dwatched");
    let mut stream = setting.open(Method::GET, &watch, Value::Null).await.unwrap().into_body();
    setting.create("watched").await.unwrap();
    let event = tokio::time::timeout(PATIENCE, stream.frame()).await.unwrap().unwrap().unwrap();
    assert!(String::from_utf8_lossy(event.data_ref().unwrap()).contains("ADDED"));
    setting.gateway.disconnect();
    let end = tokio::time::timeout(PATIENCE, stream.frame()).await.unwrap();
    assert!(!matches!(end, Some(Ok(_))), "{end:?}");

    setting.gateway.once(|request| request.is("watch", "configmaps"), Action::Mute);
    let muted = setting.open(Method::GET, &watch, Value::Null).await.unwrap();
    assert_eq!(muted.status().as_u16(), 200);
    let mut muted = muted.into_body();
    let mut heard = setting.open(Method::GET, &watch, Value::Null).await.unwrap().into_body();
    tokio::select! {
        biased;
        event = muted.frame() => panic!("the muted watch said {event:?}"),
        _ = heard.frame() => {}
    }
}

#[tokio::test]
async fn a_watch_can_be_told_that_it_came_too_late() {
    let setting = Setting::new().await;
    setting.gateway.once(|request| request.verb == "watch", Answer::watch_expired());
    let (status, event) = setting.send(Method::GET, &format!("{CONFIG_MAPS}?watch=true"), Value::Null).await.unwrap();
    assert_eq!((status, &event["type"], &event["object"]["code"]), (200, &json!("ERROR"), &json!(410)));
}

#[tokio::test]
async fn without_the_api_server_connections_are_closed_and_counted() {
    let assets = ControlPlane::shared().await.unwrap().assets().clone();
    let plane = ControlPlane::start(control_plane::Options::new(assets)).await.unwrap();
    let gateway = plane.gateway(&User::admin()).await.unwrap();
    let setting = Setting { gateway, ..Setting::new().await };
    assert_eq!(setting.create("away").await.unwrap().0, 201);
    plane.stop_apiserver().await.unwrap();
    assert_eq!(setting.get("away").await, None);
    plane.start_apiserver().await.unwrap();
    assert_eq!(setting.get("away").await.unwrap().0, 200);
    assert_eq!(setting.outcomes(), [Outcome::Answered(201), Outcome::Unreachable, Outcome::Answered(200)]);
}
