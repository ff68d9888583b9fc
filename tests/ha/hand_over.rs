//! One leader after the other.

use std::time::{Duration, Instant};

use cognigy_operator::cluster::lease::lease_name;
use cognigy_simulator::Options;
use control_plane::User;
use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use rustix::process::{Signal, kill_process};
use serde_json::json;

use crate::{
    calls::callers,
    harness::world_without_operator,
    lease::holder,
    program::{Program, free_address},
    replica::{shows, user},
};

/// In these rounds the leader is killed; in the others it is asked to end.
const KILLED: [usize; 2] = [7, 14];
const ROUNDS: usize = 20;
const WEBHOOKS: usize = 8;
/// What a Lease lasts (docs/resources.md).
const DURATION: Duration = Duration::from_secs(15);

#[tokio::test(flavor = "multi_thread")]
async fn twenty_leaders_follow_each_other_and_two_never_work_at_the_same_time() {
    world_without_operator(Options::default(), async |world| {
        world.tenant("production", json!({})).await;
        let history = world.lease_history();
        let mut leader = world.replica("leader-00").await;
        leader.leads().await;
        let (mut asked, mut killed) = (Vec::new(), Vec::new());
        let rounds = async {
            for round in 1..=ROUNDS {
                let next = world.replica(&format!("leader-{round:02}")).await;
                next.stands_by(world).await;
                let before = world.callers();
                let last = std::mem::replace(&mut leader, next);
                let began = Instant::now();
                if KILLED.contains(&round) {
                    kill_process(last.program.id(), Signal::KILL).unwrap();
                } else {
                    last.program.terminate();
                }
                history.until_held_by(world, &leader.name).await;
                let held = began.elapsed();
                world.until_sim("the next one calls", |sim| callers(sim.requests()) > before).await;
                let took = (held, began.elapsed());
                let (status, lines) = last.ended().await;
                if KILLED.contains(&round) {
                    killed.push(took);
                } else {
                    asked.push(took);
                    assert_eq!(status.code(), Some(0), "{lines}");
                    assert!(lines.contains("the Lease is released"), "{lines}");
                }
            }
        };
        world.while_edited(WEBHOOKS, rounds).await;
        leader.retire().await;

        assert_eq!(world.callers(), ROUNDS + 1, "each of them called Cognigy");
        let names: Vec<_> = (0..=ROUNDS).map(|round| format!("leader-{round:02}")).collect();
        assert_eq!(world.writers(), names, "each of them wrote, in its turn");
        // Who was asked to end let go first; who was killed could not, and its Lease ran out.
        let expected: Vec<_> = (1..=ROUNDS + 1)
            .flat_map(|round| {
                [Some(names[round - 1].clone()), None].into_iter().take(if KILLED.contains(&round) { 1 } else { 2 })
            })
            .collect();
        let seen = async || history.holders() == expected;
        world.eventually(&format!("the holders are {expected:?}"), seen).await;
        for round in KILLED {
            let of = |name: &str| {
                history.versions().into_iter().filter(|spec| holder(spec).as_deref() == Some(name)).collect::<Vec<_>>()
            };
            let last = of(&names[round - 1]).pop().unwrap().renew_time.unwrap().0;
            let taken = of(&names[round])[0].acquire_time.clone().unwrap().0;
            // Both times are of a clock that may be set a little meanwhile.
            assert!(taken >= last + DURATION - Duration::from_secs(1), "taken {taken}, renewed {last}");
        }
        for (how, took) in [("SIGTERM", asked), ("SIGKILL", killed)] {
            let median = |times: &mut Vec<Duration>| {
                times.sort();
                (times[0], times[times.len() / 2], times[times.len() - 1])
            };
            let held = median(&mut took.iter().map(|(held, _)| *held).collect());
            let called = median(&mut took.iter().map(|(_, called)| *called).collect());
            println!("{how}, {} rounds, shortest/median/longest: Lease {held:?}, first call {called:?}", took.len());
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_is_ready_and_tells_nothing_of_what_the_leader_tells() {
    world_without_operator(Options::default(), async |world| {
        world.tenant("production", json!({})).await;
        let leader = world.replica("leader").await;
        leader.leads().await;
        world.webhook("orders", json!({})).await;
        world.until_reason("orders", "Active").await;
        let standby = world.replica("standby").await;
        standby.stands_by(world).await;
        let state = "cognigy_operator_resource_condition{kind=\"CognigyWebhook\"";
        let text = standby.program.get("/metrics").await.unwrap().1;
        assert!(!text.contains(state) && text.contains("cognigy_operator_build_info"), "{text}");
        leader.program.until("/metrics", |_, text| text.contains(state)).await;
        assert_eq!(standby.program.get("/livez").await.unwrap().0, 200);

        // Nothing changed: the next one shows the same, and has nothing to write.
        leader.retire().await;
        standby.leads().await;
        standby.program.until("/metrics", |_, text| text.contains(state)).await;
        world.full_pass("orders", "look").await;
        assert_eq!(world.event_count("orders", "Registered").await, 1);
        assert!(world.interruptions("orders").is_empty());
        let lease = world.the_lease().await;
        let name = lease.metadata.name.as_deref().unwrap();
        assert!(name.starts_with(&format!("cognigy-operator-{}-", world.namespace)), "{name}");
        let spec = lease.spec.as_ref().unwrap();
        assert_eq!((spec.lease_duration_seconds, spec.lease_transitions), (Some(15), Some(1)));
        standby.retire().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_that_ends_leaves_the_leader_alone() {
    world_without_operator(Options::default(), async |world| {
        let history = world.lease_history();
        let leader = world.replica("leader").await;
        leader.leads().await;
        let standby = world.replica("standby").await;
        standby.stands_by(world).await;
        standby.retire().await;
        let renewals = history.written_by("leader");
        world.eventually("it is renewed", async || history.written_by("leader") > renewals).await;
        assert_eq!(history.holders(), [Some("leader".to_owned())]);
        leader.retire().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_namespace_of_its_own_the_lease_is_where_the_kubeconfig_leads() {
    world_without_operator(Options::default(), async |world| {
        let user = User::named(user(world, "leader")).group("system:masters");
        let kubeconfig = world.plane.write_kubeconfig(&user).unwrap();
        let arguments = ["--watch-namespaces", &world.namespace, "--leader-elect"];
        let program = Program::start(&kubeconfig, &free_address(), &arguments);
        shows(&program, "cognigy_operator_leader 1").await;
        let leases = Api::<Lease>::namespaced(world.client.clone(), "default");
        let name = lease_name(std::slice::from_ref(&world.namespace), None);
        let identity = leases.get(&name).await.unwrap().spec.unwrap().holder_identity;
        assert!(identity.is_some());
        program.terminate();
        assert_eq!(program.end().await.0.code(), Some(0));
        assert_eq!(leases.get(&name).await.unwrap().spec.unwrap().holder_identity, None, "it is released");
    })
    .await;
}
