//! Faults by rule: which requests they meet, how often, and what they do.

use std::time::{Duration, SystemTime};

use rand::{Rng, SeedableRng, rngs::StdRng};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::route::Route;

/// The value of a `Retry-After` header, in either form of RFC 9110.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RetryAfter {
    /// Seconds.
    Seconds(u64),
    /// An HTTP date this many seconds from now.
    DateIn(u64),
}

impl RetryAfter {
    /// The header's text.
    pub fn header(self) -> String {
        match self {
            Self::Seconds(seconds) => seconds.to_string(),
            // HTTP dates have whole seconds: rounded up, so that nobody is called back too early.
            Self::DateIn(seconds) => {
                httpdate::fmt_http_date(SystemTime::now() + Duration::from_millis(seconds * 1000 + 999))
            }
        }
    }
}

/// What a fault does to the request that it meets.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Effect {
    /// Nothing besides the delay.
    #[default]
    None,
    /// Another status, with this body: text as `text/plain`, other values as JSON, a problem document when absent.
    #[serde(rename_all = "camelCase")]
    Status {
        /// HTTP status.
        status: u16,
        /// Body.
        #[serde(default)]
        body: Option<Value>,
        /// `Retry-After`.
        #[serde(default)]
        retry_after: Option<RetryAfter>,
    },
    /// No answer until the fault is removed; then the connection is closed.
    Hang,
    /// The request does its work; status and headers are sent, then half of the body, then the connection is closed.
    CutBody,
    /// The connection is closed without an answer.
    LoseConnection,
    /// The request does its work, but the answer's body is no JSON.
    MalformedJson,
    /// The request does its work, but the answer's body is other JSON of at least this many bytes.
    HugeBody(usize),
    /// A hostile answer that repeats the request's credentials and body: in its text (a problem document with this status), trace id,
    /// entity tag and location. A status below 300 lets the request do its work and repeats them in the headers only.
    Echo(u16),
    /// Somebody else merges this into the object that the request is for (as [`crate::Handle::change_behind`]) just before the
    /// request does its work: a write under `If-Match` then meets a conflict, whatever its timing.
    ChangeBehind(Value),
    /// Somebody else deletes the object that the request is for, just before.
    DeleteBehind,
}

/// One rule. Rules are tried in the order in which they were added; the first that meets a request acts on it.
///
/// ```
/// use cognigy_simulator::{Fault, RetryAfter, Route};
/// let rule = Fault::on(Route::PutWebhook).times(2).status(503).retry_after(RetryAfter::Seconds(3));
/// # let _ = rule;
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Fault {
    /// Only this route.
    pub route: Option<Route>,
    /// Only this method.
    pub method: Option<String>,
    /// Only paths that contain this text.
    pub path_contains: Option<String>,
    /// Let this many matching requests pass first.
    pub skip: u32,
    /// Act on this many requests; without it, on all.
    pub times: Option<u32>,
    /// Act with this probability (0–1).
    pub probability: Option<f64>,
    /// Seed of the probability: the same seed meets the same requests.
    pub seed: u64,
    /// Wait, milliseconds: before anything else, or with [`Fault::after_commit`] between the change and the answer.
    pub delay_ms: u64,
    /// Let the request do its work first: the change is committed, only the answer is spoilt.
    pub after_commit: bool,
    /// What happens.
    pub effect: Effect,
}

impl Fault {
    /// A rule for all API requests.
    pub fn any() -> Self {
        Self::default()
    }

    /// A rule for one route.
    pub fn on(route: Route) -> Self {
        Self { route: Some(route), ..Self::default() }
    }

    /// Only requests with this method.
    #[must_use]
    pub fn method(mut self, method: &str) -> Self {
        self.method = Some(method.to_owned());
        self
    }

    /// Only requests whose path contains `text`.
    #[must_use]
    pub fn path_contains(mut self, text: &str) -> Self {
        self.path_contains = Some(text.to_owned());
        self
    }

    /// Act on `count` requests only.
    #[must_use]
    pub fn times(mut self, count: u32) -> Self {
        self.times = Some(count);
        self
    }

