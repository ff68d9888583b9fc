//! Shared listings: one serves many objects (cognigy-api.md §2, §3; docs/design.md, *Rules that keep it fast and quiet*).
//!
//! ```text
//!  bots.rs       what a bot's webhooks are and have      versions.rs   which version each integration is at
//!           \                                           /
//!            shelf.rs   one listing, fetched once for all who ask
//! ```
//!
//! A listing is a moment in the past, so every caller says how old it may be, and what this session wrote or learned since
//! it was begun counts for more than what it says.

mod bots;
mod shelf;
mod versions;

pub use bots::{BotWebhookRef, Freshness, Held, Listed, ListedBotWebhook};

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use self::{bots::BotShelf, versions::Versions};
use super::BotId;

/// The listings of one session.
#[derive(Default)]
pub(super) struct Catalogue {
    bots: Mutex<HashMap<BotId, Arc<BotShelf>>>,
    versions: Versions,
}

impl Catalogue {
    fn bot(&self, bot: &BotId) -> Arc<BotShelf> {
        let mut bots = self.bots.lock().unwrap_or_else(PoisonError::into_inner);
        bots.entry(bot.clone()).or_default().clone()
    }
}
