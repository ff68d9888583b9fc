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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn webhook(version: i32) -> CognigyWebhook {
        let spec =
            json!({"tenantRef": {"name": "production"}, "url": "https://api.example.com/hooks", "version": version});
        CognigyWebhook::new("orders", serde_json::from_value(spec).unwrap())
    }

    fn listed(name: &str, version: i64, status: &str, key: Option<&str>) -> Integration {
        let id = format!("wh_{name}_{version}");
        let fields = json!({"id": id, "name": name, "version": version, "status": status, "idempotencyKey": key});
        Integration::read(&fields, None).unwrap()
    }

    #[test]
    fn what_is_registered_under_its_name_is_its_own_and_other_versions_are_older_ones() {
        let all = [
            listed("orders", 1, "inactive", Some("orders:1")),
            listed("orders", 2, "active", Some("orders:2")),
            listed("other", 3, "active", Some("other:3")),
        ];
        let status = recognised(&webhook(2), &all).status.unwrap();
        assert_eq!((status.webhook_id.as_deref(), status.state), (Some("wh_orders_2"), Some(State::Active)));
        assert_eq!(status.versions.iter().map(|kept| kept.version).collect::<Vec<_>>(), [1]);
        let next = recognised(&webhook(3), &all);
        let status = next.status.unwrap();
        assert_eq!(status.webhook_id, None);
        assert_eq!(status.versions.iter().map(|kept| kept.version).collect::<Vec<_>>(), [2, 1]);
        assert_eq!(next.metadata.annotations.unwrap()[REGISTRATION_ANNOTATION], "orders:2");
    }

    #[test]
    fn what_was_made_by_hand_is_nobodys() {
        let all = [listed("orders", 1, "active", None), listed("other", 1, "active", Some("other:1"))];
        assert!(recognised(&webhook(1), &all).status.is_none());
    }
}
