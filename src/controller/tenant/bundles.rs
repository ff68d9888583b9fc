//! The tenants' CA bundles: public certificates, and the only data of a Secret or `ConfigMap` that outlives its use.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::{Client, ResourceExt as _, core::PartialObjectMeta};
use secrecy::SecretString;

use super::config;
use crate::{
    api::{
        CognigyTenant, ObjectKey,
        tenant::{CaBundle, CaBundleRef},
    },
    controller::{context::Cache, error::Failure},
};

/// The CA bundles that were read, at most one for each tenant. One is used again as long as the watch shows the very version
/// of the object that it was read from, and is read otherwise.
pub struct Bundles {
    client: Client,
    tenants: Cache<CognigyTenant>,
    secrets: Cache<PartialObjectMeta<Secret>>,
    config_maps: Cache<PartialObjectMeta<ConfigMap>>,
    kept: Mutex<HashMap<ObjectKey, Bundle>>,
}

/// A CA bundle as it was read.
#[derive(Clone)]
struct Bundle {
    reference: CaBundle,
    resource_version: String,
    pem: SecretString,
}

impl Bundles {
    /// Bundles of which none was read yet.
    pub fn new(
        client: Client,
        tenants: Cache<CognigyTenant>,
        secrets: Cache<PartialObjectMeta<Secret>>,
        config_maps: Cache<PartialObjectMeta<ConfigMap>>,
    ) -> Self {
        Self { client, tenants, secrets, config_maps, kept: Mutex::default() }
    }

    /// The tenant's CA bundle (PEM), as of the version that the watch shows or a younger one.
    pub async fn of(&self, tenant: &CognigyTenant) -> Result<Option<SecretString>, Failure> {
        let Some(reference) = &tenant.spec.ca_bundle else { return Ok(None) };
        let key = ObjectKey::of(tenant);
        let watched = self.version(&key, reference);
        let is_current =
            |kept: &&Bundle| kept.reference == *reference && watched.as_ref() == Some(&kept.resource_version);
        if let Some(kept) = self.lock().get(&key).filter(is_current) {
            return Ok(Some(kept.pem.clone()));
        }
        let (pem, resource_version) = Box::pin(config::ca_bundle(reference, &key.namespace, &self.client)).await?;
        let read = Bundle { reference: reference.clone(), resource_version, pem: pem.clone() };
        self.lock().insert(key.clone(), read);
        if self.tenants.get(&key).is_none() {
            // It vanished meanwhile, and its bundle was forgotten before this one was kept.
            self.forget(&key);
        }
        Ok(Some(pem))
    }

    /// Names what [`of`](Self::of) gives for this tenant now: another name may be another bundle.
    pub fn name(&self, tenant: &CognigyTenant) -> String {
        let Some(reference) = &tenant.spec.ca_bundle else { return String::new() };
        format!("{reference:?}/{:?}", self.version(&ObjectKey::of(tenant), reference))
    }

    /// Forgets a tenant.
    pub fn forget(&self, tenant: &ObjectKey) {
        self.lock().remove(tenant);
    }

    /// The version of the object behind a reference, as watched.
    fn version(&self, tenant: &ObjectKey, reference: &CaBundle) -> Option<String> {
        let at = |source: &CaBundleRef| ObjectKey::new(&*tenant.namespace, &*source.name);
        match (&reference.config_map_ref, &reference.secret_ref) {
            (Some(map), None) => self.config_maps.get(&at(map))?.resource_version(),
            (None, Some(secret)) => self.secrets.get(&at(secret))?.resource_version(),
            _ => None,
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ObjectKey, Bundle>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
