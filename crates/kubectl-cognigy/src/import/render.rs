//! Manifests as text. What is a default is left out; comments say what stands in Cognigy.

use std::collections::BTreeMap;

use cognigy_operator::api::{
    RetryPolicySpec,
    webhook::{CognigyWebhookSpec, TenantRef},
};
use serde::Serialize;

use super::{
    model::{Body, Import, Manifest},
    registration::bare,
};
use crate::exit::{Error, Result};

const GROUP: &str = "cognigy.io/v1alpha1";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Head<'a> {
    api_version: &'a str,
    kind: &'a str,
    metadata: Metadata<'a>,
}

#[derive(Serialize)]
struct Metadata<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<&'a str>,
}

/// All manifests as one YAML stream.
pub fn stream(import: &Import) -> Result<String> {
    let documents: Result<Vec<_>> = import.manifests.iter().map(|one| document(one, import)).collect();
    Ok(documents?.join("---\n"))
}

/// All manifests as one list in JSON, which has no comments.
pub fn json(import: &Import) -> Result<String> {
    let items: Result<Vec<serde_json::Value>> = import
        .manifests
        .iter()
        .map(|one| serde_saphyr::from_str(&document(one, import)?).map_err(|error| cannot(&error)))
        .collect();
    let list = serde_json::json!({"apiVersion": "v1", "kind": "List", "items": items?});
    serde_json::to_string_pretty(&list).map(|text| text + "\n").map_err(|error| cannot(&error))
}

/// One manifest.
pub fn document(manifest: &Manifest, import: &Import) -> Result<String> {
    let (api_version, kind) = match &manifest.body {
        Body::RetryPolicy(_) => (GROUP, "RetryPolicy"),
        Body::Secret(_) => ("v1", "Secret"),
        Body::Webhook(_) => (GROUP, "CognigyWebhook"),
    };
    let metadata = Metadata { name: &manifest.name, namespace: import.namespace.as_deref() };
    let comments: Vec<_> = manifest.comments.iter().map(|comment| format!("# {comment}\n")).collect();
    let body = match &manifest.body {
        Body::RetryPolicy(spec) => format!("spec:\n{}", indented(&yaml(spec)?, &policy_defaults()?)),
        Body::Webhook(spec) => format!("spec:\n{}", indented(&yaml(spec)?, &webhook_defaults(spec)?)),
        Body::Secret(keys) => format!("type: Opaque\nstringData:\n{}", values(keys)?),
    };
    Ok(comments.concat() + &yaml(&Head { api_version, kind, metadata })? + &body)
}

/// Empty values, each under a comment that says what belongs there.
fn values(keys: &[(String, String)]) -> Result<String> {
    let value = |(key, header): &(String, String)| {
        let empty = yaml(&BTreeMap::from([(key, "")]))?;
        Ok(format!("  # The value of the header {header}.\n{}", indented(&empty, &[])))
    };
    Ok(keys.iter().map(value).collect::<Result<Vec<_>>>()?.concat())
}

/// The lines as a part of something, without those that say a default.
fn indented(lines: &str, defaults: &[String]) -> String {
    let said = lines.lines().filter(|line| !defaults.iter().any(|default| default == line));
    said.map(|line| format!("  {line}\n")).collect::<Vec<_>>().concat()
}

/// What a policy says where its author says nothing. No line within a field begins at the margin.
fn policy_defaults() -> Result<Vec<String>> {
    let bare: RetryPolicySpec = serde_saphyr::from_str("{}").map_err(|error| cannot(&error))?;
    Ok(yaml(&bare)?.lines().map(str::to_owned).collect())
}

/// The same for a webhook. How it is adopted is what this is about, so it is said.
fn webhook_defaults(spec: &CognigyWebhookSpec) -> Result<Vec<String>> {
    let bare = bare(&TenantRef { name: String::new(), namespace: None });
    let text = yaml(&bare)?;
    let is_default = |line: &&str| {
        let about_tenant = line.starts_with("tenantRef") || line.starts_with(' ');
        !about_tenant && (spec.is_existing() || !line.starts_with("adoptionPolicy"))
    };
    Ok(text.lines().filter(is_default).map(str::to_owned).collect())
}

fn yaml(value: &impl Serialize) -> Result<String> {
    serde_saphyr::to_string(value).map_err(|error| cannot(&error))
}

fn cannot(error: &dyn std::fmt::Display) -> Error {
    Error::Told(format!("cannot write a manifest: {error}"))
}
