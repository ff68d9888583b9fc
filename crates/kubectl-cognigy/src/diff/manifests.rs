//! Reads manifests: the kinds that matter here, whatever else lies beside them.

use std::path::PathBuf;

use cognigy_operator::api::{CognigyTenant, CognigyWebhook, GROUP, RetryPolicy, VERSION};
use k8s_openapi::{
    ByteString,
    api::core::v1::{ConfigMap, Secret},
};
use kube::Resource;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{
    exit::{Error, Result},
    files::{self, Depth},
};

/// What the files hold.
#[derive(Default)]
pub struct Manifests {
    pub tenants: Vec<CognigyTenant>,
    pub policies: Vec<RetryPolicy>,
    pub webhooks: Vec<CognigyWebhook>,
    pub secrets: Vec<Secret>,
    pub config_maps: Vec<ConfigMap>,
}

impl Manifests {
    /// Reads files, directories and standard input (`-`).
    pub fn read(paths: &[PathBuf], depth: Depth) -> Result<Self> {
        let mut manifests = Self::default();
        for file in depth.manifests(paths)? {
            manifests.take(&files::text(&file)?, &file.display().to_string())?;
        }
        Ok(manifests)
    }

    /// Takes in the documents of a file.
    fn take(&mut self, text: &str, file: &str) -> Result<()> {
        let documents: Vec<Value> = serde_saphyr::from_multiple(text)
            .map_err(|error| Error::Told(format!("{file} is neither YAML nor JSON: {}", files::words(&error))))?;
        documents.into_iter().try_for_each(|document| self.take_object(document, file))
    }

    fn take_object(&mut self, object: Value, file: &str) -> Result<()> {
        let ours = format!("{GROUP}/{VERSION}");
        let field = |name: &str| object.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        match (field("apiVersion").as_str(), field("kind").as_str()) {
            (api, "CognigyTenant") if api == ours => self.tenants.push(parsed(object, file)?),
            (api, "RetryPolicy") if api == ours => self.policies.push(parsed(object, file)?),
            (api, "CognigyWebhook") if api == ours => self.webhooks.push(parsed(object, file)?),
            ("v1", "Secret") => self.secrets.push(encoded(parsed(object, file)?)),
            ("v1", "ConfigMap") => self.config_maps.push(parsed(object, file)?),
            (_, kind) if kind.ends_with("List") => {
                let items = object.get("items").and_then(Value::as_array).cloned().unwrap_or_default();
                items.into_iter().try_for_each(|item| self.take_object(item, file))?;
            }
            _ => {}
        }
        Ok(())
    }

    /// Objects that name no namespace lie in this one.
    pub fn within(mut self, namespace: &str) -> Self {
        fill(&mut self.tenants, namespace);
        fill(&mut self.policies, namespace);
        fill(&mut self.webhooks, namespace);
        fill(&mut self.secrets, namespace);
        fill(&mut self.config_maps, namespace);
        self
    }
}

fn fill<K: Resource>(objects: &mut [K], namespace: &str) {
    for object in objects {
        object.meta_mut().namespace.get_or_insert_with(|| namespace.to_owned());
    }
}

fn parsed<K: DeserializeOwned + Resource<DynamicType = ()>>(object: Value, file: &str) -> Result<K> {
    let name = object.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default().to_owned();
    let parsed: K = serde_json::from_value(object)
        // A value of a Secret is not quoted.
        .map_err(|error| match K::kind(&()).as_ref() {
            "Secret" => Error::Told(format!("{file}: Secret {name} cannot be read: its data is not base64")),
            kind => Error::Told(format!("{file}: {kind} {name} cannot be read: {error}")),
        })?;
    if name.is_empty() {
        return Err(Error::Told(format!("{file}: a {} has no metadata.name", K::kind(&()))));
    }
    Ok(parsed)
}

/// What a Secret gives as text is what it holds.
fn encoded(mut secret: Secret) -> Secret {
    let text = secret.string_data.take().unwrap_or_default();
    let text = text.into_iter().map(|(key, value)| (key, ByteString(value.into_bytes())));
    secret.data.get_or_insert_default().extend(text);
    secret
}
