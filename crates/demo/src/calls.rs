//! What each webhook cost: the simulator's own record of the calls.

use std::collections::BTreeMap;

use cognigy_simulator::{Handle, Route, State};

use crate::screen::{Cell, Style, cell, head, plain};

/// The routes that make a webhook live, in the order of its life.
const COLUMNS: [(&[Route], &str); 4] = [
    (&[Route::CreateIntegration], "REGISTER"),
    (&[Route::GetIntegration, Route::GetWebhook, Route::ListBotWebhooks], "READ"),
    (&[Route::PutWebhook, Route::PatchBotWebhook], "POLICY"),
    (&[Route::UpdateIntegration], "ACTIVATE"),
];

/// The calls for one webhook.
#[derive(Debug, Default, PartialEq, Eq)]
struct Count {
    calls: [usize; COLUMNS.len()],
    conflicts: usize,
    checks: usize,
}

/// Calls by webhook, as a table.
pub(crate) fn table(simulator: &Handle) -> Vec<Vec<Cell>> {
    let counts = simulator.look(count);
    let mut heads = vec![head("WEBHOOK")];
    heads.extend(COLUMNS.map(|(_, name)| head(name)));
    heads.extend(["CALLS", "OF THEM 409", "HEALTH CHECKS"].map(head));
    let rows = counts.into_iter().map(|(name, count)| {
        let mut row = vec![plain(name)];
        row.extend(count.calls.map(plain));
        row.push(cell(Style::Bold, count.calls.iter().sum::<usize>().to_string()));
        row.push(cell(if count.conflicts > 0 { Style::Warn } else { Style::Plain }, count.conflicts.to_string()));
        row.push(plain(count.checks));
        row
    });
    [heads].into_iter().chain(rows).collect()
}

fn count(state: &State) -> BTreeMap<String, Count> {
    let mut names: BTreeMap<_, _> = state.integrations().iter().map(|one| (one.id.as_str(), &one.name)).collect();
    names.extend(state.bot_webhooks().iter().map(|one| (one.id.as_str(), &one.name)));
    let mut counts: BTreeMap<String, Count> = BTreeMap::new();
    for name in names.values() {
        counts.entry((*name).clone()).or_default().checks = state.callback_requests(name).len();
    }
    for request in state.requests() {
        let Some(route) = request.route else { continue };
        let Some(column) = COLUMNS.iter().position(|(routes, _)| routes.contains(&route)) else { continue };
        let body = request.json();
        let id = request.path.rsplit('/').next().unwrap_or_default();
        let name = names.get(id).map(|name| name.as_str()).or_else(|| body["name"].as_str()).unwrap_or_default();
        // One listing serves all webhooks of its bot.
        let bot_webhook = state.bot_webhooks().iter().find(|one| request.path.contains(&one.bot_id));
        let name = if route == Route::ListBotWebhooks { bot_webhook.map_or("", |one| &one.name) } else { name };
        if let Some(count) = counts.get_mut(name) {
            count.calls[column] += 1;
            count.conflicts += usize::from(request.status == Some(409));
        }
    }
    counts
}
