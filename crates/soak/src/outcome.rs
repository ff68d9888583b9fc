//! Whether the world is as it is wished: every object Ready, Cognigy with exactly what is wished, nothing remembered of what
//! is gone.

use std::collections::{BTreeMap, BTreeSet};

use cognigy_operator::api::{CognigyTenant, CognigyWebhook, RetryPolicy};
use cognigy_simulator::IntegrationRecord;
use demo::Result;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{Api, Resource, ResourceExt, api::ListParams};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{
    act::{SINKS, try_again},
    model::{HEADER, Hook, Model, POLICIES, SECRET_HEADER, TENANTS, namespace, secret_value},
    stage::Stage,
};

/// How many complaints of a kind are told.
const TOLD: usize = 20;

/// A registration, as far as it is wished.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Registered {
    name: String,
    version: i64,
    active: bool,
    header: Option<String>,
    secret_header: Option<String>,
    intervals: Vec<u64>,
}

/// What is not as wished.
pub(crate) async fn complaints(stage: &Stage, model: &Model) -> Result<Vec<String>> {
    let mut complaints = Vec::new();
    let mut objects = 0;
    for nth in 0..TENANTS {
        let tenants = list::<CognigyTenant>(stage, nth).await?;
        for tenant in &tenants {
            let status = tenant.status.clone().unwrap_or_default();
            complaints.extend(unready(tenant, status.observed_generation, &status.conditions));
        }
        let webhooks = list::<CognigyWebhook>(stage, nth).await?;
        for webhook in &webhooks {
            let status = webhook.status.clone().unwrap_or_default();
            complaints.extend(unready(webhook, status.observed_generation, &status.conditions));
            complaints.extend(status.failure.map(|failure| format!("{} tells of {failure:?}", webhook.name_any())));
        }
        let there: BTreeSet<_> = webhooks.iter().map(ResourceExt::name_any).collect();
        let wished = model.hooks.values().filter(|hook| hook.home == nth).map(|hook| hook.name.clone()).collect();
        complaints.extend(differences(&namespace(nth), &there, &wished));
        let there = stage.simulators[nth].look(|state| state.integrations().iter().map(registered).collect());
        let wished = model.hooks.values().filter(|hook| hook.tenant == nth).map(|hook| wish(hook, model)).collect();
        complaints.extend(differences(&format!("the installation of {}", namespace(nth)), &there, &wished));
        objects += tenants.len() + webhooks.len() + list::<RetryPolicy>(stage, nth).await?.len();
    }
    complaints.extend(remembered(&stage.operator.metrics().await?, objects, model));
    Ok(complaints)
}

async fn list<K>(stage: &Stage, nth: usize) -> Result<Vec<K>>
where
    K: Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>
        + Clone
        + DeserializeOwned
        + std::fmt::Debug,
{
    let api: Api<K> = Api::namespaced(stage.client.clone(), &namespace(nth));
    Ok(try_again(async || api.list(&ListParams::default()).await).await?.items)
}

fn unready(object: &impl ResourceExt, observed: Option<i64>, conditions: &[Condition]) -> Option<String> {
    let ready = conditions.iter().find(|condition| condition.type_ == "Ready");
    let current = observed == object.meta().generation;
    match ready {
        Some(ready) if ready.status == "True" && current => None,
        Some(ready) => Some(format!("{}: {}: {}", object.name_any(), ready.reason, ready.message)),
        None => Some(format!("{}: nothing is said about it", object.name_any())),
    }
}

fn differences<T: Ord + std::fmt::Debug>(place: &str, there: &BTreeSet<T>, wished: &BTreeSet<T>) -> Vec<String> {
    let missing = wished.difference(there).map(|one| format!("{place} lacks {one:?}"));
    let unwished = there.difference(wished).map(|one| format!("{place} has {one:?}"));
    missing.take(TOLD).chain(unwished.take(TOLD)).collect()
}

