//! The pass's own books: ids, entity tag and the status that is being drafted.

use super::{
    registration,
    world::{Fact, Health, Known, Older, Target, World},
};
use crate::{
    api::{
        CognigyWebhook, CognigyWebhookStatus, FINALIZER, REGISTRATION_ANNOTATION,
        webhook::{KeptVersion, State},
    },
    cognigy::{ETag, Webhook, WebhookId},
};

/// What a pass writes down as it goes.
#[derive(Clone, Debug)]
pub struct Book {
    /// The status that is being drafted. Its top level speaks of the desired version.
    pub status: CognigyWebhookStatus,
    /// The webhook as last read, with the tag to write it under.
    pub webhook: Option<Webhook>,
    /// The entity tag that is known to be current.
    pub tag: Option<ETag>,
}

impl Book {
    /// Opens the books for a version: another version's entry moves to the older ones, a kept one comes back.
    pub fn open(status: Option<&CognigyWebhookStatus>, version: i32) -> Self {
        let mut status = status.cloned().unwrap_or_default();
        if status.webhook_id.is_none() || status.version != Some(version) {
            if let (Some(webhook_id), Some(version)) = (status.webhook_id.take(), status.version.take()) {
                // What was about to go live may have done so: a lost answer, a crash.
                let state = status.state.take().filter(|state| state.is_active());
                status.versions.insert(0, KeptVersion { version, webhook_id, state });
                status.etag = None;
                status.retry_policy = None;
                status.health = None;
            }
            // Also where nothing was open: the version in between may never have come to an id.
            if let Some(at) = status.versions.iter().position(|kept| kept.version == version) {
                let kept = status.versions.remove(at);
                status.webhook_id = Some(kept.webhook_id);
                status.version = Some(kept.version);
                status.state = kept.state;
            }
        }
        Self { status, webhook: None, tag: None }
    }

    /// The id of the desired version.
    pub fn id(&self) -> Option<WebhookId> {
        self.status.webhook_id.as_deref().and_then(|id| WebhookId::new(id).ok())
    }

    /// The id of any version.
    pub fn id_of(&self, version: i64) -> Option<WebhookId> {
        if self.status.version.map(i64::from) == Some(version) {
            return self.id();
        }
        let kept = self.status.versions.iter().find(|kept| i64::from(kept.version) == version)?;
        WebhookId::new(&*kept.webhook_id).ok()
    }

    /// The desired version is registered under this id.
    pub fn registered(&mut self, id: &WebhookId, version: i64, active: bool) {
        self.status.webhook_id = Some(id.to_string());
        self.status.version = i32::try_from(version).ok();
        self.status.refused_registration = None;
        self.set_active(version, active);
    }

    /// What is registered under this key is not this resource's: no later pass takes it for our own, whatever is told
    /// meanwhile.
    pub fn refuse(&mut self, key: String) {
        self.status.refused_registration = Some(key);
    }

    /// Another version is there under this id; it is the first to go when there are too many.
    pub fn keep(&mut self, id: &WebhookId, version: i64, active: bool) {
        let state = if active { State::Active } else { State::Inactive };
        if let Ok(version) = i32::try_from(version) {
            self.status.versions.push(KeptVersion { version, webhook_id: id.to_string(), state: Some(state) });
        }
    }

    /// A version's state in Cognigy.
    pub fn set_active(&mut self, version: i64, active: bool) {
        let state = if active { State::Active } else { State::Inactive };
        if self.status.version.map(i64::from) == Some(version) {
            self.status.state = Some(state);
        }
        self.status.versions.iter_mut().filter(|kept| i64::from(kept.version) == version).for_each(|kept| {
            kept.state = Some(state);
        });
    }

    /// A version is gone.
    pub fn forget(&mut self, version: i64) {
        if self.status.version.map(i64::from) == Some(version) {
            self.status.webhook_id = None;
            self.status.version = None;
            self.status.state = None;
            self.status.etag = None;
            self.status.retry_policy = None;
            self.webhook = None;
            self.tag = None;
        }
        self.status.versions.retain(|kept| i64::from(kept.version) != version);
    }

