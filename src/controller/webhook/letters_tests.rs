use proptest::{prelude::*, sample::select};
use serde_json::json;

use super::*;
use crate::api::AlertState;

fn webhook() -> CognigyWebhook {
    let spec = json!({"tenantRef": {"name": "production"}, "url": "https://api.example.com/hooks"});
    let mut webhook = CognigyWebhook::new("orders", serde_json::from_value(spec).unwrap());
    webhook.metadata.namespace = Some("cx".into());
    webhook
}

fn tenant(sinks: &[&str]) -> CognigyTenant {
    let sinks: serde_json::Map<_, _> =
        sinks.iter().map(|name| ((*name).to_owned(), json!({"url": "https://sinks.example.com"}))).collect();
    let spec = json!({
        "baseUrl": "https://cognigy.example.com", "auth": {"apiKey": {"secretRef": {"name": "key"}}}, "sinks": sinks,
    });
    CognigyTenant::new("production", serde_json::from_value(spec).unwrap())
}

const BOTH: [&str; 2] = ["alerts", "deadLetter"];

fn exhaust(sinks: &[&str], failure: &mut Failure) -> bool {
    let (webhook, tenant) = (webhook(), tenant(sinks));
    let letters = Letters::of(&webhook, Some(&tenant), Figures::default(), Timestamp::now());
    letters.exhausted(failure, None, ("ServerError", "503"))
}

fn recover(sinks: &[&str], status: &mut CognigyWebhookStatus) {
    let (webhook, tenant) = (webhook(), tenant(sinks));
    Letters::of(&webhook, Some(&tenant), Figures::default(), Timestamp::now()).over(status, Resolution::Recovered);
}

fn status(failure: Failure) -> CognigyWebhookStatus {
    CognigyWebhookStatus { failure: Some(failure), ..CognigyWebhookStatus::default() }
}

#[test]
fn only_sinks_that_the_tenant_has_get_messages() {
    for (sinks, count) in [(&[][..], 0), (&["alerts"][..], 1), (&["deadLetter", "monitoring"][..], 1), (&BOTH[..], 2)] {
        let mut failure = Failure { attempts: 4, ..Failure::default() };
        assert!(exhaust(sinks, &mut failure));
        assert_eq!(failure.undelivered.len(), count, "{sinks:?}");
        assert_eq!(failure.alert.is_some(), sinks.contains(&"alerts"));
        assert_eq!(failure.dead_letter.is_some(), sinks.contains(&"deadLetter"));
        assert!(failure.exhausted_at.is_some());
    }
}

#[test]
fn a_failure_that_nobody_was_told_of_leaves_nothing() {
    let mut status = status(Failure { attempts: 2, ..Failure::default() });
    recover(&BOTH, &mut status);
    assert_eq!(status.failure, None);
}

#[test]
fn an_alert_outlives_its_change_and_a_dead_letter_is_kept_until_it_is_delivered() {
    let mut failure = Failure { attempts: 4, change: Some("1".into()), ..Failure::default() };
    assert!(exhaust(&BOTH, &mut failure));
    let next = carried(Some(failure.clone())).unwrap();
    assert_eq!((&next.alert, &next.undelivered), (&failure.alert, &failure.undelivered));
    assert_eq!((next.change, next.attempts, next.exhausted_at, next.dead_letter), (None, 0, None, None));
}

#[test]
fn without_its_sink_an_alert_ends_silently() {
    let mut failure = Failure::default();
    assert!(exhaust(&BOTH, &mut failure));
    failure.undelivered.clear();
    let mut status = status(failure);
    recover(&["deadLetter"], &mut status);
    assert_eq!(status.failure, None);
}

#[test]
fn a_failed_try_is_told_once_and_a_delivery_takes_the_message_away() {
    let mut failure = Failure { attempts: 4, ..Failure::default() };
    assert!(exhaust(&["deadLetter"], &mut failure));
    let id = failure.undelivered[0].id.clone();
    let failed = |why: &str| BTreeMap::from([(id.clone(), Progress::Failed(why.into()))]);
    let (failure, news) = settled(failure, &failed("503"));
    assert_eq!(news.failed.len(), 1);
    let (failure, news) = settled(failure.unwrap(), &failed("500"));
    assert!(news.failed.is_empty());
    assert_eq!(failure.as_ref().unwrap().undelivered[0].last_error.as_deref(), Some("500"));
    let (failure, news) = settled(failure.unwrap(), &BTreeMap::from([(id.clone(), Progress::Delivered)]));
    let failure = failure.unwrap();
    assert_eq!((news.delivered.len(), failure.undelivered.len()), (1, 0));
    assert!(failure.dead_letter.unwrap().delivered);
}

/// What can happen to a webhook.
#[derive(Clone, Copy, Debug)]
enum Event {
    Exhausted,
    NewChange,
    Recovered,
    Delivered,
    Deleted,
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    use Event::{Deleted, Delivered, Exhausted, NewChange, Recovered};
    proptest::collection::vec(select(vec![Exhausted, NewChange, Recovered, Delivered, Deleted]), 1..80)
}

proptest! {
    #[test]
    fn nothing_is_lost_the_list_stays_bounded_and_every_alert_has_its_end(events in events(), both in any::<bool>()) {
        let sinks: &[&str] = if both { &BOTH } else { &["alerts"] };
        let mut status = CognigyWebhookStatus::default();
        let (mut made, mut delivered) = (Vec::new(), Vec::new());
        for event in events {
            match event {
                Event::Exhausted => {
                    let mut failure = status.failure.take().unwrap_or_default();
                    let before = failure.clone();
                    if !exhaust(sinks, &mut failure) {
                        prop_assert_eq!(&failure, &before, "what has no room changes nothing");
                        prop_assert!(failure.undelivered.len() + sinks.len() + 1 > MAX_UNDELIVERED);
                    }
                    status.failure = Some(failure);
                }
                Event::NewChange => status.failure = carried(status.failure.take()),
                Event::Recovered | Event::Deleted => recover(sinks, &mut status),
                Event::Delivered => {
                    let Some(failure) = status.failure.take() else { continue };
                    let first = failure.undelivered.first().cloned();
                    let progress = first.iter().map(|one| (one.id.clone(), Progress::Delivered)).collect();
                    status.failure = settled(failure, &progress).0;
                    delivered.extend(first.map(|one| one.id));
                }
            }
            let waiting = status.failure.iter().flat_map(|failure| failure.undelivered.clone());
            for message in waiting {
                if !made.iter().any(|one: &crate::api::Undelivered| one.id == message.id) {
                    made.push(message);
                }
            }
            let count = status.failure.as_ref().map_or(0, |failure| failure.undelivered.len());
            prop_assert!(count <= MAX_UNDELIVERED);
        }
        let waiting: Vec<_> =
            status.failure.iter().flat_map(|failure| failure.undelivered.iter().map(|one| one.id.clone())).collect();
        let all: Vec<_> = made.iter().map(|one| one.id.clone()).collect();
        prop_assert_eq!(all, delivered.into_iter().chain(waiting).collect::<Vec<_>>(), "each is delivered or kept, in order");
        let states: Vec<_> = made.iter().filter_map(|one| one.alert_state).collect();
        prop_assert!(states.first().is_none_or(|first| *first == AlertState::Firing));
        prop_assert!(states.windows(2).all(|two| two[0] == AlertState::Firing || two[1] == AlertState::Firing));
        let firing = status.failure.is_some_and(|failure| failure.alert.is_some());
        prop_assert_eq!(states.last().is_some_and(|last| *last == AlertState::Firing), firing);
    }
}
