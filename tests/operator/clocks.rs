//! The clock is set while the program runs: waits go by a clock that is never set, and nothing is late or early by an hour.
//!
//! The real binary runs under libfaketime, which steps its wall clock and leaves the monotonic one alone, as an administrator or
//! NTP does (docs/reliability.md, *Clocks*).

use std::time::Duration;

use cognigy_operator::api::CognigyWebhook;
use cognigy_simulator::{Fault, Options, Route};
use control_plane::User;
use k8s_openapi::api::events::v1::Event;
use kube::api::ListParams;
use serde_json::json;

use crate::{
    faketime::Clock,
    harness::{World, world_without_operator},
    program::{Program, free_address},
};

const HOUR: i64 = 3600;

impl Clock {
    async fn program(&self, world: &World) -> Program {
        let kubeconfig = world.plane.write_kubeconfig(&User::named(&world.user).group("system:masters")).unwrap();
        let environment = self.environment();
        let environment: Vec<_> = environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let arguments = ["--watch-namespaces", &world.namespace];
        let program = Program::start_under(&kubeconfig, &free_address(), &arguments, &environment);
        program.ready().await;
        program
    }
}

/// How far the program's clock is from the true time by its events about an object, in seconds, the latest one's.
async fn offset(world: &World, name: &str) -> i64 {
    let events = world.api::<Event>().list(&ListParams::default()).await.unwrap().items;
    let about =
        events.into_iter().filter(|event| event.regarding.as_ref().and_then(|of| of.name.as_deref()) == Some(name));
    let latest = about.max_by_key(|event| event.metadata.creation_timestamp.clone().map(|time| time.0)).unwrap();
    latest.event_time.unwrap().0.as_second() - latest.metadata.creation_timestamp.unwrap().0.as_second()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_set_changes_nothing_but_what_the_operator_writes_down() {
    let options = Options { token_lifetime: Duration::from_secs(5), ..Options::default() };
    world_without_operator(options, async |world| {
        let clock = Clock::new().await;
        let program = clock.program(world).await;
        world.tenant("production", json!({"resyncPeriodSeconds": 5})).await;
        world.webhook("orders", json!({})).await;
        let id = world.until_reason("orders", "Active").await.status.unwrap().webhook_id.unwrap();
        let url = world.integration(&id).unwrap().url;
        for (name, hours) in [("forward", 1), ("back", 0), ("behind", -1), ("right", 0)] {
            clock.step(hours * HOUR);
            // A new object: the callback's certificate is good, and the events bear the time that the clock shows.
            world.webhook(name, json!({})).await;
            world.until_reason(name, "Active").await;
            world.until_event(name, "Activated").await;
            let off = offset(world, name).await;
            assert!((off - hours * HOUR).abs() < HOUR / 2, "{name}: the clock of the program is {off} s off");
            // A held token is renewed by its age: neither at once, nor too late.
            let tokens = world.count(Route::Token);
            let mut asked = 0;
            while world.count(Route::Token) < tokens + 2 {
                asked += 1;
                world.full_pass("orders", &format!("{name}-{asked}")).await;
            }
            assert!(asked > 1, "{name}: a token for each call");
            // The next comparison with Cognigy comes when it was due.
            assert!(world.change_behind(&id, json!({"url": "https://elsewhere.example.com/"})));
            world
                .until_sim("the drift is corrected", |sim| sim.integration(&id).is_some_and(|one| one.url == url))
                .await;
            assert_eq!(program.get("/livez").await.unwrap().0, 200);
        }
        let refused: Vec<_> = world.requests().into_iter().filter(|request| request.status == Some(401)).collect();
        assert!(refused.is_empty(), "a token was used beyond its life: {refused:#?}");
        assert!(world.integrations().iter().all(|one| one.active));
        program.terminate();
        program.end().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_change_waits_no_hour_for_its_next_try_because_the_clock_was_set_back() {
    world_without_operator(Options::default(), async |world| {
        let clock = Clock::new().await;
        let program = clock.program(world).await;
        world.tenant("production", json!({})).await;
        world.policy("patient", json!({"intervalsMs": [5000]})).await;
        let fails_once = async |name: &str| {
            world.fault(Fault::on(Route::CreateIntegration).times(1).status(503));
            world.webhook(name, json!({"retryPolicyRef": {"name": "patient"}})).await;
            let failed =
                |webhook: &CognigyWebhook| webhook.status.as_ref().is_some_and(|status| status.failure.is_some());
            world.until(name, failed).await;
        };
        // The program that waits …
        fails_once("orders").await;
        clock.step(-HOUR);
        world.until_reason("orders", "Active").await;

        // … and the next one, which finds in the status a time that is more than an hour ahead.
        clock.step(0);
        fails_once("later").await;
        program.terminate();
        program.end().await;
        clock.step(-HOUR);
        let program = clock.program(world).await;
        world.until_reason("later", "Active").await;
        program.terminate();
        program.end().await;
    })
    .await;
}
