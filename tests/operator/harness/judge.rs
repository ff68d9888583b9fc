//! The rules of kstatus, held against every version of every object that a watcher sees.

use std::{
    fmt::Debug,
    sync::{Arc, Mutex},
};

use cognigy_operator::api::{CognigyTenant, CognigyWebhook, RetryPolicy, kstatus_violations};
use futures::StreamExt as _;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{
    Api, Resource, ResourceExt as _,
    runtime::{WatchStreamExt as _, watcher},
};
use serde::de::DeserializeOwned;

use super::{World, api_of};

impl World {
    pub(super) fn judge_objects_of(&self, namespace: &str) {
        let (client, violations) = (&self.client, &self.violations);
        let mut watches = self.watches.lock().unwrap();
        watches.spawn(judge(api_of::<CognigyTenant>(client, namespace), Arc::clone(violations), |tenant| {
            tenant.status.as_ref().map(|status| (status.conditions.clone(), status.observed_generation))
        }));
        watches.spawn(judge(api_of::<RetryPolicy>(client, namespace), Arc::clone(violations), |policy| {
            policy.status.as_ref().map(|status| (status.conditions.clone(), status.observed_generation))
        }));
        watches.spawn(judge(api_of::<CognigyWebhook>(client, namespace), Arc::clone(violations), |webhook| {
            webhook.status.as_ref().map(|status| (status.conditions.clone(), status.observed_generation))
        }));
    }
}

async fn judge<K>(
    api: Api<K>,
    violations: Arc<Mutex<Vec<String>>>,
    status: impl Fn(&K) -> Option<(Vec<Condition>, Option<i64>)>,
) where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + Sync + 'static,
{
    let mut versions = watcher(api, watcher::Config::default()).default_backoff().touched_objects().boxed();
    while let Some(version) = versions.next().await {
        // Watches are interrupted where a test stops the API server.
        let Ok(object) = version else { continue };
        let Some((conditions, observed)) = status(&object) else { continue };
        let generation = object.meta().generation.unwrap_or_default();
        for violation in kstatus_violations(&conditions, observed, generation) {
            let mut violations = violations.lock().unwrap();
            violations.push(format!("{} {}: {violation}", K::kind(&()), object.name_any()));
        }
    }
}
