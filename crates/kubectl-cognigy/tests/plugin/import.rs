//! `import`: what Cognigy holds, as manifests that change nothing when they are applied.

use std::{fs, path::Path, process::Stdio};

use cognigy_operator::api::{CognigyWebhook, RetryPolicy};
use cognigy_simulator::{BotWebhook, Fault, Options, Request, RetryAfter, Route};
use kube::{ResourceExt as _, api::ListParams};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::{
    harness::{World, world, world_without_operator},
    plugin::{Ran, command, ran},
};

/// A script's registration; `change` has other fields.
fn registration(name: &str, version: i64, change: &Value) -> Value {
    let mut fields = json!({
        "name": name, "version": version, "url": format!("https://api.example.com/hooks/{}", name.replace(' ', "-")), "status": "active",
        "idempotencyKey": format!("{name}:{version}"),
    });
    for (field, value) in change.as_object().unwrap() {
        fields[field] = value.clone();
    }
    fields
}

fn intervals(id: &str, intervals: &[i64], percent: f64) -> Value {
    json!({
        "webhookId": id, "maxRetries": intervals.len(), "backoffType": "exponential", "intervalsMs": intervals,
        "failureThresholdPercent": percent,
    })
}

fn window(retries: u32, strategy: &str, base: i64) -> Value {
    json!({
        "enabled": true, "maxAttempts": retries, "backoffStrategy": strategy, "baseDelayMs": base, "maxDelayMs": 30000,
        "maxRetryWindowSeconds": 3600,
    })
}

fn of_bot(bot: &str, id: &str, name: &str, policy: Option<Value>) -> BotWebhook {
    let url = format!("https://bots.example.com/{bot}/{id}");
    BotWebhook { id: id.into(), retry_policy: policy, ..BotWebhook::new(bot, name, &url) }
}

/// What scripts left behind: 100 names with some older versions, and 150 webhooks of three bots.
fn scripts_were_here(world: &World) {
    for nth in 0..100_i64 {
        let id = format!("wh_{nth:03}");
        let policy = match nth % 5 {
            0 => Value::Null,
            1 => intervals(&id, &[1000, 2000, 4000], 15.0),
            2 => intervals(&id, &[1000, 2500, 6250, 15625], 15.0),
            3 => intervals(&id, &[500, 1000], 20.0),
            // None that a RetryPolicy can say.
            _ => intervals(&id, &[1000, 2500], 12.5),
        };
        let headers = match nth % 3 {
            0 => json!({}),
            1 => json!({"X-Environment": "production"}),
            _ => json!({"X-Environment": "production", "Authorization": secret(nth), "X-Api_Key": secret(nth)}),
        };
        let version = 1 + nth % 4;
        let change = json!({
            "id": id, "retryPolicy": policy, "headers": headers,
            "status": if nth % 7 == 0 { "inactive" } else { "active" },
            "method": match nth % 3 { 0 => "POST", 1 => "PUT", _ => "PATCH" },
            "payloadFormat": if nth % 6 == 0 { "application/cloudevents+json" } else { "application/json" },
        });
        world.add_integration(registration(&name(nth), version, &change));
        if version == 4 {
            let change = json!({"id": format!("wh_{nth:03}_old"), "status": "inactive"});
            world.add_integration(registration(&name(nth), 3, &change));
        }
    }
    for nth in 0..150 {
        let policy = [window(3, "exponential", 1000), window(5, "linear", 2000), json!({"maxAttempts": 4})];
        let (bot, policy) = (format!("bot-{}", nth % 3), policy[nth % 3].clone());
        world.add_bot_webhook(of_bot(&bot, &format!("bw_{nth:03}"), &format!("Hook {}", nth / 2), Some(policy)));
    }
}

/// Names as people give them: of several forms, and some that are one and the same to Kubernetes.
fn name(nth: i64) -> String {
    match nth % 8 {
        0 => format!("orders-{}", nth / 8),
        4 => format!("Orders-{}", nth / 8),
        1 | 5 => format!("Billing {nth}"),
        2 | 6 => format!("CRM_hook/{nth}"),
        _ => format!("hook-{nth:03}"),
    }
}

fn secret(nth: i64) -> String {
    format!("Bearer value-of-{nth}")
}

