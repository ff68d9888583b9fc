//! What a resource asks of a webhook that exists already, with every reference resolved; nothing outside is asked here.

use std::{collections::BTreeMap, sync::Arc};

use super::super::{ground::Ground, observe};
use crate::{
    api::{
        CognigyTenant, CognigyWebhook, ObjectKey,
        webhook::{AppliedPolicy, Mode},
    },
    cognigy::{BotId, BotWebhookRef, IntervalPolicy, InvalidText, WebhookId, WindowPolicy},
    controller::{context::Context, error::Failure, retry_policy, tenant::observe::source_versions},
    retry,
};

/// Registrations have headers from Secrets; what exists already has none that are ours.
static NO_SECRETS: BTreeMap<String, String> = BTreeMap::new();

/// Which webhook is meant, and the retry policy that it is to have in the form that it takes.
#[derive(Clone, Debug, PartialEq)]
pub enum Managed {
    /// A webhook: the interval form under optimistic locking (cognigy-api.md §4).
    Webhook {
        /// Which one.
        id: WebhookId,
        /// Its policy.
        policy: IntervalPolicy,
    },
    /// A bot's webhook: the window form (cognigy-api.md §3).
    BotWebhook {
        /// The bot.
        bot: BotId,
        /// Which of its webhooks.
        webhook: BotWebhookRef,
        /// Its policy.
        policy: WindowPolicy,
    },
}

/// What the resource asks for.
pub struct Wish {
    /// Which webhook, and what it is to have.
    pub managed: Managed,
    /// The policy's name and generation.
    pub policy: AppliedPolicy,
    /// The tenant.
    pub tenant: Arc<CognigyTenant>,
    /// Its key.
    pub tenant_key: ObjectKey,
    /// The resourceVersions of its own Secrets and `ConfigMap`s.
    pub tenant_versions: Vec<String>,
    /// `mode: Observe`: nothing is written outside.
    pub observe: bool,
}

impl Wish {
    /// What its pass stands on.
    pub fn ground(&self) -> Ground<'_> {
        Ground {
            tenant: &self.tenant,
            tenant_key: &self.tenant_key,
            policy: Some(&self.policy),
            secret_versions: &NO_SECRETS,
            tenant_versions: &self.tenant_versions,
        }
    }
}

/// What the resource asks for; fails with what a person, or a reference that is still missing, has to change.
pub async fn wish(webhook: &CognigyWebhook, context: &Context) -> Result<Wish, Failure> {
    let tenant = observe::tenant(webhook, context).await?;
    let Some((policy, of)) = observe::policy_of(webhook, context)? else {
        return Err(Failure::InvalidSpec("spec.existing needs spec.retryPolicyRef: name the policy to apply".into()));
    };
    let existing = webhook.spec.existing.clone().unwrap_or_default();
    let unusable = |field: &str| {
        let field = field.to_owned();
        move |why: InvalidText| Failure::InvalidSpec(format!("spec.existing.{field} cannot be used: {why}"))
    };
    let unsupported = |why| Failure::RetryPolicyUnsupported { policy: policy.name.clone(), why };
    let stated = retry_policy::policy(&of.spec);
    let managed = match (existing.bot_id, existing.webhook_id, existing.name) {
        (Some(bot), id, name) => {
            let webhook = match (id, name) {
                (Some(id), _) => BotWebhookRef::Id(WebhookId::new(id).map_err(unusable("webhookId"))?),
                (None, name) => BotWebhookRef::Name(name.unwrap_or_default()),
            };
            let window = retry::to_window(&stated).map_err(unsupported)?;
            Managed::BotWebhook {
                bot: BotId::new(bot).map_err(unusable("botId"))?,
                webhook,
                policy: WindowPolicy::from(&window),
            }
        }
        (None, id, _) => {
            let id = WebhookId::new(id.unwrap_or_default()).map_err(unusable("webhookId"))?;
            let intervals = retry::to_intervals(&stated).map_err(unsupported)?;
            Managed::Webhook { policy: IntervalPolicy::new(id.clone(), &intervals), id }
        }
    };
    let (tenant_key, observe) = (webhook.tenant_key(), webhook.spec.mode == Mode::Observe);
    let tenant_versions = source_versions(&tenant, context);
    Ok(Wish { managed, policy, tenant, tenant_key, tenant_versions, observe })
}
