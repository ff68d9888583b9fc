//! `examples/` as they are applied: the same objects, with addresses on this machine.

use std::{
    fs,
    path::{Path, PathBuf},
};

use cognigy_simulator::Handle;
use serde_json::{Value, json};
use url::Url;

use crate::{Result, cluster::NAMESPACE};

/// What the tenant of the examples expects its Secret to be called.
pub(crate) const SECRET: &str = "cognigy-oauth";
/// Where the demo puts the certificate of the simulator's authority.
pub(crate) const CA_CONFIG_MAP: &str = "cognigy-ca";
/// Hosts in `examples/` that stand for the reader's own.
const TENANT_HOST: &str = "tenant.example.com";
const HOOKS_HOST: &str = "hooks.example.com";
/// Soon enough for a reader who changes something in Cognigy and wants to see it put right.
const RESYNC_SECONDS: u32 = 10;

/// The workspace's folder.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The files of `deploy/crds/`.
pub(crate) fn definitions() -> Result<Vec<PathBuf>> {
    yaml_files(&root().join("deploy/crds"))
}

/// The objects of `examples/`, in the order of their files, as kubectl takes them.
pub(crate) fn examples(simulator: &Handle) -> Result<Vec<Value>> {
    let base = simulator.https_base_url().ok_or("the simulator was started without TLS")?;
    yaml_files(&root().join("examples"))?
        .iter()
        .map(|file| {
            let text = fs::read_to_string(file)?;
            let mut object = serde_saphyr::from_str(&text).map_err(|error| format!("{}: {error}", file.display()))?;
            localise(&mut object, &base, |name| simulator.callback_url(name));
            Ok(object)
        })
        .collect()
}

/// The credentials that the simulator accepts and the certificate that it shows.
pub(crate) fn access(simulator: &Handle) -> Value {
    let credentials = simulator.credentials();
    let metadata = |name| json!({"name": name, "namespace": NAMESPACE});
    list(&[
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata(SECRET),
               "stringData": {"client-id": credentials.client_id, "client-secret": credentials.client_secret}}),
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata(CA_CONFIG_MAP),
               "data": {"ca.crt": simulator.ca_pem()}}),
    ])
}

/// Several objects as one document.
pub(crate) fn list(objects: &[Value]) -> Value {
    json!({"apiVersion": "v1", "kind": "List", "items": objects})
}

/// The only differences between a file in `examples/` and what the demo applies.
fn localise(object: &mut Value, base: &Url, callback: impl Fn(&str) -> Url) {
    let spec = &mut object["spec"];
    if spec["baseUrl"].as_str().is_some_and(|url| has_host(url, TENANT_HOST)) {
        spec["baseUrl"] = base.as_str().trim_end_matches('/').into();
        spec["caBundle"] = json!({"configMapRef": {"name": CA_CONFIG_MAP}});
        spec["callbacks"]["allowPrivateNetworks"] = true.into();
        spec["resyncPeriodSeconds"] = RESYNC_SECONDS.into();
    }
    if let Some(url) = spec["url"].as_str().and_then(|url| Url::parse(url).ok())
        && url.host_str() == Some(HOOKS_HOST)
    {
        spec["url"] = callback(url.path().trim_start_matches('/')).as_str().into();
    }
}

fn has_host(url: &str, host: &str) -> bool {
    Url::parse(url).is_ok_and(|url| url.host_str() == Some(host))
}

fn yaml_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let read = |error| format!("cannot read {}: {error}", folder.display());
    let entries = fs::read_dir(folder).map_err(read)?.collect::<std::io::Result<Vec<_>>>().map_err(read)?;
    let mut files: Vec<_> = entries.into_iter().map(|entry| entry.path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "yaml"));
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{BOT, BOT_WEBHOOK, CONTESTED, IMPORTED, LUCKY, UNHEALTHY};

    fn localised(mut object: Value) -> Value {
        let base = Url::parse("https://127.0.0.1:1/new").unwrap();
        localise(&mut object, &base, |name| base.join(&format!("/callbacks/{name}")).unwrap());
        object
    }

    #[test]
    fn a_webhook_gets_another_host_and_keeps_everything_else() {
        let object = |url| json!({"spec": {"url": url, "version": 2}});
        assert_eq!(
            localised(object("https://hooks.example.com/orders")),
            object("https://127.0.0.1:1/callbacks/orders")
        );
        assert_eq!(localised(object("https://other.example/orders")), object("https://other.example/orders"));
    }

    #[test]
    fn a_tenant_keeps_what_is_not_an_address() {
        let tenant = localised(json!({"spec": {"baseUrl": "https://tenant.example.com", "limits": {"burst": 5}}}));
        assert_eq!(tenant["spec"]["baseUrl"], "https://127.0.0.1:1/new");
        assert_eq!(tenant["spec"]["limits"], json!({"burst": 5}));
    }

    #[test]
    fn every_example_is_one_object_of_ours() {
        for file in yaml_files(&root().join("examples")).unwrap() {
            let object: Value = serde_saphyr::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
            assert_eq!(object["apiVersion"], "cognigy.io/v1alpha1", "{}", file.display());
            let host = |field: &str| object["spec"][field].as_str().map(|url| Url::parse(url).unwrap());
            for (field, known) in [("baseUrl", TENANT_HOST), ("url", HOOKS_HOST)] {
                if let Some(url) = host(field) {
                    assert_eq!(url.host_str(), Some(known), "{}", file.display());
                }
            }
        }
    }

    #[test]
    fn the_scenario_plays_with_webhooks_of_the_examples() {
        let objects = yaml_files(&root().join("examples"))
            .unwrap()
            .into_iter()
            .map(|file| serde_saphyr::from_str::<Value>(&fs::read_to_string(file).unwrap()).unwrap());
        let webhooks: Vec<_> = objects.filter(|object| object["kind"] == "CognigyWebhook").collect();
        let names: Vec<_> = webhooks.iter().map(|object| object["metadata"]["name"].as_str().unwrap()).collect();
        assert_eq!(names, [LUCKY, UNHEALTHY, CONTESTED, IMPORTED]);
        assert_eq!(webhooks[3]["spec"]["existing"], json!({"botId": BOT, "name": BOT_WEBHOOK}));
    }
}
