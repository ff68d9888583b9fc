//! A bot's webhooks and the window form of their retry policies (cognigy-api.md §3).

use http::{HeaderName, Method, StatusCode};
use serde_json::json;

use super::call::Call;
use super::{Answer, BotId, BotWebhook, Error, IdempotencyKey, Route, Session, WebhookId, WindowPolicy};

fn of(bot: &BotId) -> Vec<&str> {
    vec!["api", "v2", "bots", bot.as_str(), "webhooks"]
}

impl Session {
    /// All webhooks of a bot, page by page.
    pub async fn list_bot_webhooks(&self, bot: &BotId) -> Result<Answer<Vec<BotWebhook>>, Error> {
        let call = Call::new(Route::ListBotWebhooks, Method::GET, of(bot));
        self.collect(call, |item| BotWebhook::read(&item)).await
    }

    /// Writes the retry policy of a bot's webhook; the answer is the policy that it has then, where Cognigy tells it.
    /// [`super::ErrorKind::Conflict`]: locked by another process, or the key was used with another policy.
    pub async fn patch_bot_webhook(
        &self,
        bot: &BotId,
        id: &WebhookId,
        policy: &WindowPolicy,
        key: &IdempotencyKey,
    ) -> Result<Answer<Option<WindowPolicy>>, Error> {
        let mut path = of(bot);
        path.push(id.as_str());
        let call = Call::new(Route::PatchBotWebhook, Method::PATCH, path)
            .header(HeaderName::from_static("idempotency-key"), key.as_str())
            .json(&json!({ "retryPolicy": policy }));
        self.send(call, |reply| {
            // What is only accepted (202) may not be done yet.
            let done = reply.status != StatusCode::ACCEPTED;
            let shown = reply.body().filter(|_| done).and_then(|body| BotWebhook::read(body).ok());
            Ok(shown.and_then(|shown| shown.retry_policy))
        })
        .await
    }
}