/// Everything but reading, and fetching a token.
fn changes(world: &World) -> Vec<Request> {
    let requests = world.sim.requests().into_iter();
    requests.filter(|request| request.method != "GET" && request.route != Some(Route::Token)).collect()
}

async fn kubectl(world: &World, arguments: &[&str]) -> String {
    let mut kubectl = Command::from(world.plane.kubectl());
    let output = kubectl.args(arguments).stdin(Stdio::null()).kill_on_drop(true).output().await.unwrap();
    let [out, err] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    assert!(output.status.success() && err.is_empty(), "{err}");
    out
}

/// The files of a folder with what is in them, in their order.
fn files(folder: &Path) -> Vec<(String, String)> {
    let mut found: Vec<_> = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push((path.display().to_string(), fs::read_to_string(&path).unwrap()));
        }
    }
    found.sort();
    found
}

/// Fills in the Secrets as a person would, who knows what Cognigy has.
async fn fill_in(world: &World, folder: &Path) -> usize {
    let templates = files(&folder.join("secrets"));
    for (_, text) in &templates {
        let mut secret: Value = serde_saphyr::from_str(text).unwrap();
        let id = text.split_whitespace().find(|word| word.starts_with("wh_")).unwrap();
        let headers = world.integration(id).unwrap().headers;
        let mut data = json!({});
        for line in text.lines().filter(|line| line.contains("The value of the header")) {
            let header = line.rsplit(' ').next().unwrap().trim_end_matches('.');
            let key = header.to_lowercase().replace('_', "_5f");
            assert_eq!(secret["stringData"][&key], "", "{text}");
            data[key] = headers[header].clone();
        }
        secret["stringData"] = data;
        world.apply(secret).await;
    }
    templates.len()
}

