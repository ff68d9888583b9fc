//! The root file system that the program finds in its container, and the program in it: read-only, as uid 65532, in the
//! environment that it is given and no other.

use std::{
    env, fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use rustix::process::geteuid;
use tempfile::TempDir;

use crate::libraries::{libraries_of, loader_of};

/// Names a folder with the files of a real image, or a program to take the place of the one that cargo built for these tests.
const GIVEN: &str = "COGNIGY_OPERATOR_UNDER_TEST";
/// Where the Dockerfile puts the program.
pub const PROGRAM: &str = "cognigy-operator";
/// The system's certificates in the base.
const CERTIFICATES: &str = "etc/ssl/certs/ca-certificates.crt";
/// Where a pod finds its service account, under `/var/run`.
const SERVICE_ACCOUNT: &str = "secrets/kubernetes.io/serviceaccount";
/// The user of the base's tag `nonroot`.
pub const USER: u32 = 65532;

/// Makes the folder ($1) read-only and becomes the program in it, under the same process id. The program's environment ($2) is
/// words without spaces; the rest are its arguments.
const ENTER: &str = r#"set -eu
root=$1 environment=$2; shift 2
mount --bind "$root" "$root"
mount -o remount,bind,ro "$root"
unshare=$(command -v unshare)
exec env -i $environment "$unshare" "$@"
"#;

/// What is to be tested instead of what cargo built.
fn given() -> Option<PathBuf> {
    env::var_os(GIVEN).map(PathBuf::from)
}

/// The program that is tested.
pub fn program() -> PathBuf {
    match given() {
        Some(image) if image.is_dir() => image.join(PROGRAM),
        Some(program) => program,
        None => env!("CARGO_BIN_EXE_cognigy-operator").into(),
    }
}

/// A file or a folder with all that is in it, links as links.
fn copy(from: &Path, to: &Path) {
    let mut copy = Command::new("cp");
    let output = copy.args(["--archive", "--no-preserve=ownership"]).args([from, to]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// A folder that is the program's whole world.
pub struct Root(TempDir);

impl Root {
    /// The image's files: those of a real one, or the program with the libraries that it names and an empty list of certificates.
    pub fn new() -> Self {
        // Beside cargo's programs: where programs may be executed.
        let root = Self(tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap());
        fs::set_permissions(root.folder(), fs::Permissions::from_mode(0o755)).unwrap();
        match given().filter(|given| given.is_dir()) {
            Some(image) => {
                copy(&image.join("."), root.folder());
                assert!(root.folder().join(CERTIFICATES).is_file(), "the base has no certificates");
            }
            None => root.assemble(&program()),
        }
        root
    }

    fn assemble(&self, program: &Path) {
        copy(program, &self.folder().join(PROGRAM));
        for library in libraries_of(program).into_iter().chain([loader_of(program)]) {
            self.write(library.strip_prefix("/").unwrap(), &fs::read(&library).unwrap(), 0o755);
        }
        self.write(Path::new(CERTIFICATES), b"", 0o644);
    }

    pub fn folder(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, path: &Path, bytes: &[u8], mode: u32) {
        let path = self.folder().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }

    /// The system's certificates are this one.
    pub fn trusts(&self, certificate: &str) {
        self.write(Path::new(CERTIFICATES), certificate.as_bytes(), 0o644);
    }

    /// What the kubelet mounts for a service account.
    pub fn service_account(&self, namespace: &str, token: &str, ca: &str) {
        // In Debian a link to /run, which from here would be the host's.
        let run = if self.folder().join("var/run").is_symlink() { "run" } else { "var/run" };
        for (file, text) in [("namespace", namespace), ("token", token), ("ca.crt", ca)] {
            self.write(&Path::new(run).join(SERVICE_ACCOUNT).join(file), text.as_bytes(), 0o644);
        }
    }

    /// The program with these arguments and this environment. As root its user is another one in truth; otherwise it is in a user namespace.
    pub fn command(&self, environment: &[(&str, &str)], arguments: &[&str]) -> Command {
        let (outer, inner): (&[&str], _) = if geteuid().is_root() {
            (&["--mount"], [format!("--setgid={USER}"), format!("--setuid={USER}")])
        } else {
            (&["--user", "--map-root-user", "--mount"], [format!("--map-group={USER}"), format!("--map-user={USER}")])
        };
        let environment: Vec<_> = environment.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert!(environment.iter().all(|word| !word.contains(char::is_whitespace)), "{environment:?}");
        let mut command = Command::new("unshare");
        command.args(outer).args(["--", "sh", "-c", ENTER, "sh"]).arg(self.folder()).arg(environment.join(" "));
        command.args(inner).arg("--wd=/").arg("--root").arg(self.folder()).arg("--").arg(format!("/{PROGRAM}"));
        command.args(arguments);
        command
    }
}
