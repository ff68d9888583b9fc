//! `cargo xtask argocd`: `deploy/argocd/argocd-cm.yaml`, the scripts of `deploy/argocd/resource_customizations` in the form in which an
//! installation of Argo CD takes them.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use crate::{Result, cargo::root};

/// The scripts, from the workspace's folder; below it, `<group>/<kind>` as in Argo CD's own repository.
const SCRIPTS: &str = "deploy/argocd/resource_customizations";
/// What is written, from the workspace's folder.
const CONFIG_MAP: &str = "deploy/argocd/argocd-cm.yaml";
const HEAD: &str = "\
# Argo CD: health and actions of the operator's kinds, to be added to the ConfigMap that is there (docs/argocd.md).
# Written by `cargo xtask argocd` from resource_customizations/; do not edit.
apiVersion: v1
kind: ConfigMap
metadata:
  name: argocd-cm
  namespace: argocd
  labels:
    app.kubernetes.io/name: argocd-cm
    app.kubernetes.io/part-of: argocd
data:
";

/// Writes the `ConfigMap` if it changed.
pub(crate) fn run() -> Result<()> {
    let (path, text) = (root().join(CONFIG_MAP), config_map()?);
    if fs::read_to_string(&path).ok().as_deref() != Some(&text) {
        fs::write(path, text)?;
        println!("{CONFIG_MAP}");
    }
    Ok(())
}

fn config_map() -> Result<String> {
    let mut text = HEAD.to_owned();
    for group in folders(&root().join(SCRIPTS))? {
        for kind in folders(&group)? {
            let key = format!("{}_{}", name(&group), name(&kind));
            write!(text, "  resource.customizations.health.{key}: |\n{}", block(4, &read(&kind.join("health.lua"))?))?;
            let actions = kind.join("actions");
            if actions.exists() {
                write!(text, "  resource.customizations.actions.{key}: |\n{}", block(4, &definitions(&actions)?))?;
            }
        }
    }
    Ok(text)
}

/// The actions of a kind as the one document that Argo CD asks for.
fn definitions(actions: &Path) -> Result<String> {
    let mut text = format!("discovery.lua: |\n{}definitions:\n", block(2, &read(&actions.join("discovery.lua"))?));
    for action in folders(actions)?.into_iter().filter(|folder| folder.join("action.lua").exists()) {
        let script = block(4, &read(&action.join("action.lua"))?);
        write!(text, "- name: {}\n  action.lua: |\n{script}", name(&action))?;
    }
    Ok(text)
}

/// The lines of a text, indented; empty ones stay empty.
fn block(indent: usize, text: &str) -> String {
    let line = |line: &str| if line.is_empty() { "\n".to_owned() } else { format!("{:indent$}{line}\n", "") };
    text.lines().map(line).collect()
}

/// The folders in a folder, in the order of their names.
fn folders(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut folders: Vec<_> = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    folders.retain(|path| path.is_dir());
    folders.sort();
    Ok(folders)
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_config_map_is_fresh() {
        let found = fs::read_to_string(root().join(CONFIG_MAP)).unwrap_or_default();
        assert!(found == config_map().unwrap(), "{CONFIG_MAP} is stale: run cargo xtask argocd");
    }

    #[test]
    fn a_block_keeps_its_empty_lines_empty() {
        assert_eq!(block(2, "a\n\n  b\n"), "  a\n\n    b\n");
    }
}
