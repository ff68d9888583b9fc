//! Reads all that a pass needs from Kubernetes, and says what stands in the way; nothing outside is asked here.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use ipnet::IpNet;
use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Api, ResourceExt as _,
    core::{Selector, SelectorExt as _},
};

use super::{
    ground::Ground,
    world::{Adoption, Desired, Farewell},
};
use crate::{
    api::{
        CognigyTenant, CognigyWebhook, ObjectKey, REGISTRATION_ANNOTATION, RetryPolicy,
        tenant::NamespacesFrom,
        webhook::{AdoptionPolicy, AppliedPolicy, DeletionPolicy, Mode, OnFailure},
    },
    cluster::secret::{SecretError, SourceKind, SourceRef},
    cognigy::Session,
    controller::{
        context::Context,
        error::Failure,
        retry_policy,
        sessions::{Connection, State},
        tenant::observe::source_versions,
    },
    probe::{Guard, HostPattern, Own},
    retry::{self, Intervals, Policy},
};

/// What the resource asks for, with every reference resolved.
pub struct Wish {
    /// What the plan decides on.
    pub desired: Desired,
    /// The tenant.
    pub tenant: Arc<CognigyTenant>,
    /// Its key.
    pub tenant_key: ObjectKey,
    /// The resourceVersions of its own Secrets and `ConfigMap`s.
    pub tenant_versions: Vec<String>,
    /// The retry policy.
    pub policy: Option<WantedPolicy>,
    /// Where health checks may go.
    pub guard: Guard,
    /// The resourceVersion of each Secret behind `headersFrom`.
    pub secret_versions: BTreeMap<String, String>,
}

impl Wish {
    /// What its pass stands on.
    pub fn ground(&self) -> Ground<'_> {
        Ground {
            tenant: &self.tenant,
            tenant_key: &self.tenant_key,
            policy: self.policy.as_ref().map(|policy| &policy.of),
            secret_versions: &self.secret_versions,
            tenant_versions: &self.tenant_versions,
        }
    }
}

/// The referenced policy in the form that Cognigy takes here (cognigy-api.md §4).
#[derive(Clone, Debug, PartialEq)]
pub struct WantedPolicy {
    /// Its name and generation.
    pub of: AppliedPolicy,
    /// Its interval form.
    pub intervals: Intervals,
}

/// The tenant's connection, as far as a pass needs to know.
pub enum Line {
    /// Calls may be sent.
    Open(Session),
    /// The tenant says why not.
    Closed(Failure),
    /// The tenant has not been looked at since the start: it asks for this pass again when it has.
    Unknown,
}

/// The tenant of a webhook, where it is there and allows the webhook's namespace.
pub async fn tenant(webhook: &CognigyWebhook, context: &Context) -> Result<Arc<CognigyTenant>, Failure> {
    let key = webhook.tenant_key();
    let tenant = context.tenants.get(&key).ok_or_else(|| Failure::TenantNotFound(key.to_string()))?;
    let namespace = webhook.namespace().unwrap_or_default();
    let allowed = match &tenant.spec.allowed_namespaces.from {
        NamespacesFrom::All => true,
        NamespacesFrom::Same => namespace == key.namespace,
        NamespacesFrom::Selector if namespace == key.namespace => true,
        NamespacesFrom::Selector => {
            let api: Api<Namespace> = Api::all(context.client.clone());
            let labels = Box::pin(api.get_metadata(&namespace)).await?.metadata.labels.unwrap_or_default();
            let selector = tenant.spec.allowed_namespaces.selector.clone().unwrap_or_default();
            let selector: Selector = selector.try_into().map_err(|error| {
                Failure::InvalidSpec(format!("the tenant's spec.allowedNamespaces.selector cannot be used: {error}"))
            })?;
            selector.matches(&labels)
        }
    };
    if allowed { Ok(tenant) } else { Err(Failure::TenantNotAllowed { tenant: key.to_string(), namespace }) }
}

