//! `reconcile`, `suspend`, `resume`, `orphan`.

use cognigy_operator::api::{CognigyTenant, CognigyWebhook, FORCE_ORPHAN_ANNOTATION};
use cognigy_simulator::Options;
use kube::ResourceExt;
use serde_json::{Value, json};

use crate::{
    harness::{World, world, world_without_operator},
    plugin::Ran,
};

async fn two_webhooks(world: &World) {
    world.tenant("production", json!({})).await;
    for name in ["orders", "payments"] {
        world.webhook(name, json!({})).await;
        world.until_reason(name, "Active").await;
    }
}

/// It was not done, for this reason.
#[track_caller]
fn refused(ran: &Ran, code: i32, why: &str) {
    assert!(ran.code == code && ran.err.contains(why) && ran.out.is_empty(), "{ran:?}");
}

async fn suspended(world: &World) -> Vec<bool> {
    let mut webhooks = world.api::<CognigyWebhook>().list(&kube::api::ListParams::default()).await.unwrap().items;
    webhooks.sort_by_key(ResourceExt::name_any);
    webhooks.iter().map(|webhook| webhook.spec.suspend).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reconcile_that_waits_ends_when_the_operator_has_made_the_pass() {
    world(Options::default(), async |world| {
        two_webhooks(world).await;
        let ran = world.plugin(&["reconcile", "orders", "cwh/orders", "ctenant/production", "--wait", "--yes"]).await;
        let told = [
            "cwh/orders reconciled: Ready is True (Active)",
            "ctenant/production reconciled: Ready is True (Connected)",
        ];
        assert_eq!(ran.good().lines().collect::<Vec<_>>(), told);
        world.until_event("orders", "ReconcileRequestHandled").await;
        assert_eq!(world.event_count("payments", "ReconcileRequestHandled").await, 0);

        world.stop_operator().await;
        let alone = world.plugin(&["reconcile", "orders", "--wait", "--timeout", "1s"]).await;
        refused(&alone, 2, "cwh/orders was not reconciled within 1 s; it goes on, and Ready is True (Active)");
        let asked = world.plugin(&["reconcile", "payments", "-o", "json"]).await.good();
        let told: Vec<Value> = serde_json::from_str(&asked).unwrap();
        assert_eq!((&told[0]["name"], &told[0]["result"]), (&json!("payments"), &json!("reconcile requested")));
        refused(&world.plugin(&["reconcile", "nobody"]).await, 2, "there is no CognigyWebhook nobody in namespace");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_are_suspended_only_with_a_yes_and_resumed_again() {
    world(Options::default(), async |world| {
        two_webhooks(world).await;
        let many = world.plugin(&["suspend", "--all"]).await;
        refused(&many, 1, "to suspend 2 webhooks without a terminal, add --yes");
        let dry = world.plugin(&["suspend", "--all", "--dry-run"]).await.good();
        assert_eq!(dry, "cwh/orders suspended (server dry run)\ncwh/payments suspended (server dry run)\n");
        assert_eq!(suspended(world).await, [false, false]);

        assert_eq!(world.plugin(&["suspend", "orders"]).await.good(), "cwh/orders suspended\n");
        world.until_reason("orders", "Suspended").await;
        refused(&world.plugin(&["reconcile", "orders"]).await, 2, "cwh/orders is suspended: resume it");
        // One is left to do: that needs no question.
        let rest = world.plugin(&["suspend", "--all"]).await.good();
        assert_eq!(rest, "cwh/orders suspended already\ncwh/payments suspended\n");
        assert_eq!(suspended(world).await, [true, true]);

        assert_eq!(
            world.plugin(&["resume", "--all", "--yes"]).await.good(),
            "cwh/orders resumed\ncwh/payments resumed\n"
        );
        world.until_reason("orders", "Active").await;
        let managers = world.get("orders").await.metadata.managed_fields.unwrap_or_default();
        assert!(managers.iter().any(|entry| entry.manager.as_deref() == Some("kubectl-cognigy")), "{managers:?}");
        let tenants = world.plugin(&["suspend", "--all", "--tenants"]).await.good();
        assert_eq!(tenants, "ctenant/production suspended\n");
        world.until_tenant("production", "Suspended").await;
        let none = world.plugin(&["suspend", "-l", "team=nobody"]).await;
        assert_eq!((none.code, none.err.as_str()), (0, "No webhooks found.\n"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_is_asked_on_a_terminal() {
    world_without_operator(Options::default(), async |world| {
        for name in ["orders", "payments"] {
            world.webhook(name, json!({})).await;
        }
        for (answer, code, state) in [("no", 1, [false, false]), ("yes", 0, [true, true])] {
            let kubeconfig = world.plane.write_kubeconfig(&control_plane::User::admin()).unwrap();
            let plugin = format!(
                "{} --kubeconfig {} -n {} suspend --all",
                env!("CARGO_BIN_EXE_kubectl-cognigy"),
                kubeconfig.display(),
                world.namespace
            );
            // util-linux' script gives it a terminal.
            let mut script = tokio::process::Command::new("script");
            script.args(["--quiet", "--return", "--command", &plugin, "/dev/null"]);
            let shell = format!("echo {answer}");
            let mut typed = std::process::Command::new("sh")
                .args(["-c", &shell])
                .stdout(std::process::Stdio::piped())
                .spawn()
                .unwrap();
            script.stdin(typed.stdout.take().unwrap());
            let ran = crate::plugin::ran(&mut script).await;
            typed.wait().unwrap();
            assert!(ran.code == code && ran.out.contains("suspend 2 webhooks? [y/N]"), "{ran:?}");
            assert_eq!(suspended(world).await, state);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_is_being_deleted_is_orphaned_and_never_without_a_yes() {
    world(Options::default(), async |world| {
        two_webhooks(world).await;
        let living = world.plugin(&["orphan", "orders", "--yes"]).await;
        refused(&living, 2, "cwh/orders is not being deleted: to leave its registration in Cognigy when it is, set spec.deletionPolicy: Orphan");

        world.tenant("production", json!({"suspend": true})).await;
        world.until_tenant("production", "Suspended").await;
        world.delete::<CognigyWebhook>("orders").await;
        world.until_reason("orders", "DeletionBlocked").await;
        refused(&world.plugin(&["orphan", "orders"]).await, 1, "to orphan 1 webhook without a terminal, add --yes");
        world.plugin(&["orphan", "orders", "--dry-run"]).await.good();
        assert!(!world.get("orders").await.annotations().contains_key(FORCE_ORPHAN_ANNOTATION));

        let ran = world.plugin(&["orphan", "--all", "--yes"]).await;
        assert!(ran.code == 0 && ran.err.contains("passed over: cwh/payments is not being deleted"), "{ran:?}");
        assert_eq!(ran.out, "cwh/orders released without touching Cognigy\n");
        world.until_gone::<CognigyWebhook>("orders").await;
        assert_eq!(world.integrations().len(), 2, "both registrations are still there");
        assert!(world.api::<CognigyTenant>().get("production").await.unwrap().spec.suspend);
    })
    .await;
}
