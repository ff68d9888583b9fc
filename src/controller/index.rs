//! Who uses what: from a tenant, a policy, a Secret or a registered name to the webhooks, and from a Secret or a
//! `ConfigMap` to the tenants.
//!
//! Kept in step with the watches, so that a change reaches the resources that use the changed object, and only those,
//! without reading every resource.

use std::{
    collections::{BTreeSet, HashMap},
    hash::Hash,
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::tenant::{config::surfaces, observe::Sources};
use crate::{
    api::{CognigyTenant, CognigyWebhook, ObjectKey, tenant::Sinks},
    cognigy::Surface,
};

/// What one webhook uses.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Uses {
    tenant: ObjectKey,
    policy: Option<ObjectKey>,
    secrets: BTreeSet<ObjectKey>,
    registered_name: String,
    surfaces: &'static [Surface],
}

impl Uses {
    fn of(webhook: &CognigyWebhook) -> Self {
        let own = ObjectKey::of(webhook);
        let secrets = webhook.spec.headers_from().iter();
        Self {
            tenant: webhook.tenant_key(),
            policy: webhook.retry_policy_key(),
            secrets: secrets.map(|header| ObjectKey::new(&*own.namespace, &*header.secret_key_ref.name)).collect(),
            registered_name: webhook.registered_name(),
            surfaces: surfaces(webhook),
        }
    }
}

/// The index; cheap to lock, never held across a wait.
#[derive(Debug, Default)]
pub struct Index {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    uses: HashMap<ObjectKey, Uses>,
    by_tenant: HashMap<ObjectKey, BTreeSet<ObjectKey>>,
    /// How many of a tenant's webhooks are under optimistic locking: asked for in each quiet pass.
    locked_of_tenant: HashMap<ObjectKey, usize>,
    by_policy: HashMap<ObjectKey, BTreeSet<ObjectKey>>,
    by_secret: HashMap<ObjectKey, BTreeSet<ObjectKey>>,
    by_registration: HashMap<(ObjectKey, String), BTreeSet<ObjectKey>>,
    tenants_by_secret: HashMap<ObjectKey, BTreeSet<ObjectKey>>,
    tenants_by_config_map: HashMap<ObjectKey, BTreeSet<ObjectKey>>,
    sinks_by_secret: HashMap<ObjectKey, BTreeSet<ObjectKey>>,
}

fn insert<A: Eq + Hash>(map: &mut HashMap<A, BTreeSet<ObjectKey>>, at: A, key: &ObjectKey) {
    map.entry(at).or_default().insert(key.clone());
}

fn remove<A: Eq + Hash>(map: &mut HashMap<A, BTreeSet<ObjectKey>>, at: &A, key: &ObjectKey) {
    if let Some(set) = map.get_mut(at) {
        set.remove(key);
        if set.is_empty() {
            map.remove(at);
        }
    }
}

impl Uses {
    fn is_locked(&self) -> bool {
        self.surfaces.contains(&Surface::Webhooks)
    }
}

impl Inner {
    fn link(&mut self, key: &ObjectKey, uses: &Uses) {
        if uses.is_locked() {
            *self.locked_of_tenant.entry(uses.tenant.clone()).or_default() += 1;
        }
        insert(&mut self.by_tenant, uses.tenant.clone(), key);
        insert(&mut self.by_registration, (uses.tenant.clone(), uses.registered_name.clone()), key);
        if let Some(policy) = &uses.policy {
            insert(&mut self.by_policy, policy.clone(), key);
        }
        for secret in &uses.secrets {
            insert(&mut self.by_secret, secret.clone(), key);
        }
    }

    fn unlink(&mut self, key: &ObjectKey, uses: &Uses) {
        if uses.is_locked()
            && let Some(count) = self.locked_of_tenant.get_mut(&uses.tenant)
        {
            *count -= 1;
            if *count == 0 {
                self.locked_of_tenant.remove(&uses.tenant);
            }
        }
        remove(&mut self.by_tenant, &uses.tenant, key);
        remove(&mut self.by_registration, &(uses.tenant.clone(), uses.registered_name.clone()), key);
        if let Some(policy) = &uses.policy {
            remove(&mut self.by_policy, policy, key);
        }
        for secret in &uses.secrets {
            remove(&mut self.by_secret, secret, key);
        }
    }
}

/// What a change of one webhook may mean for others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Affected {
    /// Tenants whose count of users may have changed.
    pub tenants: BTreeSet<ObjectKey>,
    /// Policies whose count of users may have changed.
    pub policies: BTreeSet<ObjectKey>,
    /// Webhooks that want the same registered name.
    pub rivals: BTreeSet<ObjectKey>,
}

impl Index {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a webhook in, or its change; says whom that may concern.
    pub fn record_webhook(&self, webhook: &CognigyWebhook) -> Affected {
        let key = ObjectKey::of(webhook);
        let uses = Uses::of(webhook);
        let mut inner = self.lock();
        let mut affected = Affected::default();
        if inner.uses.get(&key) == Some(&uses) {
            return affected;
        }
        if let Some(before) = inner.uses.remove(&key) {
            inner.unlink(&key, &before);
            affected = inner.affected(&before);
        }
        inner.link(&key, &uses);
        affected.tenants.insert(uses.tenant.clone());
        affected.policies.extend(uses.policy.clone());
        inner.uses.insert(key, uses);
        affected
    }

    /// Lets a webhook go; says whom that may concern.
    pub fn forget_webhook(&self, key: &ObjectKey) -> Affected {
        let mut inner = self.lock();
        let Some(uses) = inner.uses.remove(key) else { return Affected::default() };
        inner.unlink(key, &uses);
        inner.affected(&uses)
    }

