//! A real etcd and kube-apiserver, seen as their users see them: through kubectl and the process table.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::{
    fs,
    io::{BufRead, BufReader},
    net::TcpListener,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use control_plane::{Assets, AuditEvent, AuditLevel, ControlPlane, Error, Options, User};

/// Set for the process that [`the_processes_end_with_an_owner_that_is_killed`] kills.
const OWNER: &str = "CONTROL_PLANE_TEST_OWNER";
const PATIENCE: Duration = Duration::from_mins(1);

fn options() -> Options {
    Options::new(Assets::locate_or_build(|line| eprintln!("{line}")).expect("binaries"))
}

/// Standard output of a kubectl that must succeed.
fn run(mut kubectl: Command, args: &[&str]) -> String {
    let output = kubectl.args(args).output().unwrap();
    assert!(output.status.success(), "kubectl {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn kubectl_as(plane: &ControlPlane, user: &User) -> Command {
    let mut kubectl = plane.kubectl();
    kubectl.env("KUBECONFIG", plane.write_kubeconfig(user).unwrap());
    kubectl
}

/// Waits until `condition` gives something.
async fn eventually<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let wait = async {
        loop {
            if let Some(found) = condition() {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("{what}: not within {PATIENCE:?}"))
}

/// A zombie has ended; only its parent has not looked yet.
fn runs(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit(") ").next().is_some_and(|state| state.starts_with(['Z', 'X'])))
}

#[tokio::test]
async fn a_started_control_plane_is_ready_and_knows_its_version() {
    let plane = ControlPlane::shared().await.unwrap();
    assert_eq!(run(plane.kubectl(), &["get", "--raw", "/readyz"]), "ok");
    assert!(run(plane.kubectl(), &["version"]).contains("Server Version: v1."));
    assert!(plane.kubeconfig(&User::admin()).unwrap().contains(plane.url()));
}

#[tokio::test]
async fn a_user_may_do_what_rbac_allows_and_nothing_else() {
    let plane = ControlPlane::shared().await.unwrap();
    let ann = User::named("ann").group("readers");
    let refused = kubectl_as(plane, &ann).args(["get", "secrets"]).output().unwrap();
    let message = String::from_utf8_lossy(&refused.stderr);
    assert!(message.contains("Error from server (Forbidden)") && message.contains(r#"User "ann""#), "{message}");

    run(plane.kubectl(), &["create", "role", "read", "--verb=list", "--resource=secrets"]);
    run(plane.kubectl(), &["create", "rolebinding", "read", "--role=read", "--group=readers"]);
    eventually("RBAC allows it", || {
        kubectl_as(plane, &ann).args(["get", "secrets"]).output().unwrap().status.success().then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_service_account_is_in_both_its_groups() {
    let plane = ControlPlane::shared().await.unwrap();
    let who = run(kubectl_as(plane, &User::service_account("cx", "operator")), &["auth", "whoami", "-o", "json"]);
    let who: serde_json::Value = serde_json::from_str(&who).unwrap();
    let info = &who["status"]["userInfo"];
    assert_eq!(info["username"], "system:serviceaccount:cx:operator");
    let expected = ["system:serviceaccounts", "system:serviceaccounts:cx", "system:authenticated"];
    assert_eq!(info["groups"], serde_json::json!(expected));
}

#[tokio::test]
async fn a_token_of_a_service_account_speaks_for_it() {
    let plane = ControlPlane::shared().await.unwrap();
    run(plane.kubectl(), &["create", "serviceaccount", "robot"]);
    let token = run(plane.kubectl(), &["create", "token", "robot"]);
    let ca = plane.folder().join("ca.crt");
    let who = run(
        plane.kubectl(),
        &[
            "--kubeconfig=/dev/null",
            &format!("--server={}", plane.url()),
            &format!("--certificate-authority={}", ca.display()),
            &format!("--token={}", token.trim()),
            "auth",
            "whoami",
            "-o",
            "jsonpath={.status.userInfo.username}",
        ],
    );
    assert_eq!(who, "system:serviceaccount:default:robot");
}

#[tokio::test]
async fn a_write_stands_in_the_audit_log_with_its_author() {
    let plane = ControlPlane::shared().await.unwrap();
    run(plane.kubectl(), &["create", "configmap", "audited", "--from-literal=a=b"]);
    run(plane.kubectl(), &["label", "configmap", "audited", "x=y"]);
    let is_label = |event: &AuditEvent| event.verb == "patch" && event.name.as_deref() == Some("audited");
    let event = eventually("the audit event", || plane.audit_events().unwrap().into_iter().find(is_label)).await;
    assert_eq!((event.user.as_str(), event.code, event.is_write()), ("admin", 200, true));
    assert_eq!((event.group.as_str(), event.resource.as_str()), ("", "configmaps"));
    assert_eq!((event.namespace.as_deref(), event.subresource), (Some("default"), None));
    assert!(event.user_agent.starts_with("kubectl/"), "{}", event.user_agent);
    assert_eq!(event.request, None, "level Metadata keeps no bodies");
}

#[tokio::test]
async fn restarts_keep_the_data_and_the_address_and_a_drop_leaves_nothing() {
    let plane = ControlPlane::start(options().audit(AuditLevel::RequestResponse)).await.unwrap();
    let (url, first) = (plane.url().to_owned(), plane.process_ids().await);
    run(plane.kubectl(), &["create", "configmap", "kept", "--from-literal=a=b"]);
    let value = || run(plane.kubectl(), &["get", "configmap", "kept", "-o", "jsonpath={.data.a}"]);

    plane.restart_apiserver().await.unwrap();
    assert_eq!(value(), "b");
    plane.restart_etcd().await.unwrap();
    assert_eq!(value(), "b");
    assert_eq!(plane.url(), url);
    let second = plane.process_ids().await;
    assert!(first.iter().all(|pid| !second.contains(pid) && !runs(*pid)), "{first:?} {second:?}");

    plane.stop_apiserver().await.unwrap();
    assert!(!plane.kubectl().args(["get", "--raw", "/readyz"]).output().unwrap().status.success());
    let port = url.rsplit(':').next().unwrap();
    let squatter = TcpListener::bind(format!("127.0.0.1:{port}")).unwrap();
    let error = plane.start_apiserver().await.unwrap_err();
    assert!(matches!(&error, Error::Ended { process: "kube-apiserver", .. }), "{error}");
    assert!(error.to_string().contains("address already in use"), "{error}");
    drop(squatter);
    plane.start_apiserver().await.unwrap();
    assert_eq!(value(), "b");

    let created = |event: &AuditEvent| event.request_uri.starts_with("/api/v1/namespaces/default/configmaps?");
    let event = plane.audit_events().unwrap().into_iter().find(created).unwrap();
    assert_eq!(event.request.unwrap()["data"]["a"], "b");

    let (last, folder) = (plane.process_ids().await, plane.folder().to_owned());
    assert!(last.len() == 2 && last.iter().all(|pid| runs(*pid)), "{last:?}");
    drop(plane);
    assert!(!last.iter().any(|pid| runs(*pid)), "{last:?} still run");
    assert!(!folder.exists());
}

/// Not a test: what the next test starts and kills.
#[tokio::test]
#[ignore = "started by another test"]
async fn owner() {
    if std::env::var_os(OWNER).is_some() {
        let plane = ControlPlane::shared().await.unwrap();
        println!("\nowned {:?} {}", plane.process_ids().await, plane.folder().display());
        std::future::pending::<()>().await;
    }
}

#[tokio::test]
async fn the_processes_end_with_an_owner_that_is_killed() {
    let mut owner = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "owner", "--ignored", "--nocapture"])
        .env(OWNER, "1")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(owner.stdout.take().unwrap()).lines().map(Result::unwrap);
    let line = lines.into_iter().find_map(|line| line.strip_prefix("owned ").map(str::to_owned)).unwrap();
    let (ids, folder) = line.strip_prefix('[').and_then(|line| line.split_once("] ")).unwrap();
    let ids: Vec<u32> = ids.split(", ").map(|id| id.parse().unwrap()).collect();
    assert!(ids.len() == 2 && ids.iter().all(|pid| runs(*pid)), "{ids:?}");

    owner.kill().unwrap();
    owner.wait().unwrap();
    eventually("etcd and kube-apiserver end", || (!ids.iter().any(|pid| runs(*pid))).then_some(())).await;
    eventually("the folder is removed", || (!Path::new(folder).exists()).then_some(())).await;
}

#[tokio::test]
async fn a_start_that_fails_shows_the_log_and_leaves_no_process() {
    let folder = tempfile::tempdir().unwrap();
    let real = Assets::locate_or_build(|_| {}).unwrap();
    std::os::unix::fs::symlink(real.kubectl(), folder.path().join("kubectl")).unwrap();
    std::os::unix::fs::symlink(real.etcd(), folder.path().join("etcd")).unwrap();
    let broken = folder.path().join("kube-apiserver");
    fs::write(&broken, "#!/bin/sh\necho no luck today >&2\nexit 7\n").unwrap();
    fs::set_permissions(&broken, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();

    let error = ControlPlane::start(Options::new(Assets::in_folder(folder.path()).unwrap())).await.unwrap_err();
    let message = error.to_string();
    assert!(
        message.starts_with("kube-apiserver ended (exit status: 7)") && message.ends_with("no luck today"),
        "{message}"
    );
    let etcd = folder.path().join("etcd").display().to_string();
    let command_lines =
        fs::read_dir("/proc").unwrap().filter_map(|entry| fs::read(entry.unwrap().path().join("cmdline")).ok());
    assert!(
        !command_lines.into_iter().any(|line| String::from_utf8_lossy(&line).starts_with(&etcd)),
        "etcd still runs"
    );
}
