//! The tree, as people read it. Pure.

use jiff::Timestamp;

use super::{
    model::{Presence, Readiness, Tenant, Tree, Webhook},
    words,
};
use crate::{
    exit::Result,
    output,
    style::{BAD, GOOD, QUIET, WAITING, styled},
    when,
};

/// How much of it is shown.
#[derive(Clone, Copy, Debug)]
pub struct View {
    /// `-o wide`: ids, kept versions and times as well.
    pub wide: bool,
    /// Names with their namespaces.
    pub namespaces: bool,
    /// What times are told against.
    pub now: Timestamp,
}

/// One line of the table and what stands below or behind it.
struct Line {
    cells: Vec<String>,
    /// Behind the cells.
    tail: String,
    /// Lines below, each behind this line's branch.
    notes: Vec<String>,
    /// What stands in front of the notes.
    branch: &'static str,
}

/// Draws the tree.
pub fn draw(tree: &Tree, view: View) -> Result<String> {
    let lines: Vec<Line> = tree.tenants.iter().flat_map(|tenant| of_tenant(tenant, view)).collect();
    let mut heading = vec!["NAME", "READY", "REASON", "STATE", "VERSION", "HEALTH", "POLICY", "ETAG", "NEXT TRY"];
    if view.wide {
        heading.extend(["ID", "KEPT", "SYNCED"]);
    }
    // A tenant has few cells; empty ones keep the columns of its webhooks under their headings.
    let mut rows: Vec<Vec<String>> = lines.iter().map(|line| line.cells.clone()).collect();
    for cells in &mut rows {
        cells.resize(heading.len(), String::new());
    }
    let table = output::table(&heading, &rows)?;
    let mut rows = table.lines();
    let mut text = rows.next().map(|heading| format!("{heading}\n")).unwrap_or_default();
    for (row, line) in rows.zip(&lines) {
        text.push_str(format!("{row}{}", line.tail).trim_end());
        text.push('\n');
        text.extend(line.notes.iter().flat_map(|note| [line.branch, note, "\n"]));
    }
    Ok(text)
}

fn of_tenant(tenant: &Tenant, view: View) -> Vec<Line> {
    let (name, last) = (named(&tenant.namespace, &tenant.name, view), tenant.webhooks.len().saturating_sub(1));
    let mut notes = Vec::new();
    let (ready, reason) = match (&tenant.ready, tenant.presence) {
        (Some(ready), _) => {
            notes.extend(said(ready));
            (status(ready), ready.reason.clone().unwrap_or_default())
        }
        (None, Presence::Unreadable) => (styled(QUIET, "?"), String::new()),
        (None, _) => (styled(BAD, "False"), styled(BAD, "missing")),
    };
    if tenant.undelivered > 0 {
        notes.push(styled(WAITING, words::undelivered(tenant.undelivered)));
    }
    let about = words::about(tenant);
    let tail = if about.is_empty() { String::new() } else { format!("   {}", styled(QUIET, about)) };
    let branch = if tenant.webhooks.is_empty() { "  " } else { "│ " };
    let mut lines = vec![Line { cells: vec![name, ready, reason], tail, notes, branch }];
    lines.extend(tenant.webhooks.iter().enumerate().map(|(nth, webhook)| of_webhook(webhook, nth == last, view)));
    lines
}

fn of_webhook(webhook: &Webhook, is_last: bool, view: View) -> Line {
    let (fork, branch) = if is_last { ("└─ ", "     ") } else { ("├─ ", "│    ") };
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    let next = webhook.next_attempt_at.as_ref().map(|next| when::relative(next, view.now));
    let mut cells = vec![
        format!("{fork}{}", named(&webhook.namespace, &webhook.name, view)),
        status(&webhook.ready),
        or_dash(webhook.ready.reason.clone()),
        or_dash(webhook.state.map(|state| format!("{state:?}"))),
        or_dash(webhook.version.map(|version| version.to_string())),
        or_dash(webhook.health.as_ref().map(words::health)),
        or_dash(webhook.retry_policy.as_ref().map(words::policy)),
        or_dash(webhook.etag.clone()),
        or_dash(next),
    ];
    if view.wide {
        let kept: Vec<String> = webhook.versions.iter().map(words::kept).collect();
        cells.push(or_dash(webhook.id.clone()));
        cells.push(or_dash(Some(kept.join(", ")).filter(|kept| !kept.is_empty())));
        cells.push(or_dash(webhook.last_synced_at.as_ref().map(|time| when::relative(time, view.now))));
    }
    let mut notes: Vec<String> = said(&webhook.ready).into_iter().collect();
    if webhook.deleting {
        notes.push(styled(WAITING, "is being deleted"));
    }
    notes.extend(words::drift(&webhook.drift).map(|drift| styled(WAITING, drift)));
    notes.extend(webhook.dead_letter.as_ref().map(|letter| {
        styled(
            if letter.delivered || letter.discarded { QUIET } else { WAITING },
            format!("dead letter {}", words::dead_letter(letter)),
        )
    }));
    if webhook.undelivered > 0 {
        notes.push(styled(WAITING, words::undelivered(webhook.undelivered)));
    }
    Line { cells, tail: String::new(), notes, branch }
}

