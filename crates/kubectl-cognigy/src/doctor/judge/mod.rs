//! What is wrong. Pure.

mod objects;
mod operator;

use jiff::Timestamp;

use super::{
    gather::{Looked, Scene, Seen},
    model::{Check, Report},
};

/// Clocks further apart are told, and a Lease that says so may be late by as much, in seconds.
const SKEW: i64 = 30;

/// All checks.
pub fn judge(scene: &Scene) -> Report {
    let now = scene.server.unwrap_or(scene.local);
    let mut checks = operator::definitions(&scene.definitions);
    checks.extend(operator::clock(scene.local, scene.server));
    checks.extend(looked("operator", &scene.deployments, operator::deployments));
    checks.extend(looked("version", &scene.deployments, operator::versions));
    checks.extend(looked("leader", &scene.leases, |seen| operator::leases(seen, &scene.deployments, now)));
    checks.extend(operator::rights(&scene.denied, &scene.deployments));
    checks.extend(looked("tenants", &scene.tenants, objects::tenants));
    checks.extend(looked("webhooks", &scene.webhooks, objects::stalled));
    checks.extend(looked("certificates", &scene.webhooks, |seen| objects::certificates(seen, now)));
    checks.extend(objects::messages(&scene.tenants, &scene.webhooks));
    checks.extend(objects::watched(&scene.tenants, &scene.webhooks, now));
    Report { checks }
}

/// A check of what could be read, or a row that says why it could not.
fn looked<K>(name: &'static str, seen: &Looked<K>, check: impl FnOnce(&Seen<K>) -> Vec<Check>) -> Vec<Check> {
    match seen {
        Ok(seen) => check(seen),
        Err(words) => vec![Check::not_looked(name, words)],
    }
}

/// The findings, or one row that says that there are none.
fn or_ok(findings: Vec<Check>, name: &'static str, sound: impl FnOnce() -> String) -> Vec<Check> {
    if findings.is_empty() { vec![Check::ok(name, sound())] } else { findings }
}

/// So many of a thing.
fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// Seconds from one time to another.
fn seconds(from: Timestamp, to: Timestamp) -> i64 {
    to.as_second() - from.as_second()
}

#[cfg(test)]
#[allow(clippy::needless_pass_by_value, reason = "so that `json!` can stand where a value is asked for")]
mod tests {
    use super::{super::model::Outcome, *};

    /// The time of all these tests.
    pub const NOW: &str = "2026-11-23T12:00:00Z";

    pub fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    pub fn seen<K, S: serde::de::DeserializeOwned>(items: serde_json::Value, into: impl Fn(S) -> K) -> Seen<K> {
        let items: Vec<S> = serde_json::from_value(items).unwrap();
        Seen { items: items.into_iter().map(into).collect(), place: "namespace cx".into() }
    }

    /// The only finding's message and remedy.
    #[track_caller]
    pub fn only(checks: &[Check]) -> (&str, &str) {
        assert!(matches!(checks, [check] if check.result == Outcome::Finding), "{checks:?}");
        (&checks[0].message, checks[0].remedy.as_deref().unwrap())
    }

    #[track_caller]
    pub fn sound(checks: &[Check]) {
        assert!(matches!(checks, [check] if check.result == Outcome::Ok), "{checks:?}");
    }

    #[test]
    fn what_could_not_be_read_is_no_finding_and_is_said() {
        let scene = Scene {
            definitions: Vec::new(),
            local: at(NOW),
            server: Some(at(NOW)),
            deployments: Err("deployments are forbidden".into()),
            leases: Err("leases are forbidden".into()),
            denied: Err("deployments are forbidden".into()),
            tenants: Err("tenants are forbidden".into()),
            webhooks: Err("webhooks are forbidden".into()),
        };
        let report = judge(&scene);
        assert!(report.is_sound());
        let unseen = report.checks.iter().filter(|check| check.result == Outcome::NotLooked);
        let names: Vec<&str> = unseen.map(|check| check.name).collect();
        let all =
            ["operator", "version", "leader", "rights", "tenants", "webhooks", "certificates", "messages", "watched"];
        assert_eq!(names, all);
    }
}
