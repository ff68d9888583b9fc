//! Parts of a status in few words. Pure.

use cognigy_operator::api::webhook::{Drift, KeptVersion};

use super::model::{DeadLetter, Health, Policy, Presence, Tenant};

/// What else there is to know of a tenant's connection.
pub fn about(tenant: &Tenant) -> String {
    match tenant.presence {
        Presence::Missing => {
            return "there is no such tenant: create it, or correct tenantRef of these webhooks".into();
        }
        Presence::Unreadable => return "in a namespace that you must not look into".into(),
        Presence::Found => {}
    }
    let api = tenant.api.unwrap_or_default();
    let answers = match (api.success_rate_percent, api.average_latency_ms) {
        (Some(rate), Some(latency)) => Some(format!("{rate} % succeed in {latency} ms")),
        (Some(rate), None) => Some(format!("{rate} % succeed")),
        (None, _) => None,
    };
    let parts = [
        tenant.auth.map(|auth| format!("{auth:?}")),
        tenant.circuit.map(|circuit| format!("circuit {circuit:?}")),
        api.requests_per_minute.map(|rate| format!("{rate} calls/min")),
        answers,
        tenant.counts.map(|counts| format!("{}/{} webhooks ready", counts.ready, counts.total)),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// `Passing 12 ms`, `Failing 503`.
pub fn health(health: &Health) -> String {
    let status = health.http_status.filter(|status| !(200..300).contains(status)).map(|status| format!(" {status}"));
    let latency = health.latency_ms.map(|latency| format!(" {latency} ms"));
    format!("{:?}{}{}", health.result, status.unwrap_or_default(), latency.unwrap_or_default())
}

/// `patient (2)`: the name and the generation that Cognigy has; what is asked for beyond that behind an arrow.
pub fn policy(policy: &Policy) -> String {
    let applied = policy.applied.as_ref().map(|applied| format!("{} ({})", applied.name, applied.generation));
    let wanted = policy.wanted.as_ref().map(|name| match policy.generation {
        Some(generation) => format!("{name} ({generation})"),
        None => format!("{name} (missing)"),
    });
    match (applied, wanted) {
        (Some(applied), Some(wanted)) if applied != wanted => format!("{applied} → {wanted}"),
        (Some(applied), Some(_)) => applied,
        (Some(applied), None) => format!("{applied} → none"),
        (None, Some(wanted)) => format!("→ {wanted}"),
        (None, None) => "-".to_owned(),
    }
}

/// `1 Inactive`.
pub fn kept(kept: &KeptVersion) -> String {
    kept.state.map_or_else(|| format!("{} unknown", kept.version), |state| format!("{} {state:?}", kept.version))
}

/// The fields that differ.
pub fn drift(drift: &[Drift]) -> Option<String> {
    let fields: Vec<&str> = drift.iter().map(|one| one.path.as_str()).collect();
    let noun = if fields.len() == 1 { "field differs" } else { "fields differ" };
    (!fields.is_empty()).then(|| format!("{} {noun} in Cognigy: {}", fields.len(), fields.join(", ")))
}

/// A dead letter and whether it has arrived.
pub fn dead_letter(letter: &DeadLetter) -> String {
    let state = match letter {
        DeadLetter { delivered: true, .. } => "delivered",
        DeadLetter { discarded: true, .. } => "discarded",
        DeadLetter { .. } => "not delivered yet",
    };
    format!("{} ({state})", letter.id)
}

/// How many messages wait for their sinks.
pub fn undelivered(count: usize) -> String {
    format!("{count} message{} not delivered yet", if count == 1 { "" } else { "s" })
}
