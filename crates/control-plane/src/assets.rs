//! The binaries.

use std::path::{Path, PathBuf};

use crate::Result;

/// Where the control plane's binaries are.
#[derive(Clone, Debug)]
pub struct Assets {
    folder: PathBuf,
}

impl Assets {
    /// Finds the binaries or builds them once.
    pub fn locate_or_build(progress: impl FnMut(&str)) -> Result<Self> {
        todo!()
    }

    /// The folder that holds them.
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

/// This project's folder in the user's cache.
pub fn cache_folder() -> Result<PathBuf> {
    todo!()
}
