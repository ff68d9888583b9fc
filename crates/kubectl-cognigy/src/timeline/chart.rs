//! The chart in the terminal: a line for each try, from the try before it to its own place in time.

use std::env;

use terminal_size::{Width, terminal_size};

use super::{axis::Axis, model::Timeline, words};
use crate::style;

/// Columns where nobody says how wide the terminal is.
const USUAL_WIDTH: usize = 80;
/// Wider charts do not read better.
const WIDTHS: std::ops::RangeInclusive<usize> = 40..=160;
/// What stands before the bars, and the room for times behind them.
const BEFORE: usize = 5;
const BEHIND: usize = 12;

/// The width to draw in: `COLUMNS` where it is set, the terminal's, 80 in a pipe.
pub fn width() -> usize {
    let told = env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    let width = told.or_else(|| terminal_size().map(|(Width(width), _)| width.into())).unwrap_or(USUAL_WIDTH);
    width.clamp(*WIDTHS.start(), *WIDTHS.end())
}

/// The tries of a policy on an axis, in so many columns.
pub fn chart(timeline: &Timeline, axis: &Axis, width: usize) -> String {
    let bars = width - BEFORE - BEHIND;
    let mut text = String::new();
    let mut before = 0;
    for one in &timeline.outlook.tries {
        let [planned, least, most] = [one.at.planned, one.at.least, one.at.most].map(|at| cell(axis.place(at), bars));
        let end = planned.max(before + 1);
        let letter = |cell: usize| match cell {
            _ if cell < before.min(least) => ' ',
            _ if !one.made => '·',
            _ if (least..most).contains(&cell) => '░',
            _ => '█',
        };
        let bar: String = if one.number == 1 { "▏".to_owned() } else { (0..end.max(most)).map(letter).collect() };
        let line = format!("{:>3} │{bar} {}", one.number, words::time(one.at.planned));
        text += &if one.made { line } else { style::styled(style::QUIET, line) };
        text.push('\n');
        before = planned;
    }
    text + &scale(axis, bars)
}

/// The axis with its marks.
fn scale(axis: &Axis, bars: usize) -> String {
    let mut line = vec!['─'; bars + 1];
    let mut marks = String::new();
    for mark in axis.marks(9.0 / f64::from(u32::try_from(bars).unwrap_or(u32::MAX))) {
        let (at, told) = (cell(axis.place(mark), bars), words::time(mark));
        line[at] = if at == 0 { '└' } else { '┴' };
        let begin = (at + 1).saturating_sub(told.chars().count().div_ceil(2));
        let used = marks.chars().count();
        if used == 0 || begin > used {
            marks += &" ".repeat(begin.saturating_sub(used));
            marks += &told;
        }
    }
    let indent = " ".repeat(BEFORE - 1);
    let line = format!("{indent}{}\n{indent}{marks}\n", String::from_iter(line));
    style::styled(style::QUIET, line)
}

/// The column of a place; places are never negative and end with the axis.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
fn cell(place: f64, bars: usize) -> usize {
    ((place * bars as f64).round() as usize).min(bars)
}
