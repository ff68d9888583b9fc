//! The program as it is started by people and by the chart.
#![allow(clippy::unwrap_used)]

use std::process::{Command, Output};

fn cognigy_operator(arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_cognigy-operator"))
        .args(arguments)
        .env_clear()
        .envs(variables.iter().copied())
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn crds_prints_the_definitions_and_nothing_else() {
    let output = cognigy_operator(&["crds"], &[]);
    assert!(output.status.success());
    assert_eq!(text(&output.stdout), cognigy_operator::api::crds_yaml().unwrap());
    assert_eq!(text(&output.stderr), "");
}

#[test]
fn bad_variables_are_refused_like_bad_flags() {
    let output = cognigy_operator(&["run"], &[("COGNIGY_OPERATOR_ALLOW_PRIVATE_CALLBACKS", "10.0.0.0/8,private")]);
    assert_eq!(output.status.code(), Some(2));
    let told = text(&output.stderr);
    assert!(told.contains("`private` is not a network") && told.contains("--allow-private-callbacks"), "{told}");
    let output = cognigy_operator(&["run"], &[("COGNIGY_OPERATOR_LEADER_ELECT", "perhaps")]);
    assert_eq!(output.status.code(), Some(2));
    let told = text(&output.stderr);
    assert!(told.contains("invalid value 'perhaps' for '--leader-elect"), "{told}");
}

#[test]
fn help_names_every_flag_with_its_variable() {
    let output = cognigy_operator(&["run", "--help"], &[]);
    let help = text(&output.stdout);
    for flag in [
        "watch-namespaces",
        "watch-label-selector",
        "http-listen",
        "leader-elect",
        "leader-election-namespace",
        "max-concurrent-reconciles",
        "log-format",
        "log-level",
        "otlp-endpoint",
        "allow-insecure-http",
        "allow-private-callbacks",
        "shutdown-grace-seconds",
    ] {
        let variable = format!("COGNIGY_OPERATOR_{}", flag.to_uppercase().replace('-', "_"));
        assert!(help.contains(&format!("--{flag}")) && help.contains(&variable), "{flag}:\n{help}");
    }
}
