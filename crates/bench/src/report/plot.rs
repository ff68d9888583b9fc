//! The figures as pictures: bars in groups, on the reader's own background. Pure.

use svg::{
    Document, Node,
    node::element::{Rectangle, Style, Text, Title},
};

use super::{
    count,
    model::{Fleet, Report},
    table::number,
};
use crate::chapters::rollout::Rollout;

/// All lengths are units of the SVG.
const WIDTH: f64 = 860.0;
const LEFT: f64 = 190.0;
const LONGEST: f64 = 560.0;
const MARGIN: f64 = 24.0;
const BAR: f64 = 18.0;
const STEP: f64 = 24.0;
const GROUP: f64 = 34.0;

const CSS: &str = "
text { font-family: system-ui, 'Segoe UI', Helvetica, Arial, 'DejaVu Sans', sans-serif; font-size: 13px; fill: #1f2328 }
.title { font-size: 18px; font-weight: bold }
.group { font-weight: bold }
.surface { fill: #ffffff }
.ours { fill: #0969da }
.theirs { fill: #9198a1 }
@media (prefers-color-scheme: dark) {
text { fill: #f0f6fc }
.surface { fill: #0d1117 }
.ours { fill: #58a6ff }
.theirs { fill: #59636e }
}
";

/// Bars that are compared with each other.
struct Group {
    name: String,
    bars: Vec<Bar>,
}

struct Bar {
    name: String,
    value: f64,
    ours: bool,
}

/// All pictures for which there are figures, with the names of their files.
pub(crate) fn pictures(report: &Report) -> Vec<(&'static str, String)> {
    [
        ("time.svg", "Time until all is Ready and written, in multiples of the physical limit", times(report)),
        ("requests.svg", "What one webhook costs until it is Ready", requests(report)),
        ("growth.svg", "What each webhook costs as the fleet grows, in multiples of the smallest", growth(report)),
    ]
    .into_iter()
    .filter(|(_, _, groups)| !groups.is_empty())
    .map(|(file, title, groups)| (file, format!("{}\n", draw(title, &groups))))
    .collect()
}

fn contenders(fleet: &Fleet) -> impl Iterator<Item = &Rollout> {
    let provider = fleet.provider_http.as_ref().map(|one| &one.rollout);
    let round = fleet.round();
    let ours = round.map(|round| &round.operator).or(fleet.operator.as_ref());
    [round.map(|round| &round.limit), ours, provider, fleet.script.as_ref()].into_iter().flatten()
}

fn times(report: &Report) -> Vec<Group> {
    let group = |fleet: &Fleet| {
        let base = fleet.round()?.limit.written_seconds;
        let bars =
            contenders(fleet).map(|one| bar(&one.contender, one.written_seconds / base, one.contender == "operator"));
        Some(Group { name: format!("{} webhooks", fleet.webhooks), bars: bars.collect() })
    };
    report.fleets.iter().filter_map(group).collect()
}

fn requests(report: &Report) -> Vec<Group> {
    let Some(fleet) = report.fleets.iter().rfind(|fleet| fleet.provider_http.is_some() && fleet.operator.is_some())
    else {
        return Vec::new();
    };
    let group = |name: &str, of: fn(&Rollout) -> usize| {
        let whose = contenders(fleet).filter(|one| one.contender != "limit");
        let bars =
            whose.map(|one| bar(&one.contender, count(of(one)) / count(one.webhooks), one.contender == "operator"));
        Group { name: name.to_owned(), bars: bars.collect() }
    };
    vec![
        group("calls to Cognigy", |one| one.usage.calls.total()),
        group("writes to Kubernetes, events apart", |one| one.usage.kubernetes.writes()),
        group("events", |one| one.usage.kubernetes.events),
    ]
}

fn growth(report: &Report) -> Vec<Group> {
    let group = |name: &str, of: fn(&Rollout) -> Option<f64>| {
        let each = |fleet: &Fleet| Some((fleet.webhooks, of(fleet.operator.as_ref()?)? / count(fleet.webhooks)));
        let values: Vec<_> = report.fleets.iter().filter_map(each).collect();
        let (_, base) = *values.first().filter(|_| values.len() > 1)?;
        let bars = values.iter().map(|(webhooks, value)| bar(&webhooks.to_string(), value / base, true)).collect();
        Some(Group { name: name.to_owned(), bars })
    };
    let all = [
        group("time", |one| Some(one.seconds)),
        group("CPU", |one| Some(one.usage.process?.cpu_seconds)),
        group("calls", |one| Some(count(one.usage.calls.total()))),
        group("writes to Kubernetes", |one| Some(count(one.usage.kubernetes.all_writes()))),
        group("peak memory", |one| Some(one.usage.process?.peak_mib)),
    ];
    all.into_iter().flatten().collect()
}

fn bar(name: &str, value: f64, ours: bool) -> Bar {
    Bar { name: name.to_owned(), value, ours }
}

fn draw(title: &str, groups: &[Group]) -> Document {
    let rows: usize = groups.iter().map(|group| group.bars.len()).sum();
    let height = MARGIN * 2.0 + 30.0 + count(groups.len()) * GROUP + count(rows) * STEP;
    let largest = groups.iter().flat_map(|group| &group.bars).map(|bar| bar.value).fold(f64::MIN_POSITIVE, f64::max);
    let mut document = Document::new()
        .set("viewBox", (0.0, 0.0, WIDTH, height))
        .set("width", WIDTH)
        .set("height", height)
        .set("role", "img")
        .add(Title::new(title))
        .add(Style::new(CSS))
        .add(Rectangle::new().set("class", "surface").set("width", WIDTH).set("height", height))
        .add(text(title, "title", (MARGIN, MARGIN + 14.0), "start"));
    let mut y = MARGIN + 30.0;
    for group in groups {
        y += GROUP;
        document.append(text(&group.name, "group", (MARGIN, y - 8.0), "start"));
        for bar in &group.bars {
            let length = (LONGEST * bar.value / largest).max(1.0);
            let class = if bar.ours { "ours" } else { "theirs" };
            document.append(text(&bar.name, "", (LEFT - 8.0, y + 13.0), "end"));
            document.append(
                Rectangle::new()
                    .set("class", class)
                    .set("x", LEFT)
                    .set("y", y)
                    .set("width", length)
                    .set("height", BAR)
                    .set("rx", 2.0),
            );
            document.append(text(&number(bar.value), "", (LEFT + length + 8.0, y + 13.0), "start"));
            y += STEP;
        }
    }
    document
}

fn text(words: &str, class: &str, (x, y): (f64, f64), anchor: &str) -> Text {
    Text::new(words).set("class", class).set("x", x).set("y", y).set("text-anchor", anchor)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::model::Round;

    #[test]
    fn a_picture_has_a_bar_for_each_contender_and_none_for_what_was_not_measured() {
        let rollout = |contender: &str, seconds| Rollout {
            contender: contender.to_owned(),
            webhooks: 200,
            seconds,
            written_seconds: seconds,
            ..Rollout::default()
        };
        let round = Round { operator: rollout("operator", 2.5), limit: rollout("limit", 2.0) };
        let fleet = Fleet { webhooks: 200, rounds: vec![round], ..Fleet::default() };
        let pictures = pictures(&Report { fleets: vec![fleet], ..Report::default() });
        let [("time.svg", picture)] = pictures.as_slice() else { panic!("{pictures:?}") };
        assert!(picture.contains("1.25") && picture.contains("operator") && !picture.contains("script"), "{picture}");
    }
}
