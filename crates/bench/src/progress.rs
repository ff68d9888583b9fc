//! A bar for each part of a run; plain lines where nobody watches.

use std::io::{IsTerminal as _, stderr};

use indicatif::{ProgressBar, ProgressStyle};

/// One part of a run.
pub(crate) struct Progress(Option<ProgressBar>);

impl Progress {
    /// Begins one of so many steps.
    pub(crate) fn start(what: &str, steps: usize) -> Self {
        if !stderr().is_terminal() {
            eprintln!("{what}");
            return Self(None);
        }
        let bar = ProgressBar::new(steps as u64).with_message(what.to_owned());
        if let Ok(style) = ProgressStyle::with_template("{elapsed_precise} {bar:30} {pos}/{len} {msg}") {
            bar.set_style(style);
        }
        Self(Some(bar))
    }

    /// So many are done.
    pub(crate) fn at(&self, done: usize) {
        if let Some(bar) = &self.0 {
            bar.set_position(done as u64);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.0 {
            bar.finish();
        }
    }
}
