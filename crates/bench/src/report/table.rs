//! The figures as Markdown. Times are told as ratios: seconds of a shared machine mean nothing elsewhere. Pure.

use std::fmt::Write as _;

use super::{
    count,
    goals::goals,
    model::{Fleet, Report},
};
use crate::{chapters::rollout::Rollout, meter::Usage};

/// A cell without a figure.
const NONE: &str = "–";

/// All tables, a heading each.
pub(crate) fn markdown(report: &Report) -> String {
    let mut text = String::new();
    for fleet in &report.fleets {
        let _ = write!(text, "### {} webhooks, side by side\n\n{}\n", thousands(fleet.webhooks), side_by_side(fleet));
    }
    let _ = write!(text, "### What happens to a fleet\n\n{}\n", chapters(report));
    if report.fleets.iter().any(|fleet| fleet.hanging.is_some()) {
        let _ = write!(text, "### Ten tenants, of which one hangs\n\n{}\n", hanging(report));
    }
    let _ = write!(text, "### Goals\n\n{}", goal_table(report));
    text
}

fn table(head: &[String], rows: &[Vec<String>]) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let rule: Vec<_> =
        head.iter().enumerate().map(|(nth, _)| if nth == 0 { "---" } else { "--:" }.to_owned()).collect();
    rows.iter().fold(line(head) + &line(&rule), |text, row| text + &line(row))
}

