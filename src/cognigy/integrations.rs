//! Registration (cognigy-api.md §2).

use http::{HeaderName, Method, StatusCode};
use serde_json::Value;
use url::form_urlencoded;

use super::call::{Call, Reply};
use super::{Answer, Error, ErrorKind, Integration, Registration, Route, Session, WebhookId};

/// What a registration led to.
#[derive(Clone, Debug, PartialEq)]
pub struct Registered {
    /// The object as Cognigy shows it.
    pub integration: Integration,
    /// Whether it is new.
    pub outcome: Outcome,
}

/// Whether a registration is new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Made by this call (201; also 202 and 204, which cannot tell).
    Created,
    /// The idempotency key was used before (200).
    Existed,
}

/// What a deletion led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deletion {
    /// Removed by this call.
    Deleted,
    /// It was not there (404).
    AlreadyGone,
    /// The installation does not delete (405, 501): deactivate instead.
    NotSupported,
}

const PATH: [&str; 3] = ["api", "v1", "integrations"];

/// The listing of all registrations.
pub(super) fn listing() -> Call<'static> {
    Call::new(Route::ListIntegrations, Method::GET, PATH.to_vec())
}

fn of(id: &WebhookId) -> Vec<&str> {
    let mut path = PATH.to_vec();
    path.push(id.as_str());
    path
}

fn read(reply: &Reply) -> Result<Integration, String> {
    Integration::read(reply.required_body()?, reply.etag.clone())
}

fn read_optional(reply: &Reply) -> Result<Option<Integration>, String> {
    reply.body().map(|_| read(reply)).transpose()
}

/// `webhook-reg-<name>-<version>`; a name that cannot stand in a header is encoded as in a form.
fn request_id(registration: &Registration) -> String {
    let name = &registration.name;
    let name = if name.bytes().all(|b| b.is_ascii_graphic() || b == b' ') {
        name.clone()
    } else {
        form_urlencoded::byte_serialize(name.as_bytes()).collect()
    };
    format!("webhook-reg-{name}-{}", registration.version)
}

impl Session {
    /// Registers a webhook. Safe to repeat: the idempotency key always names the same object. A key that was used with
    /// another payload is [`ErrorKind::Conflict`]. After an answer without a body the object is found again through its
    /// `Location` or the listing.
    pub async fn register(&self, registration: &Registration) -> Result<Answer<Registered>, Error> {
        let call = Call::new(Route::CreateIntegration, Method::POST, PATH.to_vec())
            .header(HeaderName::from_static("x-request-id"), &request_id(registration))
            .secrets(&registration.secrets())
            .json(&registration.body());
        let posted = self
            .send(call, |reply| {
                let outcome = if reply.status == StatusCode::OK { Outcome::Existed } else { Outcome::Created };
                Ok((outcome, read_optional(reply)?, reply.location.clone()))
            })
            .await?;
        let (latency, trace_id) = (posted.latency, posted.trace_id.clone());
        let (outcome, found) = match posted.value {
            (outcome, Some(integration), _) => {
                (outcome, Answer { value: integration, etag: posted.etag, latency, trace_id: posted.trace_id })
            }
            (outcome, None, location) => {
                let mut found = self.find_again(registration, location).await?;
                found.latency += latency;
                found.trace_id = found.trace_id.or(trace_id);
                (outcome, found)
            }
        };
        Ok(found.map(|integration| Registered { integration, outcome }))
    }

    /// The object of a registration that was answered without a body.
    async fn find_again(
        &self,
        registration: &Registration,
        location: Option<String>,
    ) -> Result<Answer<Integration>, Error> {
        if let Some(id) = location.and_then(|id| WebhookId::new(id).ok()) {
            match self.get_integration(&id).await {
                Ok(found) if found.value.is(&registration.name, registration.version) => {
                    return Ok(found);
                }
                Ok(_) => {}
                Err(error) if matches!(error.kind, ErrorKind::NotFound | ErrorKind::NotSupported) => {}
                Err(error) => return Err(error),
            }
        }
        let listed = self.find_integration(&registration.name, registration.version).await?;
        let Some(integration) = listed.value else {
            return Err(Error::new(ErrorKind::Malformed, Route::CreateIntegration).detail(format!(
                "the answer has no body and no registration with the idempotency key {} is listed",
                registration.idempotency_key()
            )));
        };
        Ok(Answer {
            etag: integration.tag.clone(),
            value: integration,
            latency: listed.latency,
            trace_id: listed.trace_id,
        })
    }

    /// Replaces a registration; `None` where the answer has no body.
    pub async fn update_integration(
        &self,
        id: &WebhookId,
        registration: &Registration,
    ) -> Result<Answer<Option<Integration>>, Error> {
        let call = Call::new(Route::UpdateIntegration, Method::PUT, of(id))
            .secrets(&registration.secrets())
            .json(&registration.body());
        let answer = self.send(call, read_optional).await?;
        self.learn_version(id, answer.etag.as_ref());
        Ok(answer)
    }

    /// Reads a registration. [`ErrorKind::NotSupported`] (and, where the route itself is missing, `NotFound`): read the
    /// webhook instead.
    pub async fn get_integration(&self, id: &WebhookId) -> Result<Answer<Integration>, Error> {
        let call = Call::new(Route::GetIntegration, Method::GET, of(id));
        self.send(call, read).await
    }

    /// All registrations, page by page.
    pub async fn list_integrations(&self) -> Result<Answer<Vec<Integration>>, Error> {
        self.collect(listing(), |item| Integration::read(&item, None)).await
    }

    /// The registration with this name and version, through the listing.
    pub async fn find_integration(&self, name: &str, version: i64) -> Result<Answer<Option<Integration>>, Error> {
        let mut found = None;
        let search = |page: Vec<Value>| {
            let read = |item: Value| Integration::read(&item, None).ok();
            found = page.into_iter().filter_map(read).find(|one| one.is(name, version));
            found.is_none()
        };
        let searched = self.walk(listing(), search).await?;
        Ok(searched.map(|_| found))
    }

    /// Deletes a registration.
    pub async fn delete_integration(&self, id: &WebhookId) -> Result<Answer<Deletion>, Error> {
        let call = Call::new(Route::DeleteIntegration, Method::DELETE, of(id));
        let sent = self.send(call, |_| Ok(Deletion::Deleted)).await;
        self.forget_version(id);
        match sent {
            Ok(deleted) => Ok(deleted),
            Err(error) => {
                let value = match error.kind {
                    ErrorKind::NotFound => Deletion::AlreadyGone,
                    ErrorKind::NotSupported => Deletion::NotSupported,
                    _ => return Err(error),
                };
                Ok(Answer { value, etag: None, latency: error.latency, trace_id: error.trace_id })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use url::Url;

    use super::super::{Method as Delivery, Status};
    use super::*;

    #[test]
    fn the_request_id_names_the_registration_and_fits_a_header() {
        let registration = |name: &str| Registration {
            name: name.into(),
            url: Url::parse("https://api.example.com").unwrap(),
            method: Delivery::Post,
            headers: BTreeMap::new(),
            payload_format: "application/json".into(),
            version: 2,
            status: Status::Inactive,
        };
        assert_eq!(request_id(&registration("orders")), "webhook-reg-orders-2");
        let encoded = request_id(&registration("größe\n"));
        assert!(encoded.bytes().all(|b| b.is_ascii_graphic()), "{encoded}");
    }
}
