//! `cargo deny`: licences, forbidden crates and where crates come from.

use std::{path::PathBuf, process::Command};

use crate::{
    Result,
    cargo::{cargo, root, run},
};

/// The last version that was tried with the pinned toolchain.
const VERSION: &str = "0.20.2";

/// Checks the dependency graph against `deny.toml`.
pub(crate) fn check() -> Result<()> {
    deny(&["bans", "licenses", "sources"])
}

/// Looks the dependencies up in the advisory database. No check of the test: it needs the network, and its answer changes without
/// a change here.
pub(crate) fn advisories() -> Result<()> {
    deny(&["advisories"])
}

fn deny(checks: &[&str]) -> Result<()> {
    let mut deny = Command::new(installed()?);
    // Without it only the crates of the root package are looked at.
    deny.args(["--workspace", "check"]).args(checks).current_dir(root());
    run(deny)
}

/// The program in the user's cache folder; compiled there when it is missing.
fn installed() -> Result<PathBuf> {
    let folder = control_plane::cache_folder()?.join("cargo-deny").join(VERSION);
    let program = folder.join("bin/cargo-deny");
    if !program.is_file() {
        eprintln!("compiling cargo-deny {VERSION} into {} (once, some minutes)", folder.display());
        let mut install = cargo(["install", "--quiet", "--locked", "--version", VERSION, "--root"]);
        // Its parts have no business among those of this project; cargo then takes a temporary folder.
        install.arg(&folder).arg("cargo-deny").env_remove("CARGO_TARGET_DIR");
        run(install)?;
    }
    Ok(program)
}
