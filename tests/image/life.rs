//! The program at work in the image's files, as Kubernetes would run it.

use std::{fs, process::Command};

use cognigy_operator::api;
use cognigy_simulator::Options;
use rustix::process::geteuid;
use serde_json::{Value, json};

use crate::{
    harness::{World, world_without_operator},
    program::{Program, free_address},
    root::{Root, USER},
};

/// What it writes to standard output in an empty environment; it succeeds and complains about nothing.
fn told(root: &Root, arguments: &[&str]) -> String {
    let output = root.command(&[], arguments).output().unwrap();
    let complaints = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && complaints.is_empty(), "{arguments:?}: {}\n{complaints}", output.status);
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn help_version_and_definitions_need_nothing_but_the_image() {
    let root = Root::new();
    assert!(told(&root, &["--help"]).contains("Usage: cognigy-operator <COMMAND>"));
    assert_eq!(told(&root, &["--version"]).trim(), concat!("cognigy-operator ", env!("CARGO_PKG_VERSION")));
    assert_eq!(told(&root, &["crds"]), api::crds_yaml().unwrap());
}

/// What the kernel says of a process.
fn kernel(process: i32, file: &str) -> String {
    fs::read_to_string(format!("/proc/{process}/{file}")).unwrap()
}

fn words_after<'a>(text: &'a str, name: &str) -> Vec<&'a str> {
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.split_whitespace().collect()
}

/// A token of a service account of this namespace that may do everything.
fn token(world: &World) -> String {
    let kubectl = |arguments: &[&str]| {
        let mut kubectl: Command = world.plane.kubectl();
        let output = kubectl.args(["--namespace", &world.namespace]).args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    let account = format!("--serviceaccount={}:operator", world.namespace);
    kubectl(&["create", "serviceaccount", "operator"]);
    kubectl(&["create", "clusterrolebinding", &world.namespace, "--clusterrole=cluster-admin", &account]);
    kubectl(&["create", "token", "operator"])
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_works_read_only_as_a_user_without_rights_and_with_what_a_pod_gives_it() {
    world_without_operator(Options::default(), async |world| {
        let root = Root::new();
        root.service_account(&world.namespace, &token(world), world.plane.ca_pem());
        // The tenant below has no caBundle: its certificate is found where the base has those of the system.
        root.trusts(&world.sim.ca_pem());
        let (host, port) = world.plane.url().trim_start_matches("https://").split_once(':').unwrap();
        let environment = [("KUBERNETES_SERVICE_HOST", host), ("KUBERNETES_SERVICE_PORT", port)];
        let http = free_address();
        let listen = ["run", "--http-listen", &http, "--watch-namespaces", &world.namespace];
        let program = Program::spawn(root.command(&environment, &listen).into(), &http);
        program.ready().await;

        let process = program.id().as_raw_nonzero().get();
        let status = kernel(process, "status");
        assert_eq!(words_after(&status, "CapEff:"), ["0000000000000000"]);
        let ids = words_after(&status, "Uid:");
        if geteuid().is_root() {
            assert!(ids.iter().all(|id| *id == USER.to_string()), "{ids:?}");
        } else {
            assert_eq!(kernel(process, "uid_map").split_whitespace().next(), Some(USER.to_string().as_str()));
        }
        let mounts = kernel(process, "mountinfo");
        let root_mount: Vec<_> = mounts.lines().filter(|line| line.split(' ').nth(4) == Some("/")).collect();
        assert!(matches!(root_mount[..], [line] if line.split(' ').nth(5).unwrap().starts_with("ro")), "{mounts}");
        let given = kernel(process, "environ");
        assert_eq!(given.split_terminator('\0').count(), environment.len(), "{given}");

        world.tenant("production", json!({"caBundle": Value::Null})).await;
        world.until_tenant("production", "Connected").await;
        program.terminate();
        let (ended, lines) = program.end().await;
        assert!(ended.success(), "{ended}: {lines:#?}");
    })
    .await;
}
