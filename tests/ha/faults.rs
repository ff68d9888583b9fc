//! Leaders that are cut off, stopped, robbed or wrong about the time.

use std::sync::atomic::{AtomicBool, Ordering};

use cognigy_simulator::{Destination, Moment, Options, Route, Verdict};
use control_plane::gateway::{Action, Outcome, Request};
use k8s_openapi::api::coordination::v1::Lease;
use kube::{
    ResourceExt as _,
    api::{DeleteParams, Patch, PatchParams},
};
use rustix::process::{Signal, kill_process};
use serde_json::json;

use crate::{
    calls::callers,
    faketime::Clock,
    harness::{World, world_without_operator},
};

const WEBHOOKS: usize = 8;
const HOUR: i64 = 3600;

/// A leader gets no answer to these requests any more, while webhooks are edited all the time.
async fn unanswered(hangs: fn(&Request) -> bool) {
    world_without_operator(Options::default(), async |world| {
        world.tenant("production", json!({})).await;
        let history = world.lease_history();
        let gateway = world.gateway_of("cut-off").await;
        let first = world.replica_through(&gateway, "cut-off").await;
        first.leads().await;
        world.webhooks(WEBHOOKS, json!({})).await;
        for nth in 0..WEBHOOKS {
            world.until_reason(&World::nth(nth), "Active").await;
        }
        let second = world.replica("second").await;
        second.stands_by(world).await;
        let cut = async {
            gateway.act(move |request| if hangs(request) { Action::Hang } else { Action::Pass });
            let calls = world.requests().len();
            world.until_sim("it still calls Cognigy", |sim| sim.requests().len() > calls).await;
            history.until_held_by(world, "second").await;
            let (status, lines) = first.ended().await;
            assert_eq!(status.code(), Some(1), "{lines}");
            assert!(lines.contains("could not be renewed within 12 s"), "{lines}");
            world.until_sim("the second one calls Cognigy", |sim| callers(sim.requests()) == 2).await;
        };
        world.while_edited(WEBHOOKS, cut).await;
        assert_eq!(history.holders(), [Some("cut-off".to_owned()), Some("second".to_owned())]);
        second.retire().await;
        assert_eq!((world.callers(), world.writers()), (2, vec!["cut-off".to_owned(), "second".to_owned()]));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_is_cut_off_from_the_api_server_stops_calling_cognigy_before_another_one_begins() {
    // Its watches go on and tell it of each edit.
    unanswered(|_| true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_can_do_everything_but_renew_its_lease_stops_before_another_one_begins() {
    unanswered(|request| request.resource == "leases").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_was_stopped_in_the_middle_of_a_pass_writes_nothing_when_it_goes_on() {
    world_without_operator(Options::default(), async |world| {
        world.tenant("production", json!({})).await;
        let history = world.lease_history();
        let first = world.replica("stopped").await;
        first.leads().await;
        world.until_tenant("production", "Connected").await;
        let second = world.replica("second").await;
        second.stands_by(world).await;
        // It has sent its first call and stops before it reads the answer: the others of its pass are still to come.
        let (leader, armed) = (first.program.id(), AtomicBool::new(true));
        world.on_passage(move |passage| {
            let registers = passage.destination == Destination::Api(Some(Route::CreateIntegration));
            if registers && passage.moment == Moment::Before && armed.swap(false, Ordering::SeqCst) {
                kill_process(leader, Signal::STOP).unwrap();
            }
            Verdict::Pass
        });
        world.webhook("orders", json!({})).await;
        world.until_sim("it has registered it", |sim| sim.integrations().len() == 1).await;
        history.until_held_by(world, "second").await;
        world.until_reason("orders", "Active").await;
        let callers = world.callers();

        kill_process(leader, Signal::CONT).unwrap();
        let (status, lines) = first.ended().await;
        assert_eq!(status.code(), Some(1), "{lines}");
        assert!(lines.contains("could not be renewed") || lines.contains("was taken by second"), "{lines}");
        world.full_pass("orders", "look").await;
        second.retire().await;
        assert_eq!((callers, world.callers()), (2, 2));
        assert_eq!(world.writers(), ["stopped", "second"]);
        assert_eq!(world.integrations().len(), 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_is_deleted_ends_its_leader_before_another_one_begins() {
    world_without_operator(Options::default(), async |world| {
        world.tenant("production", json!({})).await;
        let history = world.lease_history();
        let first = world.replica("robbed").await;
        first.leads().await;
        let second = world.replica("second").await;
        second.stands_by(world).await;
        let robbery = async {
            world.until_sim("it calls Cognigy", |sim| callers(sim.requests()) == 1).await;
            let lease = world.the_lease().await;
            world.api::<Lease>().delete(&lease.name_any(), &DeleteParams::default()).await.unwrap();
            let (status, lines) = first.ended().await;
            assert_eq!(status.code(), Some(1), "{lines}");
            assert!(lines.contains("was taken away"), "{lines}");
            history.until_held_by(world, "second").await;
            world.until_sim("the second one calls Cognigy", |sim| callers(sim.requests()) == 2).await;
        };
        world.while_edited(WEBHOOKS, robbery).await;
        second.retire().await;
        assert_eq!((world.callers(), world.writers()), (2, vec!["robbed".to_owned(), "second".to_owned()]));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_answers_refusals_and_the_edits_of_others_do_not_end_a_leader() {
    world_without_operator(Options::default(), async |world| {
        let history = world.lease_history();
        let gateway = world.gateway_of("leader").await;
        let leader = world.replica_through(&gateway, "leader").await;
        leader.leads().await;
        let standby = world.replica("standby").await;
        standby.stands_by(world).await;
        let renewal = |request: &Request| request.is("update", "leases");
        for fault in [Action::CutAfterCommit, Action::Cut, Action::Hang] {
            let told = format!("{fault:?}");
            gateway.once(renewal, fault);
            let before = gateway.log().iter().filter(|exchange| renewal(&exchange.request)).count();
            // The one with the fault, and one that went through.
            let renewed = async || {
                let log = gateway.log();
                let renewals = log.iter().filter(|exchange| renewal(&exchange.request)).skip(before + 1);
                renewals.into_iter().any(|exchange| exchange.outcome == Outcome::Answered(200))
            };
            world.eventually(&format!("it is renewed after {told}"), renewed).await;
        }
        // A label of somebody else's changes the resourceVersion that the next renewal names.
        let lease = world.the_lease().await;
        let label = json!({"metadata": {"labels": {"example.com/seen": "yes"}}});
        world.api::<Lease>().patch(&lease.name_any(), &PatchParams::default(), &Patch::Merge(label)).await.unwrap();
        let renewals = history.written_by("leader") + 1;
        world.eventually("it is renewed with the label", async || history.written_by("leader") > renewals).await;
        assert_eq!(world.the_lease().await.labels()["example.com/seen"], "yes", "it is kept");
        assert_eq!(history.holders(), [Some("leader".to_owned())]);
        leader.retire().await;
        standby.leads().await;
        standby.retire().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clocks_that_are_hours_apart_and_set_in_between_decide_nothing() {
    world_without_operator(Options::default(), async |world| {
        world.tenant("production", json!({})).await;
        let history = world.lease_history();
        let (behind, ahead) = (Clock::new().await, Clock::new().await);
        behind.step(-HOUR);
        ahead.step(HOUR);
        let environment = |clock: &Clock| clock.environment();
        let (of_leader, of_standby) = (environment(&behind), environment(&ahead));
        let leader = world.replica_under("leader", &borrowed(&of_leader)).await;
        leader.leads().await;
        let standby = world.replica_under("standby", &borrowed(&of_standby)).await;
        standby.stands_by(world).await;
        // To the standby each renewal is two hours old; still it waits, longer than a Lease lasts.
        let calm = async {
            let renewed = async |times: usize| {
                let until = history.written_by("leader") + times;
                world.eventually("it is renewed", async || history.written_by("leader") >= until).await;
            };
            renewed(2).await;
            behind.step(0);
            ahead.step(-HOUR);
            renewed(2).await;
            ahead.step(2 * HOUR);
            renewed(1).await;
        };
        world.while_edited(WEBHOOKS, calm).await;
        assert_eq!(history.holders(), [Some("leader".to_owned())]);
        // One that lets go is followed at once, whatever the clocks say.
        leader.retire().await;
        standby.leads().await;
        assert_eq!(history.holders(), [Some("leader".to_owned()), None, Some("standby".to_owned())]);
        standby.retire().await;
        assert!(world.writers().starts_with(&["leader".to_owned()]));
        world.callers();
    })
    .await;
}

fn borrowed<'a>(environment: &'a [(&'static str, String)]) -> Vec<(&'a str, &'a str)> {
    environment.iter().map(|(name, value)| (*name, value.as_str())).collect()
}
