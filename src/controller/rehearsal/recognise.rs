//! Without a cluster nobody tells what a resource registered: it is recognised by its name in Cognigy's listing.

use crate::{
    api::{
        CognigyWebhook, CognigyWebhookStatus, FINALIZER, REGISTRATION_ANNOTATION,
        webhook::{KeptVersion, State},
    },
    cognigy::{Integration, Status},
};

/// The resource as it would stand in a cluster whose operator registered what is listed under its name; unchanged where
/// nothing is.
pub fn recognised(webhook: &CognigyWebhook, listed: &[Integration]) -> CognigyWebhook {
    let mut webhook = webhook.clone();
    let name = webhook.registered_name();
    let own = |one: &&Integration| one.version.is_some_and(|version| one.has_key_of(&name, version));
    let mut versions: Vec<KeptVersion> =
        listed.iter().filter(|one| one.name.as_ref() == Some(&name)).filter(own).filter_map(kept).collect();
    if webhook.spec.is_existing() || versions.is_empty() {
        return webhook;
    }
    versions.sort_by_key(|kept| std::cmp::Reverse(kept.version));
    let mut status = CognigyWebhookStatus::default();
    let mut claimed = versions[0].version;
    if let Some(at) = versions.iter().position(|kept| kept.version == webhook.spec.version()) {
        let own = versions.remove(at);
        claimed = own.version;
        status.webhook_id = Some(own.webhook_id);
        status.version = Some(own.version);
        status.state = own.state;
    }
    status.versions = versions;
    webhook.status = Some(status);
    webhook.metadata.finalizers = Some(vec![FINALIZER.to_owned()]);
    let annotations = webhook.metadata.annotations.get_or_insert_default();
    annotations.insert(REGISTRATION_ANNOTATION.to_owned(), format!("{name}:{claimed}"));
    webhook
}

fn kept(integration: &Integration) -> Option<KeptVersion> {
    let state = match integration.status? {
        Status::Active => State::Active,
        Status::Inactive => State::Inactive,
    };
    Some(KeptVersion {
        version: i32::try_from(integration.version?).ok()?,
        webhook_id: integration.id.to_string(),
        state: Some(state),
    })
}
