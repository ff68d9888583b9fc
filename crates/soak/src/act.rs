//! Makes happen what the model says.

use std::time::Duration;

use cognigy_operator::api::CognigyWebhook;
use cognigy_simulator::{Answer, Credentials, Fault, Simulator};
use demo::Result;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use kube::{
    Api,
    api::{ApiResource, DeleteParams, DynamicObject, GroupVersionKind, Patch, PatchParams, TypeMeta},
};
use serde_json::{Value, json};

use crate::{
    model::{Drift, HEADER, HEADERS_SECRET, Hook, Model, POLICIES, Step, TENANT, namespace, secret_value},
    stage::{Stage, USER},
};

/// How many objects are written at the same time at the beginning.
const AT_ONCE: usize = 16;
/// How often a write is tried while the API server comes and goes, and how long after.
const TRIES: u32 = 60;
const AGAIN: Duration = Duration::from_secs(1);
/// For how long an installation does not answer.
const HANGS_FOR: Duration = Duration::from_secs(20);
/// The Secret of a tenant's credentials and its CA.
const CREDENTIALS_SECRET: &str = "cognigy-oauth";
const CA: &str = "cognigy-ca";
/// A name of each kind of sink.
pub(crate) const SINKS: [(&str, &str); 3] =
    [("monitoring", "monitoring"), ("alerts", "alerts"), ("deadLetter", "dead-letter")];

/// Tenants, policies, Secrets, and the webhooks of the model.
pub(crate) async fn begin(stage: &Stage, model: &Model) -> Result<()> {
    for (nth, simulator) in stage.simulators.iter().enumerate() {
        apply(stage, json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace(nth)}})).await?;
        credentials(stage, nth).await?;
        let data = json!({"ca.crt": simulator.ca_pem()});
        apply(stage, object(nth, ("v1", "ConfigMap", CA), json!({"data": data}))).await?;
        header_secret(stage, nth, 0).await?;
        for (name, intervals) in POLICIES {
            apply(stage, ours(nth, "RetryPolicy", name, &json!({"intervalsMs": intervals}))).await?;
        }
        apply(stage, ours(nth, "CognigyTenant", TENANT, &tenant(simulator)?)).await?;
    }
    stream::iter(model.hooks.values()).map(Ok).try_for_each_concurrent(AT_ONCE, |hook| webhook(stage, hook)).await
}

/// Makes a step happen. What takes its time goes on by itself.
pub(crate) async fn carry_out(stage: &Stage, step: Step) -> Result<()> {
    match step {
        Step::Apply(hook) => webhook(stage, &hook).await?,
        Step::Delete { home, name } => delete(stage, home, &name).await?,
        Step::RotateHeader { home, nth } => header_secret(stage, home, nth).await?,
        Step::RotateCredentials { tenant, nth } => {
            let client_secret = format!("rotated-{nth}");
            stage.simulators[tenant].set_credentials(Credentials { client_secret, ..Credentials::default() });
            credentials(stage, tenant).await?;
        }
        Step::Drift { tenant, name, drift } => meddle(&stage.simulators[tenant], &name, drift),
        Step::FailChecks { tenant, name, count } => {
            stage.simulators[tenant].callback(&name).answers(vec![Answer::status(503); count]);
        }
        Step::FailSinks { tenant, count } => {
            for (_, sink) in SINKS {
                stage.simulators[tenant].sink(sink).answers(vec![Answer::status(503); count]);
            }
        }
        Step::Hang { tenant } => hang(&stage.simulators[tenant]),
        Step::RestartApiServer => stage.plane.restart_apiserver().await?,
    }
    Ok(())
}

fn tenant(simulator: &Simulator) -> Result<Value> {
    let sinks: Value = SINKS
        .iter()
        .map(|(field, sink)| ((*field).to_owned(), json!({"url": simulator.https_sink_url(sink)})))
        .collect::<serde_json::Map<_, _>>()
        .into();
    Ok(json!({
        "baseUrl": simulator.https_base_url().ok_or("the simulator was started without TLS")?,
        "auth": {"oauth2": {"credentialsSecretRef": {"name": CREDENTIALS_SECRET}}},
        "caBundle": {"configMapRef": {"name": CA, "key": "ca.crt"}},
        "limits": {"requestsPerMinute": 60000, "burst": 1000, "requestTimeoutSeconds": 3},
        "circuitBreaker": {"openSeconds": 5},
        "callbacks": {"allowPrivateNetworks": true},
        "allowedNamespaces": {"from": "All"},
        "resyncPeriodSeconds": 30,
        "sinks": sinks,
    }))
}

