//! What rules and dashboard ask Prometheus.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::{
    promtool::parsed,
    rules::{rules, text},
};

/// What all names of the operator begin with.
const PREFIX: &str = "cognigy_operator_";

/// One query, with where it stands.
#[derive(Clone, Debug)]
pub struct Query {
    /// The panel or the rule.
    pub place: String,
    /// As Prometheus is asked, without variables of Grafana.
    pub promql: String,
    /// The labels that the panel's legend shows.
    pub shown: Vec<String>,
}

/// Every query of the dashboard's panels.
pub fn of_panels() -> Vec<Query> {
    let panels = parsed("dashboard.json")["panels"].as_array().unwrap().clone();
    let queries = panels.iter().flat_map(|panel| {
        panel["targets"].as_array().into_iter().flatten().map(|target| Query {
            place: format!("panel «{}»", text(panel, "title")),
            promql: without_variables(text(target, "expr")),
            shown: between(target["legendFormat"].as_str().unwrap_or_default(), "{{", "}}"),
        })
    });
    queries.collect()
}

/// Every query behind the dashboard's variables: the series whose label is listed, with the label as what is shown.
pub fn of_variables() -> Vec<Query> {
    let variables = parsed("dashboard.json")["templating"]["list"].as_array().unwrap().clone();
    let queries = variables.iter().filter(|variable| variable["type"] == "query").map(|variable| {
        let asked = text(&variable["query"], "query");
        let inner = asked.strip_prefix("label_values(").and_then(|rest| rest.strip_suffix(')')).unwrap();
        let (series, label) = inner.rsplit_once(", ").unwrap();
        Query {
            place: format!("variable {}", text(variable, "name")),
            promql: without_variables(series),
            shown: vec![label.to_owned()],
        }
    });
    queries.collect()
}

/// Every rule, as a query that has an answer whether the alert fires or not: without its threshold.
pub fn of_rules() -> Vec<Query> {
    let name = |rule: &Value| rule["alert"].as_str().or(rule["record"].as_str()).unwrap().to_owned();
    let query = |rule: &Value| {
        let asked = text(rule, "expr").trim();
        let asked = asked.strip_prefix("absent(").and_then(|rest| rest.strip_suffix(')')).unwrap_or(asked);
        let is_threshold = |(_, value): &(&str, &str)| value.chars().all(|c| c.is_ascii_digit() || " *".contains(c));
        let threshold = [" > ", " == ", " < "].iter().filter_map(|sign| asked.rsplit_once(sign)).find(is_threshold);
        let promql = match threshold {
            Some((without, _)) if rule["alert"].is_string() => without,
            _ => asked,
        };
        Query { place: name(rule), promql: promql.to_owned(), shown: Vec::new() }
    };
    rules().iter().map(query).collect()
}

/// As Grafana asks when everything is chosen.
fn without_variables(promql: &str) -> String {
    let chosen = ["$tenant", "$namespace", "$webhook"];
    let promql = chosen.iter().fold(promql.replace("$__rate_interval", "5m"), |asked, name| asked.replace(name, ".+"));
    assert!(!promql.contains('$'), "an unknown variable in {promql}");
    // With an answer of its own a query would have one whatever it asks.
    promql.strip_suffix(" or vector(0)").unwrap_or(&promql).to_owned()
}

impl Query {
    /// The names of the operator's metrics in it, as they are exposed.
    pub fn metrics(&self) -> BTreeSet<String> {
        let words = self.promql.split(|c: char| !(c.is_ascii_alphanumeric() || "_:".contains(c)));
        words.filter(|word| word.starts_with(PREFIX)).map(str::to_owned).collect()
    }

    /// The labels that it matches or groups by, without those that it makes itself.
    pub fn labels(&self) -> BTreeSet<String> {
        let matched = between(&self.promql, "{", "}").into_iter().flat_map(|matchers| {
            let names =
                matchers.split("\",").map(|matcher| matcher.split(['=', '!']).next().unwrap().trim().to_owned());
            names.collect::<Vec<_>>()
        });
        let grouped = ["by (", "on ("].into_iter().flat_map(|word| between(&self.promql, word, ")"));
        let grouped = grouped.flat_map(|names| names.split(',').map(|name| name.trim().to_owned()).collect::<Vec<_>>());
        matched.chain(grouped).filter(|name| !name.is_empty()).collect()
    }
}

/// The family of an exposed name: a histogram has several.
pub fn family(name: &str) -> &str {
    ["_bucket", "_count", "_sum"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name)
}

fn between(text: &str, begin: &str, end: &str) -> Vec<String> {
    text.split(begin).skip(1).filter_map(|rest| Some(rest.split_once(end)?.0.trim().to_owned())).collect()
}

#[test]
fn names_and_labels_are_found_wherever_they_stand() {
    let promql =
        r#"sum by (a, b) (rate(cognigy_operator_x_total{c="1,2", d!~"e|f"}[5m])) and on (g) cognigy_operator_y"#;
    let query = Query { place: String::new(), promql: promql.to_owned(), shown: Vec::new() };
    assert_eq!(query.metrics().into_iter().collect::<Vec<_>>(), ["cognigy_operator_x_total", "cognigy_operator_y"]);
    assert_eq!(query.labels().into_iter().collect::<Vec<_>>(), ["a", "b", "c", "d", "g"]);
    assert_eq!(family("cognigy_operator_z_seconds_bucket"), "cognigy_operator_z_seconds");
}
