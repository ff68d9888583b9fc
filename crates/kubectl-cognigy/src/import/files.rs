//! The manifests in a folder, a file each. Secrets stand in a folder of their own, so that `kubectl apply -f DIR` leaves out
//! those that are yet to be filled in, and Git can.

use std::{
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use super::{
    model::{Body, Import, Manifest},
    render,
};
use crate::exit::{Error, Result};

/// How many files a message names.
const NAMED: usize = 5;

/// What came of the files.
#[derive(Debug, Default)]
pub struct Written {
    /// Relative to the folder, in the order in which they are to be applied.
    pub files: Vec<PathBuf>,
    /// Secrets that were there already, and may hold values.
    pub kept: Vec<PathBuf>,
}

/// Where a manifest stands within the folder.
fn path(manifest: &Manifest) -> PathBuf {
    let name = &manifest.name;
    match manifest.body {
        Body::RetryPolicy(_) => format!("10-retrypolicy-{name}.yaml").into(),
        Body::Secret(_) => Path::new("secrets").join(format!("{name}.yaml")),
        Body::Webhook(_) => format!("20-cognigywebhook-{name}.yaml").into(),
    }
}

/// Writes a file for each manifest. Where one is there already nothing is written, unless `force`; what may have been filled
/// in is never overwritten.
pub fn write(import: &Import, folder: &Path, force: bool) -> Result<Written> {
    let mut written = Written::default();
    let there: Vec<PathBuf> = import.manifests.iter().map(path).filter(|path| folder.join(path).exists()).collect();
    if !there.is_empty() && !force {
        return Err(Error::Told(format!(
            "nothing was written: {} there already; choose another folder, or overwrite with --force",
            files(folder, &there)
        )));
    }
    for manifest in &import.manifests {
        let path = path(manifest);
        if matches!(manifest.body, Body::Secret(_)) && there.contains(&path) {
            written.kept.push(path);
            continue;
        }
        let target = folder.join(&path);
        let text = render::document(manifest, import)?;
        put(&target, &text, force).map_err(|error| Error::File { path: target.display().to_string(), error })?;
        written.files.push(path);
    }
    Ok(written)
}

fn put(target: &Path, text: &str, force: bool) -> io::Result<()> {
    if let Some(parent) = target.parent() {
        fs::create_dir_all(parent)?;
    }
    let mut options = fs::OpenOptions::new();
    // Without force another program may have made it since it was looked for.
    let options = if force { options.create(true).truncate(true) } else { options.create_new(true) };
    options.write(true).open(target)?.write_all(text.as_bytes())
}

fn files(folder: &Path, paths: &[PathBuf]) -> String {
    let named: Vec<_> = paths.iter().take(NAMED).map(|path| folder.join(path).display().to_string()).collect();
    let more = paths.len().saturating_sub(NAMED);
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    format!("{}{more} {}", named.join(", "), if paths.len() == 1 { "is" } else { "are" })
}
