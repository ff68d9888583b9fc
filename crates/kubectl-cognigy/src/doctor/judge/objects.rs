//! Tenants and webhooks: what a person has to see to. Pure.

use std::collections::BTreeMap;

use cognigy_operator::api::{CognigyTenant, CognigyWebhook, ConditionType, Reason, tenant::Circuit};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, ObjectMeta};

use super::{
    super::{
        gather::{Looked, Seen},
        model::{Check, Object},
    },
    counted, or_ok, seconds,
};

/// Certificates that end sooner are told, in days.
const CERTIFICATE_DAYS: i64 = 14;
const DAY: i64 = 24 * 60 * 60;
/// An operator has looked at an object by then, in seconds.
const UNSEEN: i64 = 60;

pub fn tenants(seen: &Seen<CognigyTenant>) -> Vec<Check> {
    let findings = seen.items.iter().filter_map(tenant).collect();
    or_ok(findings, "tenants", || format!("{} in {}", counted(seen.items.len(), "tenant"), seen.place))
}

fn tenant(tenant: &CognigyTenant) -> Option<Check> {
    let (object, status) = (Object::of(tenant), tenant.status.as_ref()?);
    let ready = condition(&status.conditions, ConditionType::Ready);
    let at_fault = ready.filter(|ready| ready.status != "True" && ready.reason != Reason::Suspended.as_str());
    let check = if let Some(ready) = at_fault {
        let told = format!("{object} is not ready: {}: {}", ready.reason, ready.message);
        Check::finding("tenants", told, status_of(&object, "ctenant/"))
    } else if let Some(circuit @ (Circuit::Open | Circuit::HalfOpen)) = status.circuit {
        let told = format!("the circuit of {object} is {circuit:?}: Cognigy answers too many calls with errors");
        Check::finding("tenants", told, status_of(&object, "ctenant/"))
    } else {
        return None;
    };
    Some(check.about([object]))
}

pub fn stalled(seen: &Seen<CognigyWebhook>) -> Vec<Check> {
    let mut findings = Vec::new();
    for webhook in &seen.items {
        let conditions = webhook.status.as_ref().map_or(&[][..], |status| &status.conditions);
        let stalled = condition(conditions, ConditionType::Stalled).filter(|stalled| stalled.status == "True");
        if let Some(stalled) = stalled {
            let object = Object::of(webhook);
            let told = format!("{object} is stalled: {}: {}", stalled.reason, stalled.message);
            findings.push(Check::finding("webhooks", told, status_of(&object, "")).about([object]));
        }
    }
    or_ok(findings, "webhooks", || format!("{} in {}, none stalled", counted(seen.items.len(), "webhook"), seen.place))
}

pub fn certificates(seen: &Seen<CognigyWebhook>, now: Timestamp) -> Vec<Check> {
    let mut findings = Vec::new();
    for webhook in &seen.items {
        let health = webhook.status.as_ref().and_then(|status| status.health.as_ref());
        let Some(ends) = health.and_then(|health| health.certificate_expires_at.as_ref()) else { continue };
        let left = seconds(now, ends.0);
        if left >= CERTIFICATE_DAYS * DAY {
            continue;
        }
        let object = Object::of(webhook);
        let date = ends.0.strftime("%F");
        let told = if left <= 0 {
            format!("the certificate of the callback of {object} ended on {date}")
        } else {
            format!("the certificate of the callback of {object} ends in {} on {date}", days(left))
        };
        let url = webhook.spec.url.as_deref().unwrap_or("the callback");
        findings.push(Check::finding("certificates", told, format!("renew it where {url} is served")).about([object]));
    }
    or_ok(findings, "certificates", || format!("none that is known ends within {CERTIFICATE_DAYS} days"))
}

fn days(seconds: i64) -> String {
    match seconds / DAY {
        0 => "less than a day".to_owned(),
        1 => "1 day".to_owned(),
        more => format!("{more} days"),
    }
}

/// Alerts and dead letters that no sink has accepted yet.
pub fn messages(tenants: &Looked<CognigyTenant>, webhooks: &Looked<CognigyWebhook>) -> Vec<Check> {
    let (Ok(tenants), Ok(webhooks)) = (tenants, webhooks) else {
        return vec![Check::not_looked("messages", "tenants or webhooks could not be listed")];
    };
    let of_tenant = |tenant: &CognigyTenant| {
        let alerts = tenant.status.as_ref().and_then(|status| status.alerts.as_ref());
        (Object::of(tenant), alerts.map(|alerts| alerts.undelivered.clone()).unwrap_or_default())
    };
    let of_webhook = |webhook: &CognigyWebhook| {
        let failure = webhook.status.as_ref().and_then(|status| status.failure.as_ref());
        (Object::of(webhook), failure.map(|failure| failure.undelivered.clone()).unwrap_or_default())
    };
    let waiting = tenants.items.iter().map(of_tenant).chain(webhooks.items.iter().map(of_webhook));
    let findings = waiting.filter(|(_, messages)| !messages.is_empty()).map(|(object, messages)| {
        let error = messages.iter().find_map(|message| message.last_error.as_ref());
        let why = error.map_or_else(String::new, |error| format!(": {error}"));
        let told = format!("{} of {object} not delivered yet{why}", counted(messages.len(), "message"));
        let look = match object.kind.as_str() {
            "CognigyTenant" => status_of(&object, "ctenant/"),
            _ => format!("kubectl cognigy dead-letters show {} -n {}", object.name, object.namespace),
        };
        Check::finding("messages", told, format!("see to the tenant's sinks (spec.sinks): {look}")).about([object])
    });
    or_ok(findings.collect(), "messages", || "all alerts and dead letters are delivered".into())
}

