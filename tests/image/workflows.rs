//! The workflows: that GitHub understands them, that they may do little, and what of their scripts runs without GitHub.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use control_plane::Tool;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The workflows, with their texts.
fn workflows() -> BTreeMap<String, String> {
    let files = fs::read_dir(repository().join(".github/workflows")).unwrap().map(|file| file.unwrap().path());
    let name = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().to_owned();
    let workflows: BTreeMap<_, _> = files.map(|path| (name(&path), fs::read_to_string(path).unwrap())).collect();
    assert!(["ci.yaml", "release.yaml"].iter().all(|name| workflows.contains_key(*name)), "{workflows:?}");
    workflows
}

fn parsed(workflow: &str) -> Value {
    serde_saphyr::from_str(&workflows()[workflow]).unwrap()
}

/// Every job of every workflow: workflow, name, job.
fn jobs() -> Vec<(String, String, Value)> {
    let jobs = |file: &String| parsed(file)["jobs"].as_object().unwrap().clone();
    workflows().keys().flat_map(|file| jobs(file).into_iter().map(|(name, job)| (file.clone(), name, job))).collect()
}

fn steps(job: &Value) -> Vec<Value> {
    job["steps"].as_array().cloned().unwrap_or_default()
}

/// Without shellcheck, which is not everywhere: the verdict would depend on the machine.
fn actionlint(files: &[&Path]) -> Output {
    let actionlint = Tool::Actionlint.locate_or_build(|_| ()).unwrap();
    let mut command = Command::new(actionlint);
    command.args(["-no-color", "-shellcheck=", "-pyflakes="]).args(files).current_dir(repository()).output().unwrap()
}

#[test]
fn actionlint_has_nothing_to_say() {
    let output = actionlint(&[]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));

    // The judge is awake.
    let broken = tempfile::NamedTempFile::with_suffix(".yaml").unwrap();
    fs::write(broken.path(), workflows()["ci.yaml"].replace("runs-on:", "run-on:")).unwrap();
    let told = String::from_utf8(actionlint(&[broken.path()]).stdout).unwrap();
    assert!(told.contains("unexpected key \"run-on\""), "{told}");
}

#[test]
fn every_action_is_pinned_by_its_commit_and_named_by_its_version() {
    let texts = workflows();
    let uses = texts.values().flat_map(|text| text.lines()).filter_map(|line| line.split_once("uses: "));
    let mut seen = BTreeMap::new();
    for (_, action) in uses.filter(|(_, action)| !action.starts_with("./")) {
        let (action, pin) = action.split_once('@').unwrap_or_else(|| panic!("{action}"));
        let (commit, version) = pin.split_once(" # v").unwrap_or_else(|| panic!("{action}@{pin} names no version"));
        assert!(commit.len() == 40 && commit.chars().all(|char| char.is_ascii_hexdigit()), "{action}@{commit}");
        let numbers: Vec<_> = version.split('.').collect();
        assert!(
            numbers.len() == 3 && numbers.iter().all(|number| number.parse::<u32>().is_ok()),
            "{action} v{version}"
        );
        let pin = seen.entry(action).or_insert(pin.to_owned()).clone();
        assert!(pin.starts_with(commit), "{action} is pinned in two ways");
    }
    assert!(seen.contains_key("actions/checkout"), "{seen:?}");
}

#[test]
fn no_job_may_do_more_than_this() {
    for file in workflows().keys() {
        assert_eq!(parsed(file)["permissions"], json!({}), "{file}: what a job does not say, it may not");
    }
    let read = json!({"contents": "read"});
    let signs = json!({"packages": "write", "id-token": "write", "attestations": "write"});
    let expected = BTreeMap::from([
        ("ci.yaml advisories", read.clone()),
        ("ci.yaml checks", read.clone()),
        ("ci.yaml image", read.clone()),
        ("release.yaml ci", read.clone()),
        ("release.yaml plugin", read.clone()),
        ("release.yaml prepare", read),
        ("release.yaml image", json!({"contents": "read", "packages": "write"})),
        ("release.yaml publish", signs),
        (
            "release.yaml chart",
            json!({"contents": "read", "packages": "write", "id-token": "write", "attestations": "write"}),
        ),
        ("release.yaml release", json!({"contents": "write", "actions": "read"})),
    ]);
    let jobs = jobs();
    let jobs: BTreeMap<_, _> =
        jobs.iter().map(|(file, name, job)| (format!("{file} {name}"), job["permissions"].clone())).collect();
    assert_eq!(jobs, expected.into_iter().map(|(name, rights)| (name.to_owned(), rights)).collect());
}