    /// Let `count` matching requests pass first.
    #[must_use]
    pub fn skip(mut self, count: u32) -> Self {
        self.skip = count;
        self
    }

    /// Act with this probability, the same way for the same seed.
    #[must_use]
    pub fn probability(mut self, probability: f64, seed: u64) -> Self {
        self.probability = Some(probability);
        self.seed = seed;
        self
    }

    /// Answer with this status.
    #[must_use]
    pub fn status(mut self, code: u16) -> Self {
        self.effect = match self.effect {
            Effect::Status { body, retry_after, .. } => Effect::Status { status: code, body, retry_after },
            _ => Effect::Status { status: code, body: None, retry_after: None },
        };
        self
    }

    /// The body that goes with [`Fault::status`] (500 where no status was set).
    #[must_use]
    pub fn body(mut self, value: impl Into<Value>) -> Self {
        let body = Some(value.into());
        self.effect = match self.effect {
            Effect::Status { status, retry_after, .. } => Effect::Status { status, body, retry_after },
            _ => Effect::Status { status: 500, body, retry_after: None },
        };
        self
    }

    /// The `Retry-After` that goes with [`Fault::status`] (429 where no status was set).
    #[must_use]
    pub fn retry_after(mut self, value: RetryAfter) -> Self {
        let retry_after = Some(value);
        self.effect = match self.effect {
            Effect::Status { status, body, .. } => Effect::Status { status, body, retry_after },
            _ => Effect::Status { status: 429, body: None, retry_after },
        };
        self
    }

    /// 409 as of a webhook that another process holds (cognigy-api.md §3).
    #[must_use]
    pub fn locked(self) -> Self {
        self.status(409).body(serde_json::json!({
            "type": "https://cognigy.example/problems/locked", "title": "Conflict", "status": 409,
            "detail": "The webhook is locked by another process.", "code": 4091,
            "traceId": "api--00000000-0000-4000-8000-00000000409a",
        }))
    }

    /// Wait: before anything else, or with [`Fault::after_commit`] between the change and the answer.
    #[must_use]
    pub fn delay(mut self, delay: Duration) -> Self {
        self.delay_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
        self
    }

    /// Never answer.
    #[must_use]
    pub fn hang(mut self) -> Self {
        self.effect = Effect::Hang;
        self
    }

    /// Close the connection in the middle of the answer's body.
    #[must_use]
    pub fn cut_body(mut self) -> Self {
        self.effect = Effect::CutBody;
        self
    }

    /// Close the connection before anything was changed.
    #[must_use]
    pub fn lose_before(mut self) -> Self {
        self.effect = Effect::LoseConnection;
        self.after_commit = false;
        self
    }

    /// Make the change, then close the connection without an answer.
    #[must_use]
    pub fn lose_after(mut self) -> Self {
        self.effect = Effect::LoseConnection;
        self.after_commit = true;
        self
    }

    /// Make the change first, whatever the effect is.
    #[must_use]
    pub fn after_commit(mut self) -> Self {
        self.after_commit = true;
        self
    }

    /// Answer with something that is no JSON.
    #[must_use]
    pub fn malformed_json(mut self) -> Self {
        self.effect = Effect::MalformedJson;
        self
    }

    /// Answer with at least this many bytes.
    #[must_use]
    pub fn huge_body(mut self, bytes: usize) -> Self {
        self.effect = Effect::HugeBody(bytes);
        self
    }

    /// Repeat what the request said, in every place of an answer with this status.
    #[must_use]
    pub fn echo(mut self, status: u16) -> Self {
        self.effect = Effect::Echo(status);
        self
    }

    /// Somebody else changes the object just before the request does its work.
    #[must_use]
    pub fn change_behind(mut self, patch: Value) -> Self {
        self.effect = Effect::ChangeBehind(patch);
        self
    }

    /// Somebody else deletes the object just before the request does its work.
    #[must_use]
    pub fn delete_behind(mut self) -> Self {
        self.effect = Effect::DeleteBehind;
        self
    }

