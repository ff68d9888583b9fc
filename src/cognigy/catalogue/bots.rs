//! What a bot's webhooks are, and which retry policies they have (cognigy-api.md §3).

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use super::{
    super::{Answer, BotId, BotWebhook, Error, ErrorKind, IdempotencyKey, Session, WebhookId, WindowPolicy},
    shelf::{Listing, Shelf},
};

/// How a webhook is found among those of its bot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BotWebhookRef {
    /// By its id.
    Id(WebhookId),
    /// By its name, which must be unique within the bot.
    Name(String),
}

/// How old a listing may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Freshness {
    /// For a webhook that is in it.
    pub presence: Duration,
    /// To conclude that a webhook is not there.
    pub absence: Duration,
}

impl Freshness {
    /// Only a listing that was begun after it was asked for.
    pub const NOW: Self = Self { presence: Duration::ZERO, absence: Duration::ZERO };
}

/// What the listing says of a webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listed {
    /// No webhook of this id or name, or no such bot (404).
    Missing,
    /// Several webhooks carry the name.
    Several(Vec<WebhookId>),
    /// This one.
    One(ListedBotWebhook),
}

/// A webhook of a bot, with what this session knows better than the listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedBotWebhook {
    /// Its id.
    pub id: WebhookId,
    /// Its name.
    pub name: Option<String>,
    /// Its retry policy.
    pub policy: Held,
}

/// What is known of a retry policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Held {
    /// It has this one.
    Policy(WindowPolicy),
    /// It has one in a form that is not documented.
    Undocumented,
    /// It has none.
    Nothing,
    /// The listings of this installation do not show policies.
    NotShown,
    /// None is shown, and none was ever shown: it has none, or the listings do not show them.
    NeverShown,
    /// A write was sent and its outcome is not known; the same write is safe to repeat.
    InDoubt,
}

/// Whether the listings of a bot show retry policies: they do where one ever did. Where a policy that was written is not
/// shown, it may have been removed: it is written once more, and if the next listing shows none again, they never do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Shows {
    #[default]
    Unknown,
    /// One policy was written once more at this moment.
    Tried(Instant),
    Yes,
    No,
}

/// A write of this session.
#[derive(Clone, Debug)]
struct Note {
    at: Instant,
    held: Held,
}

#[derive(Default)]
struct Notes {
    written: HashMap<WebhookId, Note>,
    shows: Shows,
}

/// The webhooks of one bot, found by id and by name: each of them looks itself up in the listing that all share.
struct Roster {
    webhooks: Vec<BotWebhook>,
    by_id: HashMap<WebhookId, Vec<usize>>,
    by_name: HashMap<String, Vec<usize>>,
}

impl Roster {
    fn new(webhooks: Vec<BotWebhook>) -> Self {
        let (mut by_id, mut by_name) = (HashMap::<_, Vec<_>>::new(), HashMap::<_, Vec<_>>::new());
        for (place, one) in webhooks.iter().enumerate() {
            by_id.entry(one.id.clone()).or_default().push(place);
            if let Some(name) = &one.name {
                by_name.entry(name.clone()).or_default().push(place);
            }
        }
        Self { webhooks, by_id, by_name }
    }

    fn find(&self, wanted: &BotWebhookRef) -> Vec<&BotWebhook> {
        let places = match wanted {
            BotWebhookRef::Id(id) => self.by_id.get(id),
            BotWebhookRef::Name(name) => self.by_name.get(name),
        };
        places.into_iter().flatten().filter_map(|place| self.webhooks.get(*place)).collect()
    }
}

/// The webhooks of one bot; none where the bot is not there (404).
#[derive(Default)]
pub(super) struct BotShelf {
    shelf: Shelf<Roster>,
    notes: Mutex<Notes>,
}

