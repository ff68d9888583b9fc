//! Notes in a webhook's status what became of its messages: at the beginning of a pass, whatever the pass is about, and
//! without asking Cognigy anything.

use std::sync::Arc;

use kube::{Api, ResourceExt as _};

use super::{letters, report::Report};
use crate::{
    api::{CognigyWebhook, EventReason, SinkKind, Undelivered},
    cluster::{self, status::Written},
    controller::{context::Context, pass::PassError},
};

/// The webhook, with what became of its messages in its status; `None` where it is gone.
pub async fn note(
    webhook: Arc<CognigyWebhook>,
    context: &Context,
    api: &Api<CognigyWebhook>,
) -> Result<Option<Arc<CognigyWebhook>>, PassError> {
    let progress = context.outbox.courier.progress(&webhook.uid().unwrap_or_default());
    let Some(status) = webhook.status.as_ref().filter(|_| !progress.is_empty()) else { return Ok(Some(webhook)) };
    let Some(failure) = status.failure.clone() else { return Ok(Some(webhook)) };
    let mut new = status.clone();
    let (failure, news) = letters::settled(failure, &progress);
    new.failure = failure;
    let written = match cluster::status::write(api, &*webhook, &new, Some(status)).await? {
        Written::Applied(written) => Arc::new(*written),
        Written::Unchanged => return Ok(Some(webhook)),
        Written::Gone => return Ok(None),
    };
    context.wrote(&*written);
    let report = Report::new(context, api, &written);
    let dead_letters = |messages: Vec<Undelivered>| messages.into_iter().filter(|one| one.sink == SinkKind::DeadLetter);
    for letter in dead_letters(news.delivered) {
        let note = format!("the dead letter {} was accepted by its sink", letter.id);
        context.trail.record(report.fact(EventReason::DeadLetterDelivered, note));
    }
    for letter in dead_letters(news.failed) {
        let why = letter.last_error.unwrap_or_default();
        let note = format!("the dead letter {} is not delivered yet: {why}; it is tried again until it is", letter.id);
        context.trail.record(report.fact(EventReason::DeadLetterFailed, note));
    }
    Ok(Some(written))
}
