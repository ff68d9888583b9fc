//! One object in full: what the tree shows of it, its conditions and its recent events.

use std::fmt::Write as _;

use cognigy_operator::api::{CognigyTenant, CognigyWebhook};
use jiff::Timestamp;
use k8s_openapi::{
    api::events::v1::Event,
    apimachinery::pkg::apis::meta::v1::{Condition, Time},
};
use kube::{Resource, ResourceExt as _};
use serde::Serialize;

use super::{
    gather::{self, Objects},
    model::{Tenant, Tree, Webhook},
    tree, words,
};
use crate::{
    cluster::Cluster,
    exit::{Error, Result},
    output,
    style::{BAD, GOOD, QUIET, WAITING, styled},
    target::{Kind, Target},
    when,
};

/// One object in full.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Detail {
    #[serde(flatten)]
    object: Object,
    conditions: Vec<Condition>,
    /// The newest last.
    events: Vec<Told>,
}

/// What the tree knows of it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
enum Object {
    Tenant(Box<Tenant>),
    #[serde(rename_all = "camelCase")]
    Webhook {
        webhook: Box<Webhook>,
        tenant_namespace: String,
        tenant_name: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        url: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        health_message: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        certificate_expires_at: Option<Time>,
        #[serde(skip_serializing_if = "Option::is_none")]
        last_error: Option<String>,
    },
}

/// An event.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Told {
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<Time>,
    #[serde(rename = "type")]
    type_: String,
    reason: String,
    note: String,
}

impl From<Event> for Told {
    fn from(event: Event) -> Self {
        Self {
            time: gather::last_seen(&event).map(Time),
            type_: event.type_.unwrap_or_default(),
            reason: event.reason.unwrap_or_default(),
            note: event.note.unwrap_or_default(),
        }
    }
}

/// Finds the object among these, and reads its events.
pub async fn of(cluster: &Cluster, target: &Target, objects: &Objects) -> Result<Detail> {
    let found = match target.kind {
        Kind::Tenant => named(&objects.tenants, cluster, target).map(of_tenant(objects)),
        Kind::Webhook => named(&objects.webhooks, cluster, target).map(of_webhook(objects)),
    };
    let (uid, object, conditions) = found.ok_or_else(|| {
        Error::Told(format!("there is no {} {} in namespace {}", target.kind.name(), target.name, cluster.namespace))
    })?;
    let events = gather::events(cluster, &uid).await?.into_iter().map(Told::from).collect();
    Ok(Detail { object, conditions, events })
}

fn named<'a, K: Resource>(objects: &'a [K], cluster: &Cluster, target: &Target) -> Option<&'a K> {
    objects
        .iter()
        .find(|object| object.namespace().as_ref() == Some(&cluster.namespace) && object.name_any() == target.name)
}

type Found = (String, Object, Vec<Condition>);

fn of_tenant(objects: &Objects) -> impl Fn(&CognigyTenant) -> Found {
    |tenant| {
        let conditions = tenant.status.clone().unwrap_or_default().conditions;
        let same = |one: &Tenant| {
            (Some(&one.namespace), one.name.as_str()) == (tenant.namespace().as_ref(), &tenant.name_any())
        };
        let told = Tree::of(objects).tenants.into_iter().find(same).unwrap_or_else(|| Tenant::of(tenant));
        (tenant.uid().unwrap_or_default(), Object::Tenant(Box::new(told)), conditions)
    }
}

fn of_webhook(objects: &Objects) -> impl Fn(&CognigyWebhook) -> Found {
    |webhook| {
        let status = webhook.status.clone().unwrap_or_default();
        let (tenant, policy) = (webhook.tenant_key(), webhook.retry_policy_key());
        let policy = objects.policies.iter().find(|one| {
            policy
                .as_ref()
                .is_some_and(|key| one.namespace().as_ref() == Some(&key.namespace) && one.name_any() == key.name)
        });
        let object = Object::Webhook {
            webhook: Box::new(Webhook::of(webhook, policy.and_then(|policy| policy.metadata.generation))),
            tenant_namespace: tenant.namespace,
            tenant_name: tenant.name,
            url: webhook.spec.url.clone(),
            health_message: status.health.as_ref().and_then(|health| health.message.clone()),
            certificate_expires_at: status.health.and_then(|health| health.certificate_expires_at),
            last_error: status.failure.and_then(|failure| failure.last_error),
        };
        (webhook.uid().unwrap_or_default(), object, status.conditions)
    }
}

impl Detail {
    /// Whether the object is Ready.
    pub fn is_ready(&self) -> bool {
        match &self.object {
            Object::Tenant(tenant) => tenant.is_ready(),
            Object::Webhook { webhook, .. } => webhook.ready.is_ready(),
        }
    }

