//! The parts of the picture, and where they are.

use std::time::Duration;

use cognigy_operator::{
    retry::{Surface, outlook::Try},
    text,
};
use svg::{
    Document, Node,
    node::element::{Circle, Line, Path, Rectangle, Style, Text, Title, path::Data},
};

use super::theme::Theme;
use crate::timeline::{
    axis::Axis,
    model::{Simulation, Timeline},
    words,
};

/// All lengths are units of the SVG.
const WIDTH: f64 = 960.0;
const MARGIN: f64 = 32.0;
/// Where time begins and ends.
const LEFT: f64 = 196.0;
const RIGHT: f64 = WIDTH - 48.0;
/// The height of a try, of one policy and of several.
const STEP: f64 = 40.0;
const WIDER_STEP: f64 = 56.0;
const TEXT_LINE: f64 = 20.0;
/// What a letter takes at most, on average.
const LETTER: f64 = 7.0;
/// Letters in a line of text.
const LETTERS: usize = 122;
/// Letters of a policy's name.
const NAME: usize = 60;
/// How far two stairs are apart that would cover one another.
const APART: f64 = 5.0;

/// The whole picture.
pub fn document(timelines: &[Timeline], axis: &Axis, theme: Theme) -> Document {
    let scene = Scene::of(timelines, axis);
    let names: Vec<&str> = timelines.iter().map(|timeline| timeline.name.as_str()).collect();
    let title = format!("RetryPolicy {}", names.join(" and "));
    let mut document = Document::new()
        .set("viewBox", (0.0, 0.0, WIDTH, scene.height()))
        .set("width", WIDTH)
        .set("height", scene.height())
        .set("role", "img")
        .add(Title::new(title))
        .add(Style::new(theme.css()))
        .add(box_of("surface", [0.0, 0.0], [WIDTH, scene.height()], 0.0));
    scene.head(&mut document);
    scene.grid(&mut document);
    scene.windows(&mut document);
    for (index, timeline) in timelines.iter().enumerate() {
        scene.stair(&mut document, index, timeline);
    }
    for (index, timeline) in timelines.iter().enumerate() {
        scene.times(&mut document, index, timeline);
    }
    scene.foot(&mut document);
    document
}

struct Scene<'a> {
    timelines: &'a [Timeline],
    axis: &'a Axis,
    /// The tries of the longest policy.
    tries: &'a [Try],
    /// Lines under the title and under the chart, each with the policy that it is about where there are several.
    head: Vec<(Option<usize>, String)>,
    foot: Vec<(Option<usize>, String)>,
}

impl<'a> Scene<'a> {
    fn of(timelines: &'a [Timeline], axis: &'a Axis) -> Self {
        let several = timelines.len() > 1;
        let lines = |told: fn(&Timeline, bool) -> Vec<String>| {
            let of_one = |(index, timeline): (usize, &Timeline)| {
                let wrapped = told(timeline, several).into_iter().flat_map(|line| words::wrapped(&line, LETTERS));
                let whose = |line: usize| (several && line == 0).then_some(index);
                wrapped.enumerate().map(|(line, text)| (whose(line), text)).collect::<Vec<_>>()
            };
            timelines.iter().enumerate().flat_map(of_one).collect()
        };
        let tries = timelines.iter().map(|timeline| timeline.outlook.tries.as_slice()).max_by_key(|tries| tries.len());
        Self { timelines, axis, tries: tries.unwrap_or_default(), head: lines(head), foot: lines(foot) }
    }

    /// Where the chart begins.
    fn top(&self) -> f64 {
        MARGIN + 36.0 + TEXT_LINE * count(self.head.len()) + 24.0
    }

    /// Where the axis of time is.
    fn bottom(&self) -> f64 {
        self.top() + self.step() * count(self.tries.len())
    }

    fn step(&self) -> f64 {
        if self.timelines.len() > 1 { WIDER_STEP } else { STEP }
    }

    fn height(&self) -> f64 {
        self.bottom() + 76.0 + TEXT_LINE * count(self.foot.len())
    }

    fn x(&self, at: Duration) -> f64 {
        LEFT + (RIGHT - LEFT) * self.axis.place(at)
    }

    /// The height of a try of this policy.
    fn y(&self, index: usize, number: u32) -> f64 {
        let shift = match self.timelines {
            [_] => 0.0,
            _ if index == 0 => -APART,
            _ => APART,
        };
        self.bottom() - self.step() * (f64::from(number) - 0.5) + shift
    }

    fn head(&self, document: &mut Document) {
        let name = |timeline: &Timeline| text::cut(timeline.name.clone(), NAME / self.timelines.len());
        let names: Vec<String> = self.timelines.iter().map(name).collect();
        let title = match names.as_slice() {
            [name] => format!("RetryPolicy {name}"),
            names => names.join(" and "),
        };
        document.append(words_at("ink title", [MARGIN, MARGIN + 16.0], title));
        self.lines(document, MARGIN + 42.0, &self.head);
    }

