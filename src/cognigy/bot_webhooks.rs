//! A bot's webhooks and the window form of their retry policies (cognigy-api.md §3).

use super::{Answer, BotId, BotWebhook, Error, IdempotencyKey, Session, WebhookId, WindowPolicy};

impl Session {
    /// All webhooks of a bot, page by page.
    pub async fn list_bot_webhooks(&self, _bot: &BotId) -> Result<Answer<Vec<BotWebhook>>, Error> {
        todo!()
    }

    /// Writes the retry policy of a bot's webhook. [`super::ErrorKind::Conflict`]: locked by another process, or the key was
    /// used with another policy.
    pub async fn patch_bot_webhook(
        &self,
        _bot: &BotId,
        _id: &WebhookId,
        _policy: &WindowPolicy,
        _key: &IdempotencyKey,
    ) -> Result<Answer<()>, Error> {
        todo!()
    }
}
