use futures::{FutureExt as _, future::BoxFuture};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::*;
use crate::outbox::Sink;

/// An office that is told what happens, and has no sinks: these tests post nothing.
#[derive(Default)]
pub struct Notes {
    pub pending: Mutex<HashMap<SinkKind, usize>>,
    pub dropped: Mutex<usize>,
    told: Mutex<Vec<String>>,
}

impl Office for Notes {
    fn sink<'a>(&'a self, _: &'a ObjectKey, _: SinkKind) -> BoxFuture<'a, Result<Sink, SinkError>> {
        std::future::pending().boxed()
    }

    fn told(&self, owner: &Owner) {
        self.told.lock().unwrap().push(owner.uid.clone());
    }

    fn pending(&self, kind: SinkKind, count: usize) {
        self.pending.lock().unwrap().insert(kind, count);
    }

    fn tried(&self, _: SinkKind, _: Outcome) {}

    fn dropped(&self, _: SinkKind) {
        *self.dropped.lock().unwrap() += 1;
    }
}

fn owner(uid: &str) -> Owner {
    Owner { kind: OwnerKind::Webhook, key: ObjectKey::new("cx", uid), uid: uid.to_owned() }
}

fn tenant(name: &str) -> ObjectKey {
    ObjectKey::new("cx", name)
}

fn message(id: &str, sink: SinkKind) -> Undelivered {
    Undelivered {
        sink,
        id: id.to_owned(),
        type_: "t".into(),
        time: Time(Timestamp::UNIX_EPOCH),
        fingerprint: None,
        alert_state: None,
        body: "{}".into(),
        last_error: None,
    }
}

fn letters(ids: &[&str]) -> Vec<Undelivered> {
    ids.iter().map(|id| message(id, SinkKind::DeadLetter)).collect()
}

fn courier() -> (Arc<Notes>, Courier) {
    let notes = Arc::new(Notes::default());
    (notes.clone(), Courier::new(notes))
}

fn lane(name: &str) -> Lane {
    Lane { tenant: tenant(name), sink: SinkKind::DeadLetter }
}

const FAILED: SinkError = SinkError::Refused(http::StatusCode::BAD_REQUEST);

#[test]
fn objects_take_turns_and_each_keeps_its_order() {
    let (_, courier) = courier();
    courier.sync(owner("a"), tenant("one"), &letters(&["a1", "a2"]));
    courier.sync(owner("b"), tenant("one"), &letters(&["b1", "b2"]));
    let (mut last, mut order) = (String::new(), Vec::new());
    while let Some((owner, message)) = courier.next(&lane("one"), &last) {
        last.clone_from(&owner.uid);
        order.push(message.id.clone());
        // The sink refuses the first message of `a`, again and again.
        let answer = if message.id == "a1" { Err(FAILED) } else { Ok(()) };
        courier.note(&owner, &message, answer);
        if order.len() == 6 {
            break;
        }
    }
    assert_eq!(order, ["a1", "b1", "a1", "b2", "a1", "a1"]);
}

#[test]
fn each_sink_of_each_tenant_is_a_lane_that_is_claimed_once() {
    let (_, courier) = courier();
    courier.sync(owner("a"), tenant("one"), &[message("1", SinkKind::Alerts), message("2", SinkKind::DeadLetter)]);
    courier.sync(owner("b"), tenant("two"), &letters(&["3"]));
    courier.sync(owner("c"), tenant("two"), &letters(&["4"]));
    assert_eq!(courier.claim().len(), 3);
    assert_eq!(courier.claim().len(), 0);
    // A lane that has nothing more is free to be claimed when it has.
    courier.forget("b");
    courier.forget("c");
    assert!(courier.next(&lane("two"), "").is_none());
    courier.sync(owner("b"), tenant("two"), &letters(&["5"]));
    assert_eq!(courier.claim().len(), 1);
}

#[test]
fn what_was_delivered_is_not_sent_again_while_the_status_lags_behind() {
    let (notes, courier) = courier();
    courier.sync(owner("a"), tenant("one"), &letters(&["1"]));
    courier.note(&owner("a"), &letters(&["1"])[0], Ok(()));
    courier.sync(owner("a"), tenant("one"), &letters(&["1"]));
    assert!(courier.next(&lane("one"), "").is_none());
    assert_eq!(courier.progress("a"), BTreeMap::from([("1".to_owned(), Progress::Delivered)]));
    assert_eq!(notes.pending.lock().unwrap()[&SinkKind::DeadLetter], 0);
    courier.sync(owner("a"), tenant("one"), &[]);
    assert!(courier.progress("a").is_empty());
}

#[test]
fn a_pass_is_asked_for_by_what_is_new_only() {
    let (notes, courier) = courier();
    courier.sync(owner("a"), tenant("one"), &letters(&["1"]));
    let message = &letters(&["1"])[0];
    for answer in [Err(FAILED), Err(FAILED), Err(SinkError::TooLate(FIRST_PAUSE)), Ok(())] {
        courier.note(&owner("a"), message, answer);
    }
    assert_eq!(notes.told.lock().unwrap().len(), 3, "the same failure twice is no news");
}

#[test]
fn pauses_grow_to_a_minute() {
    for failures in 1..100 {
        let pause = pause(failures);
        assert!(pause >= FIRST_PAUSE.mul_f64(0.8) && pause <= LONGEST_PAUSE.mul_f64(1.2), "{failures}: {pause:?}");
    }
    assert!(pause(20) > pause(1));
}

#[test]
fn what_is_discarded_is_not_sent_any_more_though_the_watch_lags_behind() {
    let (notes, courier) = courier();
    courier.sync(owner("a"), tenant("one"), &letters(&["1", "2"]));
    courier.hold_back("a", &["1"]);
    courier.sync_if(|| false, owner("a"), tenant("one"), &letters(&["1", "2"]));
    assert_eq!(courier.next(&lane("one"), "").unwrap().1.id, "2");
    assert_eq!(notes.pending.lock().unwrap()[&SinkKind::DeadLetter], 1);
    // It was under way when it was discarded.
    courier.note(&owner("a"), &letters(&["1"])[0], Ok(()));
    assert!(courier.progress("a").is_empty());
}

#[test]
fn what_is_replayed_is_sent_again_once_when_the_watch_brings_it() {
    let (_, courier) = courier();
    courier.sync(owner("a"), tenant("one"), &letters(&["1"]));
    courier.note(&owner("a"), &letters(&["1"])[0], Ok(()));
    courier.hold_back("a", &["1"]);
    assert!(courier.next(&lane("one"), "").is_none(), "it is not written yet");
    courier.sync(owner("a"), tenant("one"), &letters(&["1"]));
    assert_eq!(courier.next(&lane("one"), "").unwrap().1.id, "1");
    courier.note(&owner("a"), &letters(&["1"])[0], Ok(()));
    courier.sync(owner("a"), tenant("one"), &letters(&["1"]));
    assert!(courier.next(&lane("one"), "").is_none());
}
