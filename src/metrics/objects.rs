//! What is told of each object for as long as it exists: kept as small as it is, and written as series when somebody asks.
//!
//! Ten thousand webhooks have sixty thousand series. Ready-made, they take more memory than the objects themselves
//! (docs/performance.md, «Memory»).

use std::{
    borrow::Cow,
    collections::BTreeMap,
    fmt::Write as _,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::{PREFIX, families::Family};
use crate::api::ConditionType;

/// The object that a state metric speaks of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    kind: Word,
    namespace: String,
    name: String,
}

impl Key {
    pub(super) fn new(kind: &str, namespace: &str, name: &str) -> Self {
        Self { kind: word(kind), namespace: namespace.to_owned(), name: name.to_owned() }
    }
}

/// What is told of one object now.
#[derive(Clone, Debug, Default)]
pub(super) struct Shown {
    /// Types and statuses, in order.
    conditions: Vec<(Word, Word)>,
    /// The tenant and the state in Cognigy by which a webhook is counted.
    pub(super) counted: Option<(String, String)>,
    /// The last health check of a webhook's URL.
    pub(super) passing: Option<bool>,
    /// A check of this process is shown, which is newer than what the status tells.
    pub(super) checked: bool,
    /// When the certificate of its URL expires, in seconds since the Unix epoch.
    pub(super) expires: Option<i64>,
}

impl Shown {
    /// Tells these conditions and no others.
    pub(super) fn tell(&mut self, conditions: &[Condition]) {
        self.conditions = conditions.iter().map(|one| (word(&one.type_), word(&one.status))).collect();
        self.conditions.sort();
        self.conditions.dedup();
        self.conditions.shrink_to_fit();
    }
}

/// Almost always one of the few that the operator writes.
type Word = Cow<'static, str>;

fn word(text: &str) -> Word {
    const OTHERS: [&str; 6] = ["CognigyWebhook", "CognigyTenant", "RetryPolicy", "True", "False", "Unknown"];
    let types = ConditionType::ALL.map(ConditionType::as_str).into_iter();
    let known = types.chain(OTHERS).find(|known| *known == text);
    known.map_or_else(|| Cow::Owned(text.to_owned()), Cow::Borrowed)
}

/// All objects; cheap to clone, every clone is the same.
#[derive(Clone, Debug, Default)]
pub(super) struct Objects(Arc<Mutex<BTreeMap<Key, Shown>>>);

impl Objects {
    pub(super) fn lock(&self) -> MutexGuard<'_, BTreeMap<Key, Shown>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds all series in the Prometheus text form (version 0.0.4).
    pub(super) fn render(&self, text: &mut String) {
        let objects = self.lock();
        let [condition, health, expiry] = families();
        write(text, &condition, objects.iter(), |series, key, shown| {
            for (type_, status) in &shown.conditions {
                let kind = ("kind", &*key.kind);
                let labels =
                    [kind, ("name", &key.name), ("namespace", &key.namespace), ("status", status), ("type", type_)];
                series.add(&labels, 1);
            }
        });
        let of_webhook = |key: &Key| [("name", key.name.clone()), ("namespace", key.namespace.clone())];
        write(text, &health, objects.iter(), |series, key, shown| {
            if let Some(passing) = shown.passing {
                series.add(&of_webhook(key), passing.into());
            }
        });
        write(text, &expiry, objects.iter(), |series, key, shown| {
            if let Some(expires) = shown.expires {
                series.add(&of_webhook(key), expires);
            }
        });
    }
}

/// What there is to tell of objects: conditions, health, certificates.
pub(super) fn families() -> [Family; 3] {
    let gauge = |name: &str, help: &str, labels: &[&str]| Family {
        name: format!("{PREFIX}_{name}"),
        kind: "gauge",
        labels: labels.iter().map(|label| (*label).to_owned()).collect(),
        help: help.to_owned(),
    };
    [
        gauge(
            "resource_condition",
            "1 for each condition of an object and the status that it has now",
            &["kind", "namespace", "name", "type", "status"],
        ),
        gauge(
            "webhook_health",
            "Result of the last health check of a webhook's URL, below failureThreshold too: 1 passing, 0 failing",
            &["namespace", "name"],
        ),
        gauge(
            "webhook_certificate_expiry_timestamp_seconds",
            "When the certificate of a webhook's URL expires, in seconds since the Unix epoch",
            &["namespace", "name"],
        ),
    ]
}

/// Where the series of one family are written; nothing is, where there are none.
struct Series<'a> {
    text: &'a mut String,
    family: &'a Family,
    begun: bool,
}

impl Series<'_> {
    fn add(&mut self, labels: &[(&str, impl AsRef<str>)], value: i64) {
        let Family { name, kind, help, .. } = self.family;
        // Writing to a String cannot fail.
        if !self.begun {
            self.begun = true;
            let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
        }
        self.text.push_str(name);
        for (nth, (label, value)) in labels.iter().enumerate() {
            self.text.push(if nth == 0 { '{' } else { ',' });
            self.text.push_str(label);
            self.text.push_str("=\"");
            for letter in value.as_ref().chars() {
                match letter {
                    '\\' => self.text.push_str("\\\\"),
                    '"' => self.text.push_str("\\\""),
                    '\n' => self.text.push_str("\\n"),
                    letter => self.text.push(letter),
                }
            }
            self.text.push('"');
        }
        let _ = writeln!(self.text, "}} {value}");
    }
}

fn write<'a>(
    text: &mut String,
    family: &Family,
    objects: impl Iterator<Item = (&'a Key, &'a Shown)>,
    mut of_one: impl FnMut(&mut Series<'_>, &'a Key, &'a Shown),
) {
    let mut series = Series { text, family, begun: false };
    objects.for_each(|(key, shown)| of_one(&mut series, key, shown));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_somebody_else_wrote_into_a_condition_cannot_break_the_text() {
        let objects = Objects::default();
        let condition = Condition {
            type_: "Ready\"} 1\nfake{a=\"\\".into(),
            status: "True".into(),
            reason: String::new(),
            message: String::new(),
            observed_generation: None,
            last_transition_time: k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(jiff::Timestamp::UNIX_EPOCH),
        };
        objects.lock().entry(Key::new("CognigyWebhook", "cx", "orders")).or_default().tell(&[condition]);
        let mut text = String::new();
        objects.render(&mut text);
        let series: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(
            series,
            [concat!(
                r#"cognigy_operator_resource_condition{kind="CognigyWebhook",name="orders",namespace="cx",status="True","#,
                r#"type="Ready\"} 1\nfake{a=\"\\"} 1"#
            )]
        );
    }

    #[test]
    fn a_family_of_which_there_is_nothing_is_not_told() {
        let mut text = String::new();
        Objects::default().render(&mut text);
        assert_eq!(text, "");
    }
}