    fn foot(&self, document: &mut Document) {
        self.lines(document, self.bottom() + 74.0, &self.foot);
    }

    fn lines(&self, document: &mut Document, first: f64, lines: &[(Option<usize>, String)]) {
        let indent = if self.timelines.len() > 1 { 18.0 } else { 0.0 };
        for (line, (whose, text)) in lines.iter().enumerate() {
            let y = first + TEXT_LINE * count(line);
            if let Some(index) = whose {
                document.append(sign(*index, [MARGIN + 5.0, y - 4.5]));
            }
            document.append(words_at("ink", [MARGIN + indent, y], text));
        }
    }

    fn grid(&self, document: &mut Document) {
        let (top, bottom) = (self.top(), self.bottom());
        document.append(words_at("quiet small", [MARGIN, top - 8.0], "TRY"));
        document.append(words_at("quiet small", [LEFT - 16.0, top - 8.0], "THROUGH").set("text-anchor", "end"));
        for one in self.tries {
            let y = bottom - self.step() * (f64::from(one.number) - 0.5);
            let made = |timeline: &Timeline| timeline.outlook.tries.get(index_of(one)).filter(|one| one.made).cloned();
            let through = self.timelines.iter().find_map(made).map_or("–".into(), |one| words::all_but(one.failing));
            document.append(line("grid", [LEFT, y], [RIGHT, y]));
            document.append(words_at("quiet", [MARGIN, y + 4.5], one.number.to_string()));
            document.append(words_at("ink", [LEFT - 16.0, y + 4.5], through).set("text-anchor", "end"));
        }
        document.append(line("grid", [LEFT, bottom], [RIGHT, bottom]));
        for mark in self.axis.marks(0.085) {
            let x = self.x(mark);
            document.append(line("grid", [x, top], [x, bottom + 5.0]));
            document
                .append(words_at("quiet small", [x, bottom + 20.0], words::time(mark)).set("text-anchor", "middle"));
        }
        let scale = if self.axis.is_logarithmic() { ", logarithmic" } else { "" };
        let time = format!("time since the first try{scale}; shaded: where jitter puts a try");
        document.append(words_at("quiet small", [RIGHT, bottom + 40.0], time).set("text-anchor", "end"));
    }

    /// Where no retry may start any more.
    fn windows(&self, document: &mut Document) {
        let equal = self.timelines.windows(2).all(|pair| pair[0].policy.window == pair[1].policy.window);
        for timeline in self.timelines.iter().take(if equal { 1 } else { self.timelines.len() }) {
            let window = timeline.policy.window;
            if self.axis.place(window) > 1.0 {
                continue;
            }
            let (x, top) = (self.x(window), self.top());
            document.append(line("end", [x, top], [x, self.bottom()]));
            let whose = if equal { String::new() } else { format!("{}: ", text::cut(timeline.name.clone(), NAME / 2)) };
            let told = format!("{whose}window {}", words::time(window));
            let (anchor, x) = if x > f64::midpoint(LEFT, RIGHT) { ("end", x - 5.0) } else { ("start", x + 5.0) };
            document.append(words_at("endtext small halo", [x, top + 9.0], told).set("text-anchor", anchor));
        }
    }

    /// The stair of a policy, dashed where the window leaves tries out, with a sign and the band of its jitter for each.
    fn stair(&self, document: &mut Document, index: usize, timeline: &Timeline) {
        let tries = &timeline.outlook.tries;
        for one in tries.iter().filter(|one| one.made) {
            let (from, to) = (self.x(one.at.least), self.x(one.at.most));
            let high = if self.timelines.len() > 1 { 10.0 } else { 14.0 };
            let corner = [from, self.y(index, one.number) - high / 2.0];
            document.append(box_of(&format!("band fill{index}"), corner, [to - from, high], 3.0));
        }
        for pair in tries.windows(2) {
            let class = if pair[1].made { format!("line line{index}") } else { "off".into() };
            let [from, to] = [0, 1].map(|end| [self.x(pair[end].at.planned), self.y(index, pair[end].number)]);
            let data = Data::new()
                .move_to((rounded(from[0]), rounded(from[1])))
                .horizontal_line_to(rounded(to[0]))
                .vertical_line_to(rounded(to[1]));
            document.append(Path::new().set("class", class).set("d", data));
        }
        for one in tries {
            let place = [self.x(one.at.planned), self.y(index, one.number)];
            if one.made {
                document.append(sign(index, place));
            } else {
                document.append(circle("hollow", place, 4.0));
            }
        }
    }

