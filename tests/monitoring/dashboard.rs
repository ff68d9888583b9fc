//! The dashboard as Grafana reads it.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::{promtool::parsed, rules::text};

/// The columns that Grafana has.
const COLUMNS: u64 = 24;

fn panels() -> Vec<Value> {
    parsed("dashboard.json")["panels"].as_array().unwrap().clone()
}

/// The cells of Grafana's grid that a panel covers.
fn cells(panel: &Value) -> Vec<(u64, u64)> {
    let [x, y, width, height] = ["x", "y", "w", "h"].map(|side| panel["gridPos"][side].as_u64().unwrap());
    assert!(x + width <= COLUMNS, "{panel}");
    (y..y + height).flat_map(|row| (x..x + width).map(move |column| (column, row))).collect()
}

#[test]
fn every_panel_has_a_number_and_a_place_of_its_own_and_says_what_it_shows() {
    let (mut ids, mut taken) = (BTreeSet::new(), BTreeSet::new());
    for panel in panels() {
        let title = text(&panel, "title");
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{title}");
        for cell in cells(&panel) {
            assert!(taken.insert(cell), "{title} lies on another panel");
        }
        if panel["type"] != "row" {
            assert!(!text(&panel, "description").is_empty(), "{title}");
            assert_eq!(panel["datasource"]["uid"], "${datasource}", "{title}");
            assert!(!panel["targets"].as_array().unwrap().is_empty(), "{title}");
        }
    }
}

#[test]
fn fleet_tenant_and_webhook_are_each_a_row_and_every_variable_is_used() {
    let dashboard = parsed("dashboard.json");
    let rows: Vec<_> =
        panels().iter().filter(|panel| panel["type"] == "row").map(|row| text(row, "title").to_owned()).collect();
    assert_eq!(rows, ["Fleet", "Tenant $tenant", "Webhook $namespace/$webhook"]);
    let queries: String = panels().iter().map(|panel| panel["targets"].to_string()).collect();
    for variable in dashboard["templating"]["list"].as_array().unwrap() {
        let name = text(variable, "name");
        assert!([format!("${name}"), format!("${{{name}}}")].iter().any(|used| queries.contains(used)), "{name}");
    }
}
