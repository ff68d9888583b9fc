//! The report for people.

use cognigy_operator::text;

use super::model::{Check, Outcome, Report};
use crate::{
    exit::Result,
    output::{self, Format},
    style::{BAD, GOOD, WAITING, styled},
};

/// Characters of WHAT in a table; what servers say can be long. `-o wide` has it in full.
const WHAT: usize = 110;

/// The report in a format.
pub fn render(report: &Report, format: Format) -> Result<String> {
    if let Some(text) = format.machine(report)? {
        return Ok(text);
    }
    let rows: Vec<Vec<String>> = report.checks.iter().map(|check| cells(check, format)).collect();
    output::table(&["CHECK", "RESULT", "WHAT", "REMEDY"], &rows)
}

fn cells(check: &Check, format: Format) -> Vec<String> {
    let style = match check.result {
        Outcome::Ok => GOOD,
        Outcome::Finding => BAD,
        Outcome::NotLooked => WAITING,
    };
    let what = text::one_line(&check.message);
    vec![
        check.name.to_owned(),
        styled(style, check.result.words()),
        if format == Format::Wide { what } else { text::cut(what, WHAT) },
        check.remedy.as_deref().map_or_else(|| "-".to_owned(), text::one_line),
    ]
}
