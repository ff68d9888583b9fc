//! What there is in Cognigy, by GET alone.

use std::{collections::BTreeMap, time::Duration};

use cognigy_operator::cognigy::{
    Answer, BotId, BotWebhook, Error as ApiError, ErrorKind, Integration, Read, Session, Status, StoredPolicy,
};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use indicatif::{ProgressBar, ProgressStyle};
use regex::Regex;

use crate::exit::{Error, Result};

/// Calls that wait for their turn at the session, which decides how many go at a time and how fast.
const WAITING: usize = 16;
/// How often a call that met a passing fault is made.
const TRIES: u32 = 4;
/// Before the second try; the longest wait is eight times this.
const PAUSE: Duration = Duration::from_secs(1);

/// What Cognigy holds.
#[derive(Debug, Default)]
pub struct Holdings {
    /// The registrations, by name.
    pub registrations: Vec<Held>,
    /// The webhooks of each bot.
    pub bots: Vec<(BotId, Vec<BotWebhook>)>,
}

/// The registrations of one name: what serves, and the rest.
#[derive(Debug)]
pub struct Held {
    /// The active one with the highest version; where none is active the one with the highest version.
    pub main: Integration,
    /// The others, the newest first.
    pub others: Vec<Integration>,
    /// The main one's retry policy.
    pub policy: Policy,
}

/// A retry policy, as far as it can be known.
#[derive(Debug)]
pub enum Policy {
    /// It has none.
    None,
    /// It has this one.
    Stored(StoredPolicy),
    /// The installation does not show the webhook.
    Unreadable,
}

/// Lists everything whose name matches, and reads the retry policies that listings do not show.
pub async fn gather(session: &Session, bots: &[BotId], matching: Option<&Regex>) -> Result<Holdings> {
    let wanted = |name: Option<&str>| matching.is_none_or(|regex| regex.is_match(name.unwrap_or_default()));
    let bar = ProgressBar::new_spinner().with_style(ProgressStyle::default_spinner());
    bar.set_message("listing registrations");
    let listed = patiently(&bar, async || session.list_integrations().await).await;
    let mut integrations = match listed {
        // Bots' webhooks can be had without.
        Err(error) if !bots.is_empty() && is_unsupported(&error) => Vec::new(),
        listed => listed.map_err(|error| told("the registrations cannot be listed", &error))?,
    };
    integrations.retain(|one| wanted(one.name.as_deref()));
    let mut of_bots = Vec::new();
    for bot in bots {
        bar.set_message(format!("listing webhooks of bot {bot}"));
        let listed = patiently(&bar, async || session.list_bot_webhooks(bot).await).await;
        let mut webhooks =
            listed.map_err(|error| told(&format!("the webhooks of bot {bot} cannot be listed"), &error))?;
        webhooks.retain(|one| wanted(one.name.as_deref()));
        of_bots.push((bot.clone(), webhooks));
    }
    let chosen = choose(integrations);
    bar.set_length(chosen.len() as u64);
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {pos}/{len} {msg}") {
        bar.set_style(style);
    }
    bar.set_message("retry policies");
    let read = stream::iter(chosen).map(|(main, others)| {
        let bar = &bar;
        async move {
            let policy = policy(session, &main, bar).await?;
            bar.inc(1);
            Ok::<_, Error>(Held { main, others, policy })
        }
    });
    let registrations = read.buffered(WAITING).try_collect().await?;
    bar.finish_and_clear();
    Ok(Holdings { registrations, bots: of_bots })
}

/// The registrations of each name, that which serves first.
fn choose(integrations: Vec<Integration>) -> Vec<(Integration, Vec<Integration>)> {
    let mut by_name: BTreeMap<(Option<String>, String), Vec<Integration>> = BTreeMap::new();
    for one in integrations {
        // Those without a name have nothing to do with each other.
        let own = if one.name.is_some() { String::new() } else { one.id.to_string() };
        by_name.entry((one.name.clone(), own)).or_default().push(one);
    }
    let chosen = by_name.into_values().filter_map(|mut versions| {
        versions
            .sort_by_key(|one| (one.status != Some(Status::Active), std::cmp::Reverse(one.version), one.id.clone()));
        let mut versions = versions.into_iter();
        Some((versions.next()?, versions.collect()))
    });
    chosen.collect()
}

async fn policy(session: &Session, of: &Integration, bar: &ProgressBar) -> Result<Policy> {
    match patiently(bar, async || session.get_webhook(&of.id, None).await).await {
        Ok(Read::Found(webhook)) => Ok(webhook.retry_policy().map_or(Policy::None, Policy::Stored)),
        // Nothing was known before.
        Ok(Read::NotModified) => Ok(Policy::Unreadable),
        Err(error) if is_unsupported(&error) => Ok(Policy::Unreadable),
        Err(error) => Err(told(&format!("the webhook {} cannot be read", of.id), &error)),
    }
}

fn is_unsupported(error: &ApiError) -> bool {
    matches!(error.kind, ErrorKind::NotFound | ErrorKind::NotSupported)
}

/// Makes a call until it is answered: after as long as Cognigy asks to wait, and a few times where a fault may pass.
async fn patiently<T>(
    bar: &ProgressBar,
    call: impl AsyncFn() -> std::result::Result<Answer<T>, ApiError>,
) -> std::result::Result<T, ApiError> {
    let mut tries = 1;
    loop {
        let error = match call().await {
            Ok(answer) => return Ok(answer.value),
            Err(error) => error,
        };
        let pause = match error.retry_after() {
            Some(pause) => pause,
            None if error.kind.is_passing() && tries < TRIES => {
                tries += 1;
                PAUSE * 2_u32.pow(tries - 2)
            }
            None => return Err(error),
        };
        bar.suspend(|| anstream::eprintln!("{error}; tried again in {} s", pause.as_secs().max(1)));
        tokio::time::sleep(pause).await;
    }
}

fn told(what: &str, error: &ApiError) -> Error {
    Error::Told(format!("{what}: {error}"))
}
