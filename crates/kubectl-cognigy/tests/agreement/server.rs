//! The two judges: the API server with the definitions installed, and the plugin as a process.

use std::{collections::BTreeSet, process::Stdio};

use cognigy_operator::{api, cluster::crds, cognigy::install_crypto_provider, server::Readiness};
use control_plane::{ControlPlane, User};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{
    Api, Client, Config, Resource, ResourceExt as _,
    api::{DynamicObject, Patch, PatchParams, PostParams},
    config::{KubeConfigOptions, Kubeconfig},
    core::{ApiResource, GroupVersionKind, Status},
};
use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt as _, process::Command, sync::OnceCell};

use crate::lay_over::lay_over;

/// One object that both must refuse.
pub struct Refused {
    spec: &'static str,
    field: &'static str,
    says: &'static str,
}

/// A row of a table of refused objects.
pub const fn refused(spec: &'static str, field: &'static str, says: &'static str) -> Refused {
    Refused { spec, field, says }
}

/// Tries every row on both.
pub async fn assert_refused<K: Resource<DynamicType = ()>>(base: &str, table: &[Refused]) {
    let objects: Vec<Value> = table.iter().map(|row| object::<K>(base, row.spec)).collect();
    let told = compared(&objects).await;
    let wrong: Vec<String> = table
        .iter()
        .zip(told)
        .filter(|(row, told)| {
            let good = |told: &Told| plain(&told.field) == plain(row.field) && told.message.contains(row.says);
            !told.iter().any(good)
        })
        .map(|(row, told)| format!("{}\n  should name {} and say {:?}: {told:?}", row.spec, row.field, row.says))
        .collect();
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), table.len(), wrong.join("\n"));
}

/// Tries every row on both.
pub async fn assert_accepted<K: Resource<DynamicType = ()>>(base: &str, table: &[&str]) {
    let objects: Vec<Value> = table.iter().map(|spec| object::<K>(base, spec)).collect();
    let told = compared(&objects).await;
    let wrong: Vec<_> = table.iter().zip(told).filter(|(_, told)| !told.is_empty()).collect();
    assert!(wrong.is_empty(), "{} of {}: {wrong:?}", wrong.len(), table.len());
}

fn object<K: Resource<DynamicType = ()>>(base: &str, spec: &str) -> Value {
    let mut whole: Value = serde_saphyr::from_str(base).unwrap();
    lay_over(&mut whole, serde_saphyr::from_str(spec).unwrap());
    json!({"apiVersion": K::api_version(&()), "kind": K::kind(&()), "metadata": {"name": "tried"}, "spec": whole})
}

/// What check says about a field.
#[derive(Clone, Debug)]
pub struct Told {
    pub field: String,
    pub message: String,
}

/// Lets both judge these objects and shows all differences at once; what check said about each.
pub async fn compared(objects: &[Value]) -> Vec<Vec<Told>> {
    let client = client().await;
    let told = checked(objects).await;
    let mut wrong = Vec::new();
    for (object, told) in objects.iter().zip(&told) {
        let difference = match tried(&client, object).await {
            None if told.is_empty() => continue,
            None => "the API server takes it".to_owned(),
            Some(_) if told.is_empty() => "only the API server refuses it".to_owned(),
            Some(status) => match difference(&status, told) {
                None => continue,
                Some(difference) => difference,
            },
        };
        wrong.push(format!("{}\n  check: {told:?}\n  {difference}", shown(object)));
    }
    let shown = wrong.iter().take(400).map(String::as_str).collect::<Vec<_>>().join("\n");
    assert!(wrong.is_empty(), "{} of {} differ:\n{shown}", wrong.len(), objects.len());
    told
}

/// Kind and spec, cut.
fn shown(object: &Value) -> String {
    format!("{} {}", object["kind"], object["spec"]).chars().take(600).collect()
}