    /// Whether the request does its work in spite of the fault.
    pub(crate) fn lets_work(&self) -> bool {
        match self.effect {
            Effect::Status { .. } | Effect::Hang | Effect::LoseConnection => self.after_commit,
            Effect::Echo(status) => self.after_commit || status < 300,
            _ => true,
        }
    }

    fn meets(&self, route: Option<Route>, method: &str, path: &str) -> bool {
        self.route.is_none_or(|wanted| Some(wanted) == route)
            && self.method.as_deref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(method))
            && self.path_contains.as_deref().is_none_or(|text| path.contains(text))
    }
}

/// Names a rule, to ask for its hits or to remove it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FaultId(pub u64);

/// A rule with its record.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ActiveFault {
    /// Its name.
    pub id: FaultId,
    /// The rule.
    pub fault: Fault,
    /// Requests that it met, passed ones included.
    pub seen: u32,
    /// Requests that it acted on.
    pub hits: u32,
    #[serde(skip)]
    random: StdRng,
}

/// All rules.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    rules: Vec<ActiveFault>,
    last_id: u64,
}

impl Faults {
    pub(crate) fn add(&mut self, fault: Fault) -> FaultId {
        self.last_id += 1;
        let id = FaultId(self.last_id);
        let random = StdRng::seed_from_u64(fault.seed);
        self.rules.push(ActiveFault { id, fault, seen: 0, hits: 0, random });
        id
    }

    pub(crate) fn remove(&mut self, id: FaultId) -> bool {
        let before = self.rules.len();
        self.rules.retain(|rule| rule.id != id);
        before != self.rules.len()
    }

    pub(crate) fn clear(&mut self) {
        self.rules.clear();
    }

    pub(crate) fn all(&self) -> &[ActiveFault] {
        &self.rules
    }

    /// The rule that acts on this request, if any.
    pub(crate) fn strike(&mut self, route: Option<Route>, method: &str, path: &str) -> Option<(FaultId, Fault)> {
        self.rules.iter_mut().find_map(|rule| {
            if !rule.fault.meets(route, method, path) || rule.fault.times.is_some_and(|times| rule.hits >= times) {
                return None;
            }
            rule.seen += 1;
            let lucky = rule.fault.probability.is_some_and(|p| !rule.random.random_bool(p.clamp(0.0, 1.0)));
            if rule.seen <= rule.fault.skip || lucky {
                return None;
            }
            rule.hits += 1;
            Some((rule.id, rule.fault.clone()))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hits(fault: Fault) -> Vec<bool> {
        let mut faults = Faults::default();
        faults.add(fault);
        (0..64).map(|_| faults.strike(Some(Route::GetWebhook), "GET", "/api/v2/webhooks/a").is_some()).collect()
    }

    #[test]
    fn a_rule_acts_as_often_as_it_says_after_those_it_skips() {
        let struck = hits(Fault::on(Route::GetWebhook).skip(2).times(3).status(500));
        assert_eq!(struck.iter().positions_of_true(), vec![2, 3, 4]);
    }

    #[test]
    fn a_probability_strikes_the_same_requests_for_the_same_seed() {
        let rule = |seed| Fault::any().probability(0.5, seed).status(500);
        assert_eq!(hits(rule(7)), hits(rule(7)));
        assert_ne!(hits(rule(7)), hits(rule(8)));
        assert!(hits(rule(7)).contains(&true) && hits(rule(7)).contains(&false));
    }

    #[test]
    fn a_rule_for_another_route_method_or_path_does_nothing() {
        for rule in [Fault::on(Route::PutWebhook), Fault::any().method("PUT"), Fault::any().path_contains("bots")] {
            assert!(!hits(rule.status(500)).contains(&true));
        }
    }

    trait Positions {
        fn positions_of_true(self) -> Vec<usize>;
    }

    impl<'a, I: Iterator<Item = &'a bool>> Positions for I {
        fn positions_of_true(self) -> Vec<usize> {
            self.enumerate().filter(|(_, hit)| **hit).map(|(index, _)| index).collect()
        }
    }
}
