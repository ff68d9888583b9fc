//! A wall clock of a program's own, by libfaketime.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;
use tokio::sync::OnceCell;

/// A wall clock that a test sets for the programs that it starts under it.
pub struct Clock {
    folder: TempDir,
    library: &'static Path,
}

impl Clock {
    /// A clock that is right.
    pub async fn new() -> Self {
        let clock = Self { folder: tempfile::tempdir().unwrap(), library: library().await };
        clock.step(0);
        clock
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("clock")
    }

    /// Sets the clock that many seconds away from the true time.
    pub fn step(&self, seconds: i64) {
        // Renamed into place: the program reads it at any moment.
        let new = self.folder.path().join("new");
        fs::write(&new, format!("{seconds:+}\n")).unwrap();
        fs::rename(new, self.file()).unwrap();
    }

    /// What a program needs in its environment to go by this clock. The monotonic one is left alone.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        vec![
            ("LD_PRELOAD", self.library.to_str().unwrap().to_owned()),
            ("FAKETIME_TIMESTAMP_FILE", self.file().to_str().unwrap().to_owned()),
            ("FAKETIME_NO_CACHE", "1".to_owned()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
            ("DONT_FAKE_MONOTONIC", "1".to_owned()),
            ("NO_FAKE_STAT", "1".to_owned()),
        ]
    }
}

/// libfaketime, installed first where it is missing and that can be done.
async fn library() -> &'static Path {
    static LIBRARY: OnceCell<PathBuf> = OnceCell::const_new();
    LIBRARY
        .get_or_init(async || {
            if let Some(library) = find() {
                return library;
            }
            let install = "apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends libfaketime";
            let installed = Command::new("sh").args(["-c", install]).output();
            find().unwrap_or_else(|| {
                panic!("these tests set the clock with libfaketime: install it (`apt-get install libfaketime`, as root); tried just now: {installed:?}")
            })
        })
        .await
}

fn find() -> Option<PathBuf> {
    let folders = ["/usr/lib", "/usr/lib64", "/usr/local/lib"].into_iter().map(PathBuf::from);
    let inner = |folder: PathBuf| {
        fs::read_dir(&folder)
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path())
            .chain([folder.clone()])
            .collect::<Vec<_>>()
    };
    let libraries = folders.flat_map(inner).map(|folder| folder.join("faketime/libfaketimeMT.so.1"));
    libraries.into_iter().find(|library| library.is_file())
}