fn named(namespace: &str, name: &str, view: View) -> String {
    if view.namespaces { format!("{namespace}/{name}") } else { name.to_owned() }
}

/// The status of `Ready`, coloured by what it asks for.
pub fn status(ready: &Readiness) -> String {
    let style = match (ready.is_ready(), ready.stalled) {
        (true, _) => GOOD,
        (false, true) => BAD,
        (false, false) => WAITING,
    };
    styled(style, &ready.status)
}

/// The message of a `Ready` that is not True.
fn said(ready: &Readiness) -> Option<String> {
    let style = if ready.stalled { BAD } else { WAITING };
    (!ready.is_ready() && !ready.message.is_empty()).then(|| styled(style, &ready.message))
}

#[cfg(test)]
mod tests {
    use anstream::adapter::strip_str;
    use cognigy_operator::api::{CognigyTenant, CognigyWebhook, RetryPolicy};
    use serde::de::DeserializeOwned;
    use serde_json::{Value, json};

    use super::*;
    use crate::status::gather::Objects;

    fn object<K: DeserializeOwned>(kind: &str, name: &str, spec: &Value, status: &Value) -> K {
        let metadata = json!({"name": name, "namespace": "cx", "generation": 1});
        let object = json!({"apiVersion": "cognigy.io/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec, "status": status});
        serde_json::from_value(object).unwrap()
    }

    fn ready(status: &str, reason: &str) -> Value {
        json!([{"type": "Ready", "status": status, "reason": reason, "message": "what is wrong", "lastTransitionTime": "2026-01-01T00:00:00Z"}])
    }

    #[test]
    fn columns_stand_under_their_headings_and_notes_below_their_webhook() {
        let webhook = |name, spec: Value, status| {
            let mut all = json!({"tenantRef": {"name": "production"}, "url": "https://example.com", "retryPolicyRef": {"name": "patient"}});
            all.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
            object::<CognigyWebhook>("CognigyWebhook", name, &all, &status)
        };
        let tenant: CognigyTenant = object(
            "CognigyTenant",
            "production",
            &json!({"baseUrl": "https://example.com", "auth": {"bearerToken": {"secretRef": {"name": "t", "key": "t"}}}}),
            &json!({
                "observedGeneration": 1, "conditions": ready("True", "Connected"), "circuit": "Closed",
                "webhooks": {"total": 3, "ready": 1},
                "api": {"successRatePercent": 98, "averageLatencyMs": 12, "requestsPerMinute": 180},
            }),
        );
        let mut policy: RetryPolicy =
            object("RetryPolicy", "patient", &json!({"intervalsMs": [1000]}), &json!({"observedGeneration": 1}));
        policy.metadata.generation = Some(2);
        let live = json!({
            "observedGeneration": 1, "conditions": ready("True", "Active"), "webhookId": "wh_1", "etag": "\"v2-1\"",
            "version": 2, "state": "Active", "retryPolicy": {"name": "patient", "generation": 1},
            "health": {"result": "Passing", "httpStatus": 200, "latencyMs": 7},
            "versions": [{"version": 1, "webhookId": "wh_0", "state": "Inactive"}],
        });
        let failing = json!({
            "observedGeneration": 1, "conditions": ready("False", "RetriesExhausted"), "version": 1, "state": "Inactive",
            "health": {"result": "Failing", "httpStatus": 503, "latencyMs": 9},
            "drift": [{"path": "url"}, {"path": "retryPolicy.maxRetries"}],
            "failure": {"attempts": 3, "nextAttemptAt": "2026-01-01T00:01:40Z", "deadLetter": {"id": "letter-1"}},
        });
        let objects = Objects {
            tenants: vec![tenant],
            policies: vec![policy],
            webhooks: vec![
                webhook("stray", json!({"tenantRef": {"name": "nowhere"}}), json!({"observedGeneration": -1})),
                webhook("payments", json!({}), failing),
                webhook("orders", json!({}), live),
            ],
            ..Objects::default()
        };
        let view = View { wide: true, namespaces: false, now: "2026-01-01T00:00:00Z".parse().unwrap() };
        let text = draw(&Tree::of(&objects), view).unwrap();
        insta::assert_snapshot!(strip_str(&text).to_string());
    }
}
