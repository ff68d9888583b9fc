//! Writes a retry policy in its interval form, under the entity tag that it was read with (cognigy-api.md §4).

use std::time::Duration;

use crate::{
    api::{CognigyWebhook, webhook::AppliedPolicy},
    cognigy::{Answer, ETag, Error, ErrorKind, IntervalPolicy, Session, Webhook, WebhookId},
    controller::{backoff, context::Context, error::Failure, office},
    outbox::message::Monitoring,
};

/// How often a policy write that met somebody else's change is decided again within one pass (cognigy-api.md §4).
pub const CONFLICTS: u32 = 3;

/// What a write led to, with a note for the event and the latency.
pub enum Written {
    /// Cognigy has the policy; with the new entity tag where it told one.
    Done(String, Duration, Option<ETag>),
    /// Somebody else changed the webhook since it was read: it is to be read and decided again.
    Conflict(String, Duration),
}

/// Writes `wanted` into the webhook that was `read`. `conflicts` counts those of this pass; the one that is too many is a
/// failure.
pub async fn write(
    told: (&Context, &CognigyWebhook),
    session: &Session,
    read: &Webhook,
    policy: &AppliedPolicy,
    wanted: &IntervalPolicy,
    conflicts: &mut u32,
) -> Result<Written, Failure> {
    let id = read.id();
    let shown = |tag: Option<&ETag>| tag.map_or_else(|| "unknown".to_owned(), ToString::to_string);
    let precondition = session.precondition(read)?;
    let written = session.put_webhook(id, &read.with_policy(wanted), &precondition).await;
    monitor(told, id, (wanted.max_retries, "exponential"), &written);
    match written {
        Ok(answer) => {
            let note = format!(
                "retry policy {} (generation {}: {} retries after {:?} ms) written to {id}; entity tag {} → {}",
                policy.name,
                policy.generation,
                wanted.max_retries,
                wanted.intervals_ms,
                shown(read.tag()),
                shown(answer.etag.as_ref()),
            );
            Ok(Written::Done(note, answer.latency, answer.etag))
        }
        Err(error) if error.kind == ErrorKind::Conflict && *conflicts < CONFLICTS => {
            *conflicts += 1;
            let note = format!(
                "{id} was changed by somebody else since it was read (entity tag {}); it is read and decided again ({conflicts} of {CONFLICTS})",
                shown(read.tag()),
            );
            pause(session, *conflicts).await;
            Ok(Written::Conflict(note, error.latency))
        }
        Err(error) => Err(error.into()),
    }
}

/// Tells the tenant's monitoring of a policy write that was sent (cognigy-api.md §6).
pub fn monitor<T>(
    (context, webhook): (&Context, &CognigyWebhook),
    id: &WebhookId,
    (max_retries, backoff_type): (u32, &'static str),
    written: &Result<Answer<T>, Error>,
) {
    let (success, latency) = match written {
        Ok(answer) => (true, answer.latency),
        Err(error) if error.was_sent() => (false, error.latency),
        Err(_) => return,
    };
    let name = webhook.registered_name();
    let webhook_id = id.to_string();
    let message = Monitoring::PolicyWritten { webhook_id, name, latency, success, max_retries, backoff_type };
    office::monitor(context, webhook, &message);
}

/// Gives whoever is at it time to finish, and the place at work to others meanwhile.
pub async fn pause(session: &Session, conflicts: u32) {
    let first = Duration::from_millis(50);
    let pause = tokio::time::sleep(backoff::after_failures(conflicts, first, first * 8));
    session.caller().place.free_while(pause).await;
}
