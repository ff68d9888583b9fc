//! The registration that a spec asks for, and the deactivation of any registration.

use std::{collections::BTreeMap, time::Duration};

use kube::ResourceExt as _;
use secrecy::ExposeSecret as _;

use super::observe;
use crate::{
    api::{CognigyWebhook, REGISTRATION_ANNOTATION, webhook},
    cluster::secret::Source,
    cognigy::{
        Error, ErrorKind, HeaderValueText, Integration, Method, Read, Registration, Session, Status, Webhook, WebhookId,
    },
    controller::{context::Context, error::Failure},
};

/// The idempotency key of a version: `name:version` (cognigy-api.md §2).
pub fn key(webhook: &CognigyWebhook, version: i32) -> String {
    format!("{}:{version}", webhook.registered_name())
}

/// The version whose key was recorded last, where one was: only up to there can anything have been registered.
pub fn recorded_version(webhook: &CognigyWebhook) -> Option<i32> {
    let key = webhook.annotations().get(REGISTRATION_ANNOTATION)?;
    key.rsplit_once(':')?.1.parse().ok()
}

/// Reads the Secrets behind `headersFrom` and makes the registration, inactive.
pub async fn read(webhook: &CognigyWebhook, context: &Context) -> Result<Registration, Failure> {
    let spec = &webhook.spec;
    let namespace = webhook.namespace().unwrap_or_default();
    let unfit = |name: &str| {
        Failure::InvalidSpec(format!("the value of header {name} has characters that no HTTP header can carry"))
    };
    let mut headers = BTreeMap::new();
    for (name, value) in spec.headers() {
        headers.insert(name.to_owned(), HeaderValueText::plain(value).map_err(|_| unfit(name))?);
    }
    let mut sources: BTreeMap<&str, Source> = BTreeMap::new();
    for header in spec.headers_from() {
        let reference = &header.secret_key_ref;
        if !sources.contains_key(&*reference.name) {
            sources.insert(&reference.name, Source::secret(&context.client, &namespace, &reference.name).await?);
        }
        if let Some(source) = sources.get(&*reference.name) {
            let value = source.text(&reference.key)?;
            let value = HeaderValueText::secret(value.expose_secret()).map_err(|_| unfit(&header.name))?;
            headers.insert(header.name.clone(), value);
        }
    }
    Ok(Registration {
        name: webhook.registered_name(),
        url: observe::url(webhook)?,
        method: match spec.method() {
            webhook::Method::Post => Method::Post,
            webhook::Method::Put => Method::Put,
            webhook::Method::Patch => Method::Patch,
        },
        headers,
        payload_format: spec.payload_format().to_owned(),
        version: spec.version().into(),
        status: Status::Inactive,
    })
}

/// What a deactivation writes.
pub enum Deactivation {
    /// The registration as it is, inactive.
    Registration(Registration),
    /// Its webhook as it is, not enabled.
    Webhook(Webhook),
}

/// How a registration is deactivated as it is, whatever the spec says now: an older version keeps its own URL and headers.
/// Where the registration cannot be read, the webhook is (`enabled` is the same fact, cognigy-api.md §4).
/// `None` where it is inactive already.
pub async fn deactivation(session: &Session, id: &WebhookId) -> Result<Option<Deactivation>, Error> {
    let read = match session.get_integration(id).await {
        Ok(answer) => Some(answer.value),
        Err(error) if matches!(error.kind, ErrorKind::NotSupported | ErrorKind::NotFound) => None,
        Err(error) => return Err(error),
    };
    if read.as_ref().is_some_and(|integration| integration.status == Some(Status::Inactive)) {
        return Ok(None);
    }
    if let Some(registration) = read.as_ref().and_then(as_registered) {
        return Ok(Some(Deactivation::Registration(registration)));
    }
    let Read::Found(webhook) = session.get_webhook(id, None).await?.value else { return Ok(None) };
    Ok((webhook.enabled() != Some(false)).then_some(Deactivation::Webhook(webhook)))
}

/// Deactivates a registration. Gives the latency of the write; `None` where it was inactive already.
pub async fn deactivate(session: &Session, id: &WebhookId) -> Result<Option<Duration>, Error> {
    match deactivation(session, id).await? {
        None => Ok(None),
        Some(Deactivation::Registration(registration)) => {
            Ok(Some(session.update_integration(id, &registration).await?.latency))
        }
        Some(Deactivation::Webhook(webhook)) => {
            let precondition = session.precondition(&webhook)?;
            Ok(Some(session.put_webhook(id, &webhook.with_enabled(false), &precondition).await?.latency))
        }
    }
}

/// The registration that Cognigy holds, inactive; `None` where a field is missing that a PUT needs.
fn as_registered(integration: &Integration) -> Option<Registration> {
    Some(Registration {
        name: integration.name.clone()?,
        url: integration.url.as_deref()?.parse().ok()?,
        method: integration.method?,
        headers: integration.headers.clone()?,
        payload_format: integration.payload_format.clone()?,
        version: integration.version?,
        status: Status::Inactive,
    })
}
