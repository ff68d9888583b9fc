//! The demo itself, from the first line to the last.

use std::time::{Duration, Instant};

use cognigy_simulator::{Handle, Options, Simulator};
use demo::operator::Operator;
use tokio::time::sleep;

use crate::{
    Args, Result, calls,
    cluster::{Cluster, NAMESPACE},
    events::TimeLine,
    house::House,
    manifests::{self, CA_CONFIG_MAP, SECRET},
    metrics,
    objects::{self, Object},
    scenario::{self, CONTESTED, FAILED_CHECKS, FOREIGN_FIELD, FOREIGN_VALUE, IMPORTED, LUCKY, UNHEALTHY},
    screen::{Screen, Style, cell, plain},
};

/// How long everything may take to become Ready. The schedule of the policy needs 4 s, a busy machine some more.
const READY_WITHIN: Duration = Duration::from_mins(3);
/// How often the cluster is looked at while something happens.
const POLL: Duration = Duration::from_millis(400);
/// How often events are looked for once all is told.
const LEISURELY: Duration = Duration::from_secs(2);

/// How it went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Everything became Ready.
    Ready,
    /// Something did not in [`READY_WITHIN`].
    NotReady,
}

/// Shows everything; with `--once` returns when all is told, else only with an error. `verdict` is known before that.
pub(crate) async fn show(
    args: &Args,
    house: &mut House,
    verdict: &mut Option<Verdict>,
    screen: &mut Screen,
) -> Result<()> {
    let simulator = build(args, house, screen).await?;
    let (Some(cluster), Some(operator)) = (&house.cluster, &mut house.operator) else { return Ok(()) };
    announce(screen);

    house.scenario = Some(scenario::prepare(&simulator));
    let examples = manifests::examples(&simulator)?;
    let (begin, mut time_line) = (Instant::now(), TimeLine::begin());
    let document = manifests::list(&examples).to_string();
    cluster.kubectl(["apply", "-n", NAMESPACE, "-f", "-"]).run_with(&document).await?;

    screen.heading("kubectl get cognigy");
    let objects = follow(cluster, operator, examples.len(), begin, screen).await?;
    let ready = are_ready(&objects, examples.len());
    *verdict = Some(if ready { Verdict::Ready } else { Verdict::NotReady });
    conclude(&objects, &simulator, begin.elapsed(), screen);
    let calls = calls::table(&simulator);
    if ready {
        let patch = r#"{"spec":{"version":2}}"#;
        screen.heading(&format!(
            "kubectl patch cwh {LUCKY} --type=merge -p '{patch}'   (a new version, beside the one that serves)"
        ));
        cluster.kubectl(["patch", "cwh", LUCKY, "-n", NAMESPACE, "--type=merge", "-p", patch]).run().await?;
        let objects = follow(cluster, operator, examples.len(), begin, screen).await?;
        if !are_ready(&objects, examples.len()) {
            *verdict = Some(Verdict::NotReady);
        }
        switched(&simulator, screen);
    }

    screen.heading("What happened: the events of the namespace, in seconds since kubectl apply");
    let news = time_line.news(cluster).await?;
    screen.table(&time_line.rows(&news));
    screen.heading("What it cost: calls that Cognigy counted for each webhook until it was live");
    screen.table(&calls);
    screen.heading(&format!("What the operator measured: {}", operator.metrics_url()));
    screen.table(&metrics::table(&operator.metrics().await?));
    if args.once {
        suggest(screen);
        return Ok(());
    }
    explain(cluster, &simulator, screen);
    loop {
        operator.check()?;
        let news = time_line.news(cluster).await?;
        screen.table(&time_line.rows(&news));
        sleep(LEISURELY).await;
    }
}

/// Everything that has to run before the first object is applied.
async fn build(args: &Args, house: &mut House, screen: &mut Screen) -> Result<Handle> {
    let log = house.operator_log();
    screen.heading("The operator at work, with a Cognigy that is simulated on this machine");
    if args.kubeconfig.is_some() {
        screen.line(format_args!(
            "In your cluster it creates the namespace {NAMESPACE} with its objects and, where they are missing, the three\n\
             custom resource definitions, and removes all of them at the end. Operator and simulator run on this machine.\n\
             An operator that already runs in that cluster for all namespaces would get in the way: stop it first."
        ));
    }
    let cluster = house.cluster.insert(Cluster::open(args.kubeconfig.as_deref(), screen).await?);

    let simulator = house.simulator.insert(Simulator::start(Options::default())?).handle();
    let url = simulator.https_base_url().map(|url| url.to_string()).unwrap_or_default();
    screen.done("simulator", format_args!("a strict Cognigy in memory at {url}"));

    screen.doing("installing the custom resource definitions");
    let kept = cluster.install(&manifests::definitions()?).await?;
    let kept = if kept.is_empty() { String::new() } else { format!("; already there: {}", kept.join(", ")) };
    screen.done("definitions", format_args!("CognigyTenant, RetryPolicy, CognigyWebhook from deploy/crds/{kept}"));

    cluster.create_namespace().await?;
    cluster.kubectl(["apply", "-f", "-"]).run_with(&manifests::access(&simulator).to_string()).await?;
    screen.done("namespace", format_args!("{NAMESPACE}, with Secret {SECRET} and ConfigMap {CA_CONFIG_MAP}"));

    screen.doing("starting the operator");
    let begin = Instant::now();
    let flags: &[&str] = if cluster.is_of_reader() { &["--watch-namespaces", NAMESPACE] } else { &[] };
    let operator = Operator::start(&args.operator, cluster.kubeconfig(), flags, log.clone()).await?;
    let seconds = begin.elapsed().as_secs_f64();
    let id = operator.id();
    screen.done("operator", format_args!("process {id}, ready after {seconds:.1} s; its log: {}", log.display()));
    house.operator = Some(operator);
    Ok(simulator)
}

