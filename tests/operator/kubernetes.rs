//! Kubernetes' own faults: whatever the API server, or the way to it, does, nothing is lost and nothing is done twice.

use std::{
    collections::HashSet,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use cognigy_operator::{
    api::{CognigyTenant, CognigyWebhook, FINALIZER, RetryPolicy},
    cluster::patience::Patience,
};
use cognigy_simulator::{Options, Route};
use control_plane::gateway::{Action, Answer, Exchange, Gateway, Outcome, Request, Stage};
use http::StatusCode;
use k8s_openapi::api::core::v1::Secret;
use kube::{
    ResourceExt as _,
    api::{Patch, PatchParams},
};
use serde_json::{Value, json};

use crate::harness::{World, message, reasons, world_without_operator};

const WEBHOOKS: &str = "cognigywebhooks";

/// A world whose operator reaches the API server only through the gateway; it is not started yet.
async fn world_behind_a_gateway(test: impl AsyncFnOnce(&World, &Gateway)) {
    world_without_operator(Options::default(), async |world| {
        let gateway = world.gateway().await;
        test(world, &gateway).await;
        world.stop_operator().await;
    })
    .await;
}

/// The same with a tenant and the live webhook `orders`.
async fn live_behind_a_gateway(test: impl AsyncFnOnce(&World, &Gateway)) {
    world_behind_a_gateway(async |world, gateway| {
        world.start_operator_through(gateway).await;
        world.tenant("production", json!({})).await;
        world.webhook("orders", json!({})).await;
        world.until_reason("orders", "Active").await;
        test(world, gateway).await;
    })
    .await;
}

fn is_status_write(request: &Request) -> bool {
    request.is("patch", WEBHOOKS) && request.subresource.as_deref() == Some("status")
}

/// The write of finalizer and annotation, or the removal of the finalizer.
fn is_metadata_write(request: &Request) -> bool {
    request.is("patch", WEBHOOKS) && request.subresource.is_none()
}

/// What kind of write a request is.
fn sort(request: &Request) -> String {
    let removes = request.json().is_some_and(|body| body.to_string().contains(r#""remove""#));
    let subresource = request.subresource.as_deref().unwrap_or_default();
    format!("{} {}/{subresource}{}", request.verb, request.resource, if removes { " remove" } else { "" })
}

/// Does this to the first writes of each kind to each object.
fn to_the_first_writes(times: usize, action: impl Into<Action>) -> impl Fn(&Request) -> Action {
    let (written, action) = (Mutex::new(Vec::<String>::new()), action.into());
    move |request| {
        let write = format!("{} {:?}", sort(request), request.name);
        let mut written = written.lock().unwrap();
        let before = written.iter().filter(|before| **before == write).count();
        written.push(write);
        if request.is_write() && before < times { action.clone() } else { Action::Pass }
    }
}

/// The operator lives through creation and deletion of everything that it writes to; every kind of write met with what the gateway does.
async fn a_whole_life(world: &World, gateway: &Gateway, met: fn(Outcome) -> bool) {
    world.start_operator_through(gateway).await;
    world.policy("patient", json!({"intervalsMs": [50, 100]})).await;
    world.tenant("production", json!({})).await;
    world.webhook("orders", json!({"retryPolicyRef": {"name": "patient"}})).await;
    world.until_reason("orders", "Active").await;
    assert_registered_once(world, "orders").await;
    world.delete::<CognigyWebhook>("orders").await;
    world.until_gone::<CognigyWebhook>("orders").await;
    world.delete::<CognigyTenant>("production").await;
    world.until_gone::<CognigyTenant>("production").await;
    assert_eq!(world.integrations(), []);
    world.until_event("orders", "Deleted").await;
    let events = world.events("orders").await;
    let once = ["Registered", "RetryPolicyApplied", "HealthCheckPassed", "Activated", "Deleted"];
    assert_eq!(reasons(&events), once, "{events:?}");

    let log = gateway.log();
    let faulty: HashSet<_> =
        log.iter().filter(|exchange| met(exchange.outcome)).map(|exchange| sort(&exchange.request)).collect();
    for sort in [
        "patch cognigywebhooks/",
        "patch cognigywebhooks/ remove",
        "patch cognigywebhooks/status",
        "patch cognigytenants/",
        "patch cognigytenants/ remove",
        "patch cognigytenants/status",
        "patch retrypolicies/status",
        "create events/",
    ] {
        assert!(faulty.contains(sort), "{sort} met no fault: {faulty:?}");
    }
}

fn count(log: &[Exchange], outcome: Outcome, matching: impl Fn(&Request) -> bool) -> usize {
    log.iter().filter(|exchange| exchange.outcome == outcome && matching(&exchange.request)).count()
}

/// What one webhook that is live, and never was anything else, looks like from outside.
async fn assert_registered_once(world: &World, name: &str) {
    let there: Vec<_> = world.integrations().into_iter().filter(|one| one.name == name).collect();
    let [one] = there.as_slice() else { panic!("one registration of {name} expected: {there:?}") };
    assert!(one.active);
    assert_eq!(world.get(name).await.status.unwrap().webhook_id.as_ref(), Some(&one.id));
    assert_eq!(world.interruptions(name), []);
    world.until_event(name, "Activated").await;
    let events = world.events(name).await;
    for once in ["Registered", "Activated"] {
        assert_eq!(reasons(&events).iter().filter(|reason| **reason == once).count(), 1, "{once}: {events:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_write_is_made_again_whichever_it_was() {
    world_behind_a_gateway(async |world, gateway| {
        let conflict = Answer::error(StatusCode::CONFLICT, "Conflict", "the object has been modified");
        gateway.act(to_the_first_writes(1, conflict));
        a_whole_life(world, gateway, |outcome| outcome == Outcome::Answered(409)).await;
    })
    .await;
}

/// Changes the object while the operator's write to it is on the way.
async fn meanwhile(
    world: &World,
    gateway: &Gateway,
    write: fn(&Request) -> bool,
    change: Value,
    start: impl AsyncFnOnce(),
) {
    let stopped = gateway.hold(Stage::BeforeForward, write);
    start().await;
    let held = stopped.reached().await.unwrap();
    world.api::<CognigyWebhook>().patch("orders", &PatchParams::default(), &Patch::Merge(change)).await.unwrap();
    held.release();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_writer_before_the_claim_keeps_what_it_wrote() {
    world_behind_a_gateway(async |world, gateway| {
        world.start_operator_through(gateway).await;
        world.tenant("production", json!({})).await;
        let theirs = json!({"metadata": {"finalizers": ["example.com/theirs"], "annotations": {"team": "cx"}}});
        meanwhile(world, gateway, is_metadata_write, theirs, async || world.webhook("orders", json!({})).await).await;
        let webhook = world.until_reason("orders", "Active").await;
        assert_eq!(webhook.finalizers(), ["example.com/theirs", FINALIZER]);
        assert_eq!(webhook.annotations()["team"], "cx");
        assert_registered_once(world, "orders").await;
        assert_eq!(count(&gateway.log(), Outcome::Answered(422), is_metadata_write), 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spec_edited_while_its_status_is_written_is_seen() {
    live_behind_a_gateway(async |world, gateway| {
        let edited = json!({"spec": {"url": world.sim.callback_url("second")}});
        let first = async || world.webhook("orders", json!({"url": world.sim.callback_url("first")})).await;
        meanwhile(world, gateway, is_status_write, edited, first).await;
        let second = world.sim.callback_url("second").to_string();
        world.until_sim("the second URL", |sim| sim.integrations().iter().any(|one| one.url == second)).await;
        world.until_reason("orders", "Active").await;
        assert_eq!(count(&gateway.log(), Outcome::Answered(409), is_status_write), 1);
        assert_eq!(world.integrations().len(), 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_writer_before_the_release_keeps_its_finalizer() {
    live_behind_a_gateway(async |world, gateway| {
        let finalizers = |all: &[&str]| json!({"metadata": {"finalizers": all}});
        let before = finalizers(&["example.com/first", FINALIZER, "example.com/last"]);
        world.api::<CognigyWebhook>().patch("orders", &PatchParams::default(), &Patch::Merge(before)).await.unwrap();
        // A patch by place alone would now take the last one.
        let theirs = finalizers(&[FINALIZER, "example.com/last"]);
        let delete = async || world.delete::<CognigyWebhook>("orders").await;
        meanwhile(world, gateway, is_metadata_write, theirs, delete).await;
        let left = world.until("orders", |webhook: &CognigyWebhook| webhook.finalizers().len() == 1).await;
        assert_eq!(left.finalizers(), ["example.com/last"]);
        assert_eq!(world.integrations(), []);
        assert_eq!(count(&gateway.log(), Outcome::Answered(422), is_metadata_write), 1);
        world
            .api::<CognigyWebhook>()
            .patch("orders", &PatchParams::default(), &Patch::Merge(finalizers(&[])))
            .await
            .unwrap();
        world.until_gone::<CognigyWebhook>("orders").await;
    })
    .await;
}

/// Everything that changes while no watch tells of it is worked on once `refusal`, the answer to the next watch of the webhooks, says that
/// it came too late.
async fn after_an_expired_watch(refusal: Answer) {
    live_behind_a_gateway(async |world, gateway| {
        world.policy("patient", json!({"intervalsMs": [50, 100]})).await;
        world.webhook("patiently", json!({"retryPolicyRef": {"name": "patient"}})).await;
        world.webhook("leaving", json!({})).await;
        world.until_reason("patiently", "Active").await;
        world.until_reason("leaving", "Active").await;

        gateway.act(|request| if request.verb == "watch" { Action::Cut } else { Action::Pass });
        gateway.disconnect();
        let cut = |log: &[Exchange]| count(log, Outcome::Cut(None), |request| request.is("watch", WEBHOOKS)) > 0;
        gateway.wait_until(cut).await;
        world.webhook("coming", json!({})).await;
        world.webhook("orders", json!({"headers": {"X-Changed": "yes"}})).await;
        world.delete::<CognigyWebhook>("leaving").await;
        world.delete::<RetryPolicy>("patient").await;
        let before = gateway.log().len();
        let refused = Mutex::new(HashSet::new());
        gateway.act(move |request| {
            let first = request.verb == "watch" && refused.lock().unwrap().insert(request.resource.clone());
            if first { refusal.clone().into() } else { Action::Pass }
        });

        world.until_reason("coming", "Active").await;
        world.until_reason("patiently", "RetryPolicyNotFound").await;
        world.until_gone::<CognigyWebhook>("leaving").await;
        world
            .until_sim("the header", |sim| sim.integrations().iter().any(|one| one.headers.contains_key("X-Changed")))
            .await;
        let listed = gateway.log()[before..].iter().filter(|exchange| exchange.request.is("list", WEBHOOKS)).count();
        assert!(listed > 0, "the watch went on without a list");
        let mut names: Vec<_> = world.integrations().into_iter().map(|one| one.name).collect();
        names.sort();
        assert_eq!(names, ["coming", "orders", "patiently"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_that_expired_by_an_event_loses_no_change() {
    after_an_expired_watch(Answer::watch_expired()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_that_expired_by_its_whole_answer_loses_no_change() {
    after_an_expired_watch(Answer::error(StatusCode::GONE, "Expired", "too old resource version")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_that_falls_silent_is_given_up_and_loses_no_change() {
    world_behind_a_gateway(async |world, gateway| {
        let patience = Patience { answer: Duration::from_secs(30), watch_seconds: 2 };
        world.start_operator_through_with(gateway, patience).await;
        world.tenant("production", json!({})).await;
        world.webhook("orders", json!({})).await;
        world.until_reason("orders", "Active").await;
        gateway.act(|request| if request.is("watch", WEBHOOKS) { Action::Mute } else { Action::Pass });
        let before = gateway.log().len();
        gateway.disconnect();
        let watches = |log: &[Exchange]| {
            log[before..].iter().any(|exchange| {
                exchange.request.is("watch", WEBHOOKS) && matches!(exchange.outcome, Outcome::Answered(_))
            })
        };
        gateway.wait_until(watches).await;
        world.webhook("orders", json!({"headers": {"X-Changed": "yes"}})).await;
        // The silent one stays silent; the next one speaks.
        gateway.pass_all();
        world
            .until_sim("the header", |sim| sim.integrations().iter().any(|one| one.headers.contains_key("X-Changed")))
            .await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_is_never_answered_stops_nothing() {
    world_behind_a_gateway(async |world, gateway| {
        gateway.once(is_metadata_write, Action::Hang);
        gateway.once(is_status_write, Action::Hang);
        let patience = Patience { answer: Duration::from_secs(5), watch_seconds: 2 };
        world.start_operator_through_with(gateway, patience).await;
        world.tenant("production", json!({})).await;
        world.webhook("orders", json!({})).await;
        world.until_reason("orders", "Active").await;
        assert_registered_once(world, "orders").await;
        let hung = |matching: fn(&Request) -> bool| count(&gateway.log(), Outcome::Pending, matching);
        assert_eq!((hung(is_metadata_write), hung(is_status_write)), (1, 1));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_api_server_only_takes_longer() {
    world_behind_a_gateway(async |world, gateway| {
        gateway.act(|_| Action::Delay(Duration::from_millis(300)));
        world.start_operator_through(gateway).await;
        world.tenant("production", json!({})).await;
        world.policy("patient", json!({"intervalsMs": [50, 100]})).await;
        world.webhook("orders", json!({"retryPolicyRef": {"name": "patient"}})).await;
        world.until_reason("orders", "Active").await;
        assert_registered_once(world, "orders").await;
        let writes = world.requests().iter().filter(|request| request.route.is_some_and(Route::is_write)).count();
        assert_eq!(writes, 3, "registered, given its policy, activated: {:#?}", world.requests());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_throttling_api_server_is_asked_again_and_nothing_is_lost() {
    const THROTTLED: usize = 12;
    world_behind_a_gateway(async |world, gateway| {
        let seen = AtomicUsize::new(0);
        world.start_operator_through(gateway).await;
        world.tenant("production", json!({})).await;
        world.until_tenant("production", "Connected").await;
        gateway.act(move |_| {
            let throttled = seen.fetch_add(1, Ordering::Relaxed) < THROTTLED;
            let answer = Answer::error(StatusCode::TOO_MANY_REQUESTS, "TooManyRequests", "please slow down");
            if throttled { answer.header("Retry-After", "1").into() } else { Action::Pass }
        });
        world.webhook("orders", json!({})).await;
        world.until_reason("orders", "Active").await;
        gateway.wait_until(|log| count(log, Outcome::Answered(429), |_| true) == THROTTLED).await;
        assert_registered_once(world, "orders").await;
        assert_eq!(world.count(Route::CreateIntegration), 1, "waiting for Kubernetes repeats no call to Cognigy");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_that_are_refused_hold_up_nothing_and_stand_in_the_audit_lines() {
    world_behind_a_gateway(async |world, gateway| {
        let seen = AtomicUsize::new(0);
        gateway.act(move |request| match request.resource.as_str() {
            "events" if seen.fetch_add(1, Ordering::Relaxed).is_multiple_of(2) => {
                Answer::error(StatusCode::FORBIDDEN, "Forbidden", "no events here").into()
            }
            "events" => Answer::error(StatusCode::INTERNAL_SERVER_ERROR, "InternalError", "etcd is away").into(),
            _ => Action::Pass,
        });
        world.start_operator_through(gateway).await;
        world.tenant("production", json!({})).await;
        world.webhook("orders", json!({})).await;
        world.until_reason("orders", "Active").await;
        world.delete::<CognigyWebhook>("orders").await;
        world.until_gone::<CognigyWebhook>("orders").await;
        assert_eq!(world.integrations(), []);
        assert_eq!(world.events("orders").await, []);
        let lines: Vec<_> = world.audit_lines().into_iter().filter(|line| line["name"] == "orders").collect();
        let told: Vec<_> = lines.iter().map(|line| line["action"].as_str().unwrap()).collect();
        assert_eq!(told, ["Registered", "HealthCheckPassed", "Activated", "Deleted"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_whose_answer_is_lost_is_not_made_twice_whichever_it_was() {
    world_behind_a_gateway(async |world, gateway| {
        gateway.act(to_the_first_writes(2, Action::CutAfterCommit));
        a_whole_life(world, gateway, |outcome| matches!(outcome, Outcome::Cut(Some(200..300)))).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_vanishes_while_it_is_read_is_waited_for() {
    live_behind_a_gateway(async |world, gateway| {
        world.secret("orders-hook", &[("key", "one")]).await;
        let stopped = gateway.hold(Stage::BeforeForward, |request| {
            request.is("get", "secrets") && request.name.as_deref() == Some("orders-hook")
        });
        let header = json!([{"name": "X-Api-Key", "secretKeyRef": {"name": "orders-hook", "key": "key"}}]);
        world.webhook("orders", json!({"headersFrom": header})).await;
        let held = stopped.reached().await.unwrap();
        world.delete::<Secret>("orders-hook").await;
        held.release();
        let webhook = world.until_reason("orders", "SecretNotFound").await;
        assert!(message(&webhook).contains("orders-hook does not exist"), "{}", message(&webhook));
        assert_eq!(world.active_versions("orders"), [1], "what is live stays so");
        world.secret("orders-hook", &[("key", "two")]).await;
        world.until_reason("orders", "Active").await;
        let sent = world.integrations().remove(0).headers;
        assert_eq!(sent["X-Api-Key"], "two");
        assert_eq!(world.interruptions("orders"), []);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_that_vanish_under_way_harm_no_live_webhook() {
    live_behind_a_gateway(async |world, gateway| {
        let stopped = gateway.hold(Stage::BeforeForward, |request| {
            request.is("get", "secrets") && request.name.as_deref() == Some("cognigy-oauth")
        });
        // Another tenant spec asks for another connection, and so for the credentials.
        world.tenant("production", json!({"limits": {"requestsPerMinute": 50000, "burst": 1000}})).await;
        let held = stopped.reached().await.unwrap();
        world.delete::<Secret>("cognigy-oauth").await;
        held.release();
        world.until_tenant("production", "SecretNotFound").await;
        world.credentials("cognigy-oauth").await;
        world.until_tenant("production", "Connected").await;
        world.until_reason("orders", "Active").await;
        assert_registered_once(world, "orders").await;
    })
    .await;
}
