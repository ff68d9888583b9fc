//! `timeline` and `compare`: what retry policies do, before they are applied.

use std::{fs, path::Path};

use cognigy_operator::api::RetryPolicy;
use cognigy_simulator::Options;
use resvg::tiny_skia::Pixmap;
use serde_json::{Value, json};
use tokio::process::Command;

use crate::{
    harness::world,
    plugin::{command, ran, run},
};

const PATIENT: &str = "examples/2-retry-policy.yaml";
const BRISK: &str = "examples/6-bot-retry-policy.yaml";

/// The plugin in the workspace's folder, without a cluster.
fn here(arguments: &[&str]) -> Command {
    let mut command = command();
    command.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")).args(arguments);
    command
}

async fn told(arguments: &[&str]) -> String {
    ran(&mut here(arguments)).await.good()
}

async fn figures(arguments: &[&str]) -> Value {
    serde_json::from_str(&told(&[arguments, &["-o", "json"]].concat()).await).unwrap()
}

/// A file with policies of these names and specs.
fn file(policies: &[(&str, Value)]) -> tempfile::NamedTempFile {
    let documents = policies.iter().map(|(name, spec)| {
        let object = json!({"apiVersion": "cognigy.io/v1alpha1", "kind": "RetryPolicy", "metadata": {"name": name}, "spec": spec});
        format!("{object}\n---\n")
    });
    let file = tempfile::NamedTempFile::with_suffix(".yaml").unwrap();
    fs::write(file.path(), documents.collect::<String>()).unwrap();
    file
}

fn path(file: &tempfile::NamedTempFile) -> &str {
    file.path().to_str().unwrap()
}

/// The SVG of what these arguments ask for.
async fn svg(arguments: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("it.svg");
    told(&[arguments, &["--svg", file.to_str().unwrap()]].concat()).await;
    fs::read_to_string(file).unwrap()
}

/// The PNG of the same.
async fn png(arguments: &[&str]) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("it.png");
    told(&[arguments, &["--png", file.to_str().unwrap()]].concat()).await;
    fs::read(file).unwrap()
}

#[tokio::test]
async fn a_policy_of_a_file_is_told_without_a_cluster() {
    insta::assert_snapshot!(told(&["timeline", "-f", PATIENT]).await);
}

#[tokio::test]
async fn a_window_that_leaves_retries_out_is_seen() {
    let spec = json!({"maxRetries": 10, "backoff": {"baseDelayMs": 200_000, "maxDelayMs": 86_400_000}, "maxRetryWindowSeconds": 7200});
    let file = file(&[("slow", spec)]);
    let told = told(&["timeline", "-f", path(&file), "--failure-rate", "40", "-o", "wide"]).await;
    insta::assert_snapshot!(told.replace(path(&file), "FILE"));
}

#[tokio::test]
async fn all_numbers_are_there_for_programs() {
    let arguments = ["timeline", "-f", PATIENT, "--simulate", "1000", "--seed", "7"];
    insta::assert_snapshot!(told(&[arguments.as_slice(), &["-o", "json"]].concat()).await);
    let yaml: Value = serde_saphyr::from_str(&told(&[arguments.as_slice(), &["-o", "yaml"]].concat()).await).unwrap();
    assert_eq!(yaml, figures(&arguments).await);
}

#[tokio::test]
async fn two_policies_are_told_side_by_side() {
    insta::assert_snapshot!(told(&["compare", "-f", PATIENT, "-f", BRISK]).await);
    let figures = figures(&["compare", "-f", PATIENT, "-f", BRISK]).await;
    assert_eq!([&figures["policies"][0]["name"], &figures["policies"][1]["name"]], ["patient", "brisk"]);
}

#[tokio::test]
async fn pictures_are_the_same_each_time() {
    insta::assert_snapshot!("patient.svg", svg(&["timeline", "-f", PATIENT]).await);
    let compared = ["compare", "-f", PATIENT, "-f", BRISK, "--simulate", "500", "--theme", "dark"];
    insta::assert_snapshot!("compared.svg", svg(&compared).await);
    assert!(png(&compared).await == png(&compared).await);
}

#[tokio::test]
async fn a_png_is_its_svg_in_twice_the_size_and_its_theme() {
    let arguments = |theme| ["timeline", "-f", BRISK, "--theme", theme];
    let svg = svg(&arguments("dark")).await;
    let painted = |png: Vec<u8>| Pixmap::decode_png(&png).unwrap();
    let (light, dark) = (painted(png(&arguments("light")).await), painted(png(&arguments("dark")).await));
    assert!(svg.contains(&format!("viewBox=\"0 0 {} {}\"", dark.width() / 2, dark.height() / 2)), "{svg}");
    let corner =
        |picture: &Pixmap| picture.pixel(1, 1).map(|pixel| [pixel.red(), pixel.green(), pixel.blue()]).unwrap();
    assert_eq!((corner(&light), corner(&dark)), ([255, 255, 255], [13, 17, 23]));
    // Letters are painted: the title is white on black.
    let title = (64..400).flat_map(|x| (64..100).map(move |y| (x, y)));
    let inked = title.filter(|(x, y)| dark.pixel(*x, *y).is_some_and(|pixel| pixel.red() > 200)).count();
    assert!(inked > 500, "{inked} bright pixels where the title should be");
    assert!(painted(png(&arguments("auto")).await).data() == light.data(), "a PNG cannot know its surroundings");
}