async fn credentials(stage: &Stage, tenant: usize) -> Result<()> {
    let Credentials { client_id, client_secret, .. } = stage.simulators[tenant].credentials();
    let data = json!({"stringData": {"client-id": client_id, "client-secret": client_secret}});
    apply(stage, object(tenant, ("v1", "Secret", CREDENTIALS_SECRET), data)).await
}

async fn header_secret(stage: &Stage, home: usize, nth: u32) -> Result<()> {
    let data = json!({"stringData": {"api-key": secret_value(home, nth)}});
    apply(stage, object(home, ("v1", "Secret", HEADERS_SECRET), data)).await
}

async fn webhook(stage: &Stage, hook: &Hook) -> Result<()> {
    let url = stage.simulators[hook.tenant].callback_url(&hook.name);
    let manifest = ours(hook.home, "CognigyWebhook", &hook.name, &hook.spec(url.as_str()));
    // A webhook of this name may still be on its way out: what is applied to it would go with it.
    let api: Api<CognigyWebhook> = Api::namespaced(stage.client.clone(), &namespace(hook.home));
    while try_again(async || api.get_opt(&hook.name).await)
        .await?
        .is_some_and(|one| one.metadata.deletion_timestamp.is_some())
    {
        tokio::time::sleep(AGAIN).await;
    }
    apply(stage, manifest).await
}

async fn delete(stage: &Stage, home: usize, name: &str) -> Result<()> {
    let api: Api<CognigyWebhook> = Api::namespaced(stage.client.clone(), &namespace(home));
    let deleted = try_again(async || match api.delete(name, &DeleteParams::background()).await {
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
        other => other.map(drop),
    });
    deleted.await
}

/// Somebody else at work in Cognigy; nothing where the webhook is not registered at the moment.
fn meddle(simulator: &Simulator, name: &str, drift: Drift) {
    let id = simulator.look(|state| state.integrations().iter().find(|one| one.name == name).map(|one| one.id.clone()));
    let Some(id) = id else { return };
    match drift {
        Drift::Headers => simulator.change_behind(&id, json!({"headers": {HEADER: "somebody else's"}})),
        Drift::Policy => simulator.change_behind(&id, json!({"retryPolicy": null})),
        Drift::Removed => simulator.delete_behind(&id),
    };
}

fn hang(simulator: &Simulator) {
    let handle = (**simulator).clone();
    let fault = handle.fault(Fault::any().hang());
    tokio::spawn(async move {
        tokio::time::sleep(HANGS_FOR).await;
        handle.remove_fault(fault);
    });
}

/// An object of this project, in the namespace of a tenant.
fn ours(nth: usize, kind: &str, name: &str, spec: &Value) -> Value {
    object(nth, ("cognigy.io/v1alpha1", kind, name), json!({"spec": spec}))
}

fn object(nth: usize, (api_version, kind, name): (&str, &str, &str), rest: Value) -> Value {
    let mut object = rest;
    object["apiVersion"] = api_version.into();
    object["kind"] = kind.into();
    object["metadata"] = json!({"name": name, "namespace": namespace(nth)});
    object
}

async fn apply(stage: &Stage, manifest: Value) -> Result<()> {
    let text = |pointer: &str| manifest.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    let types = TypeMeta { api_version: text("/apiVersion"), kind: text("/kind") };
    let resource = ApiResource::from_gvk(&GroupVersionKind::try_from(types)?);
    let api: Api<DynamicObject> = match text("/metadata/namespace").as_str() {
        "" => Api::all_with(stage.client.clone(), &resource),
        namespace => Api::namespaced_with(stage.client.clone(), namespace, &resource),
    };
    let (name, parameters) = (text("/metadata/name"), PatchParams::apply(USER).force());
    try_again(async || api.patch(&name, &parameters, &Patch::Apply(&manifest)).await.map(drop)).await
}

/// The API server may just be away; what it refuses is an error of this program.
pub(crate) async fn try_again<T>(call: impl AsyncFn() -> kube::Result<T>) -> Result<T> {
    let mut tries = 1;
    loop {
        match call().await {
            Ok(value) => return Ok(value),
            Err(kube::Error::Api(status)) if (400..429).contains(&status.code) && !status.is_conflict() => {
                return Err(kube::Error::Api(status).into());
            }
            Err(error) if tries == TRIES => return Err(error.into()),
            Err(_) => {
                tries += 1;
                tokio::time::sleep(AGAIN).await;
            }
        }
    }
}
