use std::process::Stdio;

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Command,
};

use crate::client::{http_client, send};

#[tokio::test]
async fn the_program_says_where_it_is_and_ends_cleanly_when_told() {
    let mut program = Command::new(env!("CARGO_BIN_EXE_cognigy-simulator"))
        .args(["--path-prefix", "/new", "--locking", "none", "--api-key", "key-of-a-test"])
        .env("COGNIGY_SIMULATOR_CREATE_STATUS", "202")
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(program.stdout.take().unwrap()).lines();
    let ready: Value = serde_json::from_str(&lines.next_line().await.unwrap().unwrap()).unwrap();
    let base = ready["baseUrl"].as_str().unwrap();
    assert!(base.ends_with("/new"));
    assert!(std::fs::read_to_string(ready["caFile"].as_str().unwrap()).unwrap().contains("BEGIN CERTIFICATE"));

    let http = http_client().build().unwrap();
    let post = http.post(format!("{base}/api/v1/integrations")).header("x-api-key", "key-of-a-test");
    let post = post.header("accept", "application/json").header("x-request-id", "webhook-reg-orders-2");
    assert_eq!(send(post.json(&crate::client::orders())).await.status, 202);

    let pid = program.id().unwrap().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().await.unwrap().success());
    assert!(program.wait().await.unwrap().success());
    assert_eq!(lines.next_line().await.unwrap(), None, "one line is all it prints");
}
