//! What is told of each webhook: steps with the fields that they change, and how it ends.

use std::fmt::Write as _;

use cognigy_operator::{
    api::{CognigyWebhook, ObjectKey, Reason, webhook::Drift},
    controller::rehearsal::{Act, Action, End, Rehearsed},
};
use serde::Serialize;

use crate::{
    exit::{Ending, Result},
    output::Format,
    style::{BAD, GOOD, QUIET, WAITING, styled},
};

/// What a comparison came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Outcome {
    /// Nothing would be written to Cognigy.
    Same,
    /// Something would be written to Cognigy, or differs and is only observed.
    Differs,
    /// The operator would stop and tell why.
    Stopped,
    /// It cannot be known now.
    Unknown,
}

/// What is told of one webhook; its field names are an interface.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    namespace: String,
    name: String,
    tenant: String,
    result: Outcome,
    steps: Vec<Act>,
    differences: Vec<Drift>,
    reason: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<&'static str>,
    #[serde(skip)]
    ready: bool,
}

/// What is said of steps none of which writes to Cognigy.
const ADOPTED: &str = "what is registered is adopted as it is, and nothing is written to Cognigy";
const UNWRITTEN: &str = "nothing is written to Cognigy";

/// All of them.
#[derive(Serialize)]
struct Reports<'a> {
    items: &'a [Report],
}

impl Report {
    /// What is told of this webhook.
    pub fn new(webhook: &CognigyWebhook, rehearsed: Rehearsed) -> Self {
        let Rehearsed { acts: steps, differences, end, reason, message } = rehearsed;
        let result = match end {
            End::Unknown => Outcome::Unknown,
            End::Stopped => Outcome::Stopped,
            End::Done if reason == Reason::DriftDetected => Outcome::Differs,
            End::Done if steps.iter().any(|step| step.action.writes_outside()) => Outcome::Differs,
            End::Done => Outcome::Same,
        };
        let adopted = steps.iter().any(|step| step.action == Action::Adopt);
        let note = (result == Outcome::Same && !steps.is_empty()).then_some(if adopted { ADOPTED } else { UNWRITTEN });
        let tenant = webhook.tenant_key();
        let ObjectKey { namespace, name } = ObjectKey::of(webhook);
        let tenant = if tenant.namespace == namespace { tenant.name } else { tenant.to_string() };
        let ready = reason.verdict().ready;
        Self { namespace, name, tenant, result, steps, differences, reason: reason.as_str(), message, note, ready }
    }

    /// What a person reads; nothing of what is as it should be.
    fn tell(&self, text: &mut String, format: Format) -> std::fmt::Result {
        if self.result == Outcome::Same && self.note.is_none() && self.ready && format != Format::Wide {
            return Ok(());
        }
        writeln!(text, "CognigyWebhook {}/{} ({})", self.namespace, self.name, self.tenant)?;
        for step in &self.steps {
            writeln!(text, "  {}", sentence(step, format))?;
            fields(text, "    ", &step.fields)?;
        }
        if let Some(note) = self.note {
            writeln!(text, "  {}: {note}", styled(WAITING, "note"))?;
        }
        if !self.differences.is_empty() {
            writeln!(text, "  differs, and nothing is written")?;
            fields(text, "    ", &self.differences)?;
        }
        let style = match self.result {
            Outcome::Stopped | Outcome::Unknown => BAD,
            _ if self.ready => GOOD,
            _ => WAITING,
        };
        let reason = styled(style, self.reason);
        match &self.message {
            Some(message) => writeln!(text, "  {reason}: {message}"),
            None => writeln!(text, "  and so becomes {reason}"),
        }
    }
}

/// A step in words.
fn sentence(act: &Act, format: Format) -> String {
    let version = act.version.map(|version| format!(" version {version}")).unwrap_or_default();
    let words = match act.action {
        Action::Claim => format!("claim{version} (finalizer and annotation)"),
        Action::Register => format!("register{version}, inactive"),
        Action::Adopt => format!("adopt{version}, which is there already"),
        Action::Update => format!("update{version}"),
        Action::WriteRetryPolicy => "write retry policy".to_owned(),
        Action::CheckHealth => {
            let url = act.url.as_deref().unwrap_or("the callback");
            return format!("check {url}; what follows is done when it passes");
        }
        Action::Activate => format!("activate{version}"),
        Action::Deactivate => format!("deactivate{version}"),
        Action::Delete => format!("delete{version}"),
        Action::Release => "let go (finalizer)".to_owned(),
    };
    let id = act.webhook_id.as_ref().map(|id| format!(" ({id})")).unwrap_or_default();
    let words = format!("{words}{id}");
    if act.action.writes_outside() || format != Format::Wide { words } else { styled(QUIET, words) }
}

fn fields(text: &mut String, indent: &str, fields: &[Drift]) -> std::fmt::Result {
    for Drift { path, desired, actual } in fields {
        if let Some(actual) = actual {
            writeln!(text, "{indent}{}", styled(BAD, format_args!("- {path}: {actual}")))?;
        }
        if let Some(desired) = desired {
            writeln!(text, "{indent}{}", styled(GOOD, format_args!("+ {path}: {desired}")))?;
        }
    }
    Ok(())
}

/// All of it, as it is printed.
pub fn text(reports: &[Report], format: Format) -> Result<String> {
    if let Some(text) = format.machine(&Reports { items: reports })? {
        return Ok(text);
    }
    let mut text = String::new();
    for report in reports {
        // Writing to a string does not fail.
        let _ = report.tell(&mut text, format);
    }
    let count =
        |result, noted| reports.iter().filter(|one| one.result == result && one.note.is_some() == noted).count();
    let told = [
        (Outcome::Same, false, "as it should be"),
        (Outcome::Same, true, "with a note"),
        (Outcome::Differs, false, "to change"),
        (Outcome::Stopped, false, "stopped"),
        (Outcome::Unknown, false, "unknown"),
    ];
    let told: Vec<String> = told
        .into_iter()
        .map(|(result, noted, word)| (count(result, noted), word))
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| format!("{count} {word}"))
        .collect();
    let told = if told.is_empty() { "no webhooks".to_owned() } else { told.join(", ") };
    Ok(format!("{text}{told}\n"))
}

/// Like `kubectl diff`: 0 nothing would be written to Cognigy, 1 something would, or the operator would stop; 2 it cannot be known.
pub fn ending(reports: &[Report]) -> Ending {
    let any = |result| reports.iter().any(|report| report.result == result);
    if any(Outcome::Unknown) {
        Ending::Failed
    } else if any(Outcome::Differs) || any(Outcome::Stopped) {
        Ending::Findings
    } else {
        Ending::Good
    }
}
