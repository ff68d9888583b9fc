//! What check has to say, and how it is written.

use std::fmt::Write as _;

use serde::Serialize;

use crate::{
    exit::Result,
    output::Format,
    style::{BAD, GOOD, QUIET, WAITING, styled},
};

/// One thing about one object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// The file; `-` is standard input.
    pub file: String,
    /// The line of the field, or of what is nearest to it, from 1.
    pub line: u64,
    /// Kind and `namespace/name`; empty where there is no object.
    pub object: String,
    /// The field, such as `spec.intervalsMs[1]`; empty where it is the whole object.
    pub field: String,
    /// `Refused`: the API server would not take it. Otherwise the Ready reason that the operator would show.
    pub reason: String,
    /// What is wrong and what to do.
    pub message: String,
}

/// All that was found.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// How many files were read.
    pub files: usize,
    /// How many objects of the operator's kinds are in them.
    pub objects: usize,
    /// What cannot stay as it is.
    pub findings: Vec<Finding>,
    /// What only the cluster can answer.
    pub notes: Vec<Finding>,
    /// What could not be read, and so was not checked.
    pub unreadable: Vec<Finding>,
}

impl Report {
    /// By file and line, each once.
    pub fn tidy(&mut self) {
        for list in [&mut self.findings, &mut self.notes, &mut self.unreadable] {
            list.sort();
            list.dedup();
        }
    }

    /// The report in a format.
    pub fn render(&self, format: Format) -> Result<String> {
        Ok(format.machine(self)?.unwrap_or_else(|| self.text()))
    }

    /// A line for each, as compilers write them, and one that sums up.
    fn text(&self) -> String {
        let mut text = String::new();
        let lists = [(&self.unreadable, BAD, "unreadable"), (&self.findings, BAD, ""), (&self.notes, WAITING, "note")];
        for (list, style, word) in lists {
            for finding in list {
                let place = styled(QUIET, format_args!("{}:{}:", finding.file, finding.line));
                let subject = [&finding.object, &finding.field].into_iter().filter(|part| !part.is_empty());
                let subject = subject.flat_map(|part| [" ", part.as_str(), ":"]).collect::<String>();
                let word = if word.is_empty() { &finding.reason } else { word };
                // Writing to a text cannot fail.
                let _ =
                    writeln!(text, "{place}{subject} {} {}", styled(style, format_args!("{word}:")), finding.message);
            }
        }
        let bad = self.findings.len() + self.unreadable.len();
        let style = if bad == 0 { GOOD } else { BAD };
        let findings = counted(bad, "finding");
        let (notes, objects, files) =
            (counted(self.notes.len(), "note"), counted(self.objects, "object"), counted(self.files, "file"));
        let _ = writeln!(text, "{}, {notes} in {objects} of {files}", styled(style, findings));
        text
    }
}

fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}
