//! `cargo xtask crds`: what the operator prints, one file per definition, and once more for the chart.

use std::{collections::BTreeMap, fs, io, path::Path, process::Stdio};

use serde::Deserialize;

use crate::{
    Result,
    cargo::{cargo, root},
    chart::chart,
};

/// Where the definitions are kept, from the workspace's folder.
const FOLDER: &str = "deploy/crds";
/// Where the chart has them, from its own folder.
const IN_CHART: &str = "files/crds";

/// Writes `deploy/crds/<plural>.<group>.yaml` and removes what no definition belongs to any more.
pub(crate) fn run() -> Result<()> {
    let printed = cargo(["run", "--quiet", "--package", "cognigy-operator", "--bin", "cognigy-operator", "--", "crds"])
        .stderr(Stdio::inherit())
        .output()?;
    if !printed.status.success() {
        return Err(format!("`cognigy-operator crds` ended with {}", printed.status).into());
    }
    let files = files(&String::from_utf8(printed.stdout)?)?;
    for name in write(&root().join(FOLDER), &files)? {
        println!("{FOLDER}/{name}");
    }
    copy_to_chart()
}

/// Helm reads only what is in the chart's own folder.
pub(crate) fn copy_to_chart() -> Result<()> {
    let folder = chart().join(IN_CHART);
    for name in write(&folder, &in_repository()?)? {
        println!("{}/{name}", folder.strip_prefix(root())?.display());
    }
    Ok(())
}

/// Each file of `deploy/crds/` by its name.
pub(crate) fn in_repository() -> Result<BTreeMap<String, String>> {
    read(&root().join(FOLDER))
}

/// Each definition of the chart by the name of its file.
#[cfg(test)]
pub(crate) fn in_chart() -> Result<BTreeMap<String, String>> {
    read(&chart().join(IN_CHART))
}

fn read(folder: &Path) -> Result<BTreeMap<String, String>> {
    let files = fs::read_dir(folder)?.map(|entry| {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok((name, fs::read_to_string(path)?))
    });
    files.collect()
}

#[derive(Deserialize)]
struct Definition {
    metadata: Metadata,
}

#[derive(Deserialize)]
struct Metadata {
    name: String,
}

/// Each YAML document's text by the name of its file.
fn files(documents: &str) -> Result<BTreeMap<String, String>> {
    let mut files = BTreeMap::new();
    for document in documents.split_inclusive('\n').collect::<Vec<_>>().split(|line| line.trim_end() == "---") {
        let text = document.concat();
        if text.trim().is_empty() {
            continue;
        }
        let name = serde_saphyr::from_str::<Definition>(&text)?.metadata.name;
        if files.insert(format!("{name}.yaml"), text).is_some() {
            return Err(format!("`cognigy-operator crds` prints {name} twice").into());
        }
    }
    if files.is_empty() {
        return Err("`cognigy-operator crds` prints no definition".into());
    }
    Ok(files)
}

/// Returns the names of the files that changed.
fn write(folder: &Path, files: &BTreeMap<String, String>) -> Result<Vec<String>> {
    fs::create_dir_all(folder)?;
    let mut changed = Vec::new();
    for (name, text) in files {
        let path = folder.join(name);
        let old = match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            read => Some(read?),
        };
        if old.as_deref() != Some(text.as_bytes()) {
            fs::write(path, text)?;
            changed.push(name.clone());
        }
    }
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if Path::new(&name).extension().is_some_and(|extension| extension == "yaml") && !files.contains_key(&name) {
            fs::remove_file(entry.path())?;
            changed.push(name);
        }
    }
    Ok(changed)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: &str =
        "---\nmetadata:\n  name: b.cognigy.io\nspec: |\n  --- text\n---\nmetadata:\n  name: a.cognigy.io\n";

    #[test]
    fn each_document_becomes_the_file_of_its_name_unchanged() {
        let files = files(TWO).unwrap();
        assert_eq!(files.keys().collect::<Vec<_>>(), ["a.cognigy.io.yaml", "b.cognigy.io.yaml"]);
        assert_eq!(files["b.cognigy.io.yaml"], "metadata:\n  name: b.cognigy.io\nspec: |\n  --- text\n");
    }

    #[test]
    fn nothing_and_the_same_twice_are_errors() {
        assert!(files("").is_err());
        assert!(files("metadata:\n  name: a\n---\nmetadata:\n  name: a\n").is_err());
    }

    #[test]
    fn only_what_changed_is_written_and_what_is_gone_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("gone.yaml"), "").unwrap();
        fs::write(folder.path().join("README.md"), "").unwrap();
        let files = files(TWO).unwrap();
        let changed = write(folder.path(), &files).unwrap();
        assert_eq!(changed, ["a.cognigy.io.yaml", "b.cognigy.io.yaml", "gone.yaml"]);
        assert_eq!(write(folder.path(), &files).unwrap(), Vec::<String>::new());
        assert!(folder.path().join("README.md").exists());
    }
}
