//! `cargo xtask fuzz`: every property test with other seeds and more cases, until the time is over.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use crate::{
    Result,
    cargo::{cargo, root, run as run_command},
};

/// How many cases each property has in one round; CI runs the library's default of 256.
const CASES: u32 = 2_000;

/// How long, and from which seed.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// How long to go on; a round under way is ended.
    #[arg(long, default_value_t = 5)]
    minutes: u64,
    /// The seed of the first round, to repeat what an earlier run found; the time by default.
    #[arg(long)]
    seed: Option<u64>,
    /// Only properties whose names contain this text.
    #[arg(long)]
    only: Option<String>,
}

/// Runs round after round; each has its own seed, which is printed.
pub(crate) fn run(args: &Args) -> Result<()> {
    let wanted = |name: &String| args.only.as_ref().is_none_or(|text| name.contains(text.as_str()));
    let properties: Vec<String> = properties(&root().join("src"))?.into_iter().filter(wanted).collect();
    if properties.is_empty() {
        return Err("there is no property of that name".into());
    }
    let (begin, length) = (Instant::now(), Duration::from_secs(args.minutes * 60));
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    for round in 0.. {
        let seed = args.seed.unwrap_or(now) + round;
        println!("\n━━ round {}: {} properties, {CASES} cases each, seed {seed}", round + 1, properties.len());
        let mut tests = cargo(["test", "--quiet", "--package", "cognigy-operator", "--lib", "--"]);
        tests.args(&properties);
        tests.env("PROPTEST_CASES", CASES.to_string()).env("PROPTEST_RNG_SEED", seed.to_string());
        run_command(tests).map_err(|error| {
            format!("{error}\nto repeat it: cargo xtask fuzz --minutes 0 --seed {seed}; what was found is in proptest-regressions/, to be committed")
        })?;
        if begin.elapsed() >= length {
            break;
        }
    }
    Ok(())
}

/// The names of all property tests below a folder, in order.
fn properties(folder: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            names.extend(properties(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            names.extend(of_file(&fs::read_to_string(&path)?));
        }
    }
    names.sort();
    Ok(names)
}

/// The names within `proptest! { … }`, whose end is a brace as far to the left as its beginning.
fn of_file(text: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut end = None;
    for line in text.lines() {
        let (indent, words) = (line.len() - line.trim_start().len(), line.trim());
        match end {
            None if words == "proptest! {" => end = Some(indent),
            Some(begin) if indent == begin && words == "}" => end = None,
            Some(_) => {
                let name = words.strip_prefix("fn ").and_then(|rest| rest.split_once('('));
                names.extend(name.map(|(name, _)| name.to_owned()));
            }
            None => {}
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_are_found_by_where_they_stand() {
        let text = "fn no() {}\nmod tests {\n    proptest! {\n        #[test]\n        fn one(a: u8) {\n            fn_call(a);\n        }\n    }\n    fn neither() {}\n}\n";
        assert_eq!(of_file(text), ["one"]);
    }

    #[test]
    fn what_reads_words_of_others_has_its_properties() {
        let found = properties(&root().join("src")).unwrap();
        assert!(found.len() > 30, "{found:?}");
        for reader in ["retry_after", "refusal", "cursor", "tag", "certificate", "webhook", "token", "callback"] {
            assert!(found.iter().any(|name| name.contains(reader)), "{reader}: {found:?}");
        }
    }
}
