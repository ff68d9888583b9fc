//! cognigy-api.md §2 and its variants in §8.

use std::collections::BTreeSet;

use cognigy_operator::cognigy::{Deletion, ErrorKind, Outcome, Status, Webhook, WebhookId};
use cognigy_simulator as simulator;
use cognigy_simulator::{CursorStyle, Fault, IdField, IdStyle, Support};
use futures::future::join_all;

use crate::fixture::{Fixture, policy, registration};

#[tokio::test]
async fn a_registration_is_created_once_and_found_again_under_its_key() {
    let fixture = Fixture::new();
    let session = fixture.session();
    let first = session.register(&registration("orders", 1)).await.unwrap().value;
    let again = session.register(&registration("orders", 1)).await.unwrap().value;
    assert_eq!((first.outcome, again.outcome), (Outcome::Created, Outcome::Existed));
    assert_eq!(first.integration.id, again.integration.id);
    assert_eq!(fixture.sim.integrations().len(), 1);
    let posted = &fixture.sim.requests_to(simulator::Route::CreateIntegration)[0];
    assert_eq!(posted.header("x-request-id"), Some("webhook-reg-orders-1"));
    assert_eq!(posted.header("content-type"), Some("application/json"));
}

#[tokio::test]
async fn another_payload_under_the_same_key_is_a_conflict() {
    let fixture = Fixture::new();
    let session = fixture.session();
    session.register(&registration("orders", 1)).await.unwrap();
    let mut other = registration("orders", 1);
    other.url = "https://other.example.com/".parse().unwrap();
    assert_eq!(session.register(&other).await.unwrap_err().kind, ErrorKind::Conflict);
    assert_eq!(*fixture.told.conflicts.lock().unwrap(), 1);
}

#[tokio::test]
async fn a_registration_whose_answer_was_lost_is_found_by_repeating_it() {
    let fixture = Fixture::new();
    let session = fixture.session();
    fixture.sim.fault(Fault::on(simulator::Route::CreateIntegration).times(1).lose_after());
    assert_eq!(session.register(&registration("orders", 1)).await.unwrap_err().kind, ErrorKind::Unreachable);
    let again = session.register(&registration("orders", 1)).await.unwrap().value;
    assert_eq!(again.outcome, Outcome::Existed);
    assert_eq!(fixture.sim.integrations().len(), 1);
}

#[tokio::test]
async fn a_registration_is_activated_by_an_update() {
    let fixture = Fixture::new();
    let session = fixture.session();
    let id = session.register(&registration("orders", 1)).await.unwrap().value.integration.id;
    let active = registration("orders", 1).with_status(Status::Active);
    session.update_integration(&id, &active).await.unwrap();
    assert_eq!(session.get_integration(&id).await.unwrap().value.status, Some(Status::Active));
    assert!(fixture.sim.integration(id.as_str()).unwrap().active);
}

#[tokio::test]
async fn an_answer_without_a_body_is_followed_by_a_look_at_the_listing() {
    for status in [202, 204] {
        let fixture = Fixture::with(|options| options.bodyless_writes = Some(status));
        let session = fixture.session();
        session.register(&registration("other", 1)).await.unwrap();
        let registered = session.register(&registration("orders", 2)).await.unwrap().value;
        assert_eq!(registered.integration.name.as_deref(), Some("orders"), "{status}");
        let updated = session.update_integration(&registered.integration.id, &registration("orders", 2)).await.unwrap();
        assert_eq!(updated.value, None);
    }
}

#[tokio::test]
async fn ids_are_opaque_and_come_under_either_name() {
    for (field, style) in [(IdField::Id, IdStyle::Prefixed), (IdField::UnderscoreId, IdStyle::Hex)] {
        let fixture = Fixture::with(|options| {
            options.id_field = field;
            options.id_style = style;
        });
        let session = fixture.session();
        let (id, webhook) = fixture.webhook(&session).await;
        assert_eq!(&id, webhook.id());
        assert_eq!(session.get_integration(&id).await.unwrap().value.id, id);
    }
}

