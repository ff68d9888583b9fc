//! cognigy-api.md §4: optimistic locking.

use cognigy_operator::cognigy::{Code, Concurrency, ETag, ErrorKind, Read, Route, StoredPolicy, WebhookId};
use cognigy_simulator as simulator;
use cognigy_simulator::{Fault, Locking, StaleStatus};
use serde_json::json;

use crate::fixture::{Fixture, policy, read};

#[tokio::test]
async fn a_policy_is_written_under_the_tag_that_was_read_whatever_carries_it() {
    for locking in [Locking::EtagAndVersion, Locking::EtagOnly, Locking::VersionOnly] {
        let fixture = Fixture::with(|options| options.locking = locking);
        let session = fixture.session();
        let (id, webhook) = fixture.webhook(&session).await;
        let precondition = session.precondition(&webhook).unwrap();
        session.put_webhook(&id, &webhook.with_policy(&policy(&id)), &precondition).await.unwrap();
        let put = &fixture.sim.requests_to(simulator::Route::PutWebhook)[0];
        assert_eq!(put.header("if-match"), webhook.tag().map(ETag::as_str), "{locking:?}");
        let now = read(&session, &id).await;
        assert_eq!(now.retry_policy(), Some(StoredPolicy::Interval(policy(&id))));
        assert_ne!(now.tag(), webhook.tag());
    }
}

#[tokio::test]
async fn the_new_tag_is_told_and_serves_the_next_write() {
    let fixture = Fixture::new();
    let session = fixture.session();
    let (id, webhook) = fixture.webhook(&session).await;
    let precondition = session.precondition(&webhook).unwrap();
    let written = session.put_webhook(&id, &webhook.with_policy(&policy(&id)), &precondition).await.unwrap();
    assert_eq!(written.etag.as_ref().map(ETag::as_str), fixture.sim.etag(id.as_str()).as_deref());
    assert_eq!(written.etag, read(&session, &id).await.tag().cloned());
}

#[tokio::test]
async fn fields_that_nobody_documents_are_carried_through_a_write() {
    let fixture = Fixture::new();
    fixture.sim.configure(|options| {
        options.unknown_webhook_fields.insert("labels".into(), json!({"team": ["cx", 1, null]}));
    });
    let session = fixture.session();
    let (id, webhook) = fixture.webhook(&session).await;
    let precondition = session.precondition(&webhook).unwrap();
    session.put_webhook(&id, &webhook.with_policy(&policy(&id)), &precondition).await.unwrap();
    let stored = fixture.sim.webhook(id.as_str()).unwrap();
    assert_eq!(stored["labels"], json!({"team": ["cx", 1, null]}));
    assert_eq!(stored["deliveryRegion"], "eu-1");
    assert_eq!(stored["retryPolicy"]["maxRetries"], 4);
}

#[tokio::test]
async fn a_change_behind_our_back_is_a_conflict_and_is_not_overwritten() {
    for (stale, status) in [(StaleStatus::Conflict, 409), (StaleStatus::PreconditionFailed, 412)] {
        let fixture = Fixture::with(|options| options.stale_status = stale);
        let session = fixture.session();
        let (id, webhook) = fixture.webhook(&session).await;
        let precondition = session.precondition(&webhook).unwrap();
        fixture.sim.change_behind(id.as_str(), json!({"url": "https://changed.example.com/"}));
        let error = session.put_webhook(&id, &webhook.with_policy(&policy(&id)), &precondition).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Conflict);
        assert_eq!(fixture.calls().last(), Some(&(Route::PutWebhook, Code::Status(status))));
        assert_eq!(*fixture.told.conflicts.lock().unwrap(), 1);
        assert_eq!(fixture.sim.integration(id.as_str()).unwrap().url, "https://changed.example.com/");
    }
}