fn is_ready(webhook: &CognigyWebhook) -> bool {
    let status = webhook.status.clone().unwrap_or_default();
    status.observed_generation == webhook.metadata.generation
        && status.conditions.iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

/// Applies the files and waits until the operator is content with each webhook; how many there are.
async fn apply(world: &World, folder: &str) -> usize {
    kubectl(world, &["apply", "--warnings-as-errors", "-f", folder]).await;
    let webhooks = world.api::<CognigyWebhook>().list(&ListParams::default()).await.unwrap().items;
    for webhook in &webhooks {
        world.until(&webhook.name_any(), is_ready).await;
    }
    webhooks.len()
}

/// A repeated registration that Cognigy answers with what it has.
fn is_harmless(request: &Request) -> bool {
    request.route == Some(Route::CreateIntegration) && request.status == Some(200)
}

#[tokio::test]
async fn applying_an_import_of_250_webhooks_changes_nothing_outside() {
    world(Options::default(), async |world| {
        scripts_were_here(world);
        world.tenant("production", json!({})).await;
        world.until_tenant("production", "Connected").await;
        let before = (world.integrations(), world.bot_webhooks(), world.history());
        world.clear_log();

        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().display().to_string();
        let bots = ["--bot", "bot-0", "--bot", "bot-1", "--bot", "bot-2"];
        let arguments = [&["import", "--tenant", "production", "--out", &out, "-o", "json"], &bots[..]].concat();
        let ran = world.plugin(&arguments).await;
        assert_eq!(ran.code, 1, "{ran:?}");
        assert!(changes(world).is_empty(), "an import only reads");
        let told: Value = serde_json::from_str(&ran.out).unwrap();
        assert_eq!((&told["webhooks"], &told["existing"], &told["secrets"]), (&json!(250), &json!(150), &json!(33)));
        // Only the policies that no RetryPolicy can say.
        let findings = told["findings"].as_array().unwrap();
        assert!(findings.len() == 20 && findings.iter().all(|one| one["message"].as_str().unwrap().contains("12.5")));

        assert_eq!(fill_in(world, folder.path()).await, 33);
        assert_eq!(apply(world, &out).await, 250);
        assert_eq!(changes(world).len(), 100, "each registration is repeated once");
        assert!(changes(world).iter().all(is_harmless), "{:#?}", changes(world));
        assert_eq!((world.integrations(), world.bot_webhooks(), world.history()), before);
        // Equal policies are one: of three of webhooks and three of bots two are the same.
        assert_eq!(world.api::<RetryPolicy>().list(&ListParams::default()).await.unwrap().items.len(), 5);

        let again = tempfile::tempdir().unwrap();
        let out = again.path().display().to_string();
        world.plugin(&[&["import", "--tenant", "production", "--out", &out], &bots[..]].concat()).await;
        let texts = |folder: &Path| files(folder).into_iter().map(|(_, text)| text).collect::<Vec<_>>();
        assert!(texts(again.path()) == texts(folder.path()), "the same comes to the same files");
    })
    .await;
}

/// Registrations and bots' webhooks of which some cannot be said.
fn odd_things(world: &World) {
    let add = |name: &str, version: i64, change: Value| world.add_integration(registration(name, version, &change));
    let orders = intervals("wh_orders", &[1000, 2500, 6250, 15625], 15.0);
    let headers = json!({"X-Environment": "production", "X-Api-Key": "hunter2-of-orders"});
    add("OrderFulfillment", 2, json!({"id": "wh_orders", "retryPolicy": orders, "headers": headers}));
    add("OrderFulfillment", 1, json!({"id": "wh_orders_1", "status": "inactive"}));
    add("billing", 1, json!({"id": "wh_billing", "status": "inactive", "method": "PUT"}));
    add("shipping", 1, json!({"id": "wh_shipping", "retryPolicy": intervals("wh_shipping", &[1000], 12.5)}));
    add("twice", 1, json!({"id": "wh_twice_1"}));
    add("twice", 2, json!({"id": "wh_twice_2"}));
    let by_hand = json!({
        "id": "wh_by_hand", "idempotencyKey": null, "retryPolicy": intervals("wh_by_hand", &[1000, 2000, 4000], 15.0),
    });
    add("by-hand", 1, by_hand);
    add("talkative", 1, json!({"id": "wh_talkative", "url": "https://api.example.com/hook?code=hunter2-in-the-url"}));
    world.add_bot_webhook(of_bot("bot-0", "bw_0", "Escalation", Some(window(3, "exponential", 1000))));
    world.add_bot_webhook(of_bot("bot-0", "bw_1", "Escalation", Some(window(5, "linear", 2000))));
    world.add_bot_webhook(of_bot("bot-0", "bw_2", "Off", Some(json!({"enabled": false}))));
    world.add_bot_webhook(of_bot("bot-0", "bw_3", "Plain", None));
}

#[tokio::test]
async fn manifests_say_what_stands_in_cognigy_and_what_they_leave_out() {
    world_without_operator(Options::default(), async |world| {
        odd_things(world);
        world.tenant("production", json!({})).await;
        let ran = world.plugin(&["import", "--tenant", "production", "--bot", "bot-0"]).await;
        assert_eq!(ran.code, 1, "{ran:?}");
        insta::assert_snapshot!("import_manifests", ran.out.replace(&world.namespace, "NAMESPACE"));
        insta::assert_snapshot!("import_summary", ran.err);
        assert!(!(ran.out + &ran.err).contains("hunter2"), "a secret is shown");
        assert!(changes(world).is_empty());

        let json = world.plugin(&["import", "--tenant", "production", "--bot", "bot-0", "-o", "json"]).await;
        let list: Value = serde_json::from_str(&json.out).unwrap();
        let kinds = |kind: &str| list["items"].as_array().unwrap().iter().filter(|one| one["kind"] == kind).count();
        assert_eq!((kinds("RetryPolicy"), kinds("Secret"), kinds("CognigyWebhook")), (3, 1, 7), "{list:#}");
    })
    .await;
}

#[tokio::test]
async fn what_cannot_be_said_is_left_as_it_is_when_the_rest_is_applied() {
    world(Options::default(), async |world| {
        odd_things(world);
        world.tenant("production", json!({})).await;
        world.until_tenant("production", "Connected").await;
        let before = (world.integrations(), world.bot_webhooks(), world.history());
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().display().to_string();
        let ran = world.plugin(&["import", "--tenant", "production", "--bot", "bot-0", "--out", &out]).await;
        assert_eq!(ran.code, 1, "{ran:?}");
        fill_in(world, folder.path()).await;
        let told = world.plugin(&["diff", "-f", &out]).await.good();
        assert_eq!(told.matches("is adopted as it is, and nothing is written to Cognigy\n").count(), 4, "{told}");
        assert!(told.ends_with("\n3 as it should be, 4 with a note\n"), "{told}");
        assert_eq!(apply(world, &out).await, 7);
        assert_eq!(changes(world).len(), 4, "each registration that can be said is repeated once");
        assert!(changes(world).iter().all(is_harmless), "{:#?}", changes(world));
        assert_eq!((world.integrations(), world.bot_webhooks(), world.history()), before);
    })
    .await;
}

#[tokio::test]
async fn what_the_api_server_would_refuse_is_told_as_check_tells_it() {
    world_without_operator(Options::default(), async |world| {
        world.tenant("production", json!({})).await;
        let url = "http://api.example.com/hooks/plain";
        for (name, id) in [("plain", "wh_plain"), ("long", &*"w".repeat(129))] {
            let policy = intervals(id, &[1000, 2000], 15.0);
            world.add_integration(registration(name, 1, &json!({"id": id, "url": url, "retryPolicy": policy})));
        }
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("imported");
        let arguments = ["import", "--tenant", "production", "--out", out.to_str().unwrap(), "-o", "json"];
        let told: Value = serde_json::from_str(&world.plugin(&arguments).await.out).unwrap();
        let manifest = json!({
            "apiVersion": "cognigy.io/v1alpha1", "kind": "CognigyWebhook", "metadata": {"name": "plain"},
            "spec": {"tenantRef": {"name": "production"}, "url": url},
        });
        let file = folder.path().join("plain.json");
        fs::write(&file, manifest.to_string()).unwrap();
        let checked = ran(command().args(["check", "-o", "json", "-f"]).arg(&file)).await;
        let checked: Value = serde_json::from_str(&checked.out).unwrap();
        let refused = &checked["findings"][0];
        let [field, message] = ["field", "message"].map(|name| refused[name].as_str().unwrap());
        let findings = told["findings"].as_array().unwrap();
        let of = |name: &str| findings.iter().find(|one| one["name"] == name).unwrap();
        assert_eq!(of("plain")["message"], format!("{field}: {message}; only its retry policy is managed"));
        assert_eq!(of("plain")["manifest"], "plain", "{findings:#?}");
        let long = of("long")["message"].as_str().unwrap();
        assert!(long.ends_with("; spec.existing.webhookId: may not be more than 128 bytes"), "{long}");
        assert!(of("long").get("manifest").is_none(), "{findings:#?}");
        let out = out.to_str().unwrap();
        kubectl(world, &["apply", "--dry-run=server", "-n", &world.namespace, "-f", out]).await;
    })
    .await;
}

#[tokio::test]
async fn a_name_and_nothing_lost_is_a_good_end() {
    world_without_operator(Options::default(), async |world| {
        odd_things(world);
        world.tenant("production", json!({})).await;
        let told = world.plugin(&["import", "--tenant", "production", "--match", "^(billing|Order.*)$"]).await.good();
        let names: Vec<_> = told.lines().filter_map(|line| line.strip_prefix("  name: ")).collect();
        assert_eq!(
            names,
            ["patient-4x-25s", "order-fulfillment-headers", "billing", "order-fulfillment", "OrderFulfillment"]
        );
        let wrong = world.plugin(&["import", "--tenant", "production", "--match", "("]).await;
        assert!(wrong.code == 2 && wrong.err.contains("regex"), "{wrong:?}");
    })
    .await;
}

#[tokio::test]
async fn files_that_are_there_are_kept_and_filled_in_secrets_always() {
    world_without_operator(Options::default(), async |world| {
        odd_things(world);
        world.tenant("production", json!({})).await;
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("imported");
        let arguments = ["import", "--tenant", "production", "--match", "Order", "--out", out.to_str().unwrap()];
        let first = world.plugin(&arguments).await.good();
        insta::assert_snapshot!("import_files", first.replace(out.to_str().unwrap(), "DIR"));
        let (webhook, secret) =
            (out.join("20-cognigywebhook-order-fulfillment.yaml"), out.join("secrets/order-fulfillment-headers.yaml"));
        fs::write(&webhook, "edited").unwrap();
        fs::write(&secret, "filled in").unwrap();

        let refused = world.plugin(&arguments).await;
        assert!(refused.code == 2 && refused.err.contains("nothing was written"), "{refused:?}");
        assert_eq!(fs::read_to_string(&webhook).unwrap(), "edited");

        let forced = world.plugin(&[&arguments[..], &["--force"]].concat()).await.good();
        assert!(forced.contains("1 kept as they were"), "{forced}");
        assert!(fs::read_to_string(&webhook).unwrap().contains("name: OrderFulfillment"));
        assert_eq!(fs::read_to_string(&secret).unwrap(), "filled in");
    })
    .await;
}

/// Runs an import without a cluster.
async fn of_file(world: &World, tenant: &Value, variables: &[(&str, &str)]) -> Ran {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tenant.yaml");
    fs::write(&file, tenant.to_string()).unwrap();
    let mut command = command();
    command.args(["import", "--match", "billing", "--tenant-file"]).arg(&file);
    command.arg("--ca-file").arg(world.sim.ca_file()).envs(variables.iter().copied());
    ran(&mut command).await
}

#[tokio::test]
async fn without_a_cluster_credentials_come_from_the_environment() {
    world_without_operator(Options::default(), async |world| {
        odd_things(world);
        let tenant = |auth: Value| {
            json!({
                "apiVersion": "cognigy.io/v1alpha1", "kind": "CognigyTenant", "metadata": {"name": "production"},
                "spec": {"baseUrl": world.sim.https_base_url().unwrap(), "auth": auth},
            })
        };
        let credentials = world.sim.credentials();
        let oauth = tenant(json!({"oauth2": {"credentialsSecretRef": {"name": "not-there"}}}));
        let (id, secret) = (("COGNIGY_CLIENT_ID", &*credentials.client_id), credentials.client_secret.as_str());
        let told = of_file(world, &oauth, &[id, ("COGNIGY_CLIENT_SECRET", secret)]).await.good();
        assert!(told.contains("tenantRef:\n    name: production\n") && !told.contains("namespace"), "{told}");
        let key = tenant(json!({"apiKey": {"secretRef": {"name": "not-there"}}}));
        of_file(world, &key, &[("COGNIGY_API_KEY", &credentials.api_key)]).await.good();
        let token = tenant(json!({"bearerToken": {"secretRef": {"name": "not-there"}}}));
        of_file(world, &token, &[("COGNIGY_TOKEN", &credentials.bearer_token)]).await.good();

        let missing = of_file(world, &oauth, &[id]).await;
        assert!(missing.code == 2 && missing.err.contains("$COGNIGY_CLIENT_SECRET is not set"), "{missing:?}");
        let wrong = of_file(world, &oauth, &[id, ("COGNIGY_CLIENT_SECRET", "hunter2-is-wrong")]).await;
        assert!(
            wrong.code == 2 && wrong.err.contains("refused the credentials") && !wrong.err.contains("hunter2"),
            "{wrong:?}"
        );
    })
    .await;
}

#[tokio::test]
async fn an_installation_that_asks_to_wait_or_stumbles_is_asked_again() {
    world_without_operator(Options::default(), async |world| {
        odd_things(world);
        world.tenant("production", json!({})).await;
        world.sim.fault(Fault::on(Route::ListIntegrations).status(429).retry_after(RetryAfter::Seconds(1)).times(1));
        world.sim.fault(Fault::on(Route::GetWebhook).status(503).times(1));
        let told = world.plugin(&["import", "--tenant", "production", "--match", "billing"]).await;
        assert_eq!((told.code, told.err.matches("tried again in").count()), (0, 2), "{told:?}");
        assert!(told.out.contains("name: billing"), "{told:?}");

        world.sim.fault(Fault::on(Route::GetWebhook).status(403));
        let refused = world.plugin(&["import", "--tenant", "production"]).await;
        assert!(refused.code == 2 && refused.out.is_empty() && refused.err.contains("integration:read"), "{refused:?}");
        world.tenant("production", json!({"suspend": true})).await;
        world.clear_log();
        let suspended = world.plugin(&["import", "--tenant", "production"]).await;
        assert!(suspended.code == 2 && suspended.err.contains("suspend") && world.sim.requests().is_empty());
    })
    .await;
}
