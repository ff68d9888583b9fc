//! The objects of a set together: references, policies, callbacks and names, judged by the operator's own sentences.

use std::collections::BTreeMap;

use cognigy_operator::{
    api::{CognigyTenant, CognigyWebhook, ObjectKey, Reason, RetryPolicy, tenant::NamespacesFrom},
    cluster::secret::SecretError,
    controller::{Failure, retry_policy, tenant::config, webhook::guard_of},
    retry::{Surface, Unsupported},
};
use ipnet::IpNet;
use url::Url;

use super::{
    set::{Member, Set},
    sources,
};

/// The switches of the operator that will read the manifests.
#[derive(Clone, Debug, Default)]
pub struct Switches {
    /// `--allow-insecure-http`.
    pub allow_insecure_http: bool,
    /// `--allow-private-callbacks`.
    pub private_ranges: Vec<IpNet>,
}

/// What was found about a member of a set.
pub struct Told<'a, 'd> {
    /// Where it stands.
    pub member: &'a Member<'d>,
    /// The field.
    pub field: String,
    /// The Ready reason that the operator would show.
    pub reason: Reason,
    /// What is wrong, or what must be there.
    pub message: String,
    /// Only the cluster can tell whether it is wrong.
    pub open: bool,
}

/// Judges all members.
pub fn judge<'a, 'd>(set: &'a Set<'d>, switches: &Switches) -> Vec<Told<'a, 'd>> {
    let mut told = Vec::new();
    for (tenant, member) in set.tenants.values() {
        let mut about = About { member, set, told: &mut told };
        if let Err(failure) = config::urls(tenant, switches.allow_insecure_http) {
            about.failure("spec", &failure);
        }
        about.values(&sources::of_tenant(tenant));
    }
    for (webhook, member) in &set.webhooks {
        let mut about = About { member, set, told: &mut told };
        about.tenant(webhook, switches);
        about.policy(webhook);
        about.values(&sources::of_webhook(webhook));
    }
    told.extend(names(set));
    told
}

/// One member while it is judged.
struct About<'s, 'a, 'd> {
    member: &'a Member<'d>,
    set: &'a Set<'d>,
    told: &'s mut Vec<Told<'a, 'd>>,
}

impl About<'_, '_, '_> {
    fn failure(&mut self, field: &str, failure: &Failure) {
        self.tell(field, failure.disposition().reason, failure.to_string(), false);
    }

    fn tell(&mut self, field: &str, reason: Reason, message: String, open: bool) {
        self.told.push(Told { member: self.member, field: field.to_owned(), reason, message, open });
    }

    /// What is referred to is not in the set.
    fn absent(&mut self, field: &str, reason: Reason, what: &str) {
        let message = format!("{what} is not among these manifests: it must exist in the cluster");
        self.tell(field, reason, message, true);
    }

    fn tenant(&mut self, webhook: &CognigyWebhook, switches: &Switches) {
        let key = webhook.tenant_key();
        let Some((tenant, _)) = self.set.tenants.get(&key) else {
            return self.absent("spec.tenantRef", Reason::TenantNotFound, &format!("CognigyTenant {key}"));
        };
        self.allowed(webhook, tenant, &key);
        if let Some(url) = webhook.spec.url.as_deref().and_then(|url| Url::parse(url).ok()) {
            let guard = guard_of(tenant, switches.private_ranges.clone(), Vec::new());
            match guard.map(|guard| guard.judge_url(&url)) {
                Ok(Ok(())) => {}
                Ok(Err(refusal)) => self.failure("spec.url", &refusal.into()),
                Err(failure) => self.failure("spec.url", &failure),
            }
        }
    }

    fn allowed(&mut self, webhook: &CognigyWebhook, tenant: &CognigyTenant, key: &ObjectKey) {
        let namespace = ObjectKey::of(webhook).namespace;
        if namespace == key.namespace {
            return;
        }
        match tenant.spec.allowed_namespaces.from {
            NamespacesFrom::All => {}
            NamespacesFrom::Same => {
                self.failure("spec.tenantRef", &Failure::TenantNotAllowed { tenant: key.to_string(), namespace });
            }
            NamespacesFrom::Selector => {
                let message = format!("tenant {key} must select namespace {namespace} by its labels in the cluster");
                self.tell("spec.tenantRef", Reason::TenantNotAllowed, message, true);
            }
        }
    }

    fn policy(&mut self, webhook: &CognigyWebhook) {
        let Some(key) = webhook.retry_policy_key() else { return };
        let Some((policy, _)) = self.set.policies.get(&key) else {
            return self.absent("spec.retryPolicyRef", Reason::RetryPolicyNotFound, &format!("RetryPolicy {key}"));
        };
        if let Err(why) = compiled(webhook, policy) {
            self.failure("spec.retryPolicyRef", &Failure::RetryPolicyUnsupported { policy: key.name, why });
        }
    }

    fn values(&mut self, wanted: &[sources::Wanted]) {
        for sources::Wanted { field, source, key } in wanted {
            match self.set.values.get(source) {
                None => self.absent(field, Reason::SecretNotFound, &source.to_string()),
                Some(keys) if keys.contains(key) => {}
                Some(keys) => {
                    let (source_ref, present) = (source.clone(), keys.iter().cloned().collect());
                    let missing = SecretError::KeyMissing { source_ref, key: key.clone(), present };
                    self.failure(field, &missing.into());
                }
            }
        }
    }
}

/// Whether the webhook's kind of API takes the policy.
fn compiled(webhook: &CognigyWebhook, policy: &RetryPolicy) -> Result<(), Unsupported> {
    let of_a_bot = webhook.spec.existing.as_ref().is_some_and(|existing| existing.bot_id.is_some());
    let surface = if of_a_bot { Surface::BotWebhook } else { Surface::Webhook };
    surface.takes(&retry_policy::policy(&policy.spec))
}

/// Two webhooks that register one name with one tenant. Which is older, only the cluster knows.
fn names<'a, 'd>(set: &'a Set<'d>) -> Vec<Told<'a, 'd>> {
    let mut first: BTreeMap<(ObjectKey, String), &CognigyWebhook> = BTreeMap::new();
    let mut told = Vec::new();
    for (webhook, member) in set.webhooks.iter().filter(|(webhook, _)| !webhook.spec.is_existing()) {
        let (tenant, name) = (webhook.tenant_key(), webhook.registered_name());
        let Some(other) = first.get(&(tenant.clone(), name.clone())) else {
            first.insert((tenant, name), webhook);
            continue;
        };
        let message = format!(
            "{} registers the same name {name:?} with tenant {tenant}, and only the older one would be registered; rename or delete one of them",
            ObjectKey::of(*other)
        );
        told.push(Told { member, field: "spec.name".into(), reason: Reason::NameConflict, message, open: false });
    }
    told
}
