//! `cargo xtask image`: the tests of the image (`tests/image/`) with what is released instead of what cargo builds for tests.

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
};

use crate::{
    Result,
    cargo::{cargo, root, run as run_command},
    control_plane,
    program::OPERATOR,
};

/// Names what is tested to the tests.
const UNDER_TEST: &str = "COGNIGY_OPERATOR_UNDER_TEST";
/// Where the release is built. Its flags are not those of other builds, which would be thrown away otherwise.
const TARGET: &str = "target/image";

/// What to test.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The files of an image, as `docker buildx build --output FOLDER` writes them [default: a release build, some minutes]
    #[arg(long, value_name = "FOLDER")]
    files: Option<PathBuf>,
}

/// Builds the release if no image is given, and runs the tests.
pub(crate) fn run(args: &Args) -> Result<()> {
    let under_test = match &args.files {
        Some(files) if files.is_dir() => files.canonicalize()?,
        Some(files) => return Err(format!("{} is not a folder", files.display()).into()),
        None => release()?,
    };
    let mut tests = cargo(["test", "--locked", "--package", OPERATOR, "--test", "image", "--", "--include-ignored"]);
    tests.env("KUBEBUILDER_ASSETS", control_plane::locate()?.folder());
    tests.env(UNDER_TEST, under_test);
    run_command(tests)
}

/// The program as the Dockerfile builds it.
fn release() -> Result<PathBuf> {
    let mut build =
        cargo(["build", "--release", "--locked", "--package", OPERATOR, "--bin", OPERATOR, "--target-dir", TARGET]);
    build.env("CARGO_ENCODED_RUSTFLAGS", flags(&cargo_home()?));
    run_command(build)?;
    Ok(root().join(TARGET).join("release").join(OPERATOR))
}

/// So that nothing in the program names a folder of the host: those of the registry and of the workspace are left out of paths.
fn flags(cargo_home: &Path) -> OsString {
    let left_out = [cargo_home.join("registry/src/"), root().join("")];
    let flags: Vec<_> = left_out.iter().map(|folder| format!("--remap-path-prefix={}=", folder.display())).collect();
    // What cargo takes apart at, since folders may contain spaces.
    flags.join("\u{1f}").into()
}

fn cargo_home() -> Result<PathBuf> {
    let home = || Some(PathBuf::from(env::var_os("HOME")?).join(".cargo"));
    let found = env::var_os("CARGO_HOME").map(PathBuf::from).or_else(home);
    found.ok_or_else(|| "neither CARGO_HOME nor HOME is set".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_of_the_host_are_left_out_of_paths() {
        let flags = flags(Path::new("/home/a b/.cargo")).into_string().unwrap();
        let flags: Vec<_> = flags.split('\u{1f}').collect();
        assert_eq!(flags[0], "--remap-path-prefix=/home/a b/.cargo/registry/src/=");
        assert_eq!(flags[1], format!("--remap-path-prefix={}/=", root().display()));
    }
}
