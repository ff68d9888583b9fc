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
    pub(crate) samples: Vec<Sample>,
    pub(crate) comparisons: Vec<Comparison>,
    /// What was not as wished at the end.
    pub(crate) complaints: Vec<String>,
}

impl Report {
    /// Whether everything stayed level and nothing was lost.
    pub(crate) fn is_good(&self) -> bool {
        self.complaints.is_empty() && self.comparisons.iter().all(Comparison::holds)
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
        writeln!(f, "{}\n", happened.join(", "))?;
        writeln!(f, "{:<20} {:>12} {:>12} {:>12}", "", "first third", "last third", "allowed")?;
        for Comparison { what, first_third, last_third, allowed } in &self.comparisons {
            let verdict = if last_third <= allowed { "" } else { "  TOO MUCH" };
            writeln!(f, "{what:<20} {first_third:>12.1} {last_third:>12.1} {allowed:>12.1}{verdict}")?;
        }
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
