//! What is asked about the messages of one webhook. Pure.

use cognigy_operator::api::{LetterRequest, LetterVerb};

use super::plan::Object;
use crate::{dead_letters::model::Letter, target::Kind};

/// What is to become of messages, and of which.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// What.
    pub verb: LetterVerb,
    /// These only; where there are none, all dead letters for which it makes sense.
    pub ids: Vec<String>,
    /// The alerts, too, where no ids are given.
    pub alerts: bool,
    /// What makes the request a new one, and is told in its events.
    pub remark: String,
}

impl Asked {
    /// `discarded`.
    pub fn past(&self) -> &'static str {
        match self.verb {
            LetterVerb::Replay => "replayed",
            LetterVerb::Discard => "discarded",
        }
    }

    /// The messages of a webhook that are meant.
    pub fn meant<'o>(&self, object: &'o Object) -> Vec<&'o Letter> {
        let is_meant = |letter: &&Letter| match self.verb {
            _ if !self.ids.is_empty() => self.ids.contains(&letter.id),
            LetterVerb::Replay => letter.is_dead_letter() && !letter.discarded,
            LetterVerb::Discard => letter.waits() && (self.alerts || letter.is_dead_letter()),
        };
        object.letters.iter().filter(is_meant).collect()
    }

    /// The request to the operator; else why it would be none.
    pub fn of(&self, object: &Object) -> Result<LetterRequest, String> {
        let target = &object.target;
        if target.kind == Kind::Tenant {
            return Err(format!("{target} has no dead letters: name a webhook"));
        }
        let meant = self.meant(object);
        if let Some(unknown) = self.ids.iter().find(|id| meant.iter().all(|letter| letter.id != **id)) {
            let name = &target.name;
            return Err(format!("{target} has no message {unknown}; see: kubectl cognigy dead-letters show {name}"));
        }
        let unfit = meant.iter().find_map(|letter| self.unfit(letter));
        if let Some(why) = unfit.or_else(|| object.no_sink.clone().filter(|_| self.verb == LetterVerb::Replay)) {
            return Err(format!("{target}: {why}"));
        }
        if meant.is_empty() {
            return Err(self.nothing(object));
        }
        let ids = meant.iter().map(|letter| letter.id.clone()).collect();
        Ok(LetterRequest { verb: self.verb, ids, remark: self.remark.clone() })
    }

    fn unfit(&self, letter: &Letter) -> Option<String> {
        let id = &letter.id;
        match self.verb {
            LetterVerb::Replay if !letter.is_dead_letter() => {
                Some(format!("{id} is an alert; only dead letters are replayed"))
            }
            LetterVerb::Discard if letter.delivered => Some(format!("{id} was delivered; there is nothing to discard")),
            LetterVerb::Discard if letter.discarded => Some(format!("{id} was discarded already")),
            LetterVerb::Replay | LetterVerb::Discard => None,
        }
    }

    fn nothing(&self, object: &Object) -> String {
        let target = &object.target;
        match (self.verb, object.letters.first()) {
            (LetterVerb::Replay, Some(letter)) if letter.discarded => {
                format!("{target}: its dead letter was discarded; to send it all the same: --id {}", letter.id)
            }
            (LetterVerb::Replay, _) => format!("{target} has no dead letter"),
            (LetterVerb::Discard, _) if object.letters.iter().any(Letter::waits) => {
                format!("{target} has no dead letter that waits, only alerts: --alerts discards them")
            }
            (LetterVerb::Discard, _) => format!("{target} has no dead letter that waits"),
        }
    }
}

/// A message in a line, for who is asked about it.
pub fn described(letter: &Letter) -> String {
    format!("{} {}: {}", letter.sink, letter.id, letter.error().unwrap_or("not tried yet"))
}

#[cfg(test)]
mod tests {
    use cognigy_operator::api::{CognigyWebhook, SinkKind};
    use serde_json::json;

    use super::*;

    /// A webhook with a letter that was delivered or discarded, or waits beside an older one and an alert.
    fn object(delivered: bool, discarded: bool) -> Object {
        let spec = json!({"tenantRef": {"name": "production"}, "url": "https://api.example.com/hooks"});
        let mut webhook = CognigyWebhook::new("orders", serde_json::from_value(spec).unwrap());
        let message = |sink: &str, id: &str| json!({"sink": sink, "id": id, "type": "t", "time": "2026-11-23T09:00:00Z", "body": "{}"});
        let waiting = if delivered || discarded {
            json!([])
        } else {
            json!([message("DeadLetter", "older"), message("Alerts", "alert"), message("DeadLetter", "letter")])
        };
        let letter = json!({"id": "letter", "delivered": delivered, "discarded": discarded, "error": "503"});
        let status = json!({"failure": {"attempts": 3, "deadLetter": letter, "undelivered": waiting}});
        webhook.status = serde_json::from_value(status).unwrap();
        Object::webhook(&webhook)
    }

    fn asked(verb: LetterVerb, ids: &[&str]) -> Asked {
        let ids = ids.iter().map(|id| (*id).to_owned()).collect();
        Asked { verb, ids, alerts: false, remark: "now".into() }
    }

    fn request(asked: &Asked, object: &Object) -> String {
        asked.of(object).map_or_else(|why| why, |request| request.to_string())
    }

    #[test]
    fn dead_letters_are_meant_and_alerts_only_where_they_are_asked_for() {
        let (replay, discard) = (asked(LetterVerb::Replay, &[]), asked(LetterVerb::Discard, &[]));
        assert_eq!(request(&replay, &object(false, false)), "replay older,letter now");
        assert_eq!(request(&replay, &object(true, false)), "replay letter now");
        assert_eq!(request(&discard, &object(false, false)), "discard older,letter now");
        let all = Asked { alerts: true, ..discard };
        assert_eq!(request(&all, &object(false, false)), "discard older,alert,letter now");
        assert_eq!(all.meant(&object(false, false))[1].sink, SinkKind::Alerts);
    }

    #[test]
    fn ids_mean_these_and_what_makes_no_sense_is_refused() {
        let (waiting, delivered, discarded) = (object(false, false), object(true, false), object(false, true));
        for (verb, id, object, told) in [
            (LetterVerb::Discard, "older", &waiting, "discard older now"),
            (LetterVerb::Discard, "alert", &waiting, "discard alert now"),
            (LetterVerb::Replay, "letter", &discarded, "replay letter now"),
            (LetterVerb::Replay, "alert", &waiting, "cwh/orders: alert is an alert; only dead letters are replayed"),
            (
                LetterVerb::Discard,
                "letter",
                &delivered,
                "cwh/orders: letter was delivered; there is nothing to discard",
            ),
            (LetterVerb::Discard, "letter", &discarded, "cwh/orders: letter was discarded already"),
            (
                LetterVerb::Replay,
                "nobody",
                &waiting,
                "cwh/orders has no message nobody; see: kubectl cognigy dead-letters show orders",
            ),
        ] {
            assert_eq!(request(&asked(verb, &[id]), object), told);
        }
        assert!(request(&asked(LetterVerb::Replay, &[]), &discarded).contains("--id letter"));
        assert_eq!(request(&asked(LetterVerb::Discard, &[]), &delivered), "cwh/orders has no dead letter that waits");
        let alone = Object { no_sink: Some("tenant cx/production has no sink".into()), ..waiting };
        assert_eq!(request(&asked(LetterVerb::Replay, &[]), &alone), "cwh/orders: tenant cx/production has no sink");
        assert_eq!(request(&asked(LetterVerb::Discard, &[]), &alone), "discard older,letter now");
    }
}
