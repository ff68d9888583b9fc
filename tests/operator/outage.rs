//! The API server is away, comes back, and forgets or loses the kinds: on control planes of their own, which these tests harm.

use cognigy_operator::api::CognigyWebhook;
use cognigy_simulator::{Options, Route};
use control_plane::gateway::{Action, Exchange, Gateway, Outcome};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{
    Api,
    api::{DeleteParams, Patch, PatchParams},
};
use serde_json::json;

use crate::harness::{World, install_definitions, world_on_its_own_plane};

const WEBHOOKS: &str = "cognigywebhooks";

async fn world_behind_a_gateway(test: impl AsyncFnOnce(&World, &Gateway)) {
    world_on_its_own_plane(Options::default(), async |world| {
        let gateway = world.gateway().await;
        world.start_operator_through(&gateway).await;
        test(world, &gateway).await;
        world.stop_operator().await;
    })
    .await;
}

fn watches_ended(log: &[Exchange], outcome: Outcome) -> usize {
    log.iter().filter(|exchange| exchange.outcome == outcome && exchange.request.is("watch", WEBHOOKS)).count()
}

/// The operator hears of no change any more, and knows it.
async fn cut_watches(gateway: &Gateway) {
    gateway.act(|request| if request.verb == "watch" { Action::Cut } else { Action::Pass });
    gateway.disconnect();
    gateway.wait_until(|log| watches_ended(log, Outcome::Cut(None)) > 0).await;
}

async fn until_ready(world: &World, says: u16, body: &str) {
    world
        .eventually(body, async || {
            let (status, text) = world.http("/readyz").await;
            status == says && text.contains(body)
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_server_that_was_away_finds_everything_done_that_changed_meanwhile() {
    world_behind_a_gateway(async |world, gateway| {
        world.tenant("production", json!({"resyncPeriodSeconds": 5})).await;
        for name in ["orders", "leaving", "drifting"] {
            world.webhook(name, json!({})).await;
        }
        for name in ["orders", "leaving", "drifting"] {
            world.until_reason(name, "Active").await;
        }
        // What changes now, a watch that begins where the last one ended cannot tell: the API server forgets it when it ends.
        cut_watches(gateway).await;
        world.webhook("orders", json!({"headers": {"X-Changed": "before"}})).await;
        world.webhook("coming", json!({})).await;
        world.plane.stop_apiserver().await.unwrap();
        gateway.pass_all();
        gateway.wait_until(|log| watches_ended(log, Outcome::Unreachable) >= 2).await;
        assert_eq!(world.http("/livez").await.0, 200, "a restart would not help");
        let drifting = world.integrations().into_iter().find(|one| one.name == "drifting").unwrap();
        assert!(world.change_behind(&drifting.id, json!({"url": "https://elsewhere.example.com/"})));
        assert_eq!(world.integrations().len(), 3, "what the operator cannot know it does not do");
        let before = gateway.log().len();
        world.plane.start_apiserver().await.unwrap();
        world.delete::<CognigyWebhook>("leaving").await;
        world.webhook("later", json!({})).await;

        for name in ["coming", "later"] {
            world.until_reason(name, "Active").await;
        }
        world.until_gone::<CognigyWebhook>("leaving").await;
        world
            .until_sim("the header", |sim| sim.integrations().iter().any(|one| one.headers.contains_key("X-Changed")))
            .await;
        world
            .until_sim("the drift is corrected", |sim| {
                sim.integration(&drifting.id).is_some_and(|one| one.url == drifting.url)
            })
            .await;
        let listed = gateway.log()[before..].iter().filter(|exchange| exchange.request.is("list", WEBHOOKS)).count();
        assert!(listed > 0, "the API server still knew what it was asked for: nothing expired");
        let mut names: Vec<_> = world.integrations().into_iter().map(|one| one.name).collect();
        names.sort();
        assert_eq!(names, ["coming", "drifting", "later", "orders"]);
        assert_eq!(world.count(Route::CreateIntegration), 5, "nothing was registered twice");
        assert!(world.integrations().iter().all(|one| one.active));
    })
    .await;
}

/// Deletes the definition of the webhooks and waits until it is gone.
async fn delete_definition(world: &World) {
    let api = Api::<CustomResourceDefinition>::all(world.client.clone());
    let name = format!("{WEBHOOKS}.cognigy.io");
    api.delete(&name, &DeleteParams::default()).await.unwrap();
    world.eventually("the definition is gone", async || api.get_opt(&name).await.unwrap().is_none()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_definition_a_kind_is_waited_for_and_cognigy_is_left_alone() {
    world_behind_a_gateway(async |world, gateway| {
        world.tenant("production", json!({})).await;
        world.webhook("orders", json!({})).await;
        world.until_reason("orders", "Active").await;
        let live = world.integrations();
        world.clear_log();

        // Somebody lets go of the object by force and deletes the definition: the operator never sees it being deleted.
        cut_watches(gateway).await;
        let let_go = json!({"metadata": {"finalizers": []}});
        world.api::<CognigyWebhook>().patch("orders", &PatchParams::default(), &Patch::Merge(let_go)).await.unwrap();
        delete_definition(world).await;
        gateway.pass_all();
        until_ready(world, 503, "the API server, which does not know cognigywebhooks").await;
        assert_eq!(world.http("/livez").await.0, 200, "a restart would not help");
        install_definitions(&world.client).await;
        until_ready(world, 200, "").await;
        assert_eq!(world.integrations(), live);
        assert!(
            !world.requests().iter().any(|request| request.route.is_some_and(Route::is_write)),
            "{:#?}",
            world.requests()
        );
        world.webhook("orders", json!({})).await;
        world.until_reason("orders", "Active").await;
        assert!(world.until_event("orders", "Adopted").await.contains(&live[0].id));
        assert_eq!((world.integrations()[0].id.clone(), world.interruptions("orders")), (live[0].id.clone(), vec![]));

        // A definition that is deleted takes its objects with it, each as its deletionPolicy says.
        world.webhook("kept", json!({"deletionPolicy": "Orphan"})).await;
        world.until_reason("kept", "Active").await;
        delete_definition(world).await;
        let left: Vec<_> = world.integrations().into_iter().map(|one| (one.name, one.active)).collect();
        assert_eq!(left, [("kept".to_owned(), true)]);
        until_ready(world, 503, "the API server, which does not know cognigywebhooks").await;
        install_definitions(&world.client).await;
        until_ready(world, 200, "").await;
        world.webhook("orders", json!({})).await;
        world.until_reason("orders", "Active").await;
    })
    .await;
}