#[test]
fn no_checkout_leaves_its_token_behind_and_no_script_contains_what_others_write() {
    for (file, name, job) in jobs() {
        for step in steps(&job) {
            if step["uses"].as_str().is_some_and(|action| action.starts_with("actions/checkout@")) {
                assert_eq!(step["with"]["persist-credentials"], false, "{file} {name}");
            }
            let script = step["run"].as_str().unwrap_or_default();
            assert!(!script.contains("${{"), "{file} {name}: give it to the script as a variable: {script}");
        }
        let has_end = job["timeout-minutes"].is_number() || job["uses"].is_string();
        assert!(has_end, "{file} {name} could run for ever");
    }
}

#[test]
fn ci_runs_every_check_of_the_project_and_a_release_waits_for_it() {
    let scripts: Vec<_> = steps(&parsed("ci.yaml")["jobs"]["checks"]).iter().map(|step| step["run"].clone()).collect();
    assert!(scripts.contains(&json!(".ci/run")), "{scripts:?}");
    let release = parsed("release.yaml");
    assert_eq!(release["jobs"]["ci"]["uses"], "./.github/workflows/ci.yaml");
    for (job, before) in [
        ("image", "ci"),
        ("publish", "image"),
        ("chart", "publish"),
        ("plugin", "ci"),
        ("release", "chart"),
        ("release", "plugin"),
    ] {
        let needs = release["jobs"][job]["needs"].as_array().unwrap();
        assert!(needs.contains(&json!(before)), "{job} does not wait for {before}");
    }
}

#[test]
fn what_is_published_is_what_the_chart_asks_for() {
    let release = parsed("release.yaml");
    let values = fs::read_to_string(repository().join("deploy/helm/cognigy-operator/values.yaml")).unwrap();
    let values: Value = serde_saphyr::from_str(&values).unwrap();
    let project = env!("CARGO_PKG_REPOSITORY").strip_prefix("https://github.com/").unwrap();
    let image = release["env"]["IMAGE"].as_str().unwrap().replace("${{ github.repository }}", project);
    assert_eq!(values["image"]["repository"], image.as_str());
    // Its tag is the version alone: the chart's appVersion.
    let publish = steps(&release["jobs"]["publish"]);
    let index = publish.iter().find(|step| step["id"] == "index").unwrap();
    assert!(index["run"].as_str().unwrap().contains("imagetools create --tag \"$IMAGE:$VERSION\""), "{index}");
}

/// A folder with what the scripts of the job `prepare` read, in a repository with one commit.
struct Checkout(tempfile::TempDir);

impl Checkout {
    fn new() -> Self {
        let checkout = Self(tempfile::tempdir().unwrap());
        for file in ["Cargo.toml", "CHANGELOG.md", "Dockerfile", "deploy/helm/cognigy-operator/Chart.yaml"] {
            fs::create_dir_all(checkout.path(file).parent().unwrap()).unwrap();
            fs::copy(repository().join(file), checkout.path(file)).unwrap();
        }
        for arguments in [&["init", "--quiet"][..], &["commit", "--quiet", "--allow-empty", "--message=One"]] {
            let mut git = Command::new("git");
            git.args(["-c", "user.name=one", "-c", "user.email=one@example.com"]).args(arguments);
            git.env("GIT_COMMITTER_DATE", "2026-01-02T03:04:05Z").current_dir(checkout.0.path());
            assert!(git.status().unwrap().success());
        }
        checkout
    }

    fn path(&self, file: &str) -> PathBuf {
        self.0.path().join(file)
    }