/// Nothing is ever created in a terminating namespace (resources.md): asked just before a registration, since only the API
/// server knows it.
pub async fn namespace_stays(namespace: &str, context: &Context) -> Result<(), Failure> {
    let api: Api<Namespace> = Api::all(context.client.clone());
    let terminating = Box::pin(api.get_metadata(namespace)).await?.metadata.deletion_timestamp.is_some();
    if terminating { Err(Failure::NamespaceTerminating(namespace.to_owned())) } else { Ok(()) }
}

/// The connection of a tenant.
pub fn line(key: &ObjectKey, context: &Context) -> Line {
    match context.sessions.get(key) {
        Some(Connection { state: State::Ready, session: Some(session), .. }) => Line::Open(session),
        Some(Connection { state: State::NotReady { reason, message }, .. }) => {
            Line::Closed(Failure::TenantNotReady { tenant: key.to_string(), reason, message })
        }
        None | Some(Connection { state: State::Ready, session: None, .. }) => Line::Unknown,
    }
}

/// The connection for what is being deleted: credentials outlive their users, as long as this process remembers them.
pub fn last_line(key: &ObjectKey, context: &Context) -> Line {
    match context.sessions.get(key).and_then(|connection| connection.farewell) {
        Some(session) => Line::Open(session),
        None => line(key, context),
    }
}

/// The schedule of this operator's own tries: the webhook's policy, where there is one.
pub fn schedule(webhook: &CognigyWebhook, context: &Context) -> Policy {
    webhook
        .retry_policy_key()
        .and_then(|key| context.policies.get(&key))
        .map_or_else(Policy::default, |policy| retry_policy::policy(&policy.spec))
}

/// What the resource asks for; fails with what a person, or a reference that is still missing, has to change.
pub async fn wish(webhook: &CognigyWebhook, context: &Context) -> Result<Wish, Failure> {
    let spec = &webhook.spec;
    let tenant = tenant(webhook, context).await?;
    let tenant_key = webhook.tenant_key();
    let policy = policy(webhook, context)?;
    conflict(webhook, &tenant_key, context)?;
    let guard = guard(&tenant, context)?;
    guard.judge_url(&url(webhook)?)?;
    let secret_versions = secret_versions(webhook, context)?;
    let desired = Desired {
        version: spec.version().into(),
        enabled: spec.enabled(),
        policy: policy.is_some(),
        check: spec.health_check().enabled,
        deactivate: spec.health_check().on_failure == OnFailure::Deactivate,
        adoption: match spec.adoption_policy {
            AdoptionPolicy::IfIdentical => Adoption::IfIdentical,
            AdoptionPolicy::Always => Adoption::Always,
            AdoptionPolicy::Never => Adoption::Never,
        },
        keep: usize::try_from(spec.previous_versions()).unwrap_or_default(),
        observe: spec.mode == Mode::Observe,
    };
    let tenant_versions = source_versions(&tenant, context);
    Ok(Wish { desired, tenant, tenant_key, tenant_versions, policy, guard, secret_versions })
}

/// What a resource that is being deleted asks for; what is only observed is left as it is.
pub fn farewell(webhook: &CognigyWebhook) -> Farewell {
    if webhook.spec.mode == Mode::Observe {
        return Farewell::Orphan;
    }
    match webhook.spec.deletion_policy() {
        DeletionPolicy::Delete => Farewell::Delete,
        DeletionPolicy::Deactivate => Farewell::Deactivate,
        DeletionPolicy::Orphan => Farewell::Orphan,
    }
}

/// The callback URL; the API server has checked its form.
pub fn url(webhook: &CognigyWebhook) -> Result<url::Url, Failure> {
    let text = webhook.spec.url.as_deref().unwrap_or_default();
    url::Url::parse(text).map_err(|error| Failure::InvalidSpec(format!("spec.url {text} cannot be used: {error}")))
}

/// How often the outside is compared with the spec.
pub fn resync_period(tenant: Option<&CognigyTenant>) -> Duration {
    let seconds = tenant.map_or(600, |tenant| tenant.spec.resync_period_seconds);
    Duration::from_secs(u64::try_from(seconds).unwrap_or(600))
}

