//! Shared listings: what many objects cost (docs/design.md, *Rules that keep it fast and quiet*).

use std::time::Duration;

use cognigy_operator::cognigy::{
    BackoffStrategy, BotId, BotWebhookRef, ETag, ErrorKind, Freshness, Held, IdempotencyKey, Listed, Read, Session,
    WebhookId, WindowPolicy,
};
use cognigy_simulator::{BotWebhook, CursorStyle, Fault, Options, Route, Support};
use futures::future::join_all;
use serde_json::json;

use crate::fixture::Fixture;

const MANY: usize = 1000;
const PERIOD: Duration = Duration::from_mins(10);
/// Any listing will do, also to say that something is not there.
const OLD: Freshness = Freshness { presence: PERIOD, absence: PERIOD };

fn policy(max_attempts: u32) -> WindowPolicy {
    WindowPolicy { max_attempts, backoff_strategy: BackoffStrategy::Linear, ..WindowPolicy::default() }
}

fn bot() -> BotId {
    BotId::new("bot-1").unwrap()
}

/// A bot with `count` webhooks that all have a policy; their ids.
fn with_bot(count: usize, change: impl FnOnce(&mut Options)) -> (Fixture, Vec<WebhookId>) {
    let fixture = Fixture::with(|options| {
        options.bot_webhooks = (0..count)
            .map(|n| BotWebhook {
                retry_policy: Some(json!(policy(3))),
                ..BotWebhook::new("bot-1", &format!("hook-{n}"), "https://api.example.com/hook")
            })
            .collect();
        change(options);
    });
    let ids = fixture.sim.bot_webhooks().into_iter().map(|one| WebhookId::new(one.id).unwrap()).collect();
    (fixture, ids)
}

async fn held(session: &Session, id: &WebhookId, freshness: Freshness) -> Held {
    match session.find_bot_webhook(&bot(), &BotWebhookRef::Id(id.clone()), freshness).await.unwrap() {
        Listed::One(one) => one.policy,
        other => panic!("{other:?}"),
    }
}

async fn write(session: &Session, id: &WebhookId, policy: &WindowPolicy, key: &str) -> bool {
    let key = IdempotencyKey::new(key).unwrap();
    session.write_bot_policy(&bot(), id, policy, &key).await.unwrap().value
}

#[tokio::test]
async fn a_thousand_bot_webhooks_that_are_compared_at_once_or_in_turn_cost_ten_calls() {
    for style in [CursorStyle::Pagination, CursorStyle::TopLevel, CursorStyle::Next] {
        let (fixture, ids) = with_bot(MANY, |options| options.cursor_style = style);
        let session = fixture.session();
        let at_once = join_all(ids.iter().map(|id| held(&session, id, OLD))).await;
        assert!(at_once.iter().all(|held| *held == Held::Policy(policy(3))), "{style:?}");
        for id in &ids {
            held(&session, id, OLD).await;
        }
        assert_eq!(fixture.sim.count(Route::ListBotWebhooks), 10, "{style:?}");
    }
}

#[tokio::test]
async fn a_listing_that_is_too_old_is_fetched_again_and_so_is_one_that_may_lack_what_is_new() {
    let (fixture, ids) = with_bot(1, |_| {});
    let session = fixture.session();
    held(&session, &ids[0], OLD).await;
    held(&session, &ids[0], Freshness::NOW).await;
    assert_eq!(fixture.sim.count(Route::ListBotWebhooks), 2);

    let id = fixture.sim.add_bot_webhook(BotWebhook::new("bot-1", "new", "https://api.example.com/hook"));
    let new = BotWebhookRef::Name("new".into());
    let find = async |freshness| session.find_bot_webhook(&bot(), &new, freshness).await.unwrap();
    assert_eq!(find(OLD).await, Listed::Missing);
    let found = find(Freshness { presence: PERIOD, absence: Duration::ZERO }).await;
    assert!(matches!(&found, Listed::One(one) if one.id.as_str() == id), "{found:?}");
    assert_eq!(fixture.sim.count(Route::ListBotWebhooks), 3);
}

