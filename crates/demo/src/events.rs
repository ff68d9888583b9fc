//! The events of the demo's namespace as a time line.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::Value;

use crate::{
    Result,
    cluster::{Cluster, NAMESPACE},
    kubectl::items,
    screen::{Cell, Style, cell, plain},
};

/// One event.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    uid: String,
    time: Timestamp,
    object: String,
    reason: String,
    note: String,
    warning: bool,
}

/// Tells each event once.
#[derive(Debug)]
pub(crate) struct TimeLine {
    begin: Timestamp,
    told: BTreeSet<String>,
}

impl TimeLine {
    /// Times are counted from now.
    pub(crate) fn begin() -> Self {
        Self { begin: Timestamp::now(), told: BTreeSet::new() }
    }

    /// The events that were not told before, in order.
    pub(crate) async fn news(&mut self, cluster: &Cluster) -> Result<Vec<Event>> {
        let list = cluster.kubectl(["get", "events.events.k8s.io", "-n", NAMESPACE]).json().await?;
        let mut events: Vec<_> = items(&list).iter().filter_map(Event::new).collect();
        // A cluster keeps events for an hour: those of a demo before are not told again.
        events.retain(|event| event.time >= self.begin && self.told.insert(event.uid.clone()));
        events.sort_by_key(|event| event.time);
        Ok(events)
    }

    /// Events as rows of a table.
    pub(crate) fn rows(&self, events: &[Event]) -> Vec<Vec<Cell>> {
        events.iter().map(|event| self.row(event)).collect()
    }

    /// The first columns have a width of their own, because a time line grows row by row.
    fn row(&self, event: &Event) -> Vec<Cell> {
        let seconds = event.time.duration_since(self.begin).as_secs_f64();
        vec![
            cell(Style::Dim, format!("{seconds:>6.1} s")),
            plain(format_args!("{:<21}", event.object)),
            cell(if event.warning { Style::Warn } else { Style::Good }, format!("{:<18}", event.reason)),
            plain(&event.note),
        ]
    }
}

impl Event {
    fn new(event: &Value) -> Option<Self> {
        let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str);
        let time = text("/eventTime").or_else(|| text("/metadata/creationTimestamp"))?;
        let own = |pointer: &str| text(pointer).unwrap_or_default().to_owned();
        Some(Self {
            uid: own("/metadata/uid"),
            time: time.parse().ok()?,
            object: own("/regarding/name"),
            reason: own("/reason"),
            note: own("/note"),
            warning: text("/type") == Some("Warning"),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_event_is_told_with_the_seconds_since_the_beginning() {
        let line = TimeLine { begin: "2026-01-01T00:00:00Z".parse().unwrap(), told: BTreeSet::new() };
        let event = Event::new(&json!({
            "eventTime": "2026-01-01T00:00:02.500000Z", "type": "Warning", "reason": "Conflict",
            "regarding": {"name": "tickets"}, "note": "changed meanwhile"
        }));
        let expected = [
            cell(Style::Dim, "   2.5 s"),
            plain("tickets              "),
            cell(Style::Warn, "Conflict          "),
            plain("changed meanwhile"),
        ];
        assert_eq!(line.row(&event.unwrap()), expected);
    }
}