/// Whether an operator looks at the namespaces that there are objects in. `now` is the API server's.
pub fn watched(tenants: &Looked<CognigyTenant>, webhooks: &Looked<CognigyWebhook>, now: Timestamp) -> Vec<Check> {
    let (Ok(tenants), Ok(webhooks)) = (tenants, webhooks) else {
        return vec![Check::not_looked("watched", "tenants or webhooks could not be listed")];
    };
    let tenants = tenants.items.iter().map(|tenant| {
        (Object::of(tenant), &tenant.metadata, tenant.status.as_ref().and_then(|status| status.observed_generation))
    });
    let webhooks = webhooks.items.iter().map(|webhook| {
        (Object::of(webhook), &webhook.metadata, webhook.status.as_ref().and_then(|status| status.observed_generation))
    });
    let mut unseen: BTreeMap<String, Vec<Object>> = BTreeMap::new();
    for (object, metadata, observed) in tenants.chain(webhooks) {
        if is_unseen(metadata, observed, now) {
            unseen.entry(object.namespace.clone()).or_default().push(object);
        }
    }
    let findings = unseen.into_iter().map(|(namespace, objects)| {
        let others = match objects.len() - 1 {
            0 => String::new(),
            more => format!(" and {}", counted(more, "other")),
        };
        let told = format!(
            "nobody has looked at {}{others} for more than a minute: no operator watches namespace {namespace}, or it does not work",
            objects[0]
        );
        let remedy = "see to the findings above; compare --watch-namespaces and --watch-label-selector of the operators with it";
        Check::finding("watched", told, remedy).about(objects)
    });
    or_ok(findings.collect(), "watched", || "no object has waited for an operator for more than a minute".into())
}

/// The object has been as it is for more than a minute, and its status speaks of an earlier generation or of none.
fn is_unseen(metadata: &ObjectMeta, observed: Option<i64>, now: Timestamp) -> bool {
    let behind = observed.unwrap_or(-1) < metadata.generation.unwrap_or_default();
    let entries = metadata.managed_fields.iter().flatten().filter(|entry| entry.subresource.is_none());
    let changes = entries.filter_map(|entry| entry.time.as_ref()).chain(&metadata.deletion_timestamp);
    let last = changes.chain(&metadata.creation_timestamp).map(|time| time.0).max();
    behind && last.is_some_and(|last| seconds(last, now) > UNSEEN)
}

fn condition(conditions: &[Condition], type_: ConditionType) -> Option<&Condition> {
    conditions.iter().find(|condition| condition.type_ == type_.as_str())
}

fn status_of(object: &Object, kind: &str) -> String {
    format!("kubectl cognigy status {kind}{} -n {}", object.name, object.namespace)
}

#[cfg(test)]
#[allow(clippy::needless_pass_by_value, reason = "so that `json!` can stand where a value is asked for")]
mod tests {
    use serde_json::{Value, json};

    use super::{
        super::tests::{NOW, at, only, seen, sound},
        *,
    };

    fn tenant_with(status: Value) -> Seen<CognigyTenant> {
        let spec =
            json!({"baseUrl": "https://cognigy.example.com", "auth": {"apiKey": {"secretRef": {"name": "key"}}}});
        let metadata = json!({"namespace": "cx", "name": "production", "generation": 1});
        seen(
            json!([{"apiVersion": "cognigy.io/v1alpha1", "kind": "CognigyTenant", "metadata": metadata, "spec": spec, "status": status}]),
            |tenant| tenant,
        )
    }

    fn webhook_with(metadata: Value, status: Value) -> Seen<CognigyWebhook> {
        let spec = json!({"tenantRef": {"name": "production"}, "url": "https://hooks.example.com/a"});
        let mut all = json!({"namespace": "cx", "name": "orders", "generation": 2});
        all.as_object_mut().unwrap().extend(metadata.as_object().unwrap().clone());
        seen(
            json!([{"apiVersion": "cognigy.io/v1alpha1", "kind": "CognigyWebhook", "metadata": all, "spec": spec, "status": status}]),
            |webhook| webhook,
        )
    }

