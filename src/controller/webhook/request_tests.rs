use jiff::Timestamp;
use proptest::{prelude::*, sample::select};
use serde_json::json;

use super::*;
use crate::{
    controller::webhook::letters::Letters,
    outbox::message::{Figures, Resolution},
};

fn tenant(sinks: &[&str]) -> CognigyTenant {
    let sinks: serde_json::Map<_, _> =
        sinks.iter().map(|name| ((*name).to_owned(), json!({"url": "https://sinks.example.com"}))).collect();
    let spec = json!({
        "baseUrl": "https://cognigy.example.com", "auth": {"apiKey": {"secretRef": {"name": "key"}}}, "sinks": sinks,
    });
    CognigyTenant::new("production", serde_json::from_value(spec).unwrap())
}

/// A tenant with both sinks, and a webhook that asks for this.
fn asking(asked: &str) -> (CognigyWebhook, CognigyTenant) {
    let spec = json!({"tenantRef": {"name": "production"}, "url": "https://api.example.com/hooks"});
    let mut webhook = CognigyWebhook::new("orders", serde_json::from_value(spec).unwrap());
    webhook.metadata.namespace = Some("cx".into());
    webhook.annotations_mut().insert(DEAD_LETTER_REQUEST_ANNOTATION.into(), asked.into());
    (webhook, tenant(&["alerts", "deadLetter"]))
}

/// A change that was given up: an alert and a dead letter wait.
fn exhausted(status: &mut CognigyWebhookStatus) -> bool {
    let (webhook, tenant) = asking("");
    let mut failure = Failure { attempts: 3, ..status.failure.take().unwrap_or_default() };
    let letters = Letters::of(&webhook, Some(&tenant), Figures::default(), Timestamp::now());
    let made = letters.exhausted(&mut failure, None, ("ServerError", "503 \"ö\""));
    status.failure = Some(failure);
    made
}

fn given_up() -> (CognigyWebhookStatus, Undelivered) {
    let mut status = CognigyWebhookStatus::default();
    assert!(exhausted(&mut status));
    let letter = status.failure.as_ref().unwrap().undelivered[1].clone();
    (status, letter)
}

fn honoured(asked: &str, status: &mut CognigyWebhookStatus) -> Done {
    let (webhook, tenant) = asking(asked);
    honour(asked, status, &webhook, Some(&tenant))
}

fn waiting(status: &CognigyWebhookStatus) -> &[Undelivered] {
    status.failure.as_ref().map(|failure| failure.undelivered.as_slice()).unwrap_or_default()
}

#[test]
fn a_delivered_letter_is_replayed_byte_for_byte() {
    let (mut status, letter) = given_up();
    let failure = status.failure.as_mut().unwrap();
    failure.undelivered.pop();
    failure.dead_letter.as_mut().unwrap().delivered = true;
    let done = honoured(&format!("replay {} now", letter.id), &mut status);
    assert_eq!((done.replayed, done.refused, done.remark.as_deref()), (vec![letter.clone()], None, Some("now")));
    assert_eq!(waiting(&status)[1], letter);
    assert!(!status.failure.unwrap().dead_letter.unwrap().delivered);
}

#[test]
fn a_waiting_letter_is_as_if_it_had_not_been_tried() {
    let (mut status, letter) = given_up();
    status.failure.as_mut().unwrap().undelivered[1].last_error = Some("503".into());
    let done = honoured(&format!("replay {}", letter.id), &mut status);
    assert_eq!((&done.replayed[..], &waiting(&status)[1..]), (&[letter.clone()][..], &[letter][..]));
}

#[test]
fn what_is_discarded_is_gone_and_can_be_replayed_as_long_as_its_change_fails() {
    let (mut status, letter) = given_up();
    let before = status.failure.clone().unwrap();
    let done = honoured(&format!("discard {}", letter.id), &mut status);
    assert_eq!((done.discarded, done.refused), (vec![letter.clone()], None));
    let failure = status.failure.clone().unwrap();
    assert_eq!(
        (failure.undelivered.len(), &failure.alert, failure.exhausted_at),
        (1, &before.alert, before.exhausted_at)
    );
    let kept = failure.dead_letter.unwrap();
    assert_eq!((kept.discarded, kept.delivered), (true, false));
    honoured(&format!("replay {} again", letter.id), &mut status);
    assert_eq!(waiting(&status)[1..], [letter]);
    assert!(!status.failure.unwrap().dead_letter.unwrap().discarded);
}