/// What the one said and the other did not.
fn difference(status: &Status, told: &[Told]) -> Option<String> {
    // Unknown fields are told before anything else is looked at.
    if status.message.contains("strict decoding error") {
        let all = told.iter().filter(|told| told.message.starts_with("unknown field"));
        let missing: Vec<_> = all.filter(|told| !status.message.contains(&told.field)).collect();
        return (!missing.is_empty()).then(|| format!("not among {}: {missing:?}", status.message));
    }
    let causes: Vec<(String, String)> = status
        .details
        .iter()
        .flat_map(|details| &details.causes)
        // Neither says what is wrong: that and where rules stopped is told by another cause.
        .filter(|cause| !cause.message.contains("some validation rules were not checked"))
        .filter(|cause| !cause.message.contains(" evaluating rule: "))
        // Said of a number besides what its bound or its type says.
        .filter(|cause| !cause.message.contains("Checked value must be of type integer with format"))
        .map(|cause| (cause.field.clone(), cause.message.clone()))
        .collect();
    let same = |(field, message): &(String, String), told: &Told| {
        // A type's name depends on the format there, and the key of a map stands in brackets where a rule is broken.
        let wanted = told.message.split("integer: ").next().unwrap_or_default();
        plain(field) == plain(&told.field)
            && message.replace("type int32", "type integer").replace("type int64", "type integer").contains(wanted)
    };
    let only_server: BTreeSet<_> = causes.iter().filter(|cause| !told.iter().any(|told| same(cause, told))).collect();
    let only_check: Vec<_> = told.iter().filter(|told| !causes.iter().any(|cause| same(cause, told))).collect();
    let good = only_server.is_empty() && only_check.is_empty() && status.code == 422;
    (!good).then(|| format!("only the API server ({}): {only_server:?}\n  only check: {only_check:?}", status.code))
}

fn plain(field: &str) -> String {
    field.replace('[', ".").replace(']', "")
}

/// Why the API server would not take it, asked as kubectl does.
async fn tried(client: &Client, object: &Value) -> Option<Status> {
    let kind = GroupVersionKind::gvk(api::GROUP, api::VERSION, object["kind"].as_str().unwrap());
    let api: Api<DynamicObject> = Api::default_namespaced_with(client.clone(), &ApiResource::from_gvk(&kind));
    let parameters = PostParams { dry_run: true, ..PostParams::default() };
    let mut request =
        kube::core::Request::new(api.resource_url()).create(&parameters, object.to_string().into_bytes()).unwrap();
    let strict = format!("{}&fieldValidation=Strict", request.uri());
    *request.uri_mut() = strict.parse().unwrap();
    match client.request::<Value>(request).await {
        Ok(_) => None,
        Err(kube::Error::Api(status)) => Some(*status),
        Err(error) => panic!("{object}: {error}"),
    }
}

/// What check says about each object, all in one run.
async fn checked(objects: &[Value]) -> Vec<Vec<Told>> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kubectl-cognigy"));
    command.env_clear().args(["check", "--allow-insecure-http", "-o", "json", "-f", "-"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    // A line for each, under a name of its own: so the line tells which one is meant.
    let lines: String = (0..).zip(objects).map(|(nth, object)| one_line(nth, object)).collect();
    let mut input = child.stdin.take().unwrap();
    let written = tokio::spawn(async move { input.write_all(lines.as_bytes()).await });
    let output = child.wait_with_output().await.unwrap();
    written.await.unwrap().unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["unreadable"], json!([]));
    let mut told = vec![Vec::new(); objects.len()];
    for finding in report["findings"].as_array().unwrap() {
        let nth = usize::try_from(finding["line"].as_u64().unwrap()).unwrap() - 1;
        let text = |field: &str| finding[field].as_str().unwrap().to_owned();
        // What only the operator refuses is none of the API server's business.
        if text("reason") == "Refused" {
            told[nth].push(Told { field: text("field"), message: text("message") });
        }
    }
    told
}

fn one_line(nth: usize, object: &Value) -> String {
    let mut object = object.clone();
    if object["metadata"]["name"] == "tried" {
        object["metadata"]["name"] = json!(format!("tried-{nth}"));
    }
    format!("--- {object}\n")
}

async fn client() -> Client {
    static INSTALLED: OnceCell<()> = OnceCell::const_new();
    install_crypto_provider();
    let plane = ControlPlane::shared().await.unwrap();
    let kubeconfig = Kubeconfig::from_yaml(&plane.kubeconfig(&User::admin()).unwrap()).unwrap();
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
    let client = Client::try_from(config).unwrap();
    INSTALLED.get_or_init(|| install(&client)).await;
    client
}

async fn install(client: &Client) {
    let api = Api::<CustomResourceDefinition>::all(client.clone());
    for crd in api::crds() {
        api.patch(&crd.name_any(), &PatchParams::apply("tests").force(), &Patch::Apply(&crd)).await.unwrap();
    }
    crds::wait_until_served(client, &Readiness::default()).await;
}