/// The retry policy that a webhook refers to, where it refers to one.
pub fn policy_of(
    webhook: &CognigyWebhook,
    context: &Context,
) -> Result<Option<(AppliedPolicy, Arc<RetryPolicy>)>, Failure> {
    let Some(key) = webhook.retry_policy_key() else { return Ok(None) };
    let policy = context.policies.get(&key).ok_or_else(|| Failure::RetryPolicyNotFound(key.name.clone()))?;
    let generation = policy.metadata.generation.unwrap_or_default();
    Ok(Some((AppliedPolicy { name: key.name, generation }, policy)))
}

fn policy(webhook: &CognigyWebhook, context: &Context) -> Result<Option<WantedPolicy>, Failure> {
    let Some((of, policy)) = policy_of(webhook, context)? else { return Ok(None) };
    let intervals = retry::to_intervals(&retry_policy::policy(&policy.spec))
        .map_err(|why| Failure::RetryPolicyUnsupported { policy: of.name.clone(), why })?;
    Ok(Some(WantedPolicy { of, intervals }))
}

/// The older of two resources that register the same name with the same tenant wins (resources.md). Creation times have
/// whole seconds: within one, who has claimed the name already goes before who has not, then the uid decides, so that a
/// restart decides alike.
fn conflict(webhook: &CognigyWebhook, tenant: &ObjectKey, context: &Context) -> Result<(), Failure> {
    let name = webhook.registered_name();
    let age = |webhook: &CognigyWebhook| {
        let created = webhook.metadata.creation_timestamp.clone().map(|time| time.0);
        let claimed = webhook.annotations().contains_key(REGISTRATION_ANNOTATION);
        (created, !claimed, webhook.metadata.uid.clone())
    };
    let own = age(webhook);
    let rivals = context.index.webhooks_of_registration(tenant, &name);
    let winner = rivals
        .iter()
        .filter_map(|rival| context.webhooks.get(rival))
        .filter(|rival| !rival.spec.is_existing() && rival.metadata.uid != webhook.metadata.uid && age(rival) < own)
        .min_by_key(|rival| age(rival));
    match winner {
        None => Ok(()),
        Some(winner) => {
            Err(Failure::NameConflict { winner: ObjectKey::of(&*winner).to_string(), name, tenant: tenant.to_string() })
        }
    }
}

fn guard(tenant: &CognigyTenant, context: &Context) -> Result<Guard, Failure> {
    let settings = &context.settings;
    guard_of(tenant, settings.private_callbacks.clone(), settings.never.clone())
}

/// Where a tenant's health checks may go, with the operator's own switches.
pub fn guard_of(tenant: &CognigyTenant, private_ranges: Vec<IpNet>, never: Vec<Own>) -> Result<Guard, Failure> {
    let callbacks = &tenant.spec.callbacks;
    let allowed_hosts = callbacks.allowed_hosts.iter().map(|pattern| {
        pattern.parse::<HostPattern>().map_err(|error| {
            Failure::InvalidSpec(format!("the tenant's spec.callbacks.allowedHosts has {pattern:?}: {error}"))
        })
    });
    let allowed_hosts = allowed_hosts.collect::<Result<_, _>>()?;
    Ok(Guard { allowed_hosts, allow_private_networks: callbacks.allow_private_networks, private_ranges, never })
}

fn secret_versions(webhook: &CognigyWebhook, context: &Context) -> Result<BTreeMap<String, String>, Failure> {
    let namespace = webhook.namespace().unwrap_or_default();
    let names = webhook.spec.headers_from().iter().map(|header| &header.secret_key_ref.name);
    names
        .map(|name| {
            let secret = context.secrets.get(&ObjectKey::new(&*namespace, &**name)).ok_or_else(|| {
                SecretError::NotFound(SourceRef {
                    kind: SourceKind::Secret,
                    namespace: namespace.clone(),
                    name: name.clone(),
                })
            })?;
            Ok((name.clone(), secret.resource_version().unwrap_or_default()))
        })
        .collect()
}
