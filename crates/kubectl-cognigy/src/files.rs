//! Files as the command line names them.

use std::{
    fs, io,
    io::Read as _,
    path::{Path, PathBuf},
};

use clap::Args;

use crate::exit::{Error, Result};

/// Which files of a folder are manifests, as kubectl has it.
const ENDINGS: [&str; 3] = ["yaml", "yml", "json"];

/// The flag of kubectl that says how deep folders are looked into.
#[derive(Clone, Copy, Debug, Args)]
pub struct Depth {
    /// Read folders with all that is below them
    #[arg(short = 'R', long)]
    pub recursive: bool,
}

impl Depth {
    /// The files that these paths name: themselves (`-` is standard input), or the manifests of a folder by their names. A
    /// folder in which there is none is an error.
    pub fn manifests(self, paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
        let mut files = Vec::new();
        for path in paths {
            if path == Path::new("-") || !path.is_dir() {
                files.push(path.clone());
                continue;
            }
            let found = self.in_folder(path)?;
            if found.is_empty() {
                let (path, hint) = (path.display(), if self.recursive { "" } else { "; -R looks below it too" });
                return Err(Error::Told(format!("there is no .yaml, .yml or .json file in {path}{hint}")));
            }
            files.extend(found);
        }
        Ok(files)
    }

    /// Links to folders are not followed: they may lead in a circle.
    fn in_folder(self, path: &Path) -> Result<Vec<PathBuf>> {
        let entries: Vec<_> = fs::read_dir(path).and_then(Iterator::collect).map_err(|error| at(path, error))?;
        let mut paths: Vec<_> = entries.iter().map(fs::DirEntry::path).collect();
        paths.sort();
        let mut found = Vec::new();
        for path in paths {
            if fs::symlink_metadata(&path).map_err(|error| at(&path, error))?.is_dir() {
                if self.recursive {
                    found.extend(self.in_folder(&path)?);
                }
            } else if is_manifest(&path) && path.is_file() {
                found.push(path);
            }
        }
        Ok(found)
    }
}

/// Whether a file of a folder is a manifest by its name.
fn is_manifest(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ENDINGS.iter().any(|known| ending == *known))
}

/// The text of a file; `-` is standard input.
pub fn text(path: &Path) -> Result<String> {
    let read = if path == Path::new("-") {
        let mut text = String::new();
        io::stdin().read_to_string(&mut text).map(|_| text)
    } else {
        fs::read_to_string(path)
    };
    read.map_err(|error| at(path, error))
}

/// The error with the file's name.
pub fn at(path: &Path, error: io::Error) -> Error {
    Error::File { path: path.display().to_string(), error }
}

/// What the parser says, without the picture that it draws: that quotes the file, which may hold a Secret.
pub fn words(error: &serde_saphyr::Error) -> String {
    let told = error.without_snippet().to_string();
    told.lines().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn what_the_parser_says_quotes_nothing_of_the_file() {
        let text = "kind: Secret\nstringData:\n  one: s3cr3t\n  key: \"s3cr3t\n  other: [s3cr3t\n";
        let error = serde_saphyr::from_multiple::<Value>(text).unwrap_err();
        assert!(error.to_string().contains("s3cr3t"), "the parser draws no picture any more");
        let told = words(&error);
        assert!(told.contains("line 4") && !told.contains("s3cr3t"), "{told}");
    }
}
