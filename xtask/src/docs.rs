//! `cargo xtask docs`: `docs/reference.md`, every field of the custom resources, from `deploy/crds/`; and what tests know how to
//! write: the table in `docs/metrics.md`, the output and pictures of the plugin in `docs/plugin/timeline.md`.

use std::{collections::BTreeMap, fmt::Write as _, fs, path::PathBuf};

use serde::Deserialize;
use serde_json::Value;

use crate::{
    Result,
    cargo::{cargo, root, run as run_command},
};

/// Where the definitions are, from the workspace's folder.
const DEFINITIONS: &str = "deploy/crds";
/// What is written, from the workspace's folder.
const REFERENCE: &str = "docs/reference.md";

const HEAD: &str = "# Field reference

<!-- Written by `cargo xtask docs` from deploy/crds/. Do not edit: change the types in src/api/, then run `cargo xtask crds` and
     `cargo xtask docs`. -->

Every field of the three custom resources, as the API server knows it. `kubectl explain cwh.spec --recursive` shows the same in a terminal;
[resources.md](resources.md) says how the fields work together.

*Default* is what the API server fills in; – means that the field stays absent (a default that the operator then assumes stands in the
meaning). `[]` in a path is one item of a list.
";

/// Tests that compare a document with what it is about, and write it where this variable is set.
const FRESH: [&[&str]; 2] = [
    &["--test", "monitoring", "--", "the_table_of_metrics_is_fresh"],
    &["--package", "kubectl-cognigy", "--test", "plugin", "--", "documents::"],
];
const WRITE: (&str, &str) = ("WRITE_DOCS", "1");

/// Writes what changed.
pub(crate) fn run() -> Result<()> {
    let (path, text) = (root().join(REFERENCE), reference()?);
    if fs::read_to_string(&path).ok().as_deref() != Some(&text) {
        fs::write(path, text)?;
        println!("{REFERENCE}");
    }
    for arguments in FRESH {
        let mut fresh = cargo(["test", "--quiet"]);
        fresh.args(arguments).env(WRITE.0, WRITE.1);
        run_command(fresh)?;
    }
    Ok(())
}

/// The whole document.
fn reference() -> Result<String> {
    let mut files: Vec<PathBuf> =
        fs::read_dir(root().join(DEFINITIONS))?.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    files.retain(|file| file.extension().is_some_and(|extension| extension == "yaml"));
    files.sort();
    let mut text = HEAD.to_owned();
    for file in files {
        let definition: Definition = serde_saphyr::from_str(&fs::read_to_string(&file)?)
            .map_err(|error| format!("{} is no definition: {error}", file.display()))?;
        text.push_str(&section(&definition.spec)?);
    }
    Ok(text)
}

#[derive(Deserialize)]
struct Definition {
    spec: DefinitionSpec,
}

#[derive(Deserialize)]
struct DefinitionSpec {
    group: String,
    names: Names,
    versions: Vec<Version>,
}

