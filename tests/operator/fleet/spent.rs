//! What the operator asked for between two looks, object by object: of Cognigy by the simulator's log, of Kubernetes by the
//! API server's.

use std::collections::{BTreeMap, BTreeSet};

use cognigy_simulator::{Request, Route};
use control_plane::AuditEvent;

/// What one object cost, in its order.
#[derive(Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cost {
    /// Calls to Cognigy.
    pub calls: Vec<Route>,
    /// Writes to Kubernetes, events apart.
    pub writes: Vec<&'static str>,
    /// Events.
    pub events: usize,
}

/// The write of finalizer and annotation, or the removal of the finalizer.
pub const METADATA: &str = "metadata";
/// The write of the status.
pub const STATUS: &str = "status";

/// Everything that was spent.
#[derive(Debug, Default)]
pub struct Spent {
    of_each: BTreeMap<String, Cost>,
    /// Calls that are no object's own.
    pub shared: BTreeMap<Route, usize>,
    /// Reads of the API server by what was read; the lists and watches of the start apart.
    pub reads: BTreeMap<String, usize>,
    /// Reads of what is watched, where the watch lagged behind the operator's own write.
    pub read_again: usize,
    /// Writes to what is no webhook, by their kind.
    pub other_writes: BTreeMap<String, usize>,
}

impl Spent {
    /// Sums up. `names`: the objects' names by the ids that Cognigy gave them.
    pub fn of(calls: &[Request], requests: &[AuditEvent], names: &BTreeMap<String, String>) -> Self {
        let mut spent = Self::default();
        for call in calls {
            let Some(route) = call.route else { panic!("a call to nowhere: {call:?}") };
            match whose(call, names) {
                Some(name) => spent.of_each.entry(name).or_default().calls.push(route),
                None => *spent.shared.entry(route).or_default() += 1,
            }
        }
        for request in requests {
            spent.add(request);
        }
        spent
    }

    fn add(&mut self, request: &AuditEvent) {
        let name = request.name.clone().unwrap_or_default();
        match (request.resource.as_str(), request.verb.as_str()) {
            ("events", "create") => {
                // Events are named after their object.
                let object = name.split_once('.').map(|(object, _)| object.to_owned());
                self.of_each.entry(object.unwrap_or(name)).or_default().events += 1;
            }
            ("cognigywebhooks", "patch") => {
                let write = if request.subresource.is_some() { STATUS } else { METADATA };
                self.of_each.entry(name).or_default().writes.push(write);
            }
            (_, "get") if request.group == "cognigy.io" => self.read_again += 1,
            (resource, "get" | "list") => *self.reads.entry(format!("{resource} {name}")).or_default() += 1,
            (resource, verb) => *self.other_writes.entry(format!("{verb} {resource}")).or_default() += 1,
        }
    }

    /// What an object cost.
    pub fn by(&self, name: &str) -> &Cost {
        static NOTHING: Cost = Cost { calls: Vec::new(), writes: Vec::new(), events: 0 };
        self.of_each.get(name).unwrap_or(&NOTHING)
    }

    /// What these objects cost, each the same.
    pub fn by_each(&self, names: &[String]) -> &Cost {
        let costs: BTreeSet<&Cost> = names.iter().map(|name| self.by(name)).collect();
        assert_eq!(costs.len(), 1, "they cost differently: {costs:#?}");
        self.by(&names[0])
    }
}

fn whose(call: &Request, names: &BTreeMap<String, String>) -> Option<String> {
    if call.route == Some(Route::CreateIntegration) {
        return call.json()["name"].as_str().map(str::to_owned);
    }
    call.path.split('/').find_map(|segment| names.get(segment)).cloned()
}
