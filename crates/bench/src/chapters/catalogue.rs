//! Webhooks of a bot that exist already: one listing serves them all.

use std::{path::Path, time::Duration};

use cognigy_simulator::BotWebhook;
use demo::Result;
use serde::{Deserialize, Serialize};

use super::{
    quiet::{self, Quiet},
    rollout::{self, Rollout},
};
use crate::{
    fleet::{self, webhook_name},
    meter::Meter,
    objects::{self, Follow, is_ready},
    operator,
    progress::Progress,
    stage::{Conditions, Stage},
};

const BOT: &str = "bot-1";

/// What they cost to take over and to keep.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Catalogue {
    pub(crate) rollout: Rollout,
    pub(crate) quiet: Quiet,
}

/// Takes over so many webhooks of one bot.
pub(crate) async fn run(
    conditions: Conditions,
    program: &Path,
    webhooks: usize,
    within: Duration,
) -> Result<Catalogue> {
    let stage = Stage::start(1, conditions).await?;
    let operator = operator::start(&stage, program).await?;
    rollout::prepare(&stage, fleet::NEVER).await?;
    stage.settle().await?;
    let progress = Progress::start(&format!("{webhooks} webhooks of a bot"), webhooks);
    let installation = stage.installation(0);
    let ids: Vec<_> = (0..webhooks)
        .map(|nth| {
            let name = webhook_name(nth);
            installation.add_bot_webhook(BotWebhook::new(BOT, &name, installation.callback_url(&name).as_str()))
        })
        .collect();
    let api = objects::api(&stage.owner, &fleet::resource("CognigyWebhook"));
    let follow = Follow::start(api.clone(), is_ready);
    let meter = Meter::start(&stage, Some(operator.id()))?;
    let wishes = ids.iter().enumerate().map(|(nth, id)| fleet::existing(nth, BOT, id));
    let (created, ready) =
        tokio::join!(objects::create(&api, wishes, |_| {}), follow.reach(webhooks, within, &progress));
    operator::quiet_events(&operator, within).await?;
    let rollout = Rollout::of_objects("operator", webhooks, &created?, &ready, meter.read(&stage)?);
    let quiet = quiet::run(&stage, &operator, webhooks).await?;
    operator.stop().await?;
    Ok(Catalogue { rollout, quiet })
}
