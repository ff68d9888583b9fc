//! Integrations (cognigy-api.md §2).

use super::{Call, not_found, page, supported};
use crate::{
    problem::{Refusal, Reply},
    state::{IntegrationRecord, State},
    validate::{self, Registration},
};

const ALLOW: &str = "GET, PUT, DELETE";

/// `POST`: 201 for a new object, 200 for a repeated key with the same payload, 409 with another.
///
/// "The same payload" is judged against the object as it is now, activation aside: a POST that is repeated after a crash is
/// safe even when the object went live meanwhile, and one that no longer says what the object is does not pass for it.
pub(super) fn create(state: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    let body = call.json()?;
    let wanted = validate::registration(&body, state.options.allow_http_urls)?;
    if state.options.require_request_id {
        check_request_id(call, &wanted)?;
    }
    let known = state.store.find_by_idempotency_key(&wanted.idempotency_key);
    let known = known.map(|one| (one.id.clone(), one.is_registered_as(&wanted)));
    let (id, status) = match known {
        Some((id, true)) => (id, 200),
        Some((_, false)) => {
            let key = wanted.idempotency_key;
            return Err(Refusal::new(409, format!("The idempotency key {key:?} was used with another payload.")));
        }
        None => (state.store.create(wanted, &state.options, call.cause()), state.options.create_status),
    };
    let Some(record) = state.store.find(&id) else { return Err(not_found("integration", &id)) };
    let reply = Reply::json(status, &record.integration_view(&state.options, state.options.post_carries_version));
    Ok(if state.options.post_carries_etag { reply.with("etag", record.etag()) } else { reply })
}

/// `PUT`: replaces the registration; the retry policy and the other fields of the webhook stay.
pub(super) fn update(state: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    let id = call.id(0);
    let record = state.store.find(id).ok_or_else(|| not_found("integration", id))?;
    let wanted = validate::registration(&call.json()?, state.options.allow_http_urls)?;
    if record.idempotency_key.as_ref().is_some_and(|key| *key != wanted.idempotency_key) {
        return Err(Refusal::new(422, "idempotencyKey: always names the same object; it cannot be changed"));
    }
    if state.store.find_by_idempotency_key(&wanted.idempotency_key).is_some_and(|other| other.id != id) {
        return Err(Refusal::new(409, "The idempotency key names another integration."));
    }
    state.store.replace_integration(id, wanted, call.cause());
    get_view(state, id)
}

/// `GET` of one.
pub(super) fn get(state: &State, call: &Call<'_>) -> Result<Reply, Refusal> {
    supported(state.options.get_integration, "PUT, DELETE")?;
    get_view(state, call.id(0))
}

/// `GET` of all, page by page.
pub(super) fn list(state: &State, call: &Call<'_>) -> Result<Reply, Refusal> {
    supported(state.options.list_integrations, "POST")?;
    let with_version = state.options.integrations_carry_version;
    let view = |one: &IntegrationRecord| one.integration_view(&state.options, with_version);
    page(call, &state.options, |place| state.store.integrations.behind(place).map(|(place, one)| (place, view(one))))
}

/// `DELETE`: 204, the webhook goes with it.
pub(super) fn delete(state: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    supported(state.options.delete_integration, ALLOW)?;
    let id = call.id(0);
    if state.store.find(id).is_none() || !state.store.remove(id, call.cause()) {
        return Err(not_found("integration", id));
    }
    Ok(Reply::empty(204))
}

fn get_view(state: &State, id: &str) -> Result<Reply, Refusal> {
    let record = state.store.find(id).ok_or_else(|| not_found("integration", id))?;
    Ok(Reply::json(200, &record.integration_view(&state.options, state.options.integrations_carry_version)))
}

fn check_request_id(call: &Call<'_>, wanted: &Registration) -> Result<(), Refusal> {
    let expected = format!("webhook-reg-{}-{}", wanted.name, wanted.version);
    if call.header("x-request-id") == Some(&expected) {
        return Ok(());
    }
    Err(Refusal::new(400, format!("The header X-Request-Id must be {expected:?}.")))
}
