//! Completion on the command line: as a kubectl plugin, and on its own.
//!
//! kubectl asks a program `kubectl_complete-cognigy`, which must be on the PATH, and reads a line for each candidate and at the end a
//! directive (`:4`: no files). The same binary answers under that name: a link to it is enough.

use std::ffi::OsString;

use clap::{Command, ValueEnum};
use clap_complete::engine;

use crate::{
    exit::{Ending, Error, Result},
    output,
};

/// The name under which kubectl asks for candidates.
pub const COMPLETER: &str = "kubectl_complete-cognigy";
/// What a shell sets when it asks `kubectl-cognigy` itself.
pub const VARIABLE: &str = "KUBECTL_COGNIGY_COMPLETE";
/// Cobra's directive: offer no file names instead.
const NO_FILES: &str = ":4";

/// A shell that can be taught.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Shell {
    /// GNU Bash
    Bash,
    /// The Z shell
    Zsh,
    /// The friendly interactive shell
    Fish,
    /// `PowerShell`
    Powershell,
    /// Elvish
    Elvish,
}

/// Prints what a shell has to read to complete `kubectl-cognigy`.
pub fn script(shell: Shell) -> Result {
    use clap_complete::env;
    let shell: &dyn env::EnvCompleter = match shell {
        Shell::Bash => &env::Bash,
        Shell::Zsh => &env::Zsh,
        Shell::Fish => &env::Fish,
        Shell::Powershell => &env::Powershell,
        Shell::Elvish => &env::Elvish,
    };
    let (name, mut script) = ("kubectl-cognigy", Vec::new());
    shell.write_registration(VARIABLE, name, name, name, &mut script)?;
    output::print(&String::from_utf8_lossy(&script))?;
    Ok(Ending::Good)
}

/// Answers kubectl: the candidates for the last of these words on this command line.
pub fn answer(command: &mut Command, words: impl IntoIterator<Item = OsString>) -> Result {
    let words: Vec<OsString> = std::iter::once("kubectl-cognigy".into()).chain(words).collect();
    let last = words.len() - 1;
    let candidates = engine::complete(command, words, last, None)
        .map_err(|error| Error::Told(format!("cannot complete: {error}")))?;
    let mut lines: Vec<String> = candidates
        .iter()
        .map(|candidate| {
            let value = candidate.get_value().to_string_lossy();
            candidate.get_help().map_or_else(|| value.to_string(), |help| format!("{value}\t{help}"))
        })
        .collect();
    lines.push(NO_FILES.to_owned());
    output::print(&(lines.join("\n") + "\n"))?;
    Ok(Ending::Good)
}