    /// When each try is, and where there is room how long it waits.
    fn times(&self, document: &mut Document, index: usize, timeline: &Timeline) {
        let tries = &timeline.outlook.tries;
        for (before, one) in tries.iter().zip(tries.iter().skip(1)) {
            let (x, y) = (self.x(one.at.planned), self.y(index, one.number));
            let class = if one.made { format!("fill{index} small strong halo") } else { "quiet small halo".into() };
            let (anchor, place) =
                if index == 0 { ("end", [x - 6.0, y - 11.0]) } else { ("start", [x + 6.0, y + 18.0]) };
            document.append(words_at(&class, place, words::time(one.at.planned)).set("text-anchor", anchor));
            let (from, wait) = (self.x(before.at.planned), format!("+{}", words::time(one.wait.planned)));
            if self.timelines.len() == 1 && x - from > LETTER * count(wait.len()) + 16.0 {
                let place = [f64::midpoint(from, x), self.y(index, before.number) + 14.0];
                document.append(words_at("quiet small halo", place, wait).set("text-anchor", "middle"));
            }
        }
    }
}

/// What a policy is.
fn head(timeline: &Timeline, several: bool) -> Vec<String> {
    let (delays, retries) = (timeline.delays(), timeline.retries());
    let rate = words::percent(timeline.rate.share());
    let name = text::cut(timeline.name.clone(), NAME);
    let whose = if several { format!("{name}: ") } else { String::new() };
    vec![format!("{whose}{delays}; {retries}; {rate} of tries fail")]
}

/// What a policy comes to.
fn foot(timeline: &Timeline, several: bool) -> Vec<String> {
    let last = &timeline.outlook.last;
    let name = text::cut(timeline.name.clone(), NAME);
    let whose = if several { format!("{name}: ") } else { String::new() };
    let mut lines = vec![format!(
        "{whose}deliveries given up: {}, after {}; {} tries on average",
        words::odds(last.failing),
        timeline.worst(),
        words::decimals(timeline.outlook.mean_tries, 3),
    )];
    let takers = takers(timeline, !several);
    match lines.last_mut().filter(|_| several) {
        Some(line) => *line = format!("{line}; {}", takers.join(", ")),
        None => lines.extend(takers),
    }
    lines.extend(timeline.simulation.as_ref().map(Simulation::told));
    lines
}

/// Which APIs take a policy, which do not, and perhaps why.
fn takers(timeline: &Timeline, reasons: bool) -> Vec<String> {
    let told = |surface: &Surface| match surface {
        Surface::BotWebhook => "bot webhooks",
        Surface::Webhook => "webhooks",
    };
    let taking = timeline.apis.iter().filter(|(_, why)| why.is_none()).map(|(surface, _)| told(surface));
    let taking: Vec<&str> = taking.collect();
    let mut lines = Vec::new();
    if !taking.is_empty() {
        lines.push(format!("{} take it", taking.join(" and ")));
    }
    for (surface, why) in &timeline.apis {
        if let Some(why) = why {
            let why = if reasons { format!(": {why}") } else { String::new() };
            lines.push(format!("{} do not take it{why}", told(surface)));
        }
    }
    lines
}

fn index_of(one: &Try) -> usize {
    usize::try_from(one.number).unwrap_or(usize::MAX).saturating_sub(1)
}

/// The sign of a policy: it can be told from the other one's without colours.
fn sign(index: usize, [x, y]: [f64; 2]) -> Box<dyn Node> {
    if index == 0 {
        Box::new(circle("fill0", [x, y], 4.5))
    } else {
        Box::new(box_of("fill1", [x - 4.0, y - 4.0], [8.0, 8.0], 0.0))
    }
}

fn circle(class: &str, [x, y]: [f64; 2], radius: f64) -> Circle {
    Circle::new().set("class", class).set("cx", rounded(x)).set("cy", rounded(y)).set("r", radius)
}

fn box_of(class: &str, [x, y]: [f64; 2], [width, height]: [f64; 2], round: f64) -> Rectangle {
    let rectangle = Rectangle::new().set("class", class).set("x", rounded(x)).set("y", rounded(y));
    rectangle.set("width", rounded(width)).set("height", rounded(height)).set("rx", round)
}

fn line(class: &str, from: [f64; 2], to: [f64; 2]) -> Line {
    let line = Line::new().set("class", class).set("x1", rounded(from[0])).set("y1", rounded(from[1]));
    line.set("x2", rounded(to[0])).set("y2", rounded(to[1]))
}

fn words_at(class: &str, [x, y]: [f64; 2], words: impl Into<String>) -> Text {
    Text::new(words).set("class", class).set("x", rounded(x)).set("y", rounded(y))
}

/// To a tenth: nobody sees more, and machines that reckon differently behind that write the same.
fn rounded(length: f64) -> f64 {
    (length * 10.0).round() / 10.0
}

fn count(number: usize) -> f64 {
    u32::try_from(number).map_or(f64::MAX, f64::from)
}
