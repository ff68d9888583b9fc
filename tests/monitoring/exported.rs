//! What the real program exposes after a life cycle with its troubles, against what rules and dashboard ask for.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
};

use cognigy_operator::metrics::{Family, Metrics};
use cognigy_simulator::{Answer, Fault, Options, Route};
use control_plane::User;
use serde_json::json;

use crate::{
    harness::{World, world_without_operator},
    program::{Program, free_address},
    promtool::{file, promtool},
    queries::{Query, family, of_panels, of_rules, of_variables},
};

/// Labels that Prometheus gives to what it reads from a pod, unless the metric has one of that name (`honorLabels`).
const OF_TARGET: [(&str, &str); 5] = [
    ("job", "cognigy-operator"),
    ("namespace", "cognigy-system"),
    ("pod", "cognigy-operator-1"),
    ("service", "cognigy-operator"),
    ("instance", "10.0.0.1:8080"),
];
/// Families that no panel shows; with the reason.
const SHOWN_NOWHERE: [&str; 0] = [];

/// A tenant with two webhooks: one goes live through a conflict, one is given up, and its dead letter is not taken. Gives what
/// the program then exposes.
async fn life_cycle(world: &World) -> String {
    let kubeconfig = world.plane.write_kubeconfig(&User::admin()).unwrap();
    let program = Program::start(&kubeconfig, &free_address(), &["--watch-namespaces", &world.namespace]);
    program.ready().await;
    world.sim.sink("letters").answer(Answer::status(503));
    let sink = |name: &str| json!({"url": world.https_sink_url(name)});
    let sinks = json!({"monitoring": sink("monitoring"), "alerts": sink("alerts"), "deadLetter": sink("letters")});
    world.tenant("production", json!({"sinks": sinks, "circuitBreaker": {"failureThreshold": 100}})).await;
    world.policy("quick", json!({"intervalsMs": [50, 100]})).await;
    let quick = json!({"retryPolicyRef": {"name": "quick"}});
    world.fault(Fault::on(Route::PutWebhook).times(1).status(409));
    world.webhook("orders", quick.clone()).await;
    world.until_reason("orders", "Active").await;
    world.fault(Fault::on(Route::CreateIntegration).status(503));
    world.webhook("refunds", quick).await;
    world.until_reason("refunds", "RetriesExhausted").await;
    world.tenant("absent", json!({"auth": {"oauth2": {"credentialsSecretRef": {"name": "missing"}}}})).await;
    world.until_tenant("absent", "SecretNotFound").await;
    let is_there = |text: &str| {
        let missing = Metrics::new().unwrap().families().iter().any(|family| samples(text, &family.name).is_empty());
        let tells = |series: &str| text.lines().any(|line| line == format!("cognigy_operator_{series}"));
        let tenant = format!("tenant=\"{}/production\"", world.namespace);
        !missing
            && tells(&format!("retries_exhausted_total{{{tenant}}} 1"))
            && tells(&format!("conflicts_total{{{tenant}}} 1"))
            && tells("outbox_pending{sink=\"deadLetter\"} 1")
            && text.contains("kind=\"CognigyTenant\",name=\"absent\"")
            && text.contains("name=\"refunds\",namespace=\"")
            && text.contains("type=\"Stalled\"")
    };
    let text = program.until("/metrics", |_, text| is_there(text)).await;
    program.terminate();
    assert_eq!(program.end().await.0.code(), Some(0));
    text
}

/// The samples of a family: the name of each with its labels, and its value.
fn samples<'a>(text: &'a str, name: &str) -> Vec<(&'a str, &'a str)> {
    let samples = text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.rsplit_once(' '));
    let of_family = |series: &str| series.split('{').next().is_some_and(|own| own == name || family(own) == name);
    samples.filter(|(series, _)| of_family(series)).collect()
}

/// The labels of a series, by name.
fn labels(series: &str) -> BTreeMap<String, String> {
    let inner = series.split_once('{').map(|(_, rest)| rest.strip_suffix('}').unwrap()).unwrap_or_default();
    let pairs = inner.split("\",").filter_map(|pair| pair.split_once("=\""));
    pairs.map(|(name, value)| (name.to_owned(), value.trim_end_matches('"').to_owned())).collect()
}

fn as_described(text: &str, described: &Family) {
    let Family { name, kind, labels: expected, help } = described;
    assert!(text.contains(&format!("# TYPE {name} {kind}\n")), "{name} is no {kind}");
    assert!(text.contains(&format!("# HELP {name} {help}\n")), "{name} has another help than {help}");
    for (series, _) in samples(text, name) {
        let found: BTreeSet<_> = labels(series).into_keys().filter(|label| label != "le").collect();
        assert_eq!(found, expected.iter().cloned().collect(), "{series}");
    }
}

