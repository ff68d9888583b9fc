//! Who uses what: from a tenant, a policy, a Secret or a registered name to the webhooks, and from a Secret or a
//! ConfigMap to the tenants.
//!
//! Kept in step with the watches, so that a change reaches the resources that use the changed object, and only those,
//! without reading every resource.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    hash::Hash,
    sync::{Mutex, MutexGuard, PoisonError},
};

use kube::{ResourceExt as _, runtime::reflector::ObjectRef};

use crate::api::{CognigyTenant, CognigyWebhook, RetryPolicy};

/// `(namespace, name)`: an order that hash maps do not have, and no type parameter.
pub type Key = (String, String);

/// The key of a reference.
pub fn key_of<K: kube::runtime::reflector::Lookup>(reference: &ObjectRef<K>) -> Key {
    (reference.namespace.clone().unwrap_or_default(), reference.name.clone())
}

/// A reference from a key.
pub fn reference<K>(key: &Key) -> ObjectRef<K>
where
    K: kube::runtime::reflector::Lookup,
    K::DynamicType: Default,
{
    ObjectRef::new(&key.1).within(&key.0)
}

/// What one webhook uses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Uses {
    tenant: Key,
    policy: Option<Key>,
    secrets: BTreeSet<Key>,
    registered_name: String,
}

impl Uses {
    fn of(webhook: &CognigyWebhook) -> Self {
        let namespace = webhook.namespace().unwrap_or_default();
        Self {
            tenant: webhook.tenant_key(),
            policy: webhook.spec.retry_policy_ref.as_ref().map(|policy| (namespace.clone(), policy.name.clone())),
            secrets: webhook.secret_names().into_iter().map(|name| (namespace.clone(), name.to_owned())).collect(),
            registered_name: webhook.registered_name().into_owned(),
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
    uses: HashMap<Key, Uses>,
    by_tenant: HashMap<Key, BTreeSet<Key>>,
    by_policy: HashMap<Key, BTreeSet<Key>>,
    by_secret: HashMap<Key, BTreeSet<Key>>,
    by_registration: HashMap<(Key, String), BTreeSet<Key>>,
    tenants_by_secret: HashMap<Key, BTreeSet<Key>>,
    tenants_by_config_map: HashMap<Key, BTreeSet<Key>>,
}

fn insert<A: Eq + Hash>(map: &mut HashMap<A, BTreeSet<Key>>, at: A, key: &Key) {
    map.entry(at).or_default().insert(key.clone());
}

fn remove<A: Eq + Hash>(map: &mut HashMap<A, BTreeSet<Key>>, at: &A, key: &Key) {
    if let Some(set) = map.get_mut(at) {
        set.remove(key);
        if set.is_empty() {
            map.remove(at);
        }
    }
}

impl Inner {
    fn link(&mut self, key: &Key, uses: &Uses) {
        insert(&mut self.by_tenant, uses.tenant.clone(), key);
        insert(&mut self.by_registration, (uses.tenant.clone(), uses.registered_name.clone()), key);
        if let Some(policy) = &uses.policy {
            insert(&mut self.by_policy, policy.clone(), key);
        }
        for secret in &uses.secrets {
            insert(&mut self.by_secret, secret.clone(), key);
        }
    }

    fn unlink(&mut self, key: &Key, uses: &Uses) {
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
    pub tenants: BTreeSet<Key>,
    /// Policies whose count of users may have changed.
    pub policies: BTreeSet<Key>,
    /// Webhooks that want the same registered name.
    pub rivals: BTreeSet<Key>,
}

impl Index {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a webhook in, or its change; says whom that may concern.
    pub fn record_webhook(&self, webhook: &CognigyWebhook) -> Affected {
        let key = key_of(&ObjectRef::from_obj(webhook));
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
    pub fn forget_webhook(&self, key: &Key) -> Affected {
        let mut inner = self.lock();
        let Some(uses) = inner.uses.remove(key) else { return Affected::default() };
        inner.unlink(key, &uses);
        inner.affected(&uses)
    }

    /// The webhooks that are known.
    pub fn webhooks(&self) -> BTreeSet<Key> {
        self.lock().uses.keys().cloned().collect()
    }

    /// Takes a tenant's Secrets and ConfigMaps in, or their change.
    pub fn record_tenant(&self, tenant: &CognigyTenant) {
        let key = key_of(&ObjectRef::from_obj(tenant));
        let within = |names: Vec<String>| -> Vec<Key> { names.into_iter().map(|name| (key.0.clone(), name)).collect() };
        let mut inner = self.lock();
        inner.forget_tenant(&key);
        for secret in within(tenant.secret_names()) {
            insert(&mut inner.tenants_by_secret, secret, &key);
        }
        for config_map in within(tenant.config_map_names()) {
            insert(&mut inner.tenants_by_config_map, config_map, &key);
        }
    }

    /// Lets a tenant go.
    pub fn forget_tenant(&self, key: &Key) {
        self.lock().forget_tenant(key);
    }

    /// The webhooks of a tenant.
    pub fn webhooks_of_tenant(&self, tenant: &Key) -> BTreeSet<Key> {
        self.lock().by_tenant.get(tenant).cloned().unwrap_or_default()
    }

    /// The webhooks that use a policy.
    pub fn webhooks_of_policy(&self, policy: &Key) -> BTreeSet<Key> {
        self.lock().by_policy.get(policy).cloned().unwrap_or_default()
    }

    /// The webhooks that read a Secret.
    pub fn webhooks_of_secret(&self, secret: &Key) -> BTreeSet<Key> {
        self.lock().by_secret.get(secret).cloned().unwrap_or_default()
    }

    /// The webhooks that register this name with this tenant.
    pub fn webhooks_of_registration(&self, tenant: &Key, name: &str) -> BTreeSet<Key> {
        self.lock().by_registration.get(&(tenant.clone(), name.to_owned())).cloned().unwrap_or_default()
    }

    /// The tenants that read a Secret.
    pub fn tenants_of_secret(&self, secret: &Key) -> BTreeSet<Key> {
        self.lock().tenants_by_secret.get(secret).cloned().unwrap_or_default()
    }

    /// The tenants that read a ConfigMap.
    pub fn tenants_of_config_map(&self, config_map: &Key) -> BTreeSet<Key> {
        self.lock().tenants_by_config_map.get(config_map).cloned().unwrap_or_default()
    }

    /// How many webhooks each tenant has; for tests and reports.
    pub fn counts(&self) -> BTreeMap<Key, usize> {
        self.lock().by_tenant.iter().map(|(tenant, webhooks)| (tenant.clone(), webhooks.len())).collect()
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

    fn forget_tenant(&mut self, key: &Key) {
        for map in [&mut self.tenants_by_secret, &mut self.tenants_by_config_map] {
            map.retain(|_, tenants| {
                tenants.remove(key);
                !tenants.is_empty()
            });
        }
    }
}

/// The policy's key, for symmetry with [`CognigyWebhook::tenant_key`].
pub fn policy_key(policy: &RetryPolicy) -> Key {
    key_of(&ObjectRef::from_obj(policy))
}
