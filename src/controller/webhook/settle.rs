//! Notes in a webhook's status what became of its messages, and does with them what a person asks for: at the beginning of a
//! pass, whatever the pass is about, in one write, and without asking Cognigy anything.

use std::sync::Arc;

use kube::{Api, ResourceExt as _};

use super::{
    letters,
    report::{self, Report},
    request::{self, Done},
};
use crate::{
    api::{CognigyWebhook, DEAD_LETTER_REQUEST_ANNOTATION, EventReason, SinkKind, Undelivered},
    cluster::{self, status::Written},
    controller::{context::Context, pass::PassError},
    outbox::Settled,
};

/// The webhook, with what became of its messages in its status; `None` where it is gone.
pub async fn note(
    webhook: Arc<CognigyWebhook>,
    context: &Context,
    api: &Api<CognigyWebhook>,
) -> Result<Option<Arc<CognigyWebhook>>, PassError> {
    let uid = webhook.uid().unwrap_or_default();
    let progress = context.outbox.courier.progress(&uid);
    let asked = request::pending(&webhook);
    if progress.is_empty() && asked.is_none() {
        return Ok(Some(webhook));
    }
    let mut new = webhook.status.clone().unwrap_or_default();
    let mut news = Settled::default();
    if let Some(failure) = new.failure.take() {
        (new.failure, news) = letters::settled(failure, &progress);
    }
    let tenant = context.tenants.get(&webhook.tenant_key());
    let done = asked.map(|asked| request::honour(asked, &mut new, &webhook, tenant.as_deref()));
    let held = if done.is_some() { report::held(context, api, &webhook, &new).await? } else { webhook.clone() };
    if let Some(done) = &done {
        // What is replayed must not be taken for delivered, whatever becomes of the answer to the write.
        hold_back(context, &uid, done.replayed.iter().chain(&done.discarded));
    }
    let written = match cluster::status::write(api, &*held, &new, webhook.status.as_ref()).await? {
        Written::Applied(written) => Arc::new(*written),
        Written::Unchanged => return Ok(Some(held)),
        Written::Gone => return Ok(None),
    };
    context.wrote(&*written);
    if let Some(done) = &done {
        // Until here the watch may have brought what was discarded; from here on it is no news.
        hold_back(context, &uid, &done.discarded);
    }
    let report = Report::new(context, api, &written);
    tell(context, &report, news);
    if let Some(done) = done {
        tell_done(context, &report, done);
    }
    Ok(Some(written))
}

fn hold_back<'a>(context: &Context, uid: &str, messages: impl IntoIterator<Item = &'a Undelivered>) {
    let ids: Vec<&str> = messages.into_iter().map(|message| message.id.as_str()).collect();
    context.outbox.courier.hold_back(uid, &ids);
}

fn tell(context: &Context, report: &Report<'_>, news: Settled) {
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
}

fn tell_done(context: &Context, report: &Report<'_>, done: Done) {
    let remark = done.remark.map(|remark| format!(": {remark}")).unwrap_or_default();
    let asked = format!("(annotation {DEAD_LETTER_REQUEST_ANNOTATION}{remark})");
    for letter in done.replayed {
        let note = format!("the dead letter {} is sent again under the same id {asked}", letter.id);
        context.trail.record(report.fact(EventReason::DeadLetterReplayed, note));
    }
    for message in done.discarded {
        let (reason, what) = match message.sink {
            SinkKind::DeadLetter => (EventReason::DeadLetterDiscarded, "dead letter"),
            SinkKind::Alerts | SinkKind::Monitoring => (EventReason::AlertDiscarded, "alert"),
        };
        // The last place where it can be read.
        let note =
            format!("the {what} {} is discarded and not sent any more {asked}; it said {}", message.id, message.body);
        context.trail.record(report.fact(reason, note));
    }
    if let Some(refused) = done.refused {
        let note = format!("{refused} {asked}");
        context.trail.record(report.fact(EventReason::DeadLetterRequestRefused, note));
    }
}