#[test]
fn the_end_of_an_alert_is_told_though_its_begin_was_discarded() {
    let (mut status, letter) = given_up();
    let alert = waiting(&status)[0].id.clone();
    let done = honoured(&format!("discard {alert},{}", letter.id), &mut status);
    assert_eq!((done.discarded.len(), waiting(&status).len()), (2, 0));
    let (webhook, tenant) = asking("");
    Letters::of(&webhook, Some(&tenant), Figures::default(), Timestamp::now()).over(&mut status, Resolution::Recovered);
    assert!(waiting(&status)[0].body.contains(&alert));
}

#[test]
fn what_cannot_be_done_is_told_and_the_rest_is_done() {
    let (mut status, letter) = given_up();
    let alert = waiting(&status)[0].id.clone();
    let done = honoured(&format!("discard nobody,{}", letter.id), &mut status);
    assert_eq!(done.discarded.len(), 1);
    assert_eq!(done.refused.as_deref(), Some("cannot discard nobody: no message with this id waits to be delivered"));
    assert_eq!(status.last_handled_dead_letter_request.clone().unwrap().refused, done.refused);
    for (asked, why) in [
        (format!("replay {alert}"), "only dead letters"),
        ("replay nobody".to_owned(), "no dead letter with this id"),
        (format!("discard {}", letter.id), "no message with this id waits"),
        ("forget it".to_owned(), "it reads `replay ID` or `discard ID`"),
    ] {
        let before = status.failure.clone();
        let done = honoured(&asked, &mut status);
        assert!(done.refused.as_ref().is_some_and(|refused| refused.contains(why)), "{asked}: {done:?}");
        assert_eq!(status.failure, before, "{asked}");
    }
}

#[test]
fn without_a_sink_nothing_is_replayed_and_everything_can_be_discarded() {
    let (mut status, letter) = given_up();
    let (webhook, _) = asking("");
    for (tenant, why) in [(None, "does not exist"), (Some(tenant(&["alerts"])), "has no spec.sinks.deadLetter")] {
        let done = honour(&format!("replay {}", letter.id), &mut status, &webhook, tenant.as_ref());
        assert!(done.refused.is_some_and(|refused| refused.contains(why)) && done.replayed.is_empty());
    }
    assert_eq!(honour(&format!("discard {}", letter.id), &mut status, &webhook, None).discarded, [letter]);
}

#[test]
fn a_request_is_pending_until_the_status_echoes_it() {
    let (mut status, letter) = given_up();
    let asked = format!("discard {} now", letter.id);
    let (mut webhook, _) = asking(&asked);
    assert_eq!(pending(&webhook), Some(asked.as_str()));
    honoured(&asked, &mut status);
    webhook.status = Some(status);
    assert_eq!(pending(&webhook), None);
    webhook.annotations_mut().insert(DEAD_LETTER_REQUEST_ANNOTATION.into(), "another".into());
    assert!(pending(&webhook).is_some());
    // Nobody would keep what is replayed into an object that is about to vanish.
    webhook.metadata.deletion_timestamp = Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(Timestamp::now()));
    assert_eq!(pending(&webhook), None);
    webhook.finalizers_mut().push(FINALIZER.into());
    assert!(pending(&webhook).is_some());
}

#[test]
fn a_value_that_is_too_long_is_handled_once() {
    let asked = "x".repeat(100_000);
    let (mut webhook, _) = asking(&asked);
    let mut status = CognigyWebhookStatus::default();
    let done = honoured(&asked, &mut status);
    assert!(done.refused.unwrap().chars().count() <= 1000);
    assert_eq!(status.failure, None);
    webhook.status = Some(status);
    assert_eq!(pending(&webhook), None);
}

proptest! {
    /// Whatever is asked for in whatever order: the list stays bounded, and no message is there twice.
    #[test]
    fn requests_keep_the_list_bounded(steps in proptest::collection::vec(select(vec!["exhaust", "replay", "discard", "deliver"]), 1..60)) {
        let mut status = CognigyWebhookStatus::default();
        for step in steps {
            match step {
                "exhaust" => { exhausted(&mut status); }
                "deliver" => if let Some(failure) = &mut status.failure && !failure.undelivered.is_empty() {
                    let gone = failure.undelivered.remove(0);
                    if let Some(letter) = failure.dead_letter.as_mut().filter(|letter| letter.id == gone.id) {
                        letter.delivered = true;
                    }
                },
                verb => {
                    let letter = status.failure.as_ref().and_then(|failure| failure.dead_letter.clone());
                    let id = letter.map_or_else(|| "none".to_owned(), |letter| letter.id);
                    honoured(&format!("{verb} {id}"), &mut status);
                }
            }
            let mut ids: Vec<_> = waiting(&status).iter().map(|message| &message.id).collect();
            prop_assert!(ids.len() <= MAX_UNDELIVERED);
            let count = ids.len();
            ids.sort();
            ids.dedup();
            prop_assert_eq!(ids.len(), count);
        }
    }
}
