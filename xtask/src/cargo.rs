//! Cargo, as the tasks call it.

use std::{
    env,
    ffi::OsStr,
    path::Path,
    process::{Command, Stdio},
};

use crate::Result;

/// The workspace's folder.
pub(crate) fn root() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here)
}

/// The cargo that runs this task, in the workspace's folder.
pub(crate) fn cargo<I: AsRef<OsStr>>(args: impl IntoIterator<Item = I>) -> Command {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(args).current_dir(root()).stdin(Stdio::null());
    for (name, _) in env::vars_os().filter(|(name, _)| is_about_this_package(name)) {
        cargo.env_remove(name);
    }
    cargo
}

/// What `cargo run` says about xtask. Build scripts, ring's for one, watch these variables: told the wrong package, they run anew, and
/// half of the dependencies is compiled again each time.
fn is_about_this_package(variable: &OsStr) -> bool {
    let variable = variable.to_string_lossy();
    ["CARGO_PKG_", "CARGO_MANIFEST_"].iter().any(|prefix| variable.starts_with(prefix))
}

/// Runs a command whose output the reader sees; the error names the command.
pub(crate) fn run(mut command: Command) -> Result<()> {
    let status = command.status().map_err(|error| format!("cannot start {}: {error}", words(&command)))?;
    if status.success() { Ok(()) } else { Err(format!("`{}` ended with {status}", words(&command)).into()) }
}

fn words(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or(command.get_program());
    let words: Vec<_> = [program].into_iter().chain(command.get_args()).map(OsStr::to_string_lossy).collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_command_is_named_with_its_arguments_and_its_end() {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "exit 3"]);
        assert_eq!(run(command).unwrap_err().to_string(), "`sh -c exit 3` ended with exit status: 3");
    }

    #[test]
    fn cargo_is_not_told_that_it_builds_xtask() {
        let cargo = cargo(["build"]);
        let removed: Vec<_> = cargo.get_envs().filter(|(_, value)| value.is_none()).map(|(name, _)| name).collect();
        assert!(removed.contains(&OsStr::new("CARGO_PKG_NAME")) && removed.contains(&OsStr::new("CARGO_MANIFEST_DIR")));
        assert!(!removed.contains(&OsStr::new("CARGO_TARGET_DIR")));
    }

    #[test]
    fn a_missing_command_is_named() {
        let error = run(Command::new("/nowhere/tool")).unwrap_err().to_string();
        assert!(error.starts_with("cannot start tool: "), "{error}");
    }
}
