//! What is told at the end.

use std::{collections::BTreeMap, fmt, fs, path::Path};

use demo::Result;
use serde::Serialize;

use crate::{judge::Comparison, sample::Sample};

/// Above the lines of the samples.
pub(crate) const HEAD: &str =
    "seconds memory  files  threads  tasks  events  outbox  remembered  ready    calls  failed   passes";

/// The whole run.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Report {
    pub(crate) seed: u64,
    pub(crate) minutes: f64,
    pub(crate) webhooks: usize,
    /// How often what happened.
    pub(crate) happened: BTreeMap<&'static str, u32>,
    /// How many messages each kind of sink took.
    pub(crate) delivered: BTreeMap<&'static str, usize>,
    pub(crate) samples: Vec<Sample>,
    /// The first third against the last one.
    pub(crate) under_faults: Vec<Comparison>,
    /// Before all faults against after them.
    pub(crate) at_rest: Vec<Comparison>,
    /// What was not as wished at the end.
    pub(crate) complaints: Vec<String>,
}

impl Report {
    /// Whether everything stayed level and nothing was lost.
    pub(crate) fn is_good(&self) -> bool {
        self.complaints.is_empty() && self.under_faults.iter().chain(&self.at_rest).all(Comparison::holds)
    }

    /// Writes it as JSON.
    pub(crate) fn write(&self, file: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self)?;
        fs::write(file, text).map_err(|error| format!("cannot write {}: {error}", file.display()))?;
        Ok(())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let happened: Vec<_> = self.happened.iter().map(|(what, count)| format!("{count} {what}")).collect();
        let delivered: Vec<_> = self.delivered.iter().map(|(sink, count)| format!("{count} to {sink}")).collect();
        writeln!(f, "what happened: {}", happened.join(", "))?;
        writeln!(f, "messages delivered: {}\n", delivered.join(", "))?;
        table(f, ("under faults", "first third", "last third"), &self.under_faults)?;
        table(f, ("at rest", "before", "after"), &self.at_rest)?;
        for complaint in &self.complaints {
            writeln!(f, "NOT AS WISHED: {complaint}")?;
        }
        if let Some(last) = self.samples.last() {
            let Sample { calls, failed_calls, passes, .. } = last;
            writeln!(
                f,
                "{calls} calls to Cognigy, of which {failed_calls} failed; {passes} passes; seed {}",
                self.seed
            )?;
        }
        f.write_str(if self.is_good() { "good: level, and nothing lost" } else { "NOT GOOD" })
    }
}

fn table(f: &mut fmt::Formatter<'_>, (when, early, late): (&str, &str, &str), rows: &[Comparison]) -> fmt::Result {
    writeln!(f, "{when:<20} {early:>12} {late:>12} {:>12}", "allowed")?;
    for row in rows {
        let Comparison { what, before, after, allowed } = row;
        let verdict = if row.holds() { "" } else { "  TOO MUCH" };
        writeln!(f, "{what:<20} {before:>12.1} {after:>12.1} {allowed:>12.1}{verdict}")?;
    }
    writeln!(f)
}