    /// The world as the status tells it; nothing of it was seen in this pass.
    pub fn world(&self, webhook: &CognigyWebhook, version: i32, health: Health) -> World {
        let key = registration::key(webhook, version);
        let finalized = webhook.metadata.finalizers.iter().flatten().any(|finalizer| finalizer == FINALIZER);
        let recorded = webhook.metadata.annotations.as_ref().and_then(|all| all.get(REGISTRATION_ANNOTATION));
        let claimed = finalized && recorded.is_some_and(|recorded| *recorded == key);
        let refused = self.status.refused_registration.as_ref();
        // What was refused as somebody else's is none of ours, whatever happened since.
        let claimed_last = registration::recorded_version(webhook).filter(|_| finalized && recorded != refused);
        let lost =
            claimed_last.map(i64::from).filter(|other| *other != i64::from(version) && self.id_of(*other).is_none());
        let target = match (&self.status.webhook_id, self.status.state) {
            (Some(_), state) => Target::Known(Known {
                seen: false,
                active: state.is_some_and(State::is_active),
                registration: Fact::Unread,
                policy: Fact::Unread,
                tagged: false,
            }),
            (None, _) => Target::Missing { searched: false },
        };
        let older = self.status.versions.iter();
        World {
            claimed,
            ours: claimed && recorded != refused,
            lost,
            target,
            health,
            outage: false,
            older: older
                .map(|kept| Older { version: kept.version.into(), active: kept.state.map(State::is_active) })
                .collect(),
            undeletable: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::mutated::mutated;

    fn status() -> CognigyWebhookStatus {
        CognigyWebhookStatus {
            webhook_id: Some("wh_2".into()),
            version: Some(2),
            state: Some(State::Active),
            versions: vec![KeptVersion { version: 1, webhook_id: "wh_1".into(), state: Some(State::Inactive) }],
            ..CognigyWebhookStatus::default()
        }
    }

    #[test]
    fn a_new_version_opens_its_books_and_keeps_the_old_ones() {
        let book = Book::open(Some(&status()), 3);
        assert_eq!(book.id(), None);
        let kept: Vec<_> = book.status.versions.iter().map(|kept| (kept.version, kept.state)).collect();
        assert_eq!(kept, [(2, Some(State::Active)), (1, Some(State::Inactive))]);
    }

    #[test]
    fn a_version_that_was_not_yet_live_may_be_live_when_it_is_left() {
        let status = CognigyWebhookStatus { state: Some(State::Inactive), ..status() };
        let book = Book::open(Some(&status), 3);
        let kept: Vec<_> = book.status.versions.iter().map(|kept| (kept.version, kept.state)).collect();
        assert_eq!(kept, [(2, None), (1, Some(State::Inactive))]);
    }

    #[test]
    fn going_back_to_a_kept_version_finds_its_id_again() {
        let book = Book::open(Some(&status()), 1);
        assert_eq!(book.id().map(|id| id.to_string()), Some("wh_1".into()));
        assert_eq!(book.status.state, Some(State::Inactive));
        assert_eq!(book.id_of(2).map(|id| id.to_string()), Some("wh_2".into()));
    }

    #[test]
    fn going_back_from_a_version_that_was_never_registered_finds_the_kept_one() {
        let refused = Book::open(Some(&status()), 3).status;
        assert_eq!((&refused.webhook_id, refused.version), (&None, None));
        let book = Book::open(Some(&refused), 2);
        assert_eq!((book.status.webhook_id.as_deref(), book.status.state), (Some("wh_2"), Some(State::Active)));
        assert_eq!(book.status.versions, status().versions);
    }

    #[test]
    fn a_refused_registration_is_not_ours_and_hides_nothing_of_ours_whatever_is_told_later() {
        let mut book = Book::open(None, 1);
        book.refuse("orders:1".into());
        let spec = serde_json::json!({"tenantRef": {"name": "production"}, "url": "https://api.example.com/hooks"});
        let mut webhook = CognigyWebhook::new("orders", serde_json::from_value(spec).unwrap());
        webhook.metadata.finalizers = Some(vec![FINALIZER.into()]);
        webhook.metadata.annotations = Some([(REGISTRATION_ANNOTATION.into(), "orders:1".into())].into());
        let world = book.world(&webhook, 1, Health::Unknown);
        assert!(world.claimed && !world.ours);
        assert_eq!(book.world(&webhook, 2, Health::Unknown).lost, None);
        book.status.refused_registration = None;
        assert!(book.world(&webhook, 1, Health::Unknown).ours);
        assert_eq!(book.world(&webhook, 2, Health::Unknown).lost, Some(1));
    }

    #[test]
    fn the_same_version_leaves_the_books_as_they_are() {
        assert_eq!(Book::open(Some(&status()), 2).status, status());
    }

    proptest! {
        #[test]
        fn no_status_and_no_annotation_that_somebody_wrote_breaks_the_books(
            status in mutated(serde_json::to_value(status()).unwrap()), annotation in "(\\PC{0,20}:)?-?[0-9]{0,20}|\\PC{0,20}",
            version in 1..4_i32
        ) {
            let spec = serde_json::json!({"tenantRef": {"name": "production"}, "url": "https://api.example.com/hooks"});
            let mut webhook = CognigyWebhook::new("orders", serde_json::from_value(spec).unwrap());
            webhook.metadata.annotations = Some([(REGISTRATION_ANNOTATION.into(), annotation)].into());
            // What the schema refuses is never seen.
            let Ok(status) = serde_json::from_slice::<CognigyWebhookStatus>(&status) else { return Ok(()) };
            webhook.status = Some(status);
            let book = Book::open(webhook.status.as_ref(), version);
            let world = book.world(&webhook, version, Health::Unknown);
            prop_assert!(!world.ours || world.claimed);
            if let Some(id) = book.id() {
                prop_assert!(!id.as_str().is_empty());
            }
        }
    }
}
