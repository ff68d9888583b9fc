//! Requests on their way: a hook sees each one just before it is looked at and just after its work is done, and may end its
//! connection there. So a test can end its client at exactly these two moments, or lose one answer.

use std::{fmt, sync::Arc};

use crate::{exchange::Lost, route::Route, shared::Shared};

/// What a request is for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Destination {
    /// The API; `None` where the path leads nowhere.
    Api(Option<Route>),
    /// The callback of this name.
    Callback(String),
    /// The sink of this name.
    Sink(String),
}

/// Where a request is on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Moment {
    /// It has arrived and nothing is done yet: lost here, it leaves no trace at all.
    Before,
    /// What it asks for is done and on record; no answer was sent yet.
    After,
}

/// A request at one moment of its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passage {
    /// Where it is.
    pub moment: Moment,
    /// What it is for.
    pub destination: Destination,
    /// Method.
    pub method: String,
    /// Path, without query.
    pub path: String,
}

/// What becomes of a request that was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It goes on.
    Pass,
    /// Its connection ends here without an answer.
    Lose,
}

/// Looks at each passage. It must not wait, and must not steer the simulator.
#[derive(Clone)]
pub(crate) struct Hook(pub(crate) Arc<dyn Fn(&Passage) -> Verdict + Send + Sync>);

impl fmt::Debug for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hook")
    }
}

impl Passage {
    /// A request that has just arrived.
    pub(crate) fn new(destination: Destination, parts: &http::request::Parts) -> Self {
        let (method, path) = (parts.method.to_string(), parts.uri.path().to_owned());
        Self { moment: Moment::Before, destination, method, path }
    }

    /// Asks the hook, where there is one.
    pub(crate) fn at(&mut self, moment: Moment, shared: &Shared) -> Result<(), Lost> {
        self.moment = moment;
        let hook = shared.look(|state| state.hook.clone());
        match hook.map_or(Verdict::Pass, |Hook(hook)| hook(self)) {
            Verdict::Pass => Ok(()),
            Verdict::Lose => Err(Lost),
        }
    }
}
