//! How the program ends: its exit code, and what it says where it could not do what was asked.

use std::process::ExitCode;

/// What a command comes to; the same for all of them, and like `kubectl diff`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Exit code 0: done, or nothing to find fault with.
    Good,
    /// Exit code 1: there are differences or findings, or a person said no.
    Findings,
    /// Exit code 2: it could not be done, or the command line is wrong.
    Failed,
}

impl From<Ending> for ExitCode {
    fn from(ending: Ending) -> Self {
        match ending {
            Ending::Good => Self::SUCCESS,
            Ending::Findings => Self::from(1),
            Ending::Failed => Self::from(2),
        }
    }
}

/// Why a command could not be done, for the person who called it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A sentence that says all.
    #[error("{0}")]
    Told(String),
    /// The API server cannot be found or reached.
    #[error("cannot talk to the cluster: {0}")]
    Config(#[from] kube::config::KubeconfigError),
    /// The API server refused, or did not answer.
    #[error("{what}: {error}")]
    Api {
        /// What was tried, with the object's name.
        what: String,
        /// In the API server's words.
        error: kube::Error,
    },
    /// A file could not be read or written.
    #[error("{path}: {error}")]
    File {
        /// Which one.
        path: String,
        /// Why.
        error: std::io::Error,
    },
    /// Standard output is gone.
    #[error("cannot write: {0}")]
    Output(#[from] std::io::Error),
}

/// What commands return.
pub type Result<T = Ending> = std::result::Result<T, Error>;

/// Says what was tried where the API server refuses.
pub trait Trying<T> {
    /// `what`, such as `cannot read cwh orders`, in front of the API server's words.
    fn while_trying(self, what: impl FnOnce() -> String) -> Result<T>;
}

impl<T> Trying<T> for kube::Result<T> {
    fn while_trying(self, what: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|error| Error::Api { what: what(), error })
    }
}
