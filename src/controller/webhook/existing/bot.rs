//! The steps for a bot's webhook: compared from the shared listing, written under an idempotency key (cognigy-api.md §3).

use std::time::Duration;

use kube::ResourceExt as _;
use sha2::{Digest as _, Sha256};

use super::{
    super::{
        change, compare, ground, observe,
        policy::{self, CONFLICTS},
        world::Fact as Compared,
    },
    apply::Pass,
    plan::Found,
};
use crate::{
    api::{EventReason, Reason, webhook::Drift},
    cognigy::{
        BackoffStrategy, BotId, BotWebhookRef, ErrorKind, Freshness, Held, IdempotencyKey, Listed, ListedBotWebhook,
        WebhookId, WindowPolicy,
    },
    controller::{
        error::{Failure, NotFound},
        status::has_reason,
    },
};

/// How old a listing may be for what must be known now: old enough for all resources of one `kubectl apply` to share it.
const JUST_NOW: Duration = Duration::from_secs(5);
/// How old a listing may be to say that what was missing is still missing: with the time between two looks
/// ([`crate::controller::error::LOOK_AGAIN`]) less than a minute.
const STILL_MISSING: Duration = Duration::from_secs(20);

impl Pass<'_> {
    pub(super) async fn look_at_bot(
        &mut self,
        bot: &BotId,
        wanted: &BotWebhookRef,
        policy: &WindowPolicy,
    ) -> Result<(), Failure> {
        let mut freshness = self.freshness();
        loop {
            match self.session.find_bot_webhook(bot, wanted, freshness).await? {
                Listed::Missing => self.missing(match wanted {
                    BotWebhookRef::Id(id) => NotFound::BotWebhook { bot: bot.clone(), id: id.clone() },
                    BotWebhookRef::Name(name) => NotFound::Named { bot: bot.clone(), name: name.clone() },
                }),
                Listed::Several(ids) => {
                    let name = match wanted {
                        BotWebhookRef::Name(name) => name.clone(),
                        BotWebhookRef::Id(id) => id.to_string(),
                    };
                    self.missing(NotFound::Several { bot: bot.clone(), name, ids });
                }
                Listed::One(one) => {
                    self.is_at(&one.id);
                    self.judge(bot, &one, policy);
                    // A new claim that all is well already does not rest on what was so some minutes ago.
                    let doubtful = !self.is_rehearsal()
                        && match self.found {
                            Found::There(Compared::Same) => !self.settled && one.policy != Held::NotShown,
                            _ => self.wish.observe && one.policy == Held::InDoubt,
                        };
                    let strict = Freshness {
                        presence: if one.policy == Held::InDoubt { Duration::ZERO } else { JUST_NOW },
                        absence: JUST_NOW,
                    };
                    if doubtful && freshness.presence > strict.presence {
                        freshness = strict;
                        continue;
                    }
                }
            }
            return Ok(());
        }
    }

    fn freshness(&self) -> Freshness {
        if self.is_rehearsal() {
            // Its session is its own: no listing is older than the rehearsal.
            return Freshness { presence: Duration::MAX, absence: Duration::MAX };
        }
        if ground::requested(self.object) {
            return Freshness::NOW;
        }
        let period = observe::resync_period(Some(&self.wish.tenant));
        let told = self.object.status.as_ref().is_some_and(|status| {
            has_reason(&status.conditions, Reason::WebhookNotFound)
                && status.observed_generation == self.object.metadata.generation
        });
        Freshness { presence: period, absence: if told { STILL_MISSING.min(period) } else { JUST_NOW } }
    }

    fn judge(&mut self, bot: &BotId, one: &ListedBotWebhook, wanted: &WindowPolicy) {
        let recorded = self.status.retry_policy.as_ref() == Some(&self.wish.policy);
        let all = |actual: &str| {
            vec![Drift {
                path: "retryPolicy".into(),
                desired: Some(compare::window(wanted)),
                actual: (!actual.is_empty()).then(|| actual.to_owned()),
            }]
        };
        let differences = match &one.policy {
            Held::Policy(actual) => compare::window_policy(wanted, actual),
            Held::Undocumented => all("a form that is not documented"),
            Held::InDoubt => {
                self.found = Found::There(Compared::Differs);
                return;
            }
            Held::NeverShown if recorded && !self.wish.observe && self.session.try_whether_policies_are_shown(bot) => {
                all("")
            }
            Held::NotShown | Held::NeverShown if recorded => Vec::new(),
            Held::Nothing | Held::NotShown | Held::NeverShown => all(""),
        };
        self.compared(differences);
    }

    pub(super) async fn write_to_bot(&mut self, bot: &BotId, policy: &WindowPolicy) -> Result<(), Failure> {
        let id = self.status.webhook_id.as_deref().and_then(|id| WebhookId::new(id).ok());
        let Some(id) = id else {
            self.found = Found::Unread;
            return Ok(());
        };
        let key = self.key(bot, &id, policy)?;
        let written = self.session.write_bot_policy(bot, &id, policy, &key).await;
        if !matches!(&written, Ok(answer) if !answer.value) {
            let backoff = match policy.backoff_strategy {
                BackoffStrategy::Exponential => "exponential",
                BackoffStrategy::Linear => "linear",
            };
            policy::monitor((self.context, self.object), &id, (policy.max_attempts, backoff), &written);
        }
        match written {
            Ok(answer) => {
                self.spend_key();
                if !answer.value && self.conflicts < CONFLICTS {
                    // The key was one that Cognigy had seen: nothing was written under it.
                    self.conflicts += 1;
                    self.another_key();
                    return Ok(());
                }
                let note = format!(
                    "retry policy {} (generation {}: {}) written to {id} of bot {bot}",
                    self.wish.policy.name,
                    self.wish.policy.generation,
                    compare::window(policy),
                );
                self.applied(note, answer.latency);
            }
            Err(error) if error.kind == ErrorKind::Conflict && self.conflicts < CONFLICTS => {
                self.conflicts += 1;
                let conflicts = self.conflicts;
                let why = error.detail.map(|detail| format!(": {detail}")).unwrap_or_default();
                let note = format!(
                    "the write to {id} of bot {bot} met another one{why}; it is repeated ({conflicts} of {CONFLICTS})"
                );
                self.tell(EventReason::Conflict, note, Some(error.latency));
                if conflicts > 1 {
                    // No lock lasts so long; the key may have been used with another policy.
                    self.another_key();
                }
                policy::pause(&self.session, conflicts).await;
            }
            Err(error) if error.kind == ErrorKind::NotFound => {
                self.missing(NotFound::BotWebhook { bot: bot.clone(), id });
            }
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// The key is the same for every try of one write, so that a repeated one does nothing, and another one for everything
    /// else: another webhook, another policy, the same policy after another one, and a policy that was written before and
    /// has to be put back. Cognigy would take that for a repetition, and leave what is there.
    fn key(&self, bot: &BotId, id: &WebhookId, policy: &WindowPolicy) -> Result<IdempotencyKey, Failure> {
        let uid = self.object.uid().unwrap_or_default();
        let again = self.status.retry_policy.as_ref() == Some(&self.wish.policy);
        let salt = self.context.memos.update(&uid, |memo| {
            if again && memo.salt.is_none() {
                memo.salt = Some(rand::random());
            }
            memo.salt
        });
        let body = serde_json::to_string(policy).unwrap_or_default();
        let change = change::name(self.object, self.wish.ground());
        let digest = Sha256::digest(format!("{bot}/{id}/{body}/{uid}/{change}/{salt:?}").as_bytes());
        let hex = digest.iter().take(16).fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
        IdempotencyKey::new(format!("cognigy-operator-{hex}")).map_err(|why| Failure::InvalidSpec(why.to_string()))
    }

    fn spend_key(&self) {
        self.context.memos.update(&self.object.uid().unwrap_or_default(), |memo| memo.salt = None);
    }

    fn another_key(&self) {
        self.context.memos.update(&self.object.uid().unwrap_or_default(), |memo| memo.salt = Some(rand::random()));
    }
}
