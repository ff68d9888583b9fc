//! What people ask about single messages (annotation `cognigy.io/dead-letter-request`), done to the status that keeps them.
//! Pure.

use kube::ResourceExt as _;

use crate::{
    api::{
        CognigyTenant, CognigyWebhook, CognigyWebhookStatus, DEAD_LETTER_REQUEST_ANNOTATION, FINALIZER, LetterRequest,
        LetterVerb, MAX_UNDELIVERED, SinkKind, Undelivered,
        webhook::{Failure, HandledLetterRequest},
    },
    outbox::message,
    text,
};

/// How much of a refusal a status keeps, and of a remark the events about it, in characters.
const REFUSAL: usize = 1000;
const REMARK: usize = 200;

/// What came of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Done {
    /// These are sent again.
    pub replayed: Vec<Undelivered>,
    /// These are never sent.
    pub discarded: Vec<Undelivered>,
    /// What was not done, and why.
    pub refused: Option<String>,
    /// What the request says besides, for the events about it.
    pub remark: Option<String>,
}

/// The request that waits to be handled. An object that is let go of already keeps nothing any more.
pub fn pending(webhook: &CognigyWebhook) -> Option<&str> {
    let leaves = webhook.metadata.deletion_timestamp.is_some();
    if leaves && !webhook.finalizers().iter().any(|finalizer| finalizer == FINALIZER) {
        return None;
    }
    let handled = webhook.status.as_ref().and_then(|status| status.last_handled_dead_letter_request.as_ref());
    let asked = webhook.annotations().get(DEAD_LETTER_REQUEST_ANNOTATION)?;
    handled.is_none_or(|handled| handled.request != LetterRequest::echo(asked)).then_some(asked)
}

/// Does in the status what is asked for, and says there that it was: whoever reads the status next does not do it again.
pub fn honour(
    asked: &str,
    status: &mut CognigyWebhookStatus,
    webhook: &CognigyWebhook,
    tenant: Option<&CognigyTenant>,
) -> Done {
    let mut failure = status.failure.take().unwrap_or_default();
    let mut done = Done::default();
    match asked.parse::<LetterRequest>() {
        Err(error) => done.refused = Some(format!("annotation {DEAD_LETTER_REQUEST_ANNOTATION}: {error}")),
        Ok(request) => {
            let mut refused = Vec::new();
            for id in &request.ids {
                let one = match request.verb {
                    LetterVerb::Replay => sink(webhook, tenant).and_then(|()| replay(&mut failure, id)),
                    LetterVerb::Discard => discard(&mut failure, id),
                };
                match (one, request.verb) {
                    (Ok(message), LetterVerb::Replay) => done.replayed.push(message),
                    (Ok(message), LetterVerb::Discard) => done.discarded.push(message),
                    (Err(why), verb) => refused.push(format!("cannot {} {id}: {why}", verb.as_str())),
                }
            }
            done.refused = (!refused.is_empty()).then(|| refused.join("; "));
            done.remark = text::clean(&request.remark, REMARK);
        }
    }
    done.refused = done.refused.and_then(|refused| text::clean(&refused, REFUSAL));
    status.failure = (failure != Failure::default()).then_some(failure);
    let refused = done.refused.clone();
    status.last_handled_dead_letter_request =
        Some(HandledLetterRequest { request: LetterRequest::echo(asked), refused });
    done
}

/// Whether there is anybody to send a dead letter to.
fn sink(webhook: &CognigyWebhook, tenant: Option<&CognigyTenant>) -> Result<(), String> {
    let key = webhook.tenant_key();
    match tenant {
        None => Err(format!("tenant {key} does not exist")),
        Some(tenant) if tenant.sink(SinkKind::DeadLetter).is_none() => {
            Err(format!("tenant {key} has no spec.sinks.deadLetter"))
        }
        Some(_) => Ok(()),
    }
}

/// One that waits is as if it had never been tried; one that does not is put together again, byte for byte.
fn replay(failure: &mut Failure, id: &str) -> Result<Undelivered, String> {
    if let Some(waiting) = failure.undelivered.iter_mut().find(|message| message.id == id) {
        if waiting.sink != SinkKind::DeadLetter {
            return Err("it is an alert, and only dead letters are replayed".into());
        }
        waiting.last_error = None;
        return Ok(waiting.clone());
    }
    let letter = failure.dead_letter.as_mut().filter(|letter| letter.id == id);
    let letter = letter.ok_or(
        "no dead letter with this id is known: a delivered one is until its change works or another one takes its place",
    )?;
    let again = message::dead_letter_again(letter).ok_or("the status does not hold any more what it says")?;
    // The end of an alert will need a place as well.
    let wanted = 1 + usize::from(failure.alert.is_some());
    if failure.undelivered.len() + wanted > MAX_UNDELIVERED {
        return Err(format!(
            "{} messages wait already; there is room when some of them are delivered",
            failure.undelivered.len()
        ));
    }
    (letter.delivered, letter.discarded) = (false, false);
    failure.undelivered.push(again.clone());
    Ok(again)
}

/// An alert whose begin is discarded is not forgotten: a try whose answer was lost may have told it, so its end is told too.
fn discard(failure: &mut Failure, id: &str) -> Result<Undelivered, String> {
    let at = failure.undelivered.iter().position(|message| message.id == id);
    let message = failure.undelivered.remove(at.ok_or("no message with this id waits to be delivered")?);
    if let Some(letter) = failure.dead_letter.as_mut().filter(|letter| letter.id == id) {
        letter.discarded = true;
    }
    Ok(message)
}

#[cfg(test)]
#[path = "request_tests.rs"]
mod tests;
