//! The operator as a process, for the programs of this workspace that show it at work.

pub mod http;
#[cfg(feature = "kubernetes")]
pub mod kubernetes;
pub mod operator;

use std::error::Error;

/// What most functions return; `main` prints the error for the person who ran the program.
pub type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;
