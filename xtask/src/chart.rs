//! `cargo xtask chart`: what of the Helm chart is written by machine: the table of values in its README, from the comments in
//! `values.yaml`; its copies of the definitions, of the rules and of the dashboard; and what it renders to, for those who install without Helm.

use std::{
    fmt::Write as _,
    fs,
    path::PathBuf,
    process::{Command, Stdio},
};

use serde_json::Value;

use crate::{Result, cargo::root, control_plane, crds};

/// The chart, from the workspace's folder.
const CHART: &str = "deploy/helm/cognigy-operator";
/// The plain manifests, from the workspace's folder.
const MANIFESTS: &str = "deploy/install.yaml";
/// What the chart has of `deploy/monitoring/`: where it is, from the workspace's folder, and where the chart has it, from its own.
const MONITORING: [(&str, &str); 2] = [
    ("deploy/monitoring/rules.yaml", "files/prometheus/rules.yaml"),
    ("deploy/monitoring/dashboard.json", "files/grafana/cognigy-operator.json"),
];
/// The plain manifests' beginning. Helm makes the namespace itself, so no template does.
const HEAD: &str = "\
# The operator with the chart's default values, for those who install without Helm (docs/install.md).
# Written by `cargo xtask chart`; do not edit.
apiVersion: v1
kind: Namespace
metadata:
  name: cognigy-system
";
/// Lines that speak of Helm.
const OF_HELM: [&str; 3] = ["helm.sh/chart:", "app.kubernetes.io/managed-by: Helm", "# Source: "];
/// The table stands between these lines of the README.
const BEGIN: &str = "<!-- values: written by `cargo xtask chart` from values.yaml -->\n";
const END: &str = "<!-- end of values -->\n";

/// Writes what changed, and says so.
pub(crate) fn run() -> Result<()> {
    crds::copy_to_chart()?;
    let written = [(chart().join("README.md"), fresh_readme()?), (root().join(MANIFESTS), fresh_manifests()?)];
    let copied = MONITORING.map(|(from, to)| Ok((chart().join(to), fs::read_to_string(root().join(from))?)));
    let copied = copied.into_iter().collect::<Result<Vec<_>>>()?;
    for (file, new) in written.into_iter().chain(copied) {
        if fs::read_to_string(&file).ok().as_deref() != Some(&new) {
            fs::write(&file, new)?;
            println!("{}", file.strip_prefix(root())?.display());
        }
    }
    Ok(())
}

/// What the chart renders to as it comes. The definitions need no annotation that keeps them: nothing but a person deletes them.
fn fresh_manifests() -> Result<String> {
    let mut helm = Command::new(control_plane::locate()?.helm()?);
    helm.args(["template", "cognigy-operator", CHART, "--namespace", "cognigy-system", "--set", "crds.keep=false"]);
    let rendered = helm.current_dir(root()).stdin(Stdio::null()).output()?;
    if !rendered.status.success() {
        return Err(format!("helm template: {}", String::from_utf8_lossy(&rendered.stderr)).into());
    }
    let text = String::from_utf8(rendered.stdout)?;
    let kept = text.lines().filter(|line| !OF_HELM.iter().any(|word| line.trim_start().starts_with(word)));
    Ok(kept.fold(HEAD.to_owned(), |text, line| text + line + "\n"))
}

/// The chart's folder.
pub(crate) fn chart() -> PathBuf {
    root().join(CHART)
}

/// The README with a table that is up to date.
fn fresh_readme() -> Result<String> {
    let text = fs::read_to_string(chart().join("README.md"))?;
    let values = fs::read_to_string(chart().join("values.yaml"))?;
    let missing = || format!("{CHART}/README.md has no place for the table of values: {BEGIN}{END}");
    let (head, rest) = text.split_once(BEGIN).ok_or_else(missing)?;
    let (_, tail) = rest.split_once(END).ok_or_else(missing)?;
    Ok(format!("{head}{BEGIN}\n{}\n{END}{tail}", table(&values)?))
}

/// One value: a key that has a comment of its own.
#[derive(Debug, PartialEq)]
struct Entry {
    /// As `--set` takes it, `image.tag`.
    path: String,
    default: String,
    meaning: String,
}

fn table(values: &str) -> Result<String> {
    let mut text = String::from("| Key | Default | Meaning |\n|---|---|---|\n");
    for Entry { path, default, meaning } in entries(values)? {
        writeln!(text, "| `{path}` | {} | {} |", default.replace('|', "\\|"), meaning.replace('|', "\\|"))?;
    }
    Ok(text)
}

/// A comment begins with `# --`, goes on in lines with `#`, and may give the default in words (`# @default -- …`), as helm-docs has it.
/// It is an error where neither a value nor what it stands in is explained.
fn entries(values: &str) -> Result<Vec<Entry>> {
    let parsed: Value = serde_saphyr::from_str(values).map_err(|error| format!("values.yaml: {error}"))?;
    let (mut found, mut comment, mut default) = (Vec::<Entry>::new(), Vec::new(), None);
    let mut place: Vec<(usize, &str)> = Vec::new();
    for line in values.lines() {
        let (indent, text) = (line.len() - line.trim_start().len(), line.trim());
        if let Some(begin) = text.strip_prefix("# -- ") {
            (comment, default) = (vec![begin], None);
        } else if let Some(words) = text.strip_prefix("# @default -- ") {
            default = Some(words.to_owned());
        } else if let Some(more) = text.strip_prefix("# ") {
            // What stands alone is about the file.
            if !comment.is_empty() {
                comment.push(more);
            }
        } else if let Some((key, _)) = text.split_once(':').filter(|(key, _)| !text.starts_with('-') && is_key(key)) {
            place.retain(|(outer, _)| *outer < indent);
            place.push((indent, key));
            let keys: Vec<_> = place.iter().map(|(_, key)| *key).collect();
            let path = keys.join(".");
            let inside = |entry: &Entry| path.strip_prefix(&entry.path).is_some_and(|rest| rest.starts_with('.'));
            let value = keys.iter().try_fold(&parsed, |value, key| value.get(key));
            let value = value.ok_or_else(|| format!("values.yaml: {path} is not where it seems to be"))?;
            if !comment.is_empty() {
                let default = default.take().unwrap_or_else(|| format!("`{value}`"));
                found.push(Entry { path, default, meaning: std::mem::take(&mut comment).join(" ") });
            } else if !value.is_object() && !found.iter().any(inside) {
                return Err(format!("values.yaml: {path} has no comment (`# -- …`)").into());
            }
        }
    }
    Ok(found)
}

