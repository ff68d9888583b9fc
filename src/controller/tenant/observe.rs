//! What a tenant's connection is made from, as watched, and when it has to be made anew.

use std::collections::BTreeSet;

use kube::ResourceExt as _;
use url::Url;

use super::config;
use crate::{
    api::{CognigyTenant, ObjectKey, tenant::AuthMethod},
    cognigy::{SessionConfig, Surface},
    controller::{context::Context, error::Failure},
};

/// The objects that hold a tenant's credentials and certificates.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sources {
    /// Its Secrets.
    pub secrets: BTreeSet<ObjectKey>,
    /// Its `ConfigMap`s.
    pub config_maps: BTreeSet<ObjectKey>,
}

impl Sources {
    /// The sources that a tenant names.
    pub fn of(tenant: &CognigyTenant) -> Self {
        let namespace = ObjectKey::of(tenant).namespace;
        let within = |name: &str| ObjectKey::new(&*namespace, name);
        let credentials = tenant.spec.auth.method().map(|method| match method {
            AuthMethod::OAuth2(oauth2) => &oauth2.credentials_secret_ref.name,
            AuthMethod::ApiKey(api_key) => &api_key.secret_ref.name,
            AuthMethod::BearerToken(token) => &token.secret_ref.name,
        });
        let bundle = tenant.spec.ca_bundle.as_ref();
        let bundle_secret = bundle.and_then(|bundle| bundle.secret_ref.as_ref()).map(|reference| &reference.name);
        let bundle_map = bundle.and_then(|bundle| bundle.config_map_ref.as_ref()).map(|reference| &reference.name);
        Self {
            secrets: credentials.into_iter().chain(bundle_secret).map(|name| within(name)).collect(),
            config_maps: bundle_map.into_iter().map(|name| within(name)).collect(),
        }
    }
}

/// What a session is made from: it changes whenever the session has to be made anew. Known from the watches, so that
/// nothing is read as long as nothing changes.
pub fn fingerprint(tenant: &CognigyTenant, context: &Context) -> String {
    let versions = source_versions(tenant, context).into_iter();
    // The spec itself and not its generation, which the wish to be deleted moves too.
    let spec = serde_json::to_string(&tenant.spec).unwrap_or_default();
    std::iter::once(spec).chain(versions).chain(scopes(tenant, context)).collect::<Vec<_>>().join("/")
}

/// The scopes that the tenant's session is to have by now.
pub fn scopes(tenant: &CognigyTenant, context: &Context) -> BTreeSet<String> {
    config::scopes(tenant, &surfaces(tenant, context)).into_iter().collect()
}

/// The resourceVersions of a tenant's Secrets and `ConfigMap`s, as watched; empty for what is not there.
pub fn source_versions(tenant: &CognigyTenant, context: &Context) -> Vec<String> {
    let sources = Sources::of(tenant);
    let secrets = sources.secrets.iter().map(|key| context.secrets.get(key).and_then(|found| found.resource_version()));
    let maps =
        sources.config_maps.iter().map(|key| context.config_maps.get(key).and_then(|found| found.resource_version()));
    secrets.chain(maps).map(Option::unwrap_or_default).collect()
}

/// Whether the tenant is still the installation at this URL.
pub fn is_at(tenant: &CognigyTenant, base_url: &Url) -> bool {
    Url::parse(&tenant.spec.base_url).is_ok_and(|url| url == *base_url)
}

/// What the tenant's session is for: what its webhooks need; without any webhook yet, what a registered one needs.
fn surfaces(tenant: &CognigyTenant, context: &Context) -> BTreeSet<Surface> {
    let used = context.index.surfaces_of_tenant(&ObjectKey::of(tenant));
    if used.is_empty() { BTreeSet::from([Surface::Integrations, Surface::Webhooks]) } else { used }
}

/// Reads the tenant's Secrets, once each, and its CA bundle where it is not known.
pub async fn read(tenant: &CognigyTenant, context: &Context) -> Result<SessionConfig, Failure> {
    let allow_http = context.settings.allow_insecure_http;
    // A URL that is wrong is told before a Secret that is missing.
    config::urls(tenant, allow_http)?;
    let credentials = config::credentials(tenant, &context.client).await?;
    let values = config::Values { credentials, ca_bundle: context.bundles.of(tenant).await? };
    config::config(tenant, values, &surfaces(tenant, context), allow_http)
}