impl BotShelf {
    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, id: &WebhookId, held: Held) {
        self.notes().written.insert(id.clone(), Note { at: Instant::now(), held });
    }

    fn find(&self, listing: &Listing<Roster>, wanted: &BotWebhookRef) -> Listed {
        let found = listing.content.find(wanted);
        match found[..] {
            [] => Listed::Missing,
            [one] => Listed::One(ListedBotWebhook {
                id: one.id.clone(),
                name: one.name.clone(),
                policy: self.held(one, listing.began),
            }),
            _ => Listed::Several(found.into_iter().map(|one| one.id.clone()).collect()),
        }
    }

    fn held(&self, one: &BotWebhook, began: Instant) -> Held {
        let notes = self.notes();
        if let Some(note) = notes.written.get(&one.id).filter(|note| note.at >= began) {
            return note.held.clone();
        }
        match (&one.retry_policy, one.shows_policy, notes.shows) {
            (Some(policy), ..) => Held::Policy(policy.clone()),
            (None, true, _) => Held::Undocumented,
            (None, false, Shows::Yes) => Held::Nothing,
            (None, false, Shows::No | Shows::Tried(_)) => Held::NotShown,
            (None, false, Shows::Unknown) => Held::NeverShown,
        }
    }

    /// A write did not go through, so the next listing says nothing about whether policies are shown.
    fn untried(&self) {
        let mut notes = self.notes();
        if matches!(notes.shows, Shows::Tried(_)) {
            notes.shows = Shows::Unknown;
        }
    }

    /// Draws conclusions from a listing that just arrived, and forgets what it makes obsolete.
    fn arrived(&self, began: Instant, content: &[BotWebhook]) {
        let mut notes = self.notes();
        notes.written.retain(|_, note| note.at >= began);
        notes.shows = match notes.shows {
            _ if content.iter().any(|one| one.shows_policy) => Shows::Yes,
            Shows::Tried(at) if at < began => Shows::No,
            other => other,
        };
    }
}

impl Session {
    /// What is known of a bot's webhook, from a listing that all its webhooks share.
    pub async fn find_bot_webhook(
        &self,
        bot: &BotId,
        wanted: &BotWebhookRef,
        freshness: Freshness,
    ) -> Result<Listed, Error> {
        let of_bot = self.catalogue().bot(bot);
        let found = of_bot.find(&*self.listing(bot, &of_bot, freshness.presence).await?, wanted);
        if matches!(found, Listed::One(_)) || freshness.absence >= freshness.presence {
            return Ok(found);
        }
        Ok(of_bot.find(&*self.listing(bot, &of_bot, freshness.absence).await?, wanted))
    }

    async fn listing(&self, bot: &BotId, of_bot: &BotShelf, max_age: Duration) -> Result<Arc<Listing<Roster>>, Error> {
        let fits = |listing: &Listing<_>, asked: Instant| asked.saturating_duration_since(listing.began) <= max_age;
        let fetch = async |began| {
            let content = match self.list_bot_webhooks(bot).await {
                Ok(listed) => listed.value,
                Err(error) if error.kind == ErrorKind::NotFound => Vec::new(),
                Err(error) => return Err(error),
            };
            of_bot.arrived(began, &content);
            Ok(Roster::new(content))
        };
        of_bot.shelf.get(&self.caller().place, fits, fetch).await
    }

    /// Writes a retry policy, and keeps the shared listing in step. The answer is false where Cognigy says that the webhook
    /// has another policy nevertheless: it took the key for one that it has seen.
    pub async fn write_bot_policy(
        &self,
        bot: &BotId,
        id: &WebhookId,
        policy: &WindowPolicy,
        key: &IdempotencyKey,
    ) -> Result<Answer<bool>, Error> {
        let of_bot = self.catalogue().bot(bot);
        of_bot.note(id, Held::InDoubt);
        let answer = self.patch_bot_webhook(bot, id, policy, key).await;
        match &answer {
            Ok(Answer { value: Some(other), .. }) if other != policy => of_bot.note(id, Held::Policy(other.clone())),
            Ok(_) => of_bot.note(id, Held::Policy(policy.clone())),
            Err(_) => {
                of_bot.note(id, Held::InDoubt);
                of_bot.untried();
            }
        }
        Ok(answer?.map(|told| told.is_none_or(|told| told == *policy)))
    }

    /// A policy that is not shown is about to be written once more, to find out whether the listings show policies. False
    /// where somebody else finds out already.
    pub fn try_whether_policies_are_shown(&self, bot: &BotId) -> bool {
        let of_bot = self.catalogue().bot(bot);
        let mut notes = of_bot.notes();
        let first = notes.shows == Shows::Unknown;
        if first {
            notes.shows = Shows::Tried(Instant::now());
        }
        first
    }
}