#[tokio::test]
async fn an_unchanged_webhook_is_not_read_again_and_a_server_that_ignores_the_condition_is_tolerated() {
    let fixture = Fixture::new();
    let session = fixture.session();
    let (id, webhook) = fixture.webhook(&session).await;
    let known = webhook.tag();
    let quiet = session.get_webhook(&id, known).await.unwrap();
    assert_eq!(quiet.value, Read::NotModified);
    assert_eq!(quiet.etag.as_ref(), known);
    fixture.sim.change_behind(id.as_str(), json!({"url": "https://changed.example.com/"}));
    let Read::Found(changed) = session.get_webhook(&id, known).await.unwrap().value else {
        panic!("the change was not seen")
    };
    assert_eq!(changed.url(), Some("https://changed.example.com/"));
    fixture.sim.configure(|options| options.ignore_if_none_match = true);
    let again = session.get_webhook(&id, changed.tag()).await.unwrap();
    assert_eq!(again.value, Read::Found(changed));
}

#[tokio::test]
async fn without_any_tag_nothing_is_written_unless_the_tenant_allows_a_comparison() {
    let fixture = Fixture::with(|options| options.locking = Locking::LastChanged);
    let strict = fixture.session();
    let (id, webhook) = fixture.webhook(&strict).await;
    assert_eq!(strict.precondition(&webhook).unwrap_err().kind, ErrorKind::LockingUnsupported);

    let lenient = fixture.session_with(|config| config.concurrency = Concurrency::CompareAndWrite);
    let precondition = lenient.precondition(&webhook).unwrap();
    lenient.put_webhook(&id, &webhook.with_policy(&policy(&id)), &precondition).await.unwrap();
    let stale = lenient.put_webhook(&id, &webhook, &precondition).await.unwrap_err();
    assert_eq!(stale.kind, ErrorKind::Conflict);
    assert_eq!(fixture.sim.count(simulator::Route::PutWebhook), 1);
}

#[tokio::test]
async fn without_a_tag_and_without_last_changed_nothing_is_ever_written() {
    let fixture = Fixture::with(|options| options.locking = Locking::None);
    let session = fixture.session_with(|config| config.concurrency = Concurrency::CompareAndWrite);
    let (_, webhook) = fixture.webhook(&session).await;
    assert_eq!(session.precondition(&webhook).unwrap_err().kind, ErrorKind::LockingUnsupported);
}

#[tokio::test]
async fn a_write_whose_answer_was_lost_shows_at_the_next_read() {
    let fixture = Fixture::new();
    let session = fixture.session();
    let (id, webhook) = fixture.webhook(&session).await;
    fixture.sim.fault(Fault::on(simulator::Route::PutWebhook).times(1).lose_after());
    let precondition = session.precondition(&webhook).unwrap();
    let write = webhook.with_policy(&policy(&id));
    assert_eq!(session.put_webhook(&id, &write, &precondition).await.unwrap_err().kind, ErrorKind::Unreachable);
    assert_eq!(session.put_webhook(&id, &write, &precondition).await.unwrap_err().kind, ErrorKind::Conflict);
    let now = read(&session, &id).await;
    assert_eq!(now.retry_policy(), Some(StoredPolicy::Interval(policy(&id))));
}

#[tokio::test]
async fn a_write_without_a_body_in_its_answer_is_a_success() {
    let fixture = Fixture::new();
    let session = fixture.session();
    let (id, webhook) = fixture.webhook(&session).await;
    fixture.sim.configure(|options| options.bodyless_writes = Some(204));
    let precondition = session.precondition(&webhook).unwrap();
    session.put_webhook(&id, &webhook.with_policy(&policy(&id)), &precondition).await.unwrap();
    assert_eq!(read(&session, &id).await.retry_policy(), Some(StoredPolicy::Interval(policy(&id))));
}

#[tokio::test]
async fn a_webhook_that_was_deleted_behind_our_back_is_not_found() {
    let fixture = Fixture::new();
    let session = fixture.session();
    let (id, _) = fixture.webhook(&session).await;
    fixture.sim.delete_behind(id.as_str());
    assert_eq!(session.get_webhook(&id, None).await.unwrap_err().kind, ErrorKind::NotFound);
}

#[tokio::test]
async fn an_odd_id_stays_within_its_path() {
    let fixture = Fixture::new();
    let session = fixture.session();
    session.get_webhook(&WebhookId::new("../../a b?c#d%2f").unwrap(), None).await.unwrap_err();
    let asked = fixture.sim.requests().pop().unwrap();
    assert_eq!(asked.path, "/api/v2/webhooks/..%2F..%2Fa%20b%3Fc%23d%252f");
}
