//! `check`: manifests, judged without a cluster.
//!
//! ```text
//! source.rs, node.rs  files → documents with lines     set.rs         objects by their names
//! rules.rs            what the API server would refuse: schema.rs (types, bounds), kube-cel (CEL rules)
//! references.rs       what the operator would refuse: references (sources.rs), policies, callbacks, names
//! finding.rs          what is said about it
//! ```

mod finding;
mod node;
mod references;
mod rules;
mod schema;
mod set;
mod source;
mod sources;

use std::{collections::BTreeMap, path::PathBuf};

use cognigy_operator::{
    api::{self, Reason},
    args::network,
};
use ipnet::IpNet;

pub use self::rules::Definitions;
use self::{
    finding::{Finding, Report},
    references::Switches,
    set::{Member, Set},
    source::Document,
};
use crate::{
    common::Common,
    exit::{Ending, Result},
    files::Depth,
    output,
};

/// Exit codes: 0 nothing to find fault with; 1 findings; 2 a file could not be read.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Manifests: files, directories or - for standard input
    #[arg(short, long = "filename", value_name = "FILE", num_args = 1.., required = true)]
    pub filename: Vec<PathBuf>,
    /// How deep folders are looked into.
    #[command(flatten)]
    pub depth: Depth,
    /// What the manifests refer to must be among them
    #[arg(long)]
    pub strict: bool,
    /// The operator runs with this flag: plain http tenants and sinks are taken
    #[arg(long)]
    pub allow_insecure_http: bool,
    /// The operator runs with this flag: networks that a tenant may allow its callbacks
    #[arg(long, value_name = "CIDR", value_delimiter = ',', value_parser = network)]
    pub allow_private_callbacks: Vec<IpNet>,
}

/// Judges manifests; no cluster is asked.
pub fn run(args: &Args, common: &Common) -> Result {
    let sources = source::read(&args.filename, args.depth)?;
    // Where kubectl would put what names no namespace, without a kubeconfig.
    let namespace = common.cluster.namespace.as_deref().unwrap_or("default");
    let mut report = Report { files: sources.files, unreadable: sources.unreadable, ..Report::default() };
    let mut set = Set::default();
    objects(&sources.documents, namespace, &mut set, &mut report);
    let switches = Switches {
        allow_insecure_http: args.allow_insecure_http,
        private_ranges: args.allow_private_callbacks.clone(),
    };
    for told in references::judge(&set, &switches) {
        let list = if told.open && !args.strict { &mut report.notes } else { &mut report.findings };
        list.push(finding(told.member, told.field, told.reason.as_str(), told.message));
    }
    report.tidy();
    output::print(&report.render(common.output)?)?;
    Ok(match &report {
        Report { unreadable, .. } if !unreadable.is_empty() => Ending::Failed,
        Report { findings, .. } if !findings.is_empty() => Ending::Findings,
        _ => Ending::Good,
    })
}

/// Judges each object by itself, and takes what stands the test into the set.
fn objects<'d>(documents: &'d [Document], namespace: &str, set: &mut Set<'d>, report: &mut Report) {
    let definitions = Definitions::new();
    let mut seen: BTreeMap<(String, String), &Document> = BTreeMap::new();
    for document in documents {
        let member = Member::new(document, namespace);
        let api_version = document.text("/apiVersion");
        if api_version.is_empty() || member.kind.is_empty() {
            let message = "no Kubernetes object, so it is not checked: it has no apiVersion, or no kind".into();
            let (file, line) = (document.file.clone(), document.line(""));
            let (object, field) = (String::new(), String::new());
            report.notes.push(Finding { file, line, object, field, reason: "NotChecked".into(), message });
            continue;
        }
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        if group != api::GROUP {
            if api_version == "v1" {
                set.add_values(&member);
            }
            continue;
        }
        report.objects += 1;
        let judged = if version == api::VERSION { definitions.judge(&member.kind, &document.value) } else { None };
        let Some(judged) = judged else {
            let message = format!("{api_version} has no kind {}: correct apiVersion or kind", member.kind);
            report.findings.push(finding(&member, "kind".into(), "Refused", message));
            continue;
        };
        if let Some(first) = seen.insert((member.kind.clone(), member.key.to_string()), document) {
            let (file, line) = (&first.file, first.line(""));
            let message = format!("stands in {file}:{line} too, and the later one would win: remove or rename one");
            report.findings.push(finding(&member, "metadata.name".into(), "Duplicate", message));
        }
        let taken = judged.faults.is_empty();
        for fault in judged.faults {
            report.findings.push(finding(&member, fault.field, "Refused", fault.message));
        }
        if !taken {
            continue;
        }
        let of_type = finding(&member, String::new(), Reason::InvalidSpec.as_str(), String::new());
        if let Err(error) = set.add(member, &judged.object) {
            let message = format!("the API server takes it, but the operator cannot read it: {error}");
            report.findings.push(Finding { message, ..of_type });
        }
    }
}

fn finding(member: &Member, field: String, reason: &str, message: String) -> Finding {
    let (file, line) = (member.document.file.clone(), member.document.line(&field));
    Finding { file, line, object: member.shown(), field, reason: reason.to_owned(), message }
}