    /// All of it for people.
    pub fn describe(&self, now: Timestamp) -> Result<String> {
        let mut text = fields(&self.object.fields(now))?;
        let conditions: Vec<Vec<String>> = self.conditions.iter().map(|one| condition(one, now)).collect();
        section(&mut text, "Conditions", &["TYPE", "STATUS", "REASON", "SINCE", "MESSAGE"], &conditions)?;
        let events: Vec<Vec<String>> = self.events.iter().map(|event| event.cells(now)).collect();
        section(&mut text, "Events", &["AGE", "REASON", "NOTE"], &events)?;
        Ok(text)
    }
}

impl Object {
    fn fields(&self, now: Timestamp) -> Vec<(&'static str, String)> {
        let mut fields = Vec::new();
        let mut add = |name, value: Option<String>| fields.extend(value.map(|value| (name, value)));
        match self {
            Self::Tenant(tenant) => {
                add("Tenant", Some(format!("{}/{}", tenant.namespace, tenant.name)));
                add("Ready", tenant.ready.as_ref().map(ready));
                add("URL", tenant.url.clone());
                add("Connection", Some(words::about(tenant)));
                add("Messages", (tenant.undelivered > 0).then(|| words::undelivered(tenant.undelivered)));
                let webhooks = tenant.webhooks.iter().map(|one| format!("{}/{}", one.namespace, one.name));
                add("Webhooks", (!tenant.webhooks.is_empty()).then(|| webhooks.collect::<Vec<_>>().join(", ")));
            }
            Self::Webhook {
                webhook,
                tenant_namespace,
                tenant_name,
                url,
                health_message,
                certificate_expires_at,
                last_error,
            } => {
                let kept: Vec<String> = webhook.versions.iter().map(words::kept).collect();
                let shown = |value: &Option<String>| value.clone().unwrap_or_else(|| "nothing".to_owned());
                add("Webhook", Some(format!("{}/{}", webhook.namespace, webhook.name)));
                add("Ready", Some(ready(&webhook.ready)));
                add("Tenant", Some(format!("{tenant_namespace}/{tenant_name}")));
                add("Id", webhook.id.clone());
                add("URL", url.clone());
                add("Version", webhook.version.map(|version| version.to_string()));
                add("State", webhook.state.map(|state| format!("{state:?}")));
                add("Kept versions", (!kept.is_empty()).then(|| kept.join(", ")));
                add("ETag", webhook.etag.clone());
                add("Policy", webhook.retry_policy.as_ref().map(words::policy));
                add("Health", webhook.health.as_ref().map(words::health));
                add("Health message", health_message.clone());
                add(
                    "Certificate",
                    certificate_expires_at.as_ref().map(|at| format!("expires {}", when::both(at, now))),
                );
                for drift in &webhook.drift {
                    let (desired, actual) = (shown(&drift.desired), shown(&drift.actual));
                    add("Drift", Some(format!("{}: {actual} in Cognigy, {desired} in the spec", drift.path)));
                }
                add("Attempts", webhook.attempts.map(|attempts| attempts.to_string()));
                add("Last error", last_error.clone());
                add("Next try", webhook.next_attempt_at.as_ref().map(|at| when::both(at, now)));
                add("Dead letter", webhook.dead_letter.as_ref().map(words::dead_letter));
                add("Messages", (webhook.undelivered > 0).then(|| words::undelivered(webhook.undelivered)));
                add("Synced", webhook.last_synced_at.as_ref().map(|at| when::both(at, now)));
            }
        }
        fields
    }
}

fn ready(ready: &super::model::Readiness) -> String {
    let status = tree::status(ready);
    ready
        .reason
        .as_ref()
        .map_or_else(|| format!("{status} ({})", ready.message), |reason| format!("{status} ({reason})"))
}

fn fields(fields: &[(&str, String)]) -> Result<String> {
    let rows: Vec<Vec<String>> = fields.iter().map(|(name, value)| vec![format!("{name}:"), value.clone()]).collect();
    output::columns(&rows)
}

fn section(text: &mut String, title: &str, heading: &[&str], rows: &[Vec<String>]) -> Result<()> {
    let table = if rows.is_empty() { styled(QUIET, "none") + "\n" } else { output::table(heading, rows)? };
    let indented = table.lines().fold(String::new(), |lines, line| lines + "  " + line + "\n");
    write!(text, "\n{title}:\n{indented}").map_err(|error| Error::Told(error.to_string()))
}

fn condition(condition: &Condition, now: Timestamp) -> Vec<String> {
    let style = match (condition.type_.as_str(), condition.status.as_str()) {
        ("Stalled", "True") => BAD,
        ("Reconciling", "True") | (_, "False" | "Unknown") => WAITING,
        _ => GOOD,
    };
    vec![
        condition.type_.clone(),
        styled(style, &condition.status),
        condition.reason.clone(),
        when::relative(&condition.last_transition_time, now),
        condition.message.clone(),
    ]
}

impl Told {
    fn cells(&self, now: Timestamp) -> Vec<String> {
        let style = if self.type_ == "Warning" { WAITING } else { GOOD };
        let age = self.time.as_ref().map(|time| when::relative(time, now));
        vec![age.unwrap_or_default(), styled(style, &self.reason), self.note.clone()]
    }
}
