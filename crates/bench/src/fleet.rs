//! The objects of a fleet, as their owners write them. Pure: the same for the same seed.

use std::{collections::BTreeMap, time::Duration};

use cognigy_simulator::Handle;
use demo::Result;
use kube::api::{ApiResource, DynamicObject, GroupVersionKind};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use serde_json::{Value, json};

/// Where everything is.
pub(crate) const NAMESPACE: &str = "default";
/// The policy that all webhooks have.
pub(crate) const POLICY: &str = "patient";
/// Its delays, and those that it is changed to: both APIs take them.
pub(crate) const DELAYS: [u64; 4] = [1000, 2000, 4000, 8000];
pub(crate) const OTHER_DELAYS: [u64; 4] = [2000, 4000, 8000, 16000];
/// A resync that is not due while the benchmark runs.
pub(crate) const NEVER: Duration = Duration::from_hours(24);
/// Calls that an installation is sent at the same time.
pub(crate) const CALLS_AT_ONCE: u32 = 64;
const SECRET: &str = "cognigy-oauth";
const CA: &str = "cognigy-ca";

/// How the resources are served.
pub(crate) fn resource(kind: &str) -> ApiResource {
    let plural = match kind {
        "RetryPolicy" => "retrypolicies",
        "CognigyTenant" => "cognigytenants",
        _ => "cognigywebhooks",
    };
    ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk("cognigy.io", "v1alpha1", kind), plural)
}

fn object(api_version: &str, kind: &str, name: &str, rest: &Value) -> Result<DynamicObject> {
    let mut object =
        json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": name, "namespace": NAMESPACE}});
    for (field, value) in rest.as_object().into_iter().flatten() {
        object[field] = value.clone();
    }
    Ok(serde_json::from_value(object)?)
}

fn ours(kind: &str, name: &str, spec: &Value) -> Result<DynamicObject> {
    object("cognigy.io/v1alpha1", kind, name, &json!({"spec": spec}))
}

/// The name of the nth tenant.
pub(crate) fn tenant_name(nth: usize) -> String {
    format!("tenant-{nth}")
}

/// The name of the nth webhook; names are in the order of creation.
pub(crate) fn webhook_name(nth: usize) -> String {
    format!("hook-{nth:05}")
}

/// What the tenants need besides themselves: the simulators share credentials and differ in their authority.
pub(crate) fn access(nth: usize, installation: &Handle) -> Result<[(ApiResource, DynamicObject); 2]> {
    let credentials = installation.credentials();
    let core =
        |kind: &str, plural: &str| ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk("", "v1", kind), plural);
    let secret =
        json!({"stringData": {"client-id": credentials.client_id, "client-secret": credentials.client_secret}});
    let authority = json!({"data": {"ca.crt": installation.ca_pem()}});
    Ok([
        (core("Secret", "secrets"), object("v1", "Secret", &format!("{SECRET}-{nth}"), &secret)?),
        (core("ConfigMap", "configmaps"), object("v1", "ConfigMap", &format!("{CA}-{nth}"), &authority)?),
    ])
}

/// A tenant whose limits are opened wide.
pub(crate) fn tenant(nth: usize, installation: &Handle, resync: Duration) -> Result<DynamicObject> {
    let base = installation.https_base_url().ok_or("the simulator was started without TLS")?;
    let spec = json!({
        "baseUrl": base,
        "auth": {"oauth2": {"credentialsSecretRef": {"name": format!("{SECRET}-{nth}")}}},
        "caBundle": {"configMapRef": {"name": format!("{CA}-{nth}"), "key": "ca.crt"}},
        "limits": {"requestsPerMinute": 600_000, "burst": 100_000, "maxConcurrentRequests": CALLS_AT_ONCE},
        "callbacks": {"allowPrivateNetworks": true},
        "resyncPeriodSeconds": resync.as_secs(),
    });
    ours("CognigyTenant", &tenant_name(nth), &spec)
}

/// The policy of all.
pub(crate) fn policy(delays: &[u64]) -> Result<DynamicObject> {
    ours("RetryPolicy", POLICY, &json!({"intervalsMs": delays}))
}

/// The headers of the nth webhook: one that all have, and up to three of its own.
pub(crate) fn headers(seed: u64, nth: usize) -> BTreeMap<String, String> {
    let mut random = StdRng::seed_from_u64(seed.wrapping_add(nth as u64));
    let own = random.random_range(0..=3);
    let own = (0..own).map(|header| (format!("X-Header-{header}"), format!("{:016x}", random.random::<u64>())));
    [("X-Environment".to_owned(), "production".to_owned())].into_iter().chain(own).collect()
}

/// A webhook that is registered, with a policy and the health checks that there are by default.
pub(crate) fn webhook(seed: u64, nth: usize, tenant: usize, installation: &Handle) -> Result<DynamicObject> {
    let name = webhook_name(nth);
    let spec = json!({
        "tenantRef": {"name": tenant_name(tenant)},
        "url": installation.callback_url(&name),
        "headers": headers(seed, nth),
        "retryPolicyRef": {"name": POLICY},
    });
    ours("CognigyWebhook", &name, &spec)
}

/// A webhook of a bot that exists already.
pub(crate) fn existing(nth: usize, bot: &str, id: &str) -> Result<DynamicObject> {
    let spec = json!({
        "tenantRef": {"name": tenant_name(0)},
        "existing": {"botId": bot, "webhookId": id},
        "retryPolicyRef": {"name": POLICY},
    });
    ours("CognigyWebhook", &webhook_name(nth), &spec)
}
