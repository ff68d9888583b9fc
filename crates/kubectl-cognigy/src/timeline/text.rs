//! Tables and sentences about policies, for people.

use std::fmt::Write as _;

use cognigy_operator::retry::{Surface, outlook::Try};

use super::{axis::Axis, chart, model::Timeline, words};
use crate::{exit::Result, output, style};

/// One policy: what it is, its tries, its chart, where it can go.
pub fn timeline(timeline: &Timeline, width: usize, wide: bool) -> Result<String> {
    let mut text = format!(
        "RetryPolicy {} ({})\n{}, {}; {} of tries fail\n\n",
        timeline.name,
        timeline.source,
        timeline.delays(),
        timeline.retries(),
        words::percent(timeline.rate.share()),
    );
    text += &tries(timeline, wide)?;
    let axis = Axis::over(std::slice::from_ref(timeline));
    write!(text, "\n{}\n", chart::chart(timeline, &axis, width)).ok();
    text += &facts(std::slice::from_ref(timeline))?;
    Ok(text + &remarks(timeline, false))
}

/// Two policies or more, side by side.
pub fn comparison(timelines: &[Timeline], width: usize) -> Result<String> {
    let mut text = String::new();
    if let Some(first) = timelines.first() {
        write!(text, "{} of tries fail\n\n", words::percent(first.rate.share())).ok();
    }
    text += &side_by_side(timelines)?;
    let axis = Axis::over(timelines);
    for timeline in timelines {
        write!(text, "\n{}\n{}", timeline.name, chart::chart(timeline, &axis, width)).ok();
    }
    text.push('\n');
    text += &facts(timelines)?;
    Ok(timelines.iter().fold(text, |text, timeline| text + &remarks(timeline, true)))
}

fn tries(timeline: &Timeline, wide: bool) -> Result<String> {
    let mut heading = vec!["TRY", "WAITS", "WITH JITTER", "AT", "WITH JITTER", "THROUGH"];
    if wide {
        heading.push("NOT THROUGH");
    }
    let row = |one: &Try| {
        let first = one.number == 1;
        let mut row = vec![
            one.number.to_string(),
            if first { "-".into() } else { words::time(one.wait.planned) },
            if first { "-".into() } else { words::between(one.wait.least, one.wait.most) },
            words::time(one.at.planned),
            if first { "-".into() } else { words::between(one.at.least, one.at.most) },
            through(one),
        ];
        if wide {
            row.push(words::odds(one.failing));
        }
        row
    };
    output::table(&heading, &timeline.outlook.tries.iter().map(row).collect::<Vec<_>>())
}

fn side_by_side(timelines: &[Timeline]) -> Result<String> {
    let names = || timelines.iter().map(|timeline| &timeline.name);
    let heading: Vec<String> = ["TRY".to_owned()]
        .into_iter()
        .chain(names().map(|name| format!("{name} AT")))
        .chain(names().map(|name| format!("{name} THROUGH")))
        .collect();
    let most = timelines.iter().map(|timeline| timeline.outlook.tries.len()).max().unwrap_or_default();
    let rows: Vec<Vec<String>> = (0..most)
        .map(|index| {
            let cells = |cell: fn(&Try) -> String| {
                let cell = move |timeline: &Timeline| timeline.outlook.tries.get(index).map_or("-".into(), cell);
                timelines.iter().map(cell)
            };
            let at = |one: &Try| words::between(one.at.least, one.at.most);
            [(index + 1).to_string()].into_iter().chain(cells(at)).chain(cells(through)).collect()
        })
        .collect();
    output::table(&heading.iter().map(String::as_str).collect::<Vec<_>>(), &rows)
}

fn through(one: &Try) -> String {
    if one.made { words::all_but(one.failing) } else { "not made: after the window".into() }
}

/// What each policy comes to, a line for each fact and a column for each policy.
fn facts(timelines: &[Timeline]) -> Result<String> {
    let line = |what: &str, fact: &dyn Fn(&Timeline) -> String| {
        [what.to_owned()].into_iter().chain(timelines.iter().map(fact)).collect::<Vec<_>>()
    };
    let mut lines = vec![
        line("Given up after", &|one| format!("{}, {}", tries_in_words(one.outlook.last.number), one.worst())),
        line("Deliveries given up", &|one| words::odds(one.outlook.last.failing)),
        line("Tries on average", &|one| words::decimals(one.outlook.mean_tries, 3)),
        line("Cognigy's own figure", &|one| {
            format!("{} of 1,000 at {} %", one.deliveries_per_thousand(), one.policy.failure_threshold_percent)
        }),
        line("Webhooks take it", &|one| takes(one, Surface::Webhook)),
        line("Bot webhooks take it", &|one| takes(one, Surface::BotWebhook)),
    ];
    if timelines.len() > 1 {
        lines.insert(0, line("Delays", &Timeline::delays));
        lines.insert(1, line("Retries", &Timeline::retries));
    }
    let heading: Vec<&str> = match timelines {
        [_] => vec!["FACT", "FIGURE"],
        many => ["FACT"].into_iter().chain(many.iter().map(|one| one.name.as_str())).collect(),
    };
    output::table(&heading, &lines)
}

fn tries_in_words(count: u32) -> String {
    if count == 1 { "1 try".into() } else { format!("{count} tries") }
}

fn takes(timeline: &Timeline, api: Surface) -> String {
    let answer = timeline.takes(api);
    style::styled(if answer == "yes" { style::GOOD } else { style::WAITING }, answer)
}

/// Why an API does not take the policy, and what became of the simulated deliveries.
fn remarks(timeline: &Timeline, named: bool) -> String {
    let whose = if named { format!("{}: ", timeline.name) } else { String::new() };
    let mut text = String::new();
    for why in timeline.apis.iter().filter_map(|(_, why)| why.as_ref()) {
        write!(text, "\n{whose}{why}\n").ok();
    }
    if let Some(simulation) = &timeline.simulation {
        write!(text, "\n{whose}{}\n", simulation.told()).ok();
    }
    text
}
