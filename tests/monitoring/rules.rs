//! The rules as such: well formed, each alert with what a person needs, each tested.

use std::{collections::BTreeSet, fs};

use serde_json::Value;

use crate::promtool::{file, parsed, promtool};

/// Every rule of `rules.yaml`.
pub fn rules() -> Vec<Value> {
    let groups = parsed("rules.yaml")["groups"].as_array().unwrap().clone();
    groups.iter().flat_map(|group| group["rules"].as_array().unwrap().clone()).collect()
}

/// Every alert.
pub fn alerts() -> Vec<Value> {
    rules().into_iter().filter(|rule| rule["alert"].is_string()).collect()
}

/// A text of a rule or alert.
pub fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_else(|| panic!("no {key} in {value}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn promtool_finds_nothing_to_say_and_every_test_of_the_rules_passes() {
    let (rules, tests) = (file("rules.yaml"), file("rules_test.yaml"));
    let lint = ["check", "rules", "--lint=all", "--lint-fatal", rules.to_str().unwrap()];
    promtool(&lint).await.unwrap_or_else(|told| panic!("{told}"));
    promtool(&["test", "rules", tests.to_str().unwrap()]).await.unwrap_or_else(|told| panic!("{told}"));

    // The judge is awake: another threshold is found.
    let folder = tempfile::tempdir().unwrap();
    let changed = fs::read_to_string(&rules).unwrap().replace("for: 15m", "for: 40m");
    fs::write(folder.path().join("rules.yaml"), changed).unwrap();
    let copy = folder.path().join("rules_test.yaml");
    fs::copy(&tests, &copy).unwrap();
    let told = promtool(&["test", "rules", copy.to_str().unwrap()]).await.unwrap_err();
    assert!(told.contains("CognigyWebhookNotReady"), "{told}");
}

#[test]
fn every_alert_has_a_summary_a_description_a_severity_and_its_runbook() {
    let alerts = alerts();
    assert!(alerts.len() >= 9, "{alerts:?}");
    for alert in alerts {
        let (name, annotations) = (text(&alert, "alert"), &alert["annotations"]);
        assert!(text(annotations, "summary").len() > 20 && text(annotations, "description").len() > 40, "{name}");
        assert!(["critical", "warning"].contains(&text(&alert["labels"], "severity")), "{name}");
        let page = format!("{}/blob/main/docs/runbooks/{name}.md", env!("CARGO_PKG_REPOSITORY"));
        assert_eq!(text(annotations, "runbook_url"), page);
    }
}

#[test]
fn every_alert_is_seen_firing_and_seen_silent_and_every_record_is_used_or_tested() {
    let tests = parsed("rules_test.yaml");
    let (mut firing, mut silent) = (BTreeSet::new(), BTreeSet::new());
    for test in tests["tests"].as_array().unwrap() {
        for case in test["alert_rule_test"].as_array().into_iter().flatten() {
            let (name, expected) = (text(case, "alertname").to_owned(), case["exp_alerts"].as_array().unwrap());
            if expected.is_empty() {
                silent.insert(name);
            } else {
                let severity = |alert: &Value| text(&alert["exp_labels"], "severity").to_owned();
                firing.extend(expected.iter().map(|alert| (name.clone(), severity(alert))));
            }
        }
    }
    for alert in alerts() {
        let (name, severity) = (text(&alert, "alert").to_owned(), text(&alert["labels"], "severity").to_owned());
        assert!(silent.contains(&name), "no test sees {name} silent");
        assert!(firing.contains(&(name.clone(), severity)), "no test sees {name} firing");
    }
    let used = alerts().iter().map(|alert| text(alert, "expr").to_owned()).collect::<String>() + &tests.to_string();
    for rule in rules().iter().filter(|rule| rule["record"].is_string()) {
        assert!(used.contains(text(rule, "record")), "{rule}");
    }
}
