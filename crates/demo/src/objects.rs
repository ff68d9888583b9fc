//! The custom resources as `kubectl get cognigy` shows them.

use serde_json::Value;

use crate::{
    Result,
    cluster::{Cluster, NAMESPACE},
    kubectl::items,
    screen::{Cell, Style, cell, head, plain},
};

/// One object, as far as the table shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Object {
    pub(crate) kind: String,
    pub(crate) name: String,
    version: String,
    state: String,
    health: String,
    policy: String,
    ready: Option<bool>,
    reason: String,
    message: String,
}

/// Tenants, policies and webhooks of the demo.
pub(crate) async fn read(cluster: &Cluster) -> Result<Vec<Object>> {
    let list = cluster.kubectl(["get", "cognigytenants,retrypolicies,cognigywebhooks", "-n", NAMESPACE]).json().await?;
    Ok(items(&list).iter().map(Object::new).collect())
}

impl Object {
    fn new(object: &Value) -> Self {
        let text = |pointer: &str| match object.pointer(pointer) {
            Some(Value::String(text)) => text.clone(),
            None | Some(Value::Null) => String::new(),
            Some(other) => other.to_string(),
        };
        let status = &object["status"];
        // A verdict on an older spec is none on this one.
        let current = status["observedGeneration"] == object["metadata"]["generation"];
        let ready = status["conditions"].as_array().and_then(|all| all.iter().find(|one| one["type"] == "Ready"));
        let of_ready = |key: &str| ready.and_then(|one| one[key].as_str()).unwrap_or_default().to_owned();
        Self {
            kind: text("/kind"),
            name: text("/metadata/name"),
            version: text("/status/version"),
            state: text("/status/state"),
            health: text("/status/health/result"),
            policy: text("/spec/retryPolicyRef/name"),
            ready: ready.map(|one| one["status"] == "True" && current),
            reason: of_ready("reason"),
            message: of_ready("message"),
        }
    }

    /// Whether it is Ready, as it is specified now.
    pub(crate) fn is_ready(&self) -> bool {
        self.ready == Some(true)
    }

    /// What it is and what is wrong with it.
    pub(crate) fn complaint(&self) -> String {
        let Self { kind, name, reason, message, .. } = self;
        if reason.is_empty() {
            format!("{kind} {name}: the operator has said nothing about it")
        } else {
            format!("{kind} {name}: {reason}: {message}")
        }
    }

    /// The object in one line, for those who see no table.
    pub(crate) fn line(&self) -> String {
        let Self { kind, name, reason, message, .. } = self;
        let ready = if self.is_ready() { "Ready" } else { "not Ready" };
        let facts: Vec<_> = [&self.state, &self.health].into_iter().filter(|fact| !fact.is_empty()).cloned().collect();
        let facts = if facts.is_empty() { String::new() } else { format!(" [{}]", facts.join(", ")) };
        let told = if reason.is_empty() { "not looked at yet".into() } else { format!("{reason}: {message}") };
        format!("{kind}/{name}{facts} {ready}, {told}")
    }

    fn row(&self) -> Vec<Cell> {
        let (ready, style) = match self.ready {
            Some(true) => ("True", Style::Good),
            Some(false) => ("False", Style::Warn),
            None => ("", Style::Plain),
        };
        let of = |text: &str, good: &str, bad: &str| {
            let style = if text == good {
                Style::Good
            } else if text == bad {
                Style::Bad
            } else {
                Style::Plain
            };
            cell(style, text)
        };
        vec![
            plain(format_args!("{}/{}", self.kind, self.name)),
            plain(&self.version),
            of(&self.state, "Active", ""),
            of(&self.health, "Passing", "Failing"),
            plain(&self.policy),
            cell(style, ready),
            cell(style, self.reason.clone()),
            cell(Style::Dim, if self.is_ready() { String::new() } else { self.message.clone() }),
        ]
    }
}

/// The objects as a table.
pub(crate) fn table(objects: &[Object]) -> Vec<Vec<Cell>> {
    let heads = ["NAME", "VERSION", "STATE", "HEALTH", "POLICY", "READY", "REASON"].map(head).to_vec();
    [heads].into_iter().chain(objects.iter().map(Object::row)).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(observed: i64, ready: &str) -> Object {
        Object::new(&json!({
            "kind": "CognigyWebhook", "metadata": {"name": "orders", "generation": 2},
            "status": {"observedGeneration": observed, "version": 1, "state": "Inactive",
                       "conditions": [{"type": "Ready", "status": ready, "reason": "Progressing", "message": "at it"}]}
        }))
    }

    #[test]
    fn ready_counts_only_for_the_spec_of_now() {
        assert!(object(2, "True").is_ready());
        assert!(!object(1, "True").is_ready());
        assert!(!object(2, "False").is_ready());
        assert!(!Object::new(&json!({"kind": "RetryPolicy", "status": {"observedGeneration": -1}})).is_ready());
    }

    #[test]
    fn without_a_table_a_line_says_the_same() {
        assert_eq!(object(2, "False").line(), "CognigyWebhook/orders [Inactive] not Ready, Progressing: at it");
        assert_eq!(object(2, "False").complaint(), "CognigyWebhook orders: Progressing: at it");
    }
}