    /// Takes a tenant's Secrets and `ConfigMap`s in, or their change.
    pub fn record_tenant(&self, tenant: &CognigyTenant) {
        let (key, sources) = (ObjectKey::of(tenant), Sources::of(tenant));
        let mut inner = self.lock();
        inner.forget_tenant(&key);
        for secret in sources.secrets {
            insert(&mut inner.tenants_by_secret, secret, &key);
        }
        for config_map in sources.config_maps {
            insert(&mut inner.tenants_by_config_map, config_map, &key);
        }
        for header in tenant.spec.sinks.iter().flat_map(Sinks::all).flat_map(|sink| &sink.headers_from) {
            let secret = ObjectKey::new(&*key.namespace, &*header.secret_key_ref.name);
            insert(&mut inner.sinks_by_secret, secret, &key);
        }
    }

    /// Lets a tenant go.
    pub fn forget_tenant(&self, key: &ObjectKey) {
        self.lock().forget_tenant(key);
    }

    /// The webhooks of a tenant.
    pub fn webhooks_of_tenant(&self, tenant: &ObjectKey) -> BTreeSet<ObjectKey> {
        self.lock().by_tenant.get(tenant).cloned().unwrap_or_default()
    }

    /// How many webhooks of a tenant are under optimistic locking (cognigy-api.md §4), and so may be in the listing of
    /// integrations.
    pub fn registered_webhooks_of_tenant(&self, tenant: &ObjectKey) -> usize {
        self.lock().locked_of_tenant.get(tenant).copied().unwrap_or_default()
    }

    /// The webhooks that use a policy.
    pub fn webhooks_of_policy(&self, policy: &ObjectKey) -> BTreeSet<ObjectKey> {
        self.lock().by_policy.get(policy).cloned().unwrap_or_default()
    }

    /// The webhooks that read a Secret.
    pub fn webhooks_of_secret(&self, secret: &ObjectKey) -> BTreeSet<ObjectKey> {
        self.lock().by_secret.get(secret).cloned().unwrap_or_default()
    }

    /// The webhooks that register this name with this tenant.
    pub fn webhooks_of_registration(&self, tenant: &ObjectKey, name: &str) -> BTreeSet<ObjectKey> {
        self.lock().by_registration.get(&(tenant.clone(), name.to_owned())).cloned().unwrap_or_default()
    }

    /// The tenants that read a Secret.
    pub fn tenants_of_secret(&self, secret: &ObjectKey) -> BTreeSet<ObjectKey> {
        self.lock().tenants_by_secret.get(secret).cloned().unwrap_or_default()
    }

    /// The tenants whose sinks have headers from a Secret.
    pub fn sinks_of_secret(&self, secret: &ObjectKey) -> BTreeSet<ObjectKey> {
        self.lock().sinks_by_secret.get(secret).cloned().unwrap_or_default()
    }

    /// The tenants that read a `ConfigMap`.
    pub fn tenants_of_config_map(&self, config_map: &ObjectKey) -> BTreeSet<ObjectKey> {
        self.lock().tenants_by_config_map.get(config_map).cloned().unwrap_or_default()
    }

    /// The parts of the API that a tenant's webhooks need.
    pub fn surfaces_of_tenant(&self, tenant: &ObjectKey) -> BTreeSet<Surface> {
        let inner = self.lock();
        let webhooks = inner.by_tenant.get(tenant).into_iter().flatten();
        webhooks.filter_map(|webhook| inner.uses.get(webhook)).flat_map(|uses| uses.surfaces).copied().collect()
    }
}

impl Inner {
    fn affected(&self, uses: &Uses) -> Affected {
        let registration = (uses.tenant.clone(), uses.registered_name.clone());
        Affected {
            tenants: BTreeSet::from([uses.tenant.clone()]),
            policies: uses.policy.iter().cloned().collect(),
            rivals: self.by_registration.get(&registration).cloned().unwrap_or_default(),
        }
    }

    fn forget_tenant(&mut self, key: &ObjectKey) {
        for map in [&mut self.tenants_by_secret, &mut self.tenants_by_config_map, &mut self.sinks_by_secret] {
            map.retain(|_, tenants| {
                tenants.remove(key);
                !tenants.is_empty()
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn webhook(name: &str, tenant: &str, rest: &Value) -> CognigyWebhook {
        let mut spec = json!({"tenantRef": {"name": tenant}});
        for (field, value) in rest.as_object().unwrap() {
            spec[field] = value.clone();
        }
        let metadata = json!({"name": name, "namespace": "cx"});
        serde_json::from_value(
            json!({"apiVersion": "cognigy.io/v1alpha1", "kind": "CognigyWebhook", "metadata": metadata, "spec": spec}),
        )
        .unwrap()
    }

    #[test]
    fn webhooks_under_locking_are_counted_by_tenant_whatever_becomes_of_them() {
        let index = Index::default();
        let count = |tenant: &str| index.registered_webhooks_of_tenant(&ObjectKey::new("cx", tenant));
        let registered = json!({"url": "https://api.example.com/hooks"});
        index.record_webhook(&webhook("orders", "production", &registered));
        index.record_webhook(&webhook("orders", "production", &registered));
        index.record_webhook(&webhook("refunds", "production", &registered));
        let of_bot = json!({"existing": {"botId": "b", "webhookId": "w"}, "retryPolicyRef": {"name": "patient"}});
        index.record_webhook(&webhook("chat", "production", &of_bot));
        assert_eq!((count("production"), count("staging")), (2, 0));
        index.record_webhook(&webhook("orders", "staging", &registered));
        index.forget_webhook(&ObjectKey::new("cx", "chat"));
        assert_eq!((count("production"), count("staging")), (1, 1));
        index.forget_webhook(&ObjectKey::new("cx", "refunds"));
        assert_eq!((count("production"), count("staging")), (0, 1));
    }
}
