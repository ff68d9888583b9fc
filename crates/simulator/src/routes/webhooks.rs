//! Webhooks with optimistic locking (cognigy-api.md §4).

use super::{Call, not_found};
use crate::{
    options::StaleStatus,
    problem::{Refusal, Reply},
    state::{IntegrationRecord, State},
    validate,
};

/// `GET`, conditional with `If-None-Match`.
pub(super) fn get(state: &State, call: &Call<'_>) -> Result<Reply, Refusal> {
    let record = find(state, call.id(0))?;
    let options = &state.options;
    let with_etag = |reply: Reply| if options.locking.has_etag() { reply.with("etag", record.etag()) } else { reply };
    let known = call.header("if-none-match").is_some_and(|tags| matches_weakly(tags, &record.etag()));
    if known && options.locking.has_etag() && !options.ignore_if_none_match {
        return Ok(with_etag(Reply::empty(304)));
    }
    Ok(with_etag(Reply::json(200, &record.webhook_view(options))))
}

/// `PUT` under `If-Match`: replaces the view, so fields that are not sent back are gone.
pub(super) fn put(state: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    let id = call.id(0);
    let record = find(state, id)?;
    if state.options.locking.needs_if_match() {
        check_if_match(call, record, state.options.stale_status)?;
    }
    let wanted = validate::webhook_view(&call.json()?, id, state.options.allow_http_urls)?;
    state.store.replace_webhook(id, wanted, call.cause());

    let record = find(state, id)?;
    let reply = Reply::json(200, &record.webhook_view(&state.options));
    let with_etag = state.options.locking.has_etag() && state.options.put_carries_etag;
    Ok(if with_etag { reply.with("etag", record.etag()) } else { reply })
}

fn find<'a>(state: &'a State, id: &str) -> Result<&'a IntegrationRecord, Refusal> {
    state.store.find(id).ok_or_else(|| not_found("webhook", id))
}

fn check_if_match(call: &Call<'_>, record: &IntegrationRecord, stale: StaleStatus) -> Result<(), Refusal> {
    let Some(value) = call.header("if-match") else {
        return Err(Refusal::new(428, "Send If-Match with the entity tag that you read."));
    };
    let tags: Vec<&str> = value.split(',').map(str::trim).collect();
    if tags.contains(&"*") {
        return Err(Refusal::new(400, "If-Match: * switches locking off and is not accepted."));
    }
    let is_tag = |tag: &str| {
        let opaque = tag.strip_prefix("W/").unwrap_or(tag);
        opaque.len() >= 2 && opaque.starts_with('"') && opaque.ends_with('"')
    };
    if !tags.iter().all(|tag| is_tag(tag)) {
        return Err(Refusal::new(400, format!("If-Match: {value} is no entity tag; it must be quoted.")));
    }
    // A weak tag never matches here (RFC 9110 §13.1.1).
    if tags.contains(&record.etag().as_str()) {
        return Ok(());
    }
    let status = match stale {
        StaleStatus::Conflict => 409,
        StaleStatus::PreconditionFailed => 412,
    };
    Err(Refusal::new(status, format!("The webhook is at {} now, not at {value}.", record.etag())))
}

fn matches_weakly(tags: &str, etag: &str) -> bool {
    tags.split(',').map(str::trim).any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag)
}
