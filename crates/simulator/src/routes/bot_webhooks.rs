//! Webhooks of bots (cognigy-api.md §3).

use serde_json::{Map, Value, json};

use super::{Call, not_found, page};
use crate::{
    options::Options,
    problem::{Refusal, Reply},
    state::{BotWebhook, State},
    validate,
    views::id_key,
};

/// `GET`, page by page. A bot that never had a webhook is not known: 404.
pub(super) fn list(state: &State, call: &Call<'_>) -> Result<Reply, Refusal> {
    let bot = call.id(0);
    if !state.store.bots.contains(bot) {
        return Err(not_found("bot", bot));
    }
    let shown = |(place, one)| (place, view(one, &state.options));
    page(call, &state.options, |place| state.store.of_bot(bot, place).map(shown))
}

/// `PATCH` with `Idempotency-Key`: 400 without one; 409 for one that this webhook has seen with another payload; a repetition
/// with the same payload is answered 200 and changes nothing.
pub(super) fn patch(state: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    let (bot, id) = (call.id(0), call.id(1));
    if state.store.find_of_bot(bot, id).is_none() {
        return Err(not_found("webhook", id));
    }
    let key = call
        .header("idempotency-key")
        .filter(|key| !key.trim().is_empty())
        .ok_or_else(|| Refusal::new(400, "Send Idempotency-Key, unique for this webhook and configuration."))?;
    let body = call.json()?;
    let policy = validate::window_policy(&body)?;
    match state.store.patches.get(&(id.to_owned(), key.to_owned())) {
        Some(seen) if *seen != body => {
            return Err(Refusal::new(409, format!("The Idempotency-Key {key:?} was used with a different payload.")));
        }
        Some(_) => {}
        None => state.store.patch_bot_webhook(bot, id, key, body, policy),
    }
    let webhook = state.store.find_of_bot(bot, id).ok_or_else(|| not_found("webhook", id))?;
    Ok(Reply::json(200, &view(webhook, &state.options)))
}

fn view(webhook: &BotWebhook, options: &Options) -> Value {
    let mut view = Map::new();
    view.insert(id_key(options).into(), json!(webhook.id));
    view.insert("name".into(), json!(webhook.name));
    view.insert("url".into(), json!(webhook.url));
    if let Some(policy) = &webhook.retry_policy {
        view.insert("retryPolicy".into(), policy.clone());
    }
    Value::Object(view)
}
