//! Colours, by meaning; they are taken out where no terminal reads them.

use anstyle::{AnsiColor, Effects, Style};

/// As it should be.
pub const GOOD: Style = AnsiColor::Green.on_default();
/// Not yet, or worth a look.
pub const WAITING: Style = AnsiColor::Yellow.on_default();
/// A person must do something.
pub const BAD: Style = AnsiColor::Red.on_default();
/// Less important.
pub const QUIET: Style = Style::new().effects(Effects::DIMMED);

/// The text in a style.
pub fn styled(style: Style, text: impl std::fmt::Display) -> String {
    format!("{style}{text}{style:#}")
}