/// What the reader is about to see.
fn announce(screen: &mut Screen) {
    screen.heading("kubectl apply -f examples/   (with the simulator's addresses in place of example.com)");
    let story = |name, text: String| vec![cell(Style::Bold, name), plain(text)];
    screen.table(&[
        story(LUCKY, "is to go live: registered, given its retry policy, checked, activated".into()),
        story(UNHEALTHY, format!("has an endpoint that answers 503 to the first {FAILED_CHECKS} health checks")),
        story(IMPORTED, "is there already: somebody made it for a bot; only its retry policy is managed".into()),
        story(CONTESTED, "is changed by somebody else while its retry policy is being written: a 409".into()),
    ]);
}

/// Shows the objects until all are Ready or the time is up: as a live table, or a line for each change.
async fn follow(
    cluster: &Cluster,
    operator: &mut Operator,
    expected: usize,
    begin: Instant,
    screen: &mut Screen,
) -> Result<Vec<Object>> {
    let mut before: Vec<Object> = Vec::new();
    loop {
        operator.check()?;
        let objects = objects::read(cluster).await?;
        if screen.is_terminal() {
            screen.live(&objects::table(&objects));
        } else {
            for object in objects.iter().filter(|object| !before.contains(object)) {
                screen.line(format_args!("  {:>6.1} s  {}", begin.elapsed().as_secs_f64(), object.line()));
            }
        }
        if are_ready(&objects, expected) || begin.elapsed() > READY_WITHIN {
            if !screen.is_terminal() {
                screen.line("");
                screen.table(&objects::table(&objects));
            }
            screen.settle();
            return Ok(objects);
        }
        before = objects;
        sleep(POLL).await;
    }
}

fn are_ready(objects: &[Object], expected: usize) -> bool {
    objects.len() >= expected && objects.iter().all(Object::is_ready)
}

/// The verdict in words.
fn conclude(objects: &[Object], simulator: &Handle, elapsed: Duration, screen: &mut Screen) {
    let seconds = elapsed.as_secs_f64();
    let late: Vec<_> = objects.iter().filter(|object| !object.is_ready()).collect();
    if late.is_empty() {
        let verdict = screen.paint(Style::Good, &format!("All {} objects are Ready", objects.len()));
        screen.line(format_args!("\n{verdict} after {seconds:.1} s."));
    } else {
        let verdict = screen.paint(Style::Bad, &format!("After {seconds:.0} s not everything is Ready:"));
        screen.line(format_args!("\n{verdict}"));
        for object in late {
            screen.line(format_args!("  {}", object.complaint()));
        }
    }
    let foreign = simulator.integrations().into_iter().find(|one| one.name == CONTESTED);
    let kept = foreign.and_then(|one| one.unknown.get(FOREIGN_FIELD).cloned());
    if kept.is_some_and(|value| value == FOREIGN_VALUE) {
        screen.line(format_args!(
            "What somebody else wrote into {CONTESTED} meanwhile ({FOREIGN_FIELD}: {FOREIGN_VALUE}) was kept."
        ));
    }
}

/// What Cognigy saw of the roll-out.
fn switched(simulator: &Handle, screen: &mut Screen) {
    let interruptions = simulator.interruptions(LUCKY).len();
    let versions = simulator.active_versions(LUCKY);
    screen.line(format_args!(
        "\nActive in Cognigy now: version {versions:?}; moments without an active version on the way: {interruptions}."
    ));
}

/// How to look around while everything is up.
fn explain(cluster: &Cluster, simulator: &Handle, screen: &mut Screen) {
    let orders = simulator.integrations().into_iter().find(|one| one.name == LUCKY).map(|one| one.id);
    let admin = simulator.admin_url();
    screen.heading("Look around, in another terminal");
    screen.line(format_args!("  export KUBECONFIG={}", cluster.kubeconfig().display()));
    if let Some(folder) = cluster.kubectl_folder() {
        screen.line(format_args!("  export PATH=\"$PATH:{}\"    # where kubectl is", folder.display()));
    }
    screen.line(format_args!("  kubectl -n {NAMESPACE} get cwh -o wide"));
    screen.line(format_args!("  kubectl -n {NAMESPACE} describe cwh {LUCKY}"));
    screen.line(format_args!(
        "  kubectl -n {NAMESPACE} patch cwh {LUCKY} --type=merge -p '{{\"spec\":{{\"enabled\":false}}}}'"
    ));
    screen
        .line("or with the plugin (cargo build -p kubectl-cognigy), which shows what is and draws what a policy does:");
    screen.line(format_args!("  target/debug/kubectl-cognigy -n {NAMESPACE} status"));
    screen.line(format_args!("  target/debug/kubectl-cognigy -n {NAMESPACE} timeline patient"));
    screen.line("\nChange something in Cognigy behind the operator's back; it is put right within 10 s:");
    screen.line(format_args!(
        "  curl -X PATCH {admin}integrations/{} -H 'Content-Type: application/json' -d '{{\"status\":\"inactive\"}}'",
        orders.unwrap_or_default()
    ));
    screen.line("\nNew events appear below. Ctrl-C ends everything.\n");
}

/// What works without a cluster.
fn suggest(screen: &mut Screen) {
    screen.heading("Go on with the plugin, which needs no cluster for these two (docs/plugin.md)");
    for arguments in [
        "timeline -f examples/2-retry-policy.yaml",
        "compare -f examples/2-retry-policy.yaml -f examples/6-bot-retry-policy.yaml",
    ] {
        screen.line(format_args!("  cargo run -q -p kubectl-cognigy -- {arguments}"));
    }
}