fn is_key(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_table_of_values_is_fresh() {
        let found = fs::read_to_string(chart().join("README.md")).unwrap();
        assert!(found == fresh_readme().unwrap(), "{CHART}/README.md is stale: run cargo xtask chart");
    }

    #[test]
    fn the_charts_rules_and_dashboard_are_those_of_the_repository() {
        for (from, to) in MONITORING {
            let [ours, its] = [root().join(from), chart().join(to)].map(|path| fs::read(path).unwrap_or_default());
            assert!(ours == its, "{CHART}/{to} is stale: run cargo xtask chart");
        }
        for folder in ["files/prometheus", "files/grafana"] {
            assert_eq!(fs::read_dir(chart().join(folder)).unwrap().count(), 1, "{CHART}/{folder} has a file of nobody");
        }
    }

    #[test]
    fn the_plain_manifests_are_fresh() {
        let found = fs::read_to_string(root().join(MANIFESTS)).unwrap_or_default();
        assert!(found == fresh_manifests().unwrap(), "{MANIFESTS} is stale: run cargo xtask chart");
        assert!(!found.contains("helm.sh/"), "plain manifests speak of no Helm");
    }

    #[test]
    fn the_definitions_in_the_chart_are_those_of_the_repository() {
        assert_eq!(crds::in_chart().unwrap(), crds::in_repository().unwrap(), "run cargo xtask chart");
    }

    #[test]
    fn a_value_is_told_with_its_path_default_and_meaning() {
        let values = "# About the file.\n\nimage:\n  # -- Tag of the image.\n  # Empty: none.\n  tag: \"\"\n# -- Limits.\n# @default -- see below\nlimits:\n  cpu: 1\n";
        let entry = |path: &str, default: &str, meaning: &str| Entry {
            path: path.into(),
            default: default.into(),
            meaning: meaning.into(),
        };
        let expected =
            [entry("image.tag", "`\"\"`", "Tag of the image. Empty: none."), entry("limits", "see below", "Limits.")];
        assert_eq!(entries(values).unwrap(), expected);
    }

    #[test]
    fn a_value_without_a_comment_is_an_error() {
        let told = entries("image:\n  tag: x\n").unwrap_err().to_string();
        assert_eq!(told, "values.yaml: image.tag has no comment (`# -- …`)");
    }

    /// The paths of all values: of objects that the schema leaves open, only their own.
    fn paths(value: &Value, below: &str, open: &BTreeSet<String>, found: &mut BTreeSet<String>) {
        match value.as_object().filter(|_| !open.contains(below)) {
            Some(fields) => fields.iter().for_each(|(name, field)| {
                let path = if below.is_empty() { name.clone() } else { format!("{below}.{name}") };
                paths(field, &path, open, found);
            }),
            None => drop(found.insert(below.to_owned())),
        }
    }

    /// The paths that the schema knows, and those of them that may hold any key.
    fn known(schema: &Value, root: &Value, below: &str, found: &mut BTreeSet<String>, open: &mut BTreeSet<String>) {
        let schema = match schema["$ref"].as_str() {
            Some(reference) => root.pointer(reference.trim_start_matches('#')).unwrap(),
            None => schema,
        };
        if let Some(fields) = schema["properties"].as_object().filter(|_| schema["additionalProperties"] == false) {
            for (name, field) in fields {
                let path = if below.is_empty() { name.clone() } else { format!("{below}.{name}") };
                known(field, root, &path, found, open);
            }
        } else {
            found.insert(below.to_owned());
            open.insert(below.to_owned());
        }
    }

    #[test]
    fn schema_and_values_name_the_same_keys() {
        let read = |file: &str| fs::read_to_string(chart().join(file)).unwrap();
        let values: Value = serde_saphyr::from_str(&read("values.yaml")).unwrap();
        let schema: Value = serde_json::from_str(&read("values.schema.json")).unwrap();
        let (mut in_schema, mut open, mut in_values) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        known(&schema, &schema, "", &mut in_schema, &mut open);
        // Optional parts of a value that is explained as a whole.
        let optional = |path: &String| ["strategy", "resources", "global"].iter().any(|whole| path.starts_with(whole));
        in_schema.retain(|path| !optional(path));
        paths(&values, "", &open, &mut in_values);
        in_values.retain(|path| !optional(path));
        assert_eq!(in_schema, in_values);
    }

    #[test]
    fn chart_and_operator_have_one_version() {
        let chart: Value = serde_saphyr::from_str(&fs::read_to_string(chart().join("Chart.yaml")).unwrap()).unwrap();
        assert_eq!(chart["appVersion"], env!("CARGO_PKG_VERSION"));
        assert_eq!(chart["version"], env!("CARGO_PKG_VERSION"));
    }
}
