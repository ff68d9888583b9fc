//! What the program needs of the system, as its file says.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::root::program;

/// What `gcr.io/distroless/cc-debian13` has for a program: Debian's libc6 and libgcc-s1.
const OF_THE_BASE: [&str; 5] =
    ["libc.so.6", "libm.so.6", "libgcc_s.so.1", "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1"];
/// The C library of Debian 13.
const GLIBC_OF_THE_BASE: (u32, u32) = (2, 41);

/// What readelf (binutils come with every C compiler) says about a file.
fn readelf(what: &str, file: &Path) -> String {
    let output = Command::new("readelf").args(["--wide", what]).arg(file).env("LC_ALL", "C").output().unwrap();
    assert!(output.status.success(), "readelf {what}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The text between `before` and the next `after`, wherever it occurs.
fn all_between<'a>(text: &'a str, before: &str, after: char) -> Vec<&'a str> {
    text.split(before).skip(1).map(|rest| rest.split(after).next().unwrap()).collect()
}

/// The libraries that it names, as `libc.so.6`.
fn needed(file: &Path) -> Vec<String> {
    let dynamic = readelf("--dynamic", file);
    all_between(&dynamic, "Shared library: [", ']').into_iter().map(str::to_owned).collect()
}

/// What loads it, with its path.
pub fn loader_of(program: &Path) -> PathBuf {
    let headers = readelf("--program-headers", program);
    PathBuf::from(all_between(&headers, "program interpreter: ", ']')[0])
}

/// The libraries that the host gives it, with their paths.
pub fn libraries_of(program: &Path) -> Vec<PathBuf> {
    let output = Command::new(loader_of(program)).arg("--list").arg(program).output().unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    let paths: Vec<_> = all_between(&told, "=> ", ' ').into_iter().map(PathBuf::from).collect();
    assert!(output.status.success() && !paths.is_empty(), "{told}");
    paths
}

#[test]
fn every_library_that_the_program_names_is_one_of_the_base() {
    let needed = needed(&program());
    assert!(needed.contains(&"libc.so.6".to_owned()), "{needed:?}");
    for library in needed {
        assert!(OF_THE_BASE.contains(&library.as_str()), "the base has no {library}");
    }
    let loader = loader_of(&program());
    assert!(OF_THE_BASE.contains(&loader.file_name().unwrap().to_str().unwrap()), "{}", loader.display());
}

#[test]
fn the_program_asks_for_no_newer_c_library_than_that_of_the_base() {
    let needs = readelf("--version-info", &program());
    let versions = all_between(&needs, "Name: GLIBC_", ' ').into_iter().filter_map(|version| {
        let (major, minor) = version.split_once('.')?;
        Some((major.parse::<u32>().ok()?, minor.split('.').next()?.parse::<u32>().ok()?))
    });
    let newest = versions.max().unwrap();
    assert!(newest <= GLIBC_OF_THE_BASE, "it was linked with a C library that is too new: GLIBC_{newest:?}");
}

#[test]
fn the_program_is_hardened_as_rust_does_it() {
    let (headers, dynamic) = (readelf("--program-headers", &program()), readelf("--dynamic", &program()));
    let stack = headers.lines().find(|line| line.contains("GNU_STACK")).unwrap();
    assert!(!stack.contains("RWE"), "the stack can be executed: {stack}");
    assert!(headers.contains("GNU_RELRO") && dynamic.contains("NOW"), "its table of functions can be written");
    assert!(headers.contains("Elf file type is DYN"), "it is always at the same address");
}

#[test]
#[ignore = "only a release leaves folders out: `cargo xtask image`"]
fn the_program_names_no_folder_of_the_machine_that_built_the_image() {
    let bytes = fs::read(program()).unwrap();
    for folder in ["/.cargo/registry", "/usr/local/cargo", "/build/", env!("CARGO_MANIFEST_DIR")] {
        assert!(!bytes.windows(folder.len()).any(|window| window == folder.as_bytes()), "{folder}");
    }
}
