//! The figures of `/metrics` that tell the story.

use std::collections::BTreeMap;

use crate::screen::{Cell, Style, cell, plain};

const PREFIX: &str = "cognigy_operator_";

/// One line of Prometheus' text format.
#[derive(Debug, PartialEq)]
struct Sample<'a> {
    name: &'a str,
    labels: BTreeMap<&'a str, String>,
    value: f64,
}

/// The families that are shown: name without prefix, the labels that tell its lines apart, and what it counts.
const SHOWN: [(&str, &[&str], &str); 5] = [
    ("api_requests_total", &["route", "code"], "calls to Cognigy"),
    ("token_requests_total", &["outcome"], "tokens fetched"),
    ("conflicts_total", &[], "writes that met a 409"),
    ("reconciles_total", &["kind", "outcome"], "reconcile passes"),
    ("drift_total", &[], "differences found later"),
];

/// The figures as a table: what is counted, the label values, and how many.
pub(crate) fn table(text: &str) -> Vec<Vec<Cell>> {
    let samples: Vec<_> = text.lines().filter_map(sample).collect();
    let mut rows = Vec::new();
    for (family, labels, meaning) in SHOWN {
        let mut sums: BTreeMap<Vec<&str>, f64> = BTreeMap::new();
        for one in samples.iter().filter(|one| one.name.strip_prefix(PREFIX) == Some(family) && one.value > 0.0) {
            let key = labels.iter().map(|label| one.labels.get(label).map_or("", String::as_str)).collect();
            *sums.entry(key).or_default() += one.value;
        }
        if sums.is_empty() {
            sums.insert(Vec::new(), 0.0);
        }
        for (index, (key, sum)) in sums.into_iter().enumerate() {
            let meaning = if index == 0 { meaning } else { "" };
            rows.push(vec![
                plain(meaning),
                plain(key.join(" ")),
                cell(Style::Bold, format!("{sum}")),
                cell(Style::Dim, if index == 0 { format!("{PREFIX}{family}") } else { String::new() }),
            ]);
        }
    }
    rows
}

/// `name{label="value",…} number`; none for comments.
fn sample(line: &str) -> Option<Sample<'_>> {
    let (series, value) = line.rsplit_once(' ')?;
    let value = value.parse().ok().filter(|_| !line.starts_with('#'))?;
    let (name, mut rest) = series.split_once('{').unwrap_or((series, ""));
    let mut labels = BTreeMap::new();
    while let Some((label, after)) = rest.split_once("=\"") {
        let mut text = String::new();
        let mut chars = after.char_indices();
        let end = loop {
            match chars.next()? {
                (end, '"') => break end,
                (_, '\\') => text.push(match chars.next()?.1 {
                    'n' => '\n',
                    other => other,
                }),
                (_, other) => text.push(other),
            }
        };
        labels.insert(label.trim_start_matches(','), text);
        rest = &after[end + 1..];
    }
    Some(Sample { name, labels, value })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_name_labels_and_a_number() {
        let expected =
            Sample { name: "a_total", labels: [("k", "x, \"y\"".into()), ("l", "1".into())].into(), value: 3.0 };
        assert_eq!(sample(r#"a_total{k="x, \"y\"",l="1"} 3"#), Some(expected));
        assert_eq!(sample("up 1").map(|one| (one.name, one.value)), Some(("up", 1.0)));
        assert_eq!(sample("# TYPE a_total counter"), None);
    }

    #[test]
    fn tenants_are_summed_up_and_a_family_without_samples_counts_nothing() {
        let line = |tenant, code, count| {
            format!("{PREFIX}api_requests_total{{tenant=\"{tenant}\",route=\"putWebhook\",code=\"{code}\"}} {count}")
        };
        let rows = table(&[line("a", 200, 1), line("b", 200, 2), line("a", 409, 1)].join("\n"));
        let bold = |count: &str| cell(Style::Bold, count);
        assert_eq!((&rows[0][1], &rows[0][2]), (&plain("putWebhook 200"), &bold("3")));
        assert_eq!((&rows[1][1], &rows[1][2]), (&plain("putWebhook 409"), &bold("1")));
        assert_eq!((&rows[2][0], &rows[2][2]), (&plain("tokens fetched"), &bold("0")));
    }
}
