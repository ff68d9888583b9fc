//! The API server with the definitions of `deploy/crds`, and tables of objects to try on it.

use std::{path::PathBuf, process::Command, time::Duration};

use cognigy_operator::api::{CognigyTenant, CognigyWebhook, RetryPolicy};
use control_plane::{ControlPlane, User};
use kube::{
    Api, Client, Config, Resource, ResourceExt,
    api::{DynamicObject, ListParams, PostParams},
    config::{KubeConfigOptions, Kubeconfig},
    core::ApiResource,
};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::lay_over::lay_over;

pub const NAMESPACE: &str = "default";
const PATIENCE: Duration = Duration::from_mins(1);

/// The API server with the definitions installed, once per run.
pub async fn plane() -> &'static ControlPlane {
    static INSTALLED: OnceCell<()> = OnceCell::const_new();
    let plane = ControlPlane::shared().await.unwrap_or_else(|error| panic!("{error}"));
    INSTALLED.get_or_init(|| install(plane)).await;
    plane
}

async fn install(plane: &ControlPlane) {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("deploy/crds");
    let told = run(plane.kubectl().args(["apply", "--warnings-as-errors", "-f"]).arg(folder));
    assert_eq!(told.stderr, "", "kubectl apply must not warn");
    run(plane.kubectl().args(["wait", "--for=condition=Established", "--timeout=60s", "crd", "--all"]));
    let client = client(plane).await;
    for kind in [resource::<CognigyTenant>(), resource::<RetryPolicy>(), resource::<CognigyWebhook>()] {
        let api: Api<DynamicObject> = Api::all_with(client.clone(), &kind);
        let served = async {
            while api.list(&ListParams::default()).await.is_err() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, served).await.unwrap_or_else(|_| panic!("{} is not served", kind.kind));
    }
}

async fn client(plane: &ControlPlane) -> Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let kubeconfig = Kubeconfig::from_yaml(&plane.kubeconfig(&User::admin()).unwrap()).unwrap();
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
    Client::try_from(config).unwrap()
}

/// A client of the calling test's own runtime.
pub async fn admin() -> Client {
    client(plane().await).await
}

fn resource<K: Resource<DynamicType = ()>>() -> ApiResource {
    ApiResource::erase::<K>(&())
}

/// The objects of one kind, untyped, so that bad ones can be written.
pub async fn objects<K: Resource<DynamicType = ()>>() -> Api<DynamicObject> {
    Api::namespaced_with(admin().await, NAMESPACE, &resource::<K>())
}

/// An object with this spec, given as YAML and laid over `base`; null removes a field.
pub fn object<K: Resource<DynamicType = ()>>(name: &str, base: &str, spec: &str) -> DynamicObject {
    let mut whole = yaml(base);
    lay_over(&mut whole, yaml(spec));
    DynamicObject::new(name, &resource::<K>()).within(NAMESPACE).data(json!({"spec": whole}))
}

fn yaml(text: &str) -> Value {
    serde_saphyr::from_str(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// One object that the API server must refuse.
pub struct Refused {
    /// Its spec as YAML, laid over the kind's good one.
    pub spec: &'static str,
    /// The field that the message must name.
    pub field: &'static str,
    /// What else the message must say: the limit, and what to do.
    pub says: &'static str,
}

/// A row of a table of refused objects.
pub const fn refused(spec: &'static str, field: &'static str, says: &'static str) -> Refused {
    Refused { spec, field, says }
}

/// Tries every row and shows all that went otherwise at once.
pub async fn assert_refused<K: Resource<DynamicType = ()>>(base: &str, table: &[Refused]) {
    let api = objects::<K>().await;
    let mut wrong = Vec::new();
    for Refused { spec, field, says } in table {
        match api.create(&dry_run(), &object::<K>("tried", base, spec)).await {
            Ok(_) => wrong.push(format!("{spec}\n  was accepted")),
            Err(error) => wrong.extend(complaint(&error, field, says).map(|why| format!("{spec}\n  {why}"))),
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), table.len(), wrong.join("\n"));
}

/// Tries every row and shows all that were refused at once.
pub async fn assert_accepted<K: Resource<DynamicType = ()>>(base: &str, table: &[&str]) {
    let api = objects::<K>().await;
    let mut wrong = Vec::new();
    for spec in table {
        if let Err(error) = api.create(&dry_run(), &object::<K>("tried", base, spec)).await {
            wrong.push(format!("{spec}\n  {error}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), table.len(), wrong.join("\n"));
}

fn dry_run() -> PostParams {
    PostParams { dry_run: true, ..PostParams::default() }
}

/// What is missing from the refusal that a user sees; nothing when all is there.
pub fn complaint(error: &kube::Error, field: &str, says: &str) -> Option<String> {
    let kube::Error::Api(status) = error else { return Some(format!("was not answered: {error}")) };
    let of_field =
        status.message.contains(&format!("{field}: ")) || status.message.contains(&format!("{field} in body"));
    let good = status.code == 422 && of_field && status.message.contains(says);
    (!good).then(|| format!("should name {field} and say {says:?}, but {}: {}", status.code, status.message))
}

/// Creates an object, really.
pub async fn create<K: Resource<DynamicType = ()>>(api: &Api<DynamicObject>, name: &str, base: &str, spec: &str) {
    let created = api.create(&PostParams::default(), &object::<K>(name, base, spec)).await;
    let created = created.unwrap_or_else(|error| panic!("{name}: {error}"));
    assert_eq!(created.name_any(), name);
}

/// What a command printed.
pub struct Told {
    pub stdout: String,
    pub stderr: String,
}

/// Runs a command that must succeed.
pub fn run(command: &mut Command) -> Told {
    let output = command.output().unwrap();
    let told =
        Told { stdout: String::from_utf8(output.stdout).unwrap(), stderr: String::from_utf8(output.stderr).unwrap() };
    assert!(output.status.success(), "{command:?}: {}", told.stderr);
    told
}