#[tokio::test]
async fn what_was_written_counts_for_more_than_the_listing_before_it_and_for_less_than_the_one_after() {
    let (fixture, ids) = with_bot(1, |_| {});
    let session = fixture.session();
    assert_eq!(held(&session, &ids[0], OLD).await, Held::Policy(policy(3)));
    assert!(write(&session, &ids[0], &policy(5), "one").await);
    assert_eq!(held(&session, &ids[0], OLD).await, Held::Policy(policy(5)));
    assert_eq!(fixture.sim.count(Route::ListBotWebhooks), 1);
    fixture.sim.change_behind(ids[0].as_str(), json!({"retryPolicy": {"maxAttempts": 7}}));
    assert_eq!(held(&session, &ids[0], Freshness::NOW).await, Held::Policy(policy(7)));
}

#[tokio::test]
async fn a_write_whose_answer_is_lost_leaves_a_doubt_that_the_next_listing_ends() {
    let (fixture, ids) = with_bot(1, |_| {});
    let session = fixture.session();
    held(&session, &ids[0], OLD).await;
    fixture.sim.fault(Fault::on(Route::PatchBotWebhook).times(1).lose_after());
    let key = IdempotencyKey::new("one").unwrap();
    session.write_bot_policy(&bot(), &ids[0], &policy(5), &key).await.unwrap_err();
    assert_eq!(held(&session, &ids[0], OLD).await, Held::InDoubt);
    assert_eq!(held(&session, &ids[0], Freshness::NOW).await, Held::Policy(policy(5)));
}

#[tokio::test]
async fn a_key_that_was_seen_before_writes_nothing_and_that_is_noticed() {
    let (fixture, ids) = with_bot(1, |_| {});
    let session = fixture.session();
    assert!(write(&session, &ids[0], &policy(5), "one").await);
    fixture.sim.change_behind(ids[0].as_str(), json!({"retryPolicy": {"maxAttempts": 7}}));
    assert!(!write(&session, &ids[0], &policy(5), "one").await);
    assert!(write(&session, &ids[0], &policy(5), "two").await);
    assert_eq!(fixture.sim.bot_webhooks()[0].retry_policy, Some(json!(policy(5))));
}

#[tokio::test]
async fn several_of_one_name_are_all_named_and_a_bot_that_is_not_there_has_none() {
    let (fixture, ids) = with_bot(2, |options| options.bot_webhooks[1].name = "hook-0".into());
    let session = fixture.session();
    let name = BotWebhookRef::Name("hook-0".into());
    assert_eq!(session.find_bot_webhook(&bot(), &name, OLD).await.unwrap(), Listed::Several(ids));
    let nobody = BotId::new("nobody").unwrap();
    assert_eq!(session.find_bot_webhook(&nobody, &name, OLD).await.unwrap(), Listed::Missing);
    assert_eq!(session.find_bot_webhook(&nobody, &name, OLD).await.unwrap(), Listed::Missing);
    assert_eq!(fixture.sim.count(Route::ListBotWebhooks), 2, "that nothing is there is remembered too");
}

#[tokio::test]
async fn a_listing_without_end_is_a_fault_of_the_server_for_all_who_wait_for_it() {
    let (fixture, ids) = with_bot(200, |options| options.repeat_cursor = true);
    let session = fixture.session();
    let wanted: Vec<_> = ids.into_iter().map(BotWebhookRef::Id).collect();
    let bot = bot();
    let failed = join_all(wanted.iter().map(|wanted| session.find_bot_webhook(&bot, wanted, OLD))).await;
    for error in failed.into_iter().map(Result::unwrap_err) {
        assert!(matches!(error.kind, ErrorKind::Server { .. }), "{error}");
    }
    assert_eq!(fixture.sim.count(Route::ListBotWebhooks), 2);
}

#[tokio::test]
async fn whether_policies_are_shown_at_all_is_found_out_with_one_write() {
    let (fixture, ids) = with_bot(3, |options| options.bot_webhooks.iter_mut().for_each(|w| w.retry_policy = None));
    let session = fixture.session();
    assert_eq!(held(&session, &ids[0], OLD).await, Held::NeverShown);
    assert!(session.try_whether_policies_are_shown(&bot()));
    assert!(!session.try_whether_policies_are_shown(&bot()));
    // This installation's listing never shows any, so there is still none.
    assert_eq!(held(&session, &ids[1], Freshness::NOW).await, Held::NotShown);
    // Where one is shown, what is not shown is not there.
    write(&session, &ids[0], &policy(5), "one").await;
    assert_eq!(held(&session, &ids[1], Freshness::NOW).await, Held::Nothing);
}

