//! The programs that this one builds in sight of the reader and then becomes.

use std::{
    env,
    io::{self, IsTerminal as _},
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use crate::{
    Result,
    cargo::{cargo, run},
};

/// The operator.
pub(crate) const OPERATOR: &str = "cognigy-operator";
/// How often a long build says that it goes on, where cargo has no terminal to draw its progress on.
const SIGN_OF_LIFE: Duration = Duration::from_secs(20);

/// The profile of everyday builds.
const DEV: &str = "dev";

/// Builds a program and the operator that it runs.
pub(crate) fn build(program: &str) -> Result<()> {
    build_as(program, DEV)
}

/// The same with another profile.
pub(crate) fn build_as(program: &str, profile: &str) -> Result<()> {
    eprintln!("building the operator and the {program}: some minutes the first time, seconds from then on");
    let command = cargo(["build", "--profile", profile, "--package", OPERATOR, "--package", program, "--bins"]);
    if io::stderr().is_terminal() {
        return run(command);
    }
    let begin = Instant::now();
    let build = thread::spawn(move || run(command).map_err(|error| error.to_string()));
    let mut told = begin;
    while !build.is_finished() {
        thread::sleep(Duration::from_millis(50));
        if told.elapsed() >= SIGN_OF_LIFE {
            told = Instant::now();
            eprintln!("still building ({} s)", begin.elapsed().as_secs());
        }
    }
    build.join().unwrap_or_else(|_| Err("the build was broken off".into())).map_err(Into::into)
}

/// Cargo puts the programs where it put this one.
pub(crate) fn built(program: &str) -> Result<PathBuf> {
    let here = env::current_exe().map_err(|error| format!("cannot find the folder of cargo's programs: {error}"))?;
    Ok(here.with_file_name(program))
}

/// Those of another profile are in a folder beside, of its name.
pub(crate) fn built_as(program: &str, profile: &str) -> Result<PathBuf> {
    let everyday = built(program)?;
    let folders = everyday.parent().and_then(|folder| folder.parent());
    Ok(folders.ok_or("cannot find the folder of cargo's programs")?.join(profile).join(program))
}
