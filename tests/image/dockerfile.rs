//! The Dockerfile: what can be said of it without an engine that builds it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    process::Command,
};

use serde_json::Value;

use crate::root::{PROGRAM, USER};

/// Debian's numbers, which name the base, and its names, which name the toolchain's image.
const DEBIAN: [(&str, &str); 2] = [("12", "bookworm"), ("13", "trixie")];

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(file: &str) -> String {
    fs::read_to_string(repository().join(file)).unwrap()
}

/// Its instructions with their words, in order.
fn instructions() -> Vec<(String, String)> {
    let text = read("Dockerfile");
    let code = text.lines().filter(|line| !line.trim_start().starts_with('#') && !line.trim().is_empty());
    let joined = code.collect::<Vec<_>>().join("\n").replace("\\\n", " ");
    let split = |line: &str| line.split_once(' ').map(|(name, words)| (name.to_owned(), words.trim().to_owned()));
    joined.lines().map(|line| split(line).unwrap()).collect()
}

/// The words of each instruction of this name.
fn all(instructions: &[(String, String)], name: &str) -> Vec<String> {
    instructions.iter().filter(|(instruction, _)| instruction == name).map(|(_, words)| words.clone()).collect()
}

/// What stands in the last stage, which becomes the image.
fn last_stage() -> Vec<(String, String)> {
    let instructions = instructions();
    let begin = instructions.iter().rposition(|(name, _)| name == "FROM").unwrap();
    instructions[begin..].to_vec()
}

/// The arguments before the first stage: the bases.
fn bases() -> BTreeMap<String, String> {
    let before = instructions().into_iter().take_while(|(name, _)| name != "FROM");
    before
        .map(|(name, words)| {
            assert_eq!(name, "ARG");
            let (name, image) = words.split_once('=').unwrap();
            (name.to_owned(), image.to_owned())
        })
        .collect()
}

#[test]
fn both_bases_are_of_one_debian_and_the_compiler_is_that_of_the_repository() {
    let bases = bases();
    let toolchain = read("rust-toolchain.toml");
    let toolchain = toolchain.lines().find_map(|line| line.strip_prefix("channel = ")).unwrap().trim_matches('"');
    let (rust, debian) = bases["RUST"].strip_prefix("docker.io/library/rust:").unwrap().split_once("-slim-").unwrap();
    assert_eq!(rust, toolchain);
    let (number, variant) = bases["BASE"].strip_prefix("gcr.io/distroless/cc-debian").unwrap().split_once(':').unwrap();
    assert!(DEBIAN.contains(&(number, debian)), "built on {debian}, run on Debian {number}");
    assert_eq!(variant, "nonroot");
}

#[test]
fn every_stage_begins_with_a_base_that_a_release_pins_or_with_another_stage() {
    let mut stages: BTreeSet<String> =
        bases().keys().map(|name| format!("${{{name}}}")).chain(["scratch".into()]).collect();
    for from in all(&instructions(), "FROM") {
        let words: Vec<_> = from.split(' ').collect();
        // One for each platform that a release builds.
        for platform in ["amd64", "arm64"] {
            assert!(stages.contains(&words[0].replace("${TARGETARCH}", platform)), "FROM {from}");
        }
        assert_eq!(words[1], "AS", "{from}");
        stages.insert(words[2].to_owned());
    }
    for arguments in ["--build-arg RUST=\"$RUST\"", "--build-arg BASE=\"$BASE\""] {
        assert!(read(".github/workflows/release.yaml").contains(arguments), "{arguments}");
    }
}

#[test]
fn the_image_has_the_program_and_nothing_else_besides_its_base() {
    let stage = last_stage();
    let allowed = ["FROM", "ARG", "LABEL", "COPY", "USER", "EXPOSE", "ENTRYPOINT", "CMD"];
    for (name, words) in &stage {
        assert!(allowed.contains(&name.as_str()), "{name} {words}");
    }
    assert_eq!(all(&stage, "COPY"), [format!("--from=build /build/target/release/{PROGRAM} /{PROGRAM}")]);
    assert_eq!(all(&stage, "ENTRYPOINT"), [format!("[\"/{PROGRAM}\"]")]);
    assert_eq!(all(&stage, "CMD"), ["[\"run\"]"]);
}

#[test]
fn user_and_port_are_those_of_the_chart() {
    let stage = last_stage();
    let values: Value = serde_saphyr::from_str(&read("deploy/helm/cognigy-operator/values.yaml")).unwrap();
    assert_eq!(all(&stage, "USER"), [format!("{USER}:{USER}")]);
    assert_eq!(values["securityContext"]["runAsUser"], USER);
    let template = read("deploy/helm/cognigy-operator/templates/deployment.yaml");
    assert!(template.contains(&format!("containerPort: {}\n", all(&stage, "EXPOSE")[0])));
}

#[test]
fn its_labels_say_what_it_is_and_where_it_comes_from() {
    let labels = all(&last_stage(), "LABEL").concat();
    let (about, project) = (env!("CARGO_PKG_DESCRIPTION"), env!("CARGO_PKG_REPOSITORY"));
    for (label, value) in [
        ("title", PROGRAM),
        ("description", about),
        ("url", project),
        ("source", project),
        ("licenses", env!("CARGO_PKG_LICENSE")),
        ("version", "${VERSION}"),
        ("revision", "${REVISION}"),
        ("created", "${CREATED}"),
        ("base.name", "${BASE}"),
    ] {
        let expected = format!("org.opencontainers.image.{label}=\"{value}\"");
        assert!(labels.contains(&expected), "{expected}\n{labels}");
    }
}

#[test]
fn everything_that_cargo_fetches_is_locked() {
    let runs = all(&instructions(), "RUN");
    let fetching: Vec<_> = runs.iter().filter(|run| run.starts_with("cargo ") && !run.contains(" prepare ")).collect();
    assert_eq!(fetching.len(), 3, "{runs:?}");
    assert!(fetching.iter().all(|run| run.contains(" --locked ")), "{fetching:?}");
    let tools = fetching[0].split(' ').filter(|word| word.starts_with("cargo-"));
    assert!(tools.clone().count() == 2 && tools.clone().all(|tool| tool.contains('@')), "{fetching:?}");
}

/// The context is what `.dockerignore` lets through. Cargo must find all that a build needs there, and no test must be in it.
#[test]
fn the_build_has_all_that_cargo_asks_for_and_no_more() {
    let ignore = read(".dockerignore");
    let mut rules = ignore.lines().filter(|line| !line.starts_with('#'));
    assert_eq!(rules.next(), Some("*"));
    let context = tempfile::tempdir().unwrap();
    for rule in rules {
        let name = rule.strip_prefix('!').unwrap();
        let mut copy = Command::new("cp");
        let copied =
            copy.arg("--recursive").args([repository().join(name), context.path().join(name)]).status().unwrap();
        assert!(copied.success(), "{name} is not there");
    }
    assert!(!context.path().join("tests").exists());

    let mut cargo = Command::new(env!("CARGO"));
    let arguments = ["metadata", "--locked", "--offline", "--no-deps", "--format-version=1"];
    let output = cargo.args(arguments).current_dir(context.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let package = metadata["packages"].as_array().unwrap().iter().find(|package| package["name"] == PROGRAM).unwrap();
    let targets: Vec<_> =
        package["targets"].as_array().unwrap().iter().map(|target| target["kind"][0].as_str().unwrap()).collect();
    assert_eq!(targets, ["lib", "bin"], "tests in the context would change the image's layers");
}