fn registered(one: &IntegrationRecord) -> Registered {
    let header = |name: &str| one.headers.get(name).and_then(Value::as_str).map(str::to_owned);
    let intervals = one.retry_policy.as_ref().and_then(|policy| policy["intervalsMs"].as_array());
    Registered {
        name: one.name.clone(),
        version: one.version,
        active: one.active,
        header: header(HEADER),
        secret_header: header(SECRET_HEADER),
        intervals: intervals.into_iter().flatten().filter_map(Value::as_u64).collect(),
    }
}

fn wish(hook: &Hook, model: &Model) -> Registered {
    Registered {
        name: hook.name.clone(),
        version: hook.version,
        active: hook.enabled,
        header: Some(hook.header.to_string()),
        secret_header: hook.with_secret.then(|| secret_value(hook.home, model.secrets[hook.home])),
        intervals: POLICIES[hook.policy].1.map(u64::from).to_vec(),
    }
}

/// How many messages each kind of sink took, of all tenants.
pub(crate) fn delivered(stage: &Stage) -> BTreeMap<&'static str, usize> {
    let taken = |sink: &str| {
        let messages = stage.simulators.iter().flat_map(|simulator| simulator.sink(sink).messages());
        messages.filter(|message| message.status == Some(200)).count()
    };
    SINKS.map(|(field, sink)| (field, taken(sink))).into()
}

/// Nothing is shown or remembered of what is gone, and nothing waits to be delivered.
fn remembered(metrics: &str, objects: usize, model: &Model) -> Vec<String> {
    let value = |name: &str| -> Option<usize> {
        let line = metrics.lines().find_map(|line| line.strip_prefix(&format!("cognigy_operator_{name} ")));
        line.and_then(|value| value.parse().ok())
    };
    let mut complaints = Vec::new();
    match value("objects_remembered") {
        Some(count) if count <= objects => {}
        other => complaints.push(format!("{other:?} objects are remembered and there are {objects}")),
    }
    let waits = ["cognigy_operator_outbox_pending{", "cognigy_operator_events_pending "];
    let waiting = metrics.lines().filter(|line| waits.iter().any(|name| line.starts_with(name)));
    complaints.extend(
        waiting
            .filter(|line| !line.ends_with(" 0"))
            .map(|line| format!("something waits to be written or delivered: {line}")),
    );
    let named = metrics.lines().filter_map(|line| line.split_once("name=\"")?.1.split_once('"'));
    let gone: BTreeSet<_> = named
        .map(|(name, _)| name)
        .filter(|name| name.starts_with("hook-") && !model.hooks.contains_key(*name))
        .collect();
    complaints.extend(gone.into_iter().take(TOLD).map(|name| format!("metrics still tell of {name}, which is gone")));
    complaints
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_and_what_is_too_much_are_both_told() {
        let told = differences("here", &BTreeSet::from(["a", "b"]), &BTreeSet::from(["b", "c"]));
        assert_eq!(told, [r#"here lacks "c""#, r#"here has "a""#]);
    }

    #[test]
    fn metrics_and_memory_of_what_is_gone_and_messages_that_wait_are_found() {
        let model = Model::new(1, 2);
        let metrics = |count: usize, name: &str| {
            format!(
                "cognigy_operator_objects_remembered {count}\ncognigy_operator_webhook_health{{name=\"{name}\"}} 1\n"
            )
        };
        assert_eq!(remembered(&metrics(2, "hook-00001"), 2, &model), Vec::<String>::new());
        let waiting =
            |count| format!("{}cognigy_operator_outbox_pending{{sink=\"alerts\"}} {count}\n", metrics(2, "hook-00001"));
        assert_eq!((remembered(&waiting(0), 2, &model).len(), remembered(&waiting(1), 2, &model).len()), (0, 1));
        assert_eq!(remembered(&metrics(3, "hook-00001"), 2, &model).len(), 1);
        assert_eq!(remembered(&metrics(2, "hook-00003"), 2, &model).len(), 1);
    }
}
