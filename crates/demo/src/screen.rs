//! How things are shown: colours, tables, and a table that is drawn anew in its place.

use std::{
    env,
    fmt::Display,
    io::{self, IsTerminal as _, Write as _},
};

/// What a text is, as colours say it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Style {
    #[default]
    Plain,
    Bold,
    Dim,
    Good,
    Bad,
    Warn,
}

impl Style {
    fn code(self) -> Option<&'static str> {
        match self {
            Self::Plain => None,
            Self::Bold => Some("1"),
            Self::Dim => Some("2"),
            Self::Good => Some("32"),
            Self::Bad => Some("31"),
            Self::Warn => Some("33"),
        }
    }
}

/// One text of a table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cell {
    text: String,
    style: Style,
}

/// A text in this style.
pub(crate) fn cell(style: Style, text: impl Into<String>) -> Cell {
    Cell { text: text.into(), style }
}

/// A plain text.
pub(crate) fn plain(text: impl Display) -> Cell {
    cell(Style::Plain, text.to_string())
}

/// A column's head.
pub(crate) fn head(text: &str) -> Cell {
    cell(Style::Dim, text)
}

/// The reader's terminal, or the file or pipe in its place.
#[derive(Debug)]
pub(crate) struct Screen {
    terminal: bool,
    colour: bool,
    /// Lines of the live table, which the next one overwrites.
    live: usize,
    /// Whether the last line says what is being waited for, and goes away.
    waiting: bool,
}

impl Screen {
    /// What standard output is. `NO_COLOR` (<https://no-color.org>) and `TERM=dumb` are honoured.
    pub(crate) fn new() -> Self {
        let dumb = env::var_os("TERM").is_some_and(|term| term == "dumb");
        let terminal = io::stdout().is_terminal() && !dumb;
        let colour = terminal && env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self { terminal, colour, live: 0, waiting: false }
    }

    /// Whether a live table can be drawn.
    pub(crate) fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// The text in its colour.
    pub(crate) fn paint(&self, style: Style, text: &str) -> String {
        match style.code().filter(|_| self.colour && !text.is_empty()) {
            Some(code) => format!("\x1b[{code}m{text}\x1b[0m"),
            None => text.to_owned(),
        }
    }

    /// A line of its own.
    pub(crate) fn line(&mut self, text: impl Display) {
        self.settle();
        put(format_args!("{text}\n"));
    }

    /// What the lines below are about.
    pub(crate) fn heading(&mut self, text: &str) {
        let text = self.paint(Style::Bold, text);
        self.line(format_args!("\n{text}"));
    }

    /// Says on a terminal what is being waited for; [`Self::done`] takes its place.
    pub(crate) fn doing(&mut self, what: &str) {
        self.settle();
        if self.terminal {
            put(format_args!("  … {what}"));
            self.waiting = true;
        }
    }

    /// A step that is done.
    pub(crate) fn done(&mut self, what: &str, detail: impl Display) {
        let tick = self.paint(Style::Good, "✓");
        self.line(format_args!("  {tick} {what:<14} {detail}"));
    }

    /// A table, once.
    pub(crate) fn table(&mut self, rows: &[Vec<Cell>]) {
        for line in self.aligned(rows) {
            self.line(format_args!("  {line}"));
        }
    }

    /// A table in the place of the one before. Long lines are cut, because a wrapped one would take two places.
    pub(crate) fn live(&mut self, rows: &[Vec<Cell>]) {
        let lines = self.aligned(rows);
        if self.live > 0 {
            put(format_args!("\x1b[{}A", self.live));
        }
        put(format_args!("\x1b[?7l"));
        for line in &lines {
            put(format_args!("\x1b[K  {line}\n"));
        }
        put(format_args!("\x1b[?7h\x1b[J"));
        self.live = lines.len();
    }

    /// Lets the live table stand as it is: what comes next stands below it, and in the place of what was being waited for.
    pub(crate) fn settle(&mut self) {
        self.live = 0;
        if std::mem::take(&mut self.waiting) {
            put(format_args!("\r\x1b[K"));
        }
    }

    fn aligned(&self, rows: &[Vec<Cell>]) -> Vec<String> {
        let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
        let widths: Vec<usize> = (0..columns)
            .map(|column| {
                rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.text.chars().count()).max().unwrap_or(0)
            })
            .collect();
        let line = |row: &Vec<Cell>| {
            let mut line = String::new();
            for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
                line.push_str(&self.paint(cell.style, &cell.text));
                if column + 1 < row.len() {
                    line.push_str(&" ".repeat(width + 2 - cell.text.chars().count()));
                }
            }
            line.truncate(line.trim_end().len());
            line
        };
        rows.iter().map(line).collect()
    }
}

/// Nobody is left to be told when standard output is closed; the demo still ends in order.
fn put(text: std::fmt::Arguments) {
    let mut out = io::stdout().lock();
    let _ = out.write_fmt(text).and_then(|()| out.flush());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> Vec<Vec<Cell>> {
        vec![vec![head("NAME"), head("READY")], vec![plain("größer"), cell(Style::Good, "True")]]
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_text() {
        let screen = Screen { terminal: false, colour: false, live: 0, waiting: false };
        assert_eq!(screen.aligned(&rows()), ["NAME    READY", "größer  True"]);
    }

    #[test]
    fn colours_do_not_count_as_width() {
        let screen = Screen { terminal: true, colour: true, live: 0, waiting: false };
        assert_eq!(screen.aligned(&rows())[1], "größer  \x1b[32mTrue\x1b[0m");
    }
}
