//! `go build`, one binary after the other, with something to read meanwhile.

use std::{
    ffi::OsString,
    fs, io,
    io::{BufRead, BufReader},
    path::Path,
    process::{ChildStderr, Command, Stdio},
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

use crate::error::{Error, IoContext, Result};

/// The packages, small ones first, so that a fault of the toolchain shows early. Each binary is named as its package's last part.
const PACKAGES: [&str; 5] = [
    "./etcd",
    "github.com/yannh/kubeconform/cmd/kubeconform",
    "k8s.io/kubernetes/cmd/kubectl",
    "k8s.io/kubernetes/cmd/kube-apiserver",
    "helm.sh/helm/v4/cmd/helm",
];
const KUBERNETES: &str = "k8s.io/kubernetes";
/// Go 1.21 was the first that fetches the version which a module asks for.
const OLDEST_GO_MINOR: u32 = 21;
/// How often a long build says that it goes on.
const SIGN_OF_LIFE: Duration = Duration::from_secs(20);
/// How much of `go build`'s output an error shows.
const SHOWN_LINES: usize = 20;

/// Builds all binaries beside `folder` and gives them that name when they are complete.
pub(super) fn build(module: &Path, folder: &Path, progress: &mut dyn FnMut(&str)) -> Result<()> {
    let version = kubernetes_version(module)?;
    check_go()?;
    let parent = folder.parent().unwrap_or(folder);
    let unfinished = tempfile::Builder::new()
        .prefix("unfinished-")
        .tempdir_in(parent)
        .while_trying(|| format!("create a folder in {}", parent.display()))?;
    let begin = Instant::now();
    progress(&format!("building the control plane (Kubernetes {version}) into {}", folder.display()));
    progress("this happens once and takes some ten minutes where Go has nothing of it in its cache");
    for (number, package) in (1..).zip(PACKAGES) {
        let binary = package.rsplit('/').next().unwrap_or(package);
        let label = format!("[{number}/{}] {binary}", PACKAGES.len());
        build_one(module, package, binary, &[link_flags(&version)], &unfinished.path().join(binary), &mut |line| {
            progress(&format!("{label}: {line}"));
        })?;
    }
    // What an older build without all binaries may have left there.
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => fs::rename(unfinished.keep(), folder),
    }
    .while_trying(|| format!("move the binaries to {}", folder.display()))?;
    progress(&format!("the control plane is built ({})", seconds(begin.elapsed())));
    Ok(())
}

/// Builds the tool that a module of its own names (`tool …` in its `go.mod`) beside `path`, and gives it that name when it is complete.
pub(super) fn build_tool(
    module: &Path,
    binary: &str,
    tags: &[&str],
    path: &Path,
    progress: &mut dyn FnMut(&str),
) -> Result<()> {
    check_go()?;
    let unfinished = path.with_extension("unfinished");
    let flags = [OsString::from("-ldflags=-s -w"), format!("-tags={}", tags.join(",")).into()];
    build_one(module, "tool", binary, &flags, &unfinished, &mut |line| {
        progress(&format!("{binary}: {line}"));
    })?;
    fs::rename(&unfinished, path).while_trying(|| format!("move {binary} to {}", path.display()))
}

/// Before anything is promised: is there a Go that can do it?
fn check_go() -> Result<()> {
    let output =
        match Command::new("go").args(["env", "GOVERSION"]).env("GOTOOLCHAIN", "local").current_dir("/").output() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(Error::NoGo),
            output => output.while_trying(|| "start `go env`".into())?,
        };
    let version = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if is_too_old(&version) { Err(Error::OldGo { version }) } else { Ok(()) }
}

/// Of a development build nothing is known; it may try.
fn is_too_old(version: &str) -> bool {
    let minor = version.strip_prefix("go1.").and_then(|rest| rest.split(|char: char| !char.is_ascii_digit()).next());
    minor.and_then(|minor| minor.parse().ok()).is_some_and(|minor: u32| minor < OLDEST_GO_MINOR)
}

fn build_one(
    module: &Path,
    package: &str,
    binary: &str,
    flags: &[OsString],
    output: &Path,
    progress: &mut dyn FnMut(&str),
) -> Result<()> {
    let begin = Instant::now();
    progress("building");
    let mut go = Command::new("go")
        .args(["build", "-trimpath", "-o"])
        .arg(output)
        .args(flags)
        .arg(package)
        .current_dir(module)
        // A workspace file above this folder must not change what is built.
        .env("GOWORK", "off")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .while_trying(|| "start `go build`".into())?;
    let lines = go.stderr.take().map(lines_of);
    let output = lines.map(|lines| follow(&lines, begin, SIGN_OF_LIFE, progress)).unwrap_or_default();
    let status = go.wait().while_trying(|| "wait for `go build`".into())?;
    if !status.success() {
        return Err(Error::Build { binary: binary.into(), status, output: output.join("\n") });
    }
    progress(&format!("built ({})", seconds(begin.elapsed())));
    Ok(())
}