#[tokio::test]
async fn a_listing_is_read_to_its_end_in_every_cursor_style() {
    for style in [CursorStyle::Pagination, CursorStyle::TopLevel, CursorStyle::Next] {
        let fixture = Fixture::with(|options| options.cursor_style = style);
        let session = fixture.session();
        let all = (1..=201).map(|version| {
            let session = &session;
            async move { session.register(&registration("orders", version)).await }
        });
        assert!(join_all(all).await.into_iter().all(|one| one.is_ok()));
        let listed = session.list_integrations().await.unwrap().value;
        let versions: BTreeSet<_> = listed.iter().filter_map(|one| one.version).collect();
        assert_eq!(versions, (1..=201).collect(), "{style:?}");
        assert_eq!(fixture.sim.count(simulator::Route::ListIntegrations), 3);
        let found = session.find_integration("orders", 201).await.unwrap().value.unwrap();
        assert_eq!(found.version, Some(201));
        assert_eq!(session.find_integration("orders", 202).await.unwrap().value, None);
    }
}

#[tokio::test]
async fn a_cursor_that_comes_twice_is_a_server_fault_and_no_loop() {
    let fixture = Fixture::with(|options| options.repeat_cursor = true);
    let session = fixture.session();
    session.register(&registration("orders", 1)).await.unwrap();
    let error = session.list_integrations().await.unwrap_err();
    assert!(matches!(error.kind, ErrorKind::Server { .. }), "{error}");
    assert!(error.to_string().contains("cursor"), "{error}");
    assert_eq!(fixture.sim.count(simulator::Route::ListIntegrations), 2);
}

#[tokio::test]
async fn a_deletion_says_what_it_found() {
    let fixture = Fixture::new();
    let session = fixture.session();
    let id = session.register(&registration("orders", 1)).await.unwrap().value.integration.id;
    assert_eq!(session.delete_integration(&id).await.unwrap().value, Deletion::Deleted);
    assert_eq!(session.delete_integration(&id).await.unwrap().value, Deletion::AlreadyGone);
    for support in [Support::MethodNotAllowed, Support::NotImplemented] {
        fixture.sim.configure(|options| options.delete_integration = support);
        assert_eq!(session.delete_integration(&id).await.unwrap().value, Deletion::NotSupported);
    }
}

#[tokio::test]
async fn an_installation_without_the_assumed_reads_is_connected_all_the_same() {
    for support in [Support::NotFound, Support::MethodNotAllowed, Support::NotImplemented] {
        let fixture = Fixture::with(|options| {
            options.list_integrations = support;
            options.get_integration = support;
        });
        let session = fixture.session();
        session.probe().await.unwrap();
        let kind = session.get_integration(&WebhookId::new("x").unwrap()).await.unwrap_err().kind;
        assert!(matches!(kind, ErrorKind::NotFound | ErrorKind::NotSupported), "{kind:?}");
    }
}

#[tokio::test]
async fn a_creation_that_carries_a_tag_saves_the_read_before_the_policy_write() {
    for (etag, version) in [(true, false), (false, true)] {
        let fixture = Fixture::with(|options| {
            options.post_carries_etag = etag;
            options.post_carries_version = version;
        });
        let session = fixture.session();
        let integration = session.register(&registration("orders", 1)).await.unwrap().value.integration;
        let webhook = Webhook::from_integration_answer(&integration).unwrap();
        let precondition = session.precondition(&webhook).unwrap();
        let id = &integration.id;
        session.put_webhook(id, &webhook.with_policy(&policy(id)), &precondition).await.unwrap();
        assert!(fixture.sim.integration(id.as_str()).unwrap().retry_policy.is_some());
        assert_eq!(fixture.sim.count(simulator::Route::GetWebhook), 0);
    }
}