    /// Runs a step of the job `prepare` as GitHub does, for this tag: its outputs, or what it complains about.
    fn run(&self, id: &str, tag: &str) -> Result<String, String> {
        let steps = steps(&parsed("release.yaml")["jobs"]["prepare"]);
        let step = steps.iter().find(|step| step["id"] == id).unwrap();
        let outputs = self.path("outputs");
        fs::write(&outputs, "").unwrap();
        let mut bash = Command::new("bash");
        bash.args(["--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"].as_str().unwrap()]);
        bash.env("GITHUB_REF_NAME", tag).env("GITHUB_OUTPUT", &outputs).current_dir(self.0.path());
        let ended = bash.output().unwrap();
        let told = [ended.stdout, ended.stderr].map(|text| String::from_utf8(text).unwrap()).concat();
        if ended.status.success() { Ok(fs::read_to_string(outputs).unwrap()) } else { Err(told) }
    }
}

#[test]
fn a_tag_that_is_not_the_version_of_program_and_chart_is_refused() {
    let (checkout, version) = (Checkout::new(), env!("CARGO_PKG_VERSION"));
    let outputs = checkout.run("version", &format!("v{version}")).unwrap();
    assert_eq!(outputs, format!("version={version}\nepoch=1767323045\ncreated=2026-01-02T03:04:05Z\n"));

    let told = checkout.run("version", "v9.9.9").unwrap_err();
    assert!(
        told.contains(&format!("the tag is v9.9.9, the program's version {version}, the chart's {version}")),
        "{told}"
    );
    let chart = checkout.path("deploy/helm/cognigy-operator/Chart.yaml");
    let text = fs::read_to_string(&chart).unwrap();
    fs::write(&chart, text.replace(&format!("\nversion: {version}"), "\nversion: 9.9.8")).unwrap();
    let told = checkout.run("version", &format!("v{version}")).unwrap_err();
    assert!(told.contains("the chart's 9.9.8"), "{told}");
}

#[test]
fn the_notes_of_a_release_are_its_part_of_the_changelog() {
    let checkout = Checkout::new();
    let changelog =
        "# Changelog\n\n## [Unreleased]\n\n## [0.2.0] - 2026-02-01\n\n### Added\n\n- More.\n\n## [0.1.0]\n\n- Less.\n";
    fs::write(checkout.path("CHANGELOG.md"), changelog).unwrap();
    let outputs = checkout.run("changelog", "v0.2.0").unwrap();
    assert_eq!(outputs, "notes<<END-OF-NOTES\n\n### Added\n\n- More.\nEND-OF-NOTES\n");
    for without_notes in ["v0.3.0", "v0"] {
        let told = checkout.run("changelog", without_notes).unwrap_err();
        assert!(told.contains("CHANGELOG.md has nothing under"), "{told}");
    }
}

#[test]
fn krew_is_told_the_checksum_of_every_archive_of_the_plugin() {
    let release = parsed("release.yaml");
    let built = release["jobs"]["plugin"]["strategy"]["matrix"]["include"].as_array().unwrap();
    let built: Vec<_> = built.iter().map(|one| one["platform"].as_str().unwrap()).collect();
    let folder = tempfile::tempdir().unwrap();
    for platform in &built {
        fs::write(folder.path().join(format!("kubectl-cognigy_{platform}.tar.gz")), platform).unwrap();
    }
    let output =
        Command::new(repository().join("deploy/krew/render")).arg("1.2.3").arg(folder.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let manifest: Value = serde_saphyr::from_str(&text).unwrap();
    assert_eq!((&manifest["kind"], &manifest["spec"]["version"]), (&json!("Plugin"), &json!("v1.2.3")));
    let platforms = manifest["spec"]["platforms"].as_array().unwrap();
    assert_eq!(platforms.len(), built.len());
    for (named, platform) in platforms.iter().zip(built) {
        let labels = &named["selector"]["matchLabels"];
        assert_eq!(format!("{}_{}", labels["os"].as_str().unwrap(), labels["arch"].as_str().unwrap()), platform);
        let repository = env!("CARGO_PKG_REPOSITORY");
        assert_eq!(
            named["uri"],
            format!("{repository}/releases/download/v1.2.3/kubectl-cognigy_{platform}.tar.gz").as_str()
        );
        assert_eq!(named["sha256"], format!("{:x}", Sha256::digest(platform)).as_str());
    }
}