/// Without these the API server calls itself v0.0.0 and clients mistrust it.
fn link_flags(version: &str) -> OsString {
    let minor = version.split('.').nth(1).unwrap_or_default();
    let set = |name: &str, value: &str| format!(" -X k8s.io/component-base/version.{name}={value}");
    let flags = [set("gitVersion", version), set("gitMajor", "1"), set("gitMinor", minor)].concat();
    format!("-ldflags=-s -w{flags}").into()
}

/// As `go.mod` pins it, `v1.37.2`.
fn kubernetes_version(module: &Path) -> Result<String> {
    let path = module.join("go.mod");
    let text = fs::read_to_string(&path).while_trying(|| format!("read {}", path.display()))?;
    text.lines()
        .map(|line| line.trim().trim_start_matches("require "))
        .find_map(|line| line.strip_prefix(KUBERNETES)?.strip_prefix(' ')?.split_whitespace().next())
        .map(str::to_owned)
        .ok_or(Error::GoModule { path, module: KUBERNETES })
}

fn lines_of(stderr: ChildStderr) -> Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    receiver
}

/// Tells how it goes until the output ends, and returns the output's tail. Hundreds of downloads become one count.
fn follow(lines: &Receiver<String>, begin: Instant, every: Duration, progress: &mut dyn FnMut(&str)) -> Vec<String> {
    let (mut tail, mut downloads) = (Vec::new(), 0_usize);
    let mut next = Instant::now() + every;
    loop {
        match lines.recv_timeout(next.saturating_duration_since(Instant::now())) {
            Ok(line) if line.starts_with("go: downloading ") => downloads += 1,
            Ok(line) => {
                tail.push(line);
                if tail.len() > SHOWN_LINES {
                    tail.remove(0);
                }
            }
            Err(RecvTimeoutError::Disconnected) => return tail,
            Err(RecvTimeoutError::Timeout) => {}
        }
        if Instant::now() >= next {
            let fetched = if downloads > 0 { format!(", {downloads} modules downloaded") } else { String::new() };
            progress(&format!("still building ({}{fetched})", seconds(begin.elapsed())));
            next += every;
        }
    }
}

fn seconds(duration: Duration) -> String {
    match duration.as_secs() {
        whole @ 0..60 => format!("{whole} s"),
        whole => format!("{} min {} s", whole / 60, whole % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_the_required_one_and_not_a_replacement() {
        let module = tempfile::tempdir().unwrap();
        let text =
            "replace k8s.io/api => k8s.io/api v0.37.2\n\nrequire (\n\tk8s.io/kubernetes v1.37.2 // indirect\n)\n";
        fs::write(module.path().join("go.mod"), text).unwrap();
        assert_eq!(kubernetes_version(module.path()).unwrap(), "v1.37.2");
        assert_eq!(
            link_flags("v1.37.2"),
            "-ldflags=-s -w -X k8s.io/component-base/version.gitVersion=v1.37.2 \
             -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=37"
        );
    }

    #[test]
    fn a_module_without_kubernetes_is_an_error() {
        let module = tempfile::tempdir().unwrap();
        fs::write(module.path().join("go.mod"), "module m\n").unwrap();
        let error = kubernetes_version(module.path()).unwrap_err().to_string();
        assert!(error.ends_with("does not require the module k8s.io/kubernetes"), "{error}");
    }

    #[test]
    fn a_go_that_cannot_fetch_a_newer_go_is_too_old() {
        for (version, too_old) in [("go1.19.8", true), ("go1.21.0", false), ("go1.26.8", false), ("devel +a1b2", false)]
        {
            assert_eq!(is_too_old(version), too_old, "{version}");
        }
    }

    #[test]
    fn downloads_are_counted_and_everything_else_is_kept_for_the_error() {
        let (sender, lines) = mpsc::channel();
        for line in ["go: downloading a v1", "go: downloading b v1", "x.go:1: undefined: y"] {
            sender.send(line.to_owned()).unwrap();
        }
        drop(sender);
        let mut told = Vec::new();
        let tail = follow(&lines, Instant::now(), Duration::ZERO, &mut |line| told.push(line.to_owned()));
        assert_eq!(tail, ["x.go:1: undefined: y"]);
        assert!(told.iter().any(|line| line.ends_with("2 modules downloaded)")), "{told:?}");
    }
}
