//! `cargo xtask test`: every check of the project, in order.

use std::{
    fmt,
    time::{Duration, Instant},
};

use clap::ValueEnum;

use crate::{
    Result,
    cargo::{cargo, run as run_command},
    control_plane, demo, deny,
};

/// Which checks run; all when nothing is said.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Run this check only (can be given several times)
    #[arg(long, value_name = "CHECK")]
    only: Vec<Check>,
    /// Name the checks and what they do, and run none
    #[arg(long)]
    list: bool,
}

/// In the order they run: what fails fastest comes first.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Check {
    /// The code is formatted (cargo fmt)
    Format,
    /// Compiler and clippy have no warnings, in tests neither
    Clippy,
    /// Licences, forbidden crates and where crates come from (cargo deny)
    Deny,
    /// The real control plane's binaries and the judges of manifests are there (built once)
    ControlPlane,
    /// Unit, property and integration tests
    Tests,
    /// The demo makes every webhook live, with the real kubectl and the operator as a process
    Demo,
    /// The documentation builds without warnings
    Docs,
}

impl Check {
    fn run(self) -> Result<()> {
        match self {
            Self::Format => run_command(cargo(["fmt", "--all", "--check"])),
            Self::Clippy => run_command(cargo(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"])),
            Self::Deny => deny::check(),
            Self::ControlPlane => {
                println!("{}", control_plane::locate()?.folder().display());
                control_plane::prepare()
            }
            Self::Tests => {
                let mut tests = cargo(["test", "--workspace"]);
                tests.env("KUBEBUILDER_ASSETS", control_plane::locate()?.folder());
                run_command(tests)
            }
            Self::Demo => demo::once(),
            Self::Docs => {
                let mut doc = cargo(["doc", "--workspace", "--no-deps"]);
                doc.env("RUSTDOCFLAGS", "-D warnings");
                run_command(doc)
            }
        }
    }

    fn help(self) -> String {
        self.to_possible_value().and_then(|value| value.get_help().map(ToString::to_string)).unwrap_or_default()
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.to_possible_value().as_ref().map_or("", |value| value.get_name()))
    }
}

/// Runs the checks up to the first that fails; a table at the end shows how each went.
pub(crate) fn run(args: &Args) -> Result<()> {
    if args.list {
        for check in Check::value_variants() {
            println!("{check:<14}{}", check.help());
        }
        return Ok(());
    }
    let wanted = |check: &&Check| args.only.is_empty() || args.only.contains(check);
    let checks: Vec<_> = Check::value_variants().iter().filter(wanted).copied().collect();
    let report = run_in_order(&checks, |check| {
        println!("\n━━ {check}: {}", check.help());
        check.run()
    });
    println!("\n{report}");
    match report.failed {
        None => Ok(()),
        Some((check, _, error)) => {
            Err(format!("{check} failed: {error}\nto repeat it alone: cargo xtask test --only {check}").into())
        }
    }
}

/// How each check went.
struct Report<E> {
    passed: Vec<(Check, Duration)>,
    failed: Option<(Check, Duration, E)>,
    not_run: Vec<Check>,
}

fn run_in_order<E>(checks: &[Check], mut run: impl FnMut(Check) -> std::result::Result<(), E>) -> Report<E> {
    let mut report = Report { passed: Vec::new(), failed: None, not_run: Vec::new() };
    for &check in checks {
        if report.failed.is_some() {
            report.not_run.push(check);
            continue;
        }
        let begin = Instant::now();
        match run(check) {
            Ok(()) => report.passed.push((check, begin.elapsed())),
            Err(error) => report.failed = Some((check, begin.elapsed(), error)),
        }
    }
    report
}

impl<E> fmt::Display for Report<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut total = Duration::ZERO;
        let passed = self.passed.iter().map(|(check, time)| (check, "passed", time));
        let failed = self.failed.iter().map(|(check, time, _)| (check, "FAILED", time));
        for (check, result, time) in passed.chain(failed) {
            total += *time;
            writeln!(f, "{check:<14} {result:<8} {:>8.1} s", time.as_secs_f64())?;
        }
        for check in &self.not_run {
            writeln!(f, "{check:<14} not run")?;
        }
        write!(f, "{:<14} {:<8} {:>8.1} s", "total", "", total.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_runs_after_the_first_failure_and_the_table_says_so() {
        let mut ran = Vec::new();
        let checks = [Check::Format, Check::Clippy, Check::Tests];
        let report = run_in_order(&checks, |check| {
            ran.push(check);
            if check == Check::Clippy { Err("no") } else { Ok(()) }
        });
        assert!(ran == [Check::Format, Check::Clippy]);
        assert!(report.failed.as_ref().is_some_and(|(check, _, error)| *check == Check::Clippy && *error == "no"));
        let table = report.to_string();
        let words: Vec<Vec<_>> = table.lines().map(|line| line.split_whitespace().take(2).collect()).collect();
        assert_eq!(words[..3], [["format", "passed"], ["clippy", "FAILED"], ["tests", "not"]]);
    }

    #[test]
    fn every_check_has_a_name_and_says_what_it_does() {
        for check in Check::value_variants() {
            assert!(!check.to_string().is_empty() && !check.help().is_empty());
        }
    }
}