#[derive(Deserialize)]
struct Names {
    kind: String,
    #[serde(rename = "shortNames")]
    short: Vec<String>,
    categories: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Version {
    name: String,
    schema: Validation,
    additional_printer_columns: Vec<Column>,
}

#[derive(Deserialize)]
struct Validation {
    #[serde(rename = "openAPIV3Schema")]
    root: Schema,
}

#[derive(Deserialize)]
struct Column {
    name: String,
    description: String,
    #[serde(default)]
    priority: u8,
}

/// What of a schema a reader needs.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Schema {
    r#type: String,
    format: String,
    description: String,
    default: Option<Value>,
    #[serde(rename = "enum")]
    values: Vec<Value>,
    required: Vec<String>,
    minimum: Option<i64>,
    maximum: Option<i64>,
    min_length: Option<i64>,
    max_length: Option<i64>,
    min_items: Option<i64>,
    max_items: Option<i64>,
    min_properties: Option<i64>,
    max_properties: Option<i64>,
    properties: BTreeMap<String, Schema>,
    items: Option<Box<Schema>>,
    additional_properties: Option<Box<Schema>>,
    #[serde(rename = "x-kubernetes-validations")]
    rules: Vec<Rule>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Rule {
    message: Option<String>,
    message_expression: Option<String>,
}

fn section(spec: &DefinitionSpec) -> Result<String> {
    let Names { kind, short, categories } = &spec.names;
    let [version] = spec.versions.as_slice() else { return Err(format!("{kind} has not exactly one version").into()) };
    let root = &version.schema.root;
    let mut text = format!(
        "\n## {kind}\n\n{}\n\n`apiVersion: {}/{}`, namespaced; short name `{}`, category `{}`.\n",
        plain(&root.description),
        spec.group,
        version.name,
        short.join("`, `"),
        categories.join("`, `"),
    );
    for part in ["spec", "status"] {
        let Some(schema) = root.properties.get(part) else { continue };
        let mut rows = Vec::new();
        fields(part, schema, &mut rows);
        let head = "| Field | Type | Default | Bounds | Meaning |\n|---|---|---|---|---|";
        write!(text, "\n### {kind}: {part}\n\n{head}\n{}\n", rows.join("\n"))?;
    }
    write!(text, "\n### {kind}: columns of `kubectl get`\n\n| Column | Meaning |\n|---|---|\n")?;
    for Column { name, description, priority } in &version.additional_printer_columns {
        let wide = if *priority > 0 { " (`-o wide`)" } else { "" };
        writeln!(text, "| {name}{wide} | {} |", plain(description))?;
    }
    write!(
        text,
        "\n### {kind}: rules\n\nThe API server refuses an object that breaks one of these, with this message:\n\n"
    )?;
    let mut found = Vec::new();
    rules("", root, &mut found);
    for (message, paths) in found {
        writeln!(text, "- {} – {message}", paths.join(", "))?;
    }
    Ok(text)
}

/// One row for each field below `path`.
fn fields(path: &str, schema: &Schema, rows: &mut Vec<String>) {
    for (name, field) in &schema.properties {
        let path = format!("{path}.{name}");
        let default = match &field.default {
            _ if schema.required.contains(name) => "required".to_owned(),
            Some(value) => code(value),
            None => "–".to_owned(),
        };
        let cells = [format!("`{path}`"), kind(field), default, bounds(field).join("; "), plain(&field.description)];
        rows.push(format!("| {} |", cells.join(" | ")));
        if name != "conditions" {
            fields(&path, field, rows);
            if let Some(item) = &field.items {
                fields(&format!("{path}[]"), item, rows);
            }
        }
    }
}

fn kind(schema: &Schema) -> String {
    let of = |schema: &Schema| match schema.values.as_slice() {
        [] => format!("{}s", schema.r#type),
        _ => kind(schema),
    };
    match (&schema.items, &schema.additional_properties) {
        _ if !schema.values.is_empty() => schema.values.iter().map(code).collect::<Vec<_>>().join(" or "),
        (Some(item), _) => format!("list of {}", of(item)),
        (_, Some(value)) => format!("map of {}", of(value)),
        _ if schema.format == "date-time" => "time".to_owned(),
        _ => schema.r#type.clone(),
    }
}

/// The limits of a field, and those of its items.
fn bounds(schema: &Schema) -> Vec<String> {
    let range = |min: Option<i64>, max: Option<i64>, unit: &str| match (min, max) {
        (Some(min), Some(max)) => Some(format!("{min}–{max}{unit}")),
        (Some(min), None) => Some(format!("at least {min}{unit}")),
        (None, Some(max)) => Some(format!("at most {max}{unit}")),
        (None, None) => None,
    };
    let inner = schema.items.as_ref().or(schema.additional_properties.as_ref());
    [
        range(schema.minimum, schema.maximum, ""),
        range(schema.min_length, schema.max_length, " characters"),
        range(schema.min_items, schema.max_items, " items"),
        range(schema.min_properties, schema.max_properties, " entries"),
    ]
    .into_iter()
    .flatten()
    .chain(inner.into_iter().flat_map(|inner| bounds(inner)).map(|bound| format!("each {bound}")))
    .collect()
}

/// Each message with the paths of the fields that it is about, in the order of the fields.
fn rules(path: &str, schema: &Schema, found: &mut Vec<(String, Vec<String>)>) {
    for rule in &schema.rules {
        let Some(message) = rule.message() else { continue };
        let path = if path.is_empty() { "the object".to_owned() } else { format!("`{path}`") };
        match found.iter_mut().find(|(known, _)| *known == message) {
            Some((_, paths)) => paths.push(path),
            None => found.push((message, vec![path])),
        }
    }
    let below = |name: &String| if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
    schema.properties.iter().for_each(|(name, field)| rules(&below(name), field, found));
    if let Some(inner) = schema.items.as_ref().or(schema.additional_properties.as_ref()) {
        rules(&format!("{path}[]"), inner, found);
    }
}

impl Rule {
    /// The sentence; `…` stands for what the API server fills in.
    fn message(&self) -> Option<String> {
        let expression = self.message_expression.as_deref().and_then(|text| text.split('\'').nth(1));
        let message = self.message.as_deref().or(expression)?;
        Some(plain(&message.replace("%d", "…").replace("%s", "…")))
    }
}

fn code(value: &Value) -> String {
    format!("`{}`", value.as_str().map_or_else(|| value.to_string(), str::to_owned))
}

/// Text in which Markdown finds nothing to interpret.
fn plain(text: &str) -> String {
    let mut plain = String::new();
    for letter in text.chars() {
        if matches!(letter, '\\' | '`' | '*' | '|' | '<' | '[') {
            plain.push('\\');
        }
        plain.push(letter);
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_field_reference_is_fresh() {
        let found = fs::read_to_string(root().join(REFERENCE)).unwrap_or_default();
        assert!(found == reference().unwrap(), "{REFERENCE} is stale: run cargo xtask docs");
    }

    #[test]
    fn a_field_is_told_with_its_path_type_default_and_bounds() {
        let schema: Schema = serde_saphyr::from_str(
            "required: [items]\nproperties:\n  items:\n    description: A *list*.\n    maxItems: 3\n    items:\n      type: object\n      properties:\n        size: \
             {type: integer, minimum: 1, maximum: 9, default: 4}\n        how: {type: string, enum: [Fast, Slow]}\n",
        )
        .unwrap();
        let mut rows = Vec::new();
        fields("spec", &schema, &mut rows);
        let expected = [
            r"| `spec.items` | list of objects | required | at most 3 items | A \*list\*. |",
            "| `spec.items[].how` | `Fast` or `Slow` | – |  |  |",
            "| `spec.items[].size` | integer | `4` | 1–9 |  |",
        ];
        assert_eq!(rows, expected);
    }

    #[test]
    fn a_rule_of_several_fields_is_told_once_with_its_places() {
        let schema: Schema = serde_saphyr::from_str(
            "properties:\n  a: {x-kubernetes-validations: [{rule: r, message: no `x`}]}\n  b: {items: {x-kubernetes-validations: \
             [{rule: r, message: no `x`}]}}\n  c: {x-kubernetes-validations: [{rule: r, messageExpression: \"'c %d is odd'.format([self])\"}]}\n",
        )
        .unwrap();
        let mut found = Vec::new();
        rules("", &schema, &mut found);
        assert_eq!(found[0], (r"no \`x\`".to_owned(), vec!["`a`".to_owned(), "`b[]`".to_owned()]));
        assert_eq!(found[1].0, "c … is odd");
    }

    /// The Markdown files that people read, from the workspace's folder.
    fn documents() -> Vec<PathBuf> {
        let folders = [
            "",
            "docs",
            "docs/plugin",
            "docs/runbooks",
            "deploy/monitoring",
            "examples",
            "crates/simulator",
            "deploy/helm/cognigy-operator",
        ];
        let files = folders.into_iter().flat_map(|folder| fs::read_dir(root().join(folder)).unwrap());
        files.map(|file| file.unwrap().path()).filter(|file| file.extension().is_some_and(|end| end == "md")).collect()
    }

    /// The anchors of a document's headings, as GitHub makes them.
    fn anchors(text: &str) -> Vec<String> {
        let anchor = |heading: &str| -> String {
            let letters = heading.trim_start_matches('#').trim().chars().flat_map(char::to_lowercase);
            let kept = letters.filter(|letter| letter.is_alphanumeric() || matches!(letter, ' ' | '-' | '_'));
            kept.map(|letter| if letter == ' ' { '-' } else { letter }).collect()
        };
        text.lines().filter(|line| line.starts_with('#')).map(anchor).collect()
    }

    #[test]
    fn every_link_between_documents_leads_somewhere() {
        let documents = documents();
        assert!(documents.len() > 6, "the documents were not found: {documents:?}");
        for document in documents {
            let text = fs::read_to_string(&document).unwrap();
            for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
                let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
                if file.contains("://") {
                    continue;
                }
                let target = if file.is_empty() { document.clone() } else { document.with_file_name(file) };
                assert!(target.exists(), "{}: {link} leads nowhere", document.display());
                let known = || {
                    let text = fs::read_to_string(&target).unwrap();
                    let is_source = target.extension().is_some_and(|end| end == "rs");
                    if is_source {
                        text.contains(&format!("fn {anchor}("))
                    } else {
                        anchors(&text).iter().any(|known| known == anchor)
                    }
                };
                assert!(anchor.is_empty() || known(), "{}: {link} leads to no heading and no test", document.display());
            }
        }
    }

    #[test]
    fn every_claim_about_security_names_its_test() {
        let text = fs::read_to_string(root().join("docs/security.md")).unwrap();
        let is_of_claims = |table: &&str| table.lines().next().is_some_and(|head| head.ends_with("| test |"));
        let claims: Vec<_> = text.split("\n\n").filter(is_of_claims).flat_map(|table| table.lines().skip(2)).collect();
        assert!(claims.len() > 20, "{claims:?}");
        for claim in claims {
            assert!(claim.contains(".rs#"), "no test is named by {claim}");
        }
    }

    #[test]
    fn every_dependency_has_its_reason_in_the_design() {
        let design = fs::read_to_string(root().join("docs/design.md")).unwrap();
        let workspace = fs::read_to_string(root().join("Cargo.toml")).unwrap();
        let table = workspace.split("[workspace.dependencies]").nth(1).unwrap().split("\n[").next().unwrap();
        let names: Vec<_> = table.lines().filter_map(|line| Some(line.split_once(" = ")?.0)).collect();
        assert!(names.len() > 20, "the dependencies were not found: {names:?}");
        for name in names.into_iter().filter(|name| !name.starts_with('#')) {
            assert!(design.contains(&format!("`{name}`")), "docs/design.md gives no reason for {name}");
        }
    }
}