/// A row of a table: what it is, and what it is of each.
type Row<T> = (&'static str, Box<dyn Fn(&T) -> Option<String>>);

fn of_rollout(what: &'static str, of: impl Fn(&Rollout) -> Option<String> + 'static) -> Row<Rollout> {
    (what, Box::new(of))
}

fn of_fleet(what: &'static str, of: impl Fn(&Fleet) -> Option<String> + 'static) -> Row<Fleet> {
    (what, Box::new(of))
}

fn rows<T>(wanted: &[Row<T>], columns: &[&T]) -> Vec<Vec<String>> {
    let cell = |of: &dyn Fn(&T) -> Option<String>, one: &T| of(one).unwrap_or_else(|| NONE.to_owned());
    wanted
        .iter()
        .map(|(what, of)| [(*what).to_owned()].into_iter().chain(columns.iter().map(|one| cell(of, one))).collect())
        .collect()
}

fn side_by_side(fleet: &Fleet) -> String {
    let provider = fleet.provider_http.as_ref().map(|one| &one.rollout);
    let round = fleet.round();
    let ours = round.map(|round| &round.operator).or(fleet.operator.as_ref());
    let all = [ours, round.map(|round| &round.limit), fleet.script.as_ref(), provider];
    let columns: Vec<&Rollout> = all.into_iter().flatten().collect();
    let head: Vec<_> = [String::new()].into_iter().chain(columns.iter().map(|one| one.contender.clone())).collect();
    let base = round.map(|round| round.limit.seconds);
    let written = round.map(|round| round.limit.written_seconds);
    let wanted: [Row<Rollout>; 14] = [
        of_rollout("Ready", |one| Some(thousands(one.ready))),
        of_rollout("time until all is Ready and written ÷ the limit's", move |one| {
            Some(number(one.written_seconds / written?))
        }),
        of_rollout("time until all are Ready ÷ the limit's", move |one| Some(number(one.seconds / base?))),
        of_rollout("p99 ÷ p50 of the time from creation to Ready", |one| {
            Some(number(one.p99_seconds / one.p50_seconds))
        }),
        of_rollout("calls for each", |one| Some(number(each(one, one.usage.calls.total())))),
        of_rollout("health checks for each", |one| Some(number(each(one, one.usage.calls.health_checks)))),
        of_rollout("bytes to Cognigy for each", |one| Some(number(each(one, one.usage.calls.bytes)))),
        of_rollout("writes to Kubernetes for each, events apart", |one| {
            Some(number(each(one, one.usage.kubernetes.writes())))
        }),
        of_rollout("events for each", |one| Some(number(each(one, one.usage.kubernetes.events)))),
        of_rollout("reads of Kubernetes for each", |one| Some(number(each(one, one.usage.kubernetes.reads)))),
        of_rollout("CPU for each, ms", |one| Some(number(one.usage.process?.cpu_seconds * 1e3 / count(one.webhooks)))),
        of_rollout("CPU of API server and etcd for each, ms", |one| {
            Some(number(one.usage.control_plane_cpu_seconds * 1e3 / count(one.webhooks)))
        }),
        of_rollout("peak memory, MiB", |one| Some(number(one.usage.process?.peak_mib))),
        of_rollout("the most calls in a second", |one| Some(thousands(one.usage.calls.busiest_second))),
    ];
    table(&head, &rows(&wanted, &columns)) + &spread(fleet)
}

/// How far the rounds are apart.
fn spread(fleet: &Fleet) -> String {
    let Some([least, middle, most]) = fleet.times_limit().filter(|_| fleet.rounds.len() > 1) else {
        return String::new();
    };
    let (rounds, [least, middle, most]) = (fleet.rounds.len(), [least, middle, most].map(number));
    format!(
        "\nOperator and limit: the middle one of {rounds} rounds; their ratios are from {least} to {most}, {middle} in the middle.\n"
    )
}

fn each(rollout: &Rollout, what: usize) -> f64 {
    count(what) / count(rollout.webhooks)
}

fn chapters(report: &Report) -> String {
    let columns: Vec<&Fleet> = report.fleets.iter().collect();
    let head: Vec<_> = [String::new()].into_iter().chain(columns.iter().map(|one| thousands(one.webhooks))).collect();
    let mut wanted: Vec<Row<Fleet>> = Vec::new();
    wanted.push(of_fleet("**until all are Ready**: time for each, ms", |fleet| {
        Some(number(fleet.operator.as_ref()?.seconds * 1e3 / count(fleet.webhooks)))
    }));
    costs(&mut wanted, |fleet| Some(&fleet.operator.as_ref()?.usage));
    wanted.push(of_fleet("**quiet**, each period: conditional calls for each", |fleet| {
        Some(number(fleet.quiet.as_ref()?.calls_per_object(fleet.webhooks)))
    }));
    wanted.push(of_fleet("writes to Kubernetes", |fleet| {
        Some(thousands(fleet.quiet.as_ref()?.usage.kubernetes.all_writes()))
    }));
    wanted.push(of_fleet("reads of Kubernetes for each", |fleet| {
        let quiet = fleet.quiet.as_ref()?;
        Some(number(fleet.each(quiet.usage.kubernetes.reads) / f64::from(quiet.periods)))
    }));
    wanted.push(of_fleet("CPU for each, ms", |fleet| {
        let quiet = fleet.quiet.as_ref()?;
        Some(number(quiet.usage.process?.cpu_seconds * 1e3 / count(fleet.webhooks) / f64::from(quiet.periods)))
    }));
    wanted.push(of_fleet("resting memory, MiB", |fleet| Some(number(fleet.quiet.as_ref()?.usage.process?.memory_mib))));
    wanted.push(of_fleet("**catalogued, quiet**, each period: calls for each", |fleet| {
        Some(number(fleet.catalogue.as_ref()?.quiet.calls_per_object(fleet.webhooks)))
    }));
    wanted.push(of_fleet("writes to Kubernetes", |fleet| {
        Some(thousands(fleet.catalogue.as_ref()?.quiet.usage.kubernetes.all_writes()))
    }));
    wanted.push(of_fleet("**restart**: time until each has had its pass ÷ until all are Ready", |fleet| {
        Some(number(fleet.restart.as_ref()?.seconds / fleet.operator.as_ref()?.seconds))
    }));
    wanted.push(of_fleet("calls for webhooks", |fleet| Some(thousands(fleet.restart.as_ref()?.calls_for_webhooks()))));
    wanted.push(of_fleet("writes to Kubernetes", |fleet| {
        Some(thousands(fleet.restart.as_ref()?.usage.kubernetes.all_writes()))
    }));
    wanted.push(of_fleet("**another policy for all**: time ÷ until all are Ready", |fleet| {
        Some(number(fleet.policy.as_ref()?.seconds / fleet.operator.as_ref()?.seconds))
    }));
    costs(&mut wanted, |fleet| Some(&fleet.policy.as_ref()?.usage));
    wanted.push(of_fleet("**outage of 30 s**: calls wasted, of all webhooks together", |fleet| {
        Some(thousands(fleet.outage.as_ref()?.during.calls.total()))
    }));
    wanted.push(of_fleet("time from its end until all are Ready ÷ until all are Ready at first", |fleet| {
        Some(number(fleet.outage.as_ref()?.seconds / fleet.operator.as_ref()?.seconds))
    }));
    wanted.push(of_fleet("the most calls in a second after it ÷ those at first", |fleet| {
        let after = count(fleet.outage.as_ref()?.after.calls.busiest_second);
        Some(number(after / count(fleet.operator.as_ref()?.usage.calls.busiest_second)))
    }));
    wanted.push(of_fleet("**deletion of all**: time ÷ until all are Ready", |fleet| {
        Some(number(fleet.deletion.as_ref()?.seconds / fleet.operator.as_ref()?.seconds))
    }));
    costs(&mut wanted, |fleet| Some(&fleet.deletion.as_ref()?.usage));
    table(&head, &rows(&wanted, &columns))
}

fn costs(wanted: &mut Vec<Row<Fleet>>, of: fn(&Fleet) -> Option<&Usage>) {
    wanted.push(of_fleet("calls for each", move |fleet| Some(number(fleet.each(of(fleet)?.calls.total())))));
    wanted.push(of_fleet("writes to Kubernetes for each, events apart", move |fleet| {
        Some(number(fleet.each(of(fleet)?.kubernetes.writes())))
    }));
    wanted.push(of_fleet("events for each", move |fleet| Some(number(fleet.each(of(fleet)?.kubernetes.events)))));
    wanted.push(of_fleet("CPU for each, ms", move |fleet| {
        Some(number(of(fleet)?.process?.cpu_seconds * 1e3 / count(fleet.webhooks)))
    }));
    wanted.push(of_fleet("peak memory, MiB", move |fleet| Some(number(of(fleet)?.process?.peak_mib))));
}

fn hanging(report: &Report) -> String {
    let head = [
        "webhooks",
        "calls of the nine, all well",
        "one hangs",
        "time of the nine, one hangs ÷ all well",
        "places moved in the order, all well",
        "one hangs",
    ];
    let lines = report.fleets.iter().filter_map(|fleet| {
        let hanging = fleet.hanging.as_ref()?;
        let (well, hangs) = (&hanging.all_well, &hanging.one_hangs);
        Some(vec![
            thousands(fleet.webhooks),
            thousands(well.calls_for_webhooks()),
            thousands(hangs.calls_for_webhooks()),
            number(hangs.rollout.seconds / well.rollout.seconds),
            number(well.mean_displacement),
            number(hangs.mean_displacement),
        ])
    });
    table(&head.map(str::to_owned), &lines.collect::<Vec<_>>())
}

fn goal_table(report: &Report) -> String {
    let head = ["goal", "webhooks", "at most", "measured", "met"].map(str::to_owned);
    let lines = goals(report).into_iter().map(|goal| {
        let met = if goal.is_met() { "yes" } else { "**no**" };
        vec![goal.what.to_owned(), thousands(goal.webhooks), number(goal.limit), number(goal.measured), met.to_owned()]
    });
    table(&head, &lines.collect::<Vec<_>>())
}

/// Three significant digits, without needless zeros.
pub(super) fn number(value: f64) -> String {
    if !value.is_finite() {
        return NONE.to_owned();
    }
    let text = match value.abs() {
        v if v >= 100.0 => format!("{value:.0}"),
        v if v >= 10.0 => format!("{value:.1}"),
        v if v >= 0.1 => format!("{value:.2}"),
        _ => format!("{value:.4}"),
    };
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// A count, as it is read easily.
fn thousands(count: usize) -> String {
    let digits = count.to_string();
    let first = digits.len() % 3;
    let mut text = String::new();
    for (nth, digit) in digits.chars().enumerate() {
        if nth > 0 && nth % 3 == first {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::model::Round;

    #[test]
    fn numbers_have_three_digits_that_mean_something() {
        let numbers = [1234.5, 123.4, 12.34, 4.0, 1.234, 0.01, 0.00014, 0.0, f64::NAN, f64::INFINITY];
        assert_eq!(numbers.map(number), ["1234", "123", "12.3", "4", "1.23", "0.01", "0.0001", "0", NONE, NONE]);
        assert_eq!([7, 999, 1_000, 12_345, 1_234_567].map(thousands), ["7", "999", "1,000", "12,345", "1,234,567"]);
    }

    #[test]
    fn a_contender_without_a_figure_has_a_dash_and_a_chapter_that_was_left_out_too() {
        let rollout = |contender: &str, seconds| Rollout {
            contender: contender.to_owned(),
            webhooks: 200,
            ready: 200,
            seconds,
            written_seconds: seconds,
            ..Rollout::default()
        };
        let rounds =
            [2.2, 2.0, 9.0].map(|ours| Round { operator: rollout("operator", ours), limit: rollout("limit", 2.0) });
        let script = Some(rollout("script", 9.0));
        let fleet = Fleet { webhooks: 200, rounds: rounds.to_vec(), script, ..Fleet::default() };
        let text = markdown(&Report { fleets: vec![fleet], ..Report::default() });
        assert!(text.contains("|  | operator | limit | script |\n"), "{text}");
        assert!(text.contains("| time until all are Ready ÷ the limit's | 1.1 | 1 | 4.5 |\n"), "{text}");
        assert!(text.contains("3 rounds; their ratios are from 1 to 4.5, 1.1 in the middle."), "{text}");
        assert!(
            text.contains("| peak memory, MiB | – | – | – |\n") && text.contains("| resting memory, MiB | – |\n"),
            "{text}"
        );
    }
}