    fn condition(type_: &str, status: &str, reason: &str) -> Value {
        json!({"type": type_, "status": status, "reason": reason, "message": "Why.", "lastTransitionTime": NOW})
    }

    fn undelivered() -> Value {
        json!([{"id": "a", "sink": "Alerts", "type": "t", "time": NOW, "body": "{}", "lastError": "the sink answered 503"}])
    }

    #[test]
    fn a_tenant_that_is_not_ready_is_told_and_a_suspended_one_is_meant_so() {
        let with = |status: &str, reason: &str| {
            tenants(&tenant_with(json!({"conditions": [condition("Ready", status, reason)]})))
        };
        sound(&with("True", "Connected"));
        sound(&with("False", "Suspended"));
        let told = "CognigyTenant cx/production is not ready: Unauthorized: Why.";
        let remedy = "kubectl cognigy status ctenant/production -n cx";
        assert_eq!(only(&with("False", "Unauthorized")), (told, remedy));
    }

    #[test]
    fn a_circuit_that_is_not_closed_is_told() {
        sound(&tenants(&tenant_with(json!({"circuit": "Closed"}))));
        let checks = tenants(&tenant_with(json!({"circuit": "HalfOpen"})));
        assert!(only(&checks).0.starts_with("the circuit of CognigyTenant cx/production is HalfOpen"));
    }

    #[test]
    fn a_stalled_webhook_is_told_and_one_that_goes_on_by_itself_is_not() {
        let with = |type_: &str| {
            stalled(&webhook_with(json!({}), json!({"conditions": [condition(type_, "True", "Rejected")]})))
        };
        sound(&with("Reconciling"));
        let told = "CognigyWebhook cx/orders is stalled: Rejected: Why.";
        assert_eq!(only(&with("Stalled")), (told, "kubectl cognigy status orders -n cx"));
    }

    #[test]
    fn a_certificate_is_told_two_weeks_before_it_ends() {
        let ending = |at_: &str| {
            let health = json!({"result": "Passing", "consecutiveFailures": 0, "certificateExpiresAt": at_});
            certificates(&webhook_with(json!({}), json!({"health": health})), at(NOW))
        };
        sound(&ending("2026-12-07T12:00:00Z"));
        let checks = ending("2026-12-07T11:59:59Z");
        let told = "the certificate of the callback of CognigyWebhook cx/orders ends in 13 days on 2026-12-07";
        assert_eq!(only(&checks), (told, "renew it where https://hooks.example.com/a is served"));
        assert!(only(&ending("2026-11-23T13:00:00Z")).0.contains("ends in less than a day"));
        assert!(only(&ending(NOW)).0.ends_with("ended on 2026-11-23"));
    }

    #[test]
    fn messages_that_wait_are_told_with_the_sinks_error() {
        let (tenant, webhook) = (|status| Ok(tenant_with(status)), |status| Ok(webhook_with(json!({}), status)));
        sound(&messages(&tenant(json!({})), &webhook(json!({}))));
        let checks =
            messages(&tenant(json!({})), &webhook(json!({"failure": {"attempts": 3, "undelivered": undelivered()}})));
        assert_eq!(only(&checks).0, "1 message of CognigyWebhook cx/orders not delivered yet: the sink answered 503");
        assert!(only(&checks).1.ends_with("kubectl cognigy dead-letters show orders -n cx"));
        let checks = messages(&tenant(json!({"alerts": {"undelivered": undelivered()}})), &webhook(json!({})));
        assert!(only(&checks).0.starts_with("1 message of CognigyTenant cx/production"), "{checks:?}");
    }

    #[test]
    fn an_object_that_nobody_has_looked_at_for_a_minute_means_that_no_operator_watches() {
        let none = || Ok(Seen { items: Vec::new(), place: "namespace cx".into() });
        let with = |metadata: Value, observed: i64| {
            watched(&none(), &Ok(webhook_with(metadata, json!({"observedGeneration": observed}))), at(NOW))
        };
        let (old, new) = ("2026-11-23T11:58:59Z", "2026-11-23T11:59:00Z");
        sound(&with(json!({"creationTimestamp": new}), -1));
        sound(&with(json!({"creationTimestamp": old}), 2));
        let checks = with(json!({"creationTimestamp": old}), -1);
        assert!(only(&checks).0.ends_with("no operator watches namespace cx, or it does not work"), "{checks:?}");
        let changed = |at_: &str, subresource: &str| {
            let mut entry = json!({"manager": "a", "time": at_});
            if !subresource.is_empty() {
                entry["subresource"] = json!(subresource);
            }
            json!({"creationTimestamp": "2026-11-01T00:00:00Z", "managedFields": [entry]})
        };
        sound(&with(changed(new, ""), 1));
        only(&with(changed(old, ""), 1));
        only(&with(changed(new, "status"), 1));
    }
}