#[tokio::test]
async fn a_chart_is_as_wide_as_its_terminal_and_plain_in_a_pipe() {
    for columns in ["50", "132"] {
        let told = ran(here(&["timeline", "-f", PATIENT]).env("COLUMNS", columns)).await.good();
        let lines = told.lines().filter(|line| line.contains(['│', '└'])).map(|line| line.chars().count());
        let (widest, columns) = (lines.max().unwrap(), columns.parse::<usize>().unwrap());
        assert!(widest <= columns && widest + 12 > columns, "{widest} of {columns}:\n{told}");
        assert!(!told.contains('\u{1b}'), "{told}");
    }
}

#[tokio::test]
async fn at_the_ends_everything_or_nothing_comes_through() {
    let through = async |rate| {
        let figures = figures(&["timeline", "-f", PATIENT, "--failure-rate", rate, "--simulate", "50"]).await;
        let shares: Vec<f64> =
            figures["tries"].as_array().unwrap().iter().map(|one| one["throughPercent"].as_f64().unwrap()).collect();
        (shares, figures["simulation"]["delivered"].clone(), figures["simulation"]["timeToDeliveryMs"].clone())
    };
    assert_eq!(through("0").await, (vec![100.0; 5], json!(50), json!({"median": 0.0, "p95": 0.0, "max": 0.0})));
    assert_eq!(through("100").await, (vec![0.0; 5], json!(0), Value::Null));
}

#[tokio::test]
async fn simulated_deliveries_come_through_as_often_as_reckoned() {
    let figures = figures(&["timeline", "-f", PATIENT, "--failure-rate", "60", "--simulate", "200000"]).await;
    let reckoned = 100.0 - figures["givenUp"]["percent"].as_f64().unwrap();
    let simulated = figures["simulation"]["deliveredPercent"].as_f64().unwrap();
    // Five standard deviations of a share of 92 % among 200,000.
    assert!((reckoned - simulated).abs() < 0.3, "{reckoned} % and {simulated} %");
}

#[tokio::test]
async fn the_figures_of_a_policy_in_the_cluster_are_those_of_its_status() {
    world(Options::default(), async |world| {
        let spec = json!({"maxRetries": 6, "backoff": {"strategy": "Linear", "baseDelayMs": 2000, "maxDelayMs": 7000}, "maxRetryWindowSeconds": 20});
        world
            .apply(json!({"apiVersion": "cognigy.io/v1alpha1", "kind": "RetryPolicy", "metadata": {"name": "steady"}, "spec": spec}))
            .await;
        let described = |policy: &RetryPolicy| policy.status.as_ref().is_some_and(|status| !status.delays_ms.is_empty());
        let policy: RetryPolicy = world.until("steady", described).await;
        let status = policy.status.unwrap();
        let figures: Value =
            serde_json::from_str(&world.plugin(&["timeline", "steady", "-o", "json"]).await.good()).unwrap();
        let waits: Vec<f64> =
            figures["tries"].as_array().unwrap()[1..].iter().map(|one| one["waitMs"].as_f64().unwrap()).collect();
        let delays: Vec<f64> = status.delays_ms.iter().map(|delay| f64::from(i32::try_from(*delay).unwrap())).collect();
        assert_eq!(waits, delays);
        assert_eq!(figures["effectiveRetries"], json!(status.effective_retries));
        assert_eq!(figures["simulatedDeliveriesPerThousand"], json!(status.simulated_deliveries_per_thousand));
        let takers: Vec<&Value> =
            figures["apis"].as_array().unwrap().iter().filter(|api| api["takes"] == true).map(|api| &api["api"]).collect();
        assert_eq!(json!(takers), json!(status.supports));

        // What is applied, beside what is about to be.
        let changed = file(&[("steady", json!({"backoff": {}}))]);
        let told = world.plugin(&["compare", "steady", "-f", path(&changed)]).await.good();
        assert!(told.contains(&format!("steady ({}/steady) AT", world.namespace)), "{told}");
        assert!(told.contains(path(&changed)), "{told}");

        let missing = world.plugin(&["timeline", "nobody"]).await;
        let words = format!("cannot read RetryPolicy nobody in namespace {}", world.namespace);
        assert!(missing.code == 2 && missing.err.contains(&words), "{missing:?}");
    })
    .await;
}

#[tokio::test]
async fn what_cannot_be_shown_is_told_with_what_to_change() {
    let two = file(&[("a", json!({"backoff": {}})), ("b", json!({"intervalsMs": [5]}))]);
    let bad = file(&[("a", json!({"backoff": {}, "maxRetries": 11}))]);
    let (two, bad) = (path(&two), path(&bad));
    for (arguments, words) in [
        (vec!["timeline"], "<POLICY>"),
        (vec!["timeline", "-f", "no-such-file"], "no-such-file: No such file"),
        (vec!["timeline", "-f", two], "holds several RetryPolicies, name the one that is meant: a, b"),
        (vec!["timeline", "c", "-f", two], "holds another RetryPolicy: a, b"),
        (vec!["timeline", "-f", bad], "spec.maxRetries of the RetryPolicy is 11 and must be from 1 to 10"),
        (vec!["timeline", "a", "-f", two, "--failure-rate", "101"], "a percentage from 0 to 100 is needed"),
        (vec!["timeline", "a", "-f", two, "--simulate", "0"], "0 is not in 1..=10000000"),
        (vec!["timeline", "a", "-f", two, "--svg", "/no/such/folder/a.svg"], "/no/such/folder/a.svg: No such file"),
        (vec!["compare", "-f", two, "-f", two], "two RetryPolicies can be compared, and 4 are given: a, b, a, b"),
    ] {
        let ran = run(&arguments).await;
        assert!(ran.code == 2 && ran.err.contains(words) && ran.out.is_empty(), "{arguments:?}: {ran:?}");
    }
    let named = figures(&["timeline", "b", "-f", two]).await;
    assert_eq!(named["givenUp"]["atMs"], 5.0);
}