/// All names and labels of a query are known.
fn asks_for_what_is_there(query: &Query, families: &[Family]) {
    let mut known: BTreeSet<&str> = OF_TARGET.iter().map(|(name, _)| *name).chain(["le"]).collect();
    for name in query.metrics() {
        let found = families.iter().find(|known| known.name == family(&name));
        let found = found.unwrap_or_else(|| panic!("{}: there is no metric {name}", query.place));
        assert_eq!(found.kind == "histogram", found.name != name, "{}: {name} is a {}", query.place, found.kind);
        known.extend(found.labels.iter().map(String::as_str));
    }
    // Series that rules make have the labels before the first colon, joined by `_`.
    if query.metrics().is_empty() {
        known.extend(["kind", "namespace", "name", "tenant", "status"]);
    }
    for label in query.labels() {
        assert!(known.contains(label.as_str()), "{}: nothing that it asks for has a label {label}", query.place);
    }
}

/// A test for promtool: with these samples, read for ten minutes, each query has an answer with the labels that are shown.
fn test_file(text: &str, queries: &[Query]) -> String {
    let quoted = |text: &str| format!("'{}'", text.replace('\'', "''"));
    let rules = quoted(file("rules.yaml").to_str().unwrap());
    let order = "group_eval_order: [cognigy-operator.rules, cognigy-operator.alerts]\nevaluation_interval: 1m";
    let mut yaml = format!("rule_files: [{rules}]\n{order}\ntests:\n  - interval: 1m\n    input_series:\n");
    for (series, value) in text.lines().filter(|l| !l.starts_with('#')).filter_map(|line| line.rsplit_once(' ')) {
        let name = series.split('{').next().unwrap();
        let own = labels(series);
        let given = OF_TARGET.iter().filter(|(name, _)| !own.contains_key(*name));
        let all = own.iter().map(|(k, v)| (k.as_str(), v.as_str())).chain(given.copied());
        let all: Vec<_> = all.map(|(name, value)| format!("{name}=\"{value}\"")).collect();
        let series = quoted(&format!("{name}{{{}}}", all.join(", ")));
        writeln!(yaml, "      - series: {series}\n        values: '{value}x10'").unwrap();
    }
    yaml.push_str("    promql_expr_test:\n");
    for Query { promql, shown, .. } in queries {
        let promql = promql.replace('\n', " ");
        let mut asked = vec![(format!("count({promql}) > bool 0"), "{}")];
        for label in shown {
            // One group only, marked: every answer has the label.
            let marked = format!("label_replace({promql}, \"marked\", \"yes\", \"{label}\", \".+\")");
            asked.push((format!("count by (marked) ({marked}) > bool 0"), "{marked=\"yes\"}"));
        }
        for (expression, labels) in asked {
            let (expression, labels) = (quoted(&expression), quoted(labels));
            let samples = format!("        exp_samples:\n          - {{labels: {labels}, value: 1}}");
            writeln!(yaml, "      - expr: {expression}\n        eval_time: 10m\n{samples}").unwrap();
        }
    }
    yaml
}

async fn answers(text: &str, queries: &[Query]) -> Result<String, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("answers.yaml");
    fs::write(&path, test_file(text, queries)).unwrap();
    promtool(&["test", "rules", path.to_str().unwrap()]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_query_of_rules_and_dashboard_has_an_answer_in_what_the_program_exposes() {
    world_without_operator(Options::default(), async |world| {
        let text = life_cycle(world).await;
        let metrics = Metrics::new().unwrap();
        for described in metrics.families() {
            as_described(&text, described);
        }

        let queries = [of_panels(), of_variables(), of_rules()].concat();
        assert!(queries.len() > 50, "{}", queries.len());
        for query in &queries {
            asks_for_what_is_there(query, metrics.families());
        }
        answers(&text, &queries).await.unwrap_or_else(|told| panic!("{told}"));

        // The judge is awake: without an answer, and with an answer that lacks what the legend shows.
        let wrong = |promql: &str, label: &str| Query {
            place: "wrong".to_owned(),
            promql: promql.to_owned(),
            shown: vec![label.to_owned()],
        };
        let typo = wrong("cognigy_operator_api_circuit_state{tenant=\"nobody\"}", "tenant");
        let unlabelled = wrong("sum by (tenants) (cognigy_operator_api_circuit_state)", "tenant");
        for query in [typo, unlabelled] {
            answers(&text, &[query]).await.unwrap_err();
        }
    })
    .await;
}

#[test]
fn every_family_is_shown_by_a_panel() {
    let shown: BTreeSet<_> = of_panels().iter().flat_map(Query::metrics).map(|name| family(&name).to_owned()).collect();
    for known in Metrics::new().unwrap().families() {
        let excused = SHOWN_NOWHERE.contains(&known.name.as_str());
        assert_eq!(shown.contains(&known.name), !excused, "{}", known.name);
    }
}
