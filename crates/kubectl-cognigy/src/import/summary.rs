//! What an import came to, for people and for programs.

use std::path::PathBuf;

use serde::Serialize;

use super::{
    files::Written,
    model::{Body, Finding, Import},
};
use crate::{
    exit::Result,
    output,
    style::{BAD, GOOD, styled},
};

/// What an import came to, with stable names for programs.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary<'a> {
    #[serde(flatten)]
    counts: Counts,
    files: &'a [PathBuf],
    /// Secrets that were there already, and may hold values.
    kept: &'a [PathBuf],
    findings: &'a [Finding],
}

impl<'a> Summary<'a> {
    /// The summary of an import that was written to files.
    pub fn of(import: &'a Import, written: &'a Written) -> Self {
        let Written { files, kept } = written;
        Self { counts: Counts::of(import), files, kept, findings: &import.findings }
    }
}

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Counts {
    retry_policies: usize,
    secrets: usize,
    webhooks: usize,
    /// Those of the webhooks of which only the retry policy is managed.
    existing: usize,
}

impl Counts {
    fn of(import: &Import) -> Self {
        let mut counts = Self::default();
        for manifest in &import.manifests {
            match &manifest.body {
                Body::RetryPolicy(_) => counts.retry_policies += 1,
                Body::Secret(_) => counts.secrets += 1,
                Body::Webhook(spec) => {
                    counts.webhooks += 1;
                    counts.existing += usize::from(spec.is_existing());
                }
            }
        }
        counts
    }
}

/// The summary as tables; `written` is the folder and what came of its files.
pub fn table(import: &Import, written: Option<(&PathBuf, &Written)>) -> Result<String> {
    let counts = Counts::of(import);
    let row = |kind: &str, count: usize, note: String| vec![kind.to_owned(), count.to_string(), note];
    let registered = counts.webhooks - counts.existing;
    let rows = [
        row("RetryPolicy", counts.retry_policies, String::new()),
        row("Secret", counts.secrets, secrets_note(&counts, written)),
        row(
            "CognigyWebhook",
            counts.webhooks,
            format!("{registered} registered, {} with nothing but their retry policy", counts.existing),
        ),
    ];
    let mut text = output::table(&["KIND", "COUNT", "NOTE"], &rows)?;
    if !import.findings.is_empty() {
        let rows: Vec<_> = import.findings.iter().map(finding).collect();
        text += "\n";
        text += &output::table(&["WEBHOOK", "ID", "MANIFEST", "WHAT IS NOT SAID"], &rows)?;
    }
    let end = match written {
        Some((folder, written)) => {
            format!("{} in {}\n", styled(GOOD, format!("{} files", written.files.len())), folder.display())
        }
        None => format!("{} on standard output\n", styled(GOOD, format!("{} manifests", import.manifests.len()))),
    };
    Ok(text + "\n" + &end)
}

fn secrets_note(counts: &Counts, written: Option<(&PathBuf, &Written)>) -> String {
    let kept = written.map_or(0, |(_, written)| written.kept.len());
    match (counts.secrets, kept) {
        (0, _) => String::new(),
        (_, 0) => "without values: fill them in before they are applied".into(),
        (_, kept) => format!("without values: fill them in before they are applied; {kept} kept as they were"),
    }
}

fn finding(finding: &Finding) -> Vec<String> {
    let id = match &finding.bot {
        Some(bot) => format!("{bot}/{}", finding.id),
        None => finding.id.clone(),
    };
    let manifest = finding.manifest.clone().unwrap_or_else(|| styled(BAD, "none"));
    vec![finding.name.clone(), id, manifest, finding.message.clone()]
}