/// `count` integrations and the tag of each.
fn with_integrations(count: usize, change: impl FnOnce(&mut Options)) -> (Fixture, Vec<(WebhookId, ETag)>) {
    let fixture = Fixture::with(change);
    let known = (0..count).map(|n| {
        let id = fixture.sim.add_integration(json!({"name": format!("hook-{n}"), "enabled": true}));
        let tag = ETag::from_header(&fixture.sim.etag(&id).unwrap()).unwrap();
        (WebhookId::new(id).unwrap(), tag)
    });
    let known = known.collect();
    (fixture, known)
}

async fn reread(session: &Session, (id, tag): &(WebhookId, ETag), own: usize) -> Read {
    session.reread_webhook(id, tag, PERIOD, own).await.unwrap().value
}

/// What so many quiet webhooks cost in a period: listing calls and reads of one.
async fn quiet(fixture: &Fixture, session: &Session, known: &[(WebhookId, ETag)]) -> (usize, usize) {
    fixture.sim.clear_log();
    for one in known {
        assert_eq!(reread(session, one, known.len()).await, Read::NotModified);
    }
    (fixture.sim.count(Route::ListIntegrations), fixture.sim.count(Route::GetWebhook))
}

#[tokio::test]
async fn a_thousand_quiet_integrations_cost_ten_calls_where_the_listing_tells_their_versions() {
    let (fixture, known) = with_integrations(MANY, |options| options.integrations_carry_version = true);
    assert_eq!(quiet(&fixture, &fixture.session(), &known).await, (10, 0));
}

#[tokio::test]
async fn a_thousand_quiet_integrations_cost_a_conditional_read_each_where_it_does_not() {
    for (change, found_out) in [
        ((|options| options.integrations_carry_version = false) as fn(&mut Options), 1),
        (|options| options.list_integrations = Support::NotFound, 1),
        (|options| options.list_integrations = Support::MethodNotAllowed, 1),
        (|options| options.list_integrations = Support::NotImplemented, 1),
    ] {
        let (fixture, known) = with_integrations(MANY, change);
        let session = fixture.session();
        // That the listing is of no use is found out once in the life of a session.
        assert_eq!(quiet(&fixture, &session, &known).await, (found_out, MANY));
        assert_eq!(quiet(&fixture, &session, &known).await, (0, MANY));
        assert!(fixture.sim.requests_to(Route::GetWebhook).iter().all(|read| read.header("if-none-match").is_some()));
    }
}

#[tokio::test]
async fn few_webhooks_among_many_of_others_are_asked_for_one_by_one() {
    let (fixture, known) = with_integrations(450, |options| options.integrations_carry_version = true);
    let session = fixture.session();
    assert_eq!(quiet(&fixture, &session, &known[..1]).await, (0, 1));
    // Five pages are no cheaper than three or five reads; that there are too many is found out once.
    assert_eq!(quiet(&fixture, &session, &known[..3]).await, (2, 3));
    assert_eq!(quiet(&fixture, &session, &known[..5]).await, (0, 5));
    assert_eq!(quiet(&fixture, &session, &known[..6]).await, (5, 0));
}

#[tokio::test]
async fn what_changed_is_read_and_its_new_version_is_known_without_another_listing() {
    let (fixture, mut known) = with_integrations(10, |options| options.integrations_carry_version = true);
    let session = fixture.session();
    fixture.sim.change_behind(known[0].0.as_str(), json!({"enabled": false}));
    let Read::Found(webhook) = reread(&session, &known[0], 10).await else { panic!("it changed") };
    known[0].1 = webhook.tag().unwrap().clone();
    let precondition = session.precondition(&webhook).unwrap();
    let written = session.put_webhook(&known[0].0, &webhook.with_enabled(true), &precondition).await.unwrap();
    known[0].1 = written.etag.unwrap();
    assert_eq!(quiet(&fixture, &session, &known).await, (0, 0));
}

#[tokio::test]
async fn a_listing_that_fails_is_nobodys_failure() {
    let (fixture, known) = with_integrations(150, |options| options.integrations_carry_version = true);
    for fault in [Fault::on(Route::ListIntegrations).status(503), Fault::on(Route::ListIntegrations).malformed_json()] {
        fixture.sim.clear_faults();
        fixture.sim.fault(fault);
        assert_eq!(quiet(&fixture, &fixture.session(), &known).await, (1, known.len()));
    }
    fixture.sim.clear_faults();
    fixture.sim.configure(|options| options.repeat_cursor = true);
    assert_eq!(quiet(&fixture, &fixture.session(), &known).await, (2, known.len()));
}
